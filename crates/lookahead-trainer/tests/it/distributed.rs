//! The real program in several processes on loopback.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::common::{SMALL, Sandbox, failed, random, sets, succeeded, train, wait_until};
use lookahead_run::checkpoint::sha256_of;
use lookahead_run::event::{Evaluation, Event, Record, Split, Weights};
use rustix::process::{Pid, Signal, kill_process};

/// Starts one process of several, which meet at the port.
fn as_rank(command: &mut Command, rank: usize, size: usize, port: u16) -> Child {
    command
        .env("RANK", rank.to_string())
        .env("WORLD_SIZE", size.to_string())
        .env("MASTER_ADDR", "127.0.0.1")
        .env("MASTER_PORT", port.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The same command in `size` processes.
pub(crate) fn start(sandbox: &Sandbox, size: usize, arguments: &[&str]) -> Vec<Child> {
    start_each(sandbox, size, arguments, |_, _| {})
}

/// As [`start`], with what `change` does to the command of a rank.
pub(crate) fn start_each(
    sandbox: &Sandbox,
    size: usize,
    arguments: &[&str],
    change: impl Fn(usize, &mut Command),
) -> Vec<Child> {
    let port = free_port();
    let start = |rank| {
        let mut command = sandbox.command(arguments);
        change(rank, &mut command);
        as_rank(&mut command, rank, size, port)
    };
    (0..size).map(start).collect()
}

pub(crate) fn ends(ranks: Vec<Child>) -> Vec<Output> {
    ranks.into_iter().map(|child| child.wait_with_output().unwrap()).collect()
}

#[track_caller]
pub(crate) fn succeed(ranks: Vec<Child>) -> Vec<Output> {
    let all = ends(ranks);
    for (rank, output) in all.iter().enumerate() {
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "rank {rank}: {errors}");
    }
    all
}

const LOCAL: [&str; 4] =
    ["--set", "distributed.mode=local", "--set", "distributed.timeout_seconds=60"];

fn model(sandbox: &Sandbox, run: &str, step: u64) -> Vec<u8> {
    let folder = sandbox.run_folder(run).join(format!("step-{step:08}"));
    std::fs::read(folder.join("model.safetensors")).unwrap()
}

fn losses(records: &[Record]) -> Vec<f64> {
    let loss = |record: &Record| match record.event {
        Event::Step(step) => Some(step.loss),
        _ => None,
    };
    records.iter().filter_map(loss).collect()
}

fn evaluations(records: &[Record]) -> Vec<Evaluation> {
    let found = |record: &Record| match &record.event {
        Event::Evaluation(found) => Some(found.clone()),
        _ => None,
    };
    records.iter().filter_map(found).collect()
}

/// Dropout, batch normalization and momentum have a state in each process; the run is stopped inside a cycle.
#[test]
fn two_processes_repeat_and_resume_bit_for_bit() {
    let sandbox = Sandbox::new(SMALL);
    for run in ["whole", "again"] {
        succeed(start(&sandbox, 2, &train(run, &LOCAL)));
    }
    assert_eq!(model(&sandbox, "whole", 14), model(&sandbox, "again", 14));
    succeed(start(
        &sandbox,
        2,
        &train("parts", &[&LOCAL[..], &["--set", "train.max_steps=8"]].concat()),
    ));
    let more = ["resume", "runs/parts", "--set", "train.max_steps=14"];
    succeed(start(&sandbox, 2, &more));
    assert_eq!(model(&sandbox, "parts", 14), model(&sandbox, "whole", 14));
    let of = |run| losses(&sandbox.records(run));
    assert_eq!(of("parts").len(), 14);
    assert_eq!(of("parts"), of("whole"));
    // One process alone trains differently.
    sandbox.train("alone", &[]);
    assert_ne!(model(&sandbox, "alone", 14), model(&sandbox, "whole", 14));

    // Each took half of the samples: an epoch of 4 batches of 300 becomes 2 steps.
    let Event::RunStarted(info) = &sandbox.records("whole")[0].event else { panic!() };
    assert_eq!(info.steps_per_epoch, 2);
    for found in evaluations(&sandbox.records("whole")) {
        let all = if found.split == Split::Test { info.samples.test } else { 341 };
        assert_eq!(found.samples, all, "{found:?}");
    }
    // Each sync logs the status of each rank.
    let records = sandbox.records("whole");
    let ranks: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Ranks(ranks) => Some((record.step, &ranks.ranks)),
            _ => None,
        })
        .collect();
    assert_eq!(ranks.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [3, 6, 9, 12]);
    for (step, ranks) in ranks {
        let own: f64 = losses(&records)[step as usize - 3..step as usize].iter().sum();
        assert!((ranks[0].loss - own / 3.0).abs() < 1e-12, "{ranks:?}");
        assert!(ranks.len() == 2 && ranks[1].loss != ranks[0].loss, "{ranks:?}");
        let sound =
            |rank: &lookahead_run::event::Rank| rank.step_seconds > 0.0 && rank.wait_seconds > 0.0;
        assert!(ranks.iter().all(sound), "{ranks:?}");
        // Two are equally far from their mean.
        let [own, other] = [0, 1].map(|rank| ranks[rank].distance.unwrap());
        assert!(own > 0.0 && (own / other - 1.0).abs() < 1e-3, "{ranks:?}");
    }
    // The joint evaluation equals one of a single process.
    let found = sandbox.lookahead(&["eval", "runs/whole", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    let last = evaluations(&sandbox.records("whole")).into_iter().rev();
    let last = last.into_iter().find(|e| (e.split, e.weights) == (Split::Test, Weights::Slow));
    let last = last.unwrap();
    assert!((found["loss"].as_f64().unwrap() - last.loss).abs() < 1e-6, "{found} {last:?}");
    assert_eq!(found["accuracy"].as_f64().unwrap(), last.accuracy);
}

/// From φ, with the inner states that exist: from two processes to one, to three, and back to two.
#[test]
fn another_number_of_processes_resumes_from_phi() {
    let sandbox = Sandbox::new(SMALL);
    let epochs = ["--set", "train.max_steps=false", "--set", "train.epochs=4"];
    // Steps 1 to 5 of 8; the cycle of the fourth and fifth does not reach its sync.
    succeed(start(
        &sandbox,
        2,
        &train("run", &[&LOCAL[..], &["--set", "train.max_steps=5"]].concat()),
    ));
    let slow = model(&sandbox, "run", 5);
    for (size, dropped) in [(1, 2), (3, 1), (2, 1)] {
        let copy = format!("copy-{size}");
        let from = sandbox.run_folder(if size == 1 { "run" } else { "copy-1" });
        assert!(
            Command::new("cp")
                .arg("-a")
                .arg(&from)
                .arg(sandbox.run_folder(&copy))
                .status()
                .unwrap()
                .success()
        );
        let run = format!("runs/{copy}");
        let from: &[&str] = if size == 1 { &[] } else { &["--from", "9"] };
        let arguments = [&["resume", &run], &epochs[..], from].concat();
        let said = succeed(start(&sandbox, size, &arguments));
        let errors = String::from_utf8_lossy(&said[0].stderr);
        let before = if size == 1 { "taken by 2 processes" } else { "taken by 1 process, " };
        assert!(errors.contains(before), "{errors}");
        assert!(errors.contains(&format!("dropped ({dropped})")), "{errors}");
        let records = sandbox.records(&copy);
        let last = records.last().unwrap();
        assert!(
            matches!(&last.event, Event::RunEnded(ended) if ended.message.is_none()),
            "{last:?}"
        );
        // Two had taken 2½ epochs of 2 steps; what is left is 1½ of 4, 2 or 1 steps, in whole steps.
        let Some(info) = records.iter().rev().find_map(|record| match &record.event {
            Event::Resumed(resumed) => Some(&resumed.info),
            _ => None,
        }) else {
            panic!("{records:?}")
        };
        assert_eq!(info.total_steps, last.step);
        assert!(losses(&records).iter().all(|loss| loss.is_finite()));
        if size == 1 {
            assert_eq!(last.step, 5 + 6, "{errors}");
            // Nothing of the dropped steps is in φ.
            assert_eq!(model(&sandbox, "copy-1", 5), slow);
        }
    }
}

#[test]
fn a_distributed_run_of_one_is_the_plain_run_bit_for_bit() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("plain", &[]);
    succeed(start(&sandbox, 1, &train("one", &LOCAL)));
    assert_eq!(model(&sandbox, "plain", 14), model(&sandbox, "one", 14));
    assert_eq!(losses(&sandbox.records("plain")), losses(&sandbox.records("one")));
}

/// Two processes, each with half of the batch, have the gradients of one with all of it.
#[test]
fn averaged_gradients_equal_those_of_the_whole_batch() {
    let sandbox = Sandbox::new(SMALL);
    let plain = ["--set", "model.dropout=0", "--set", "model.batch_norm=false"];
    sandbox.train("one", &plain);
    let half = ["--set", "data.batch_size=150", "--set", "distributed.mode=data_parallel"];
    succeed(start(&sandbox, 2, &train("two", &[&plain[..], &half].concat())));
    let probes = |run: &str| -> Vec<[f64; 2]> {
        let both = |record: &Record| match record.event {
            Event::Probe(probe) => Some([probe.fast_loss, probe.slow_loss]),
            _ => None,
        };
        sandbox.records(run).iter().filter_map(both).collect()
    };
    let (one, two) = (probes("one"), probes("two"));
    // The fifth is the last sync, of the 14 steps' last two.
    assert_eq!((one.len(), two.len()), (5, 5));
    for (one, two) in one.iter().flatten().zip(two.iter().flatten()) {
        assert!((one - two).abs() < 1e-5, "{one} {two}");
    }
}

#[test]
fn processes_with_different_configs_are_refused() {
    let sandbox = Sandbox::new(SMALL);
    let port = free_port();
    let more = |k| [&LOCAL[..], &["--set", k]].concat();
    let ranks = ["lookahead.k=3", "lookahead.k=4"]
        .iter()
        .enumerate()
        .map(|(rank, k)| as_rank(&mut sandbox.command(&train("run", &more(k))), rank, 2, port));
    for output in ends(ranks.collect()) {
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        let expected = "Rank 1 was started with `lookahead.k` = 4, and rank 0 with 3";
        assert!(errors.contains(expected), "{errors}");
    }
    assert!(!sandbox.run_folder("run").exists(), "a run that can't begin leaves no folder");

    // And the environment of several processes, with a config for one.
    let output = as_rank(&mut sandbox.command(&train("run", &[])), 0, 2, port).wait_with_output();
    let errors = String::from_utf8_lossy(&output.unwrap().stderr).into_owned();
    assert!(
        errors.contains("`distributed.mode` is none. Set it to local or data_parallel"),
        "{errors}"
    );
}

#[test]
fn processes_with_different_data_or_another_mode_are_refused() {
    let sandbox = Sandbox::new(SMALL);
    succeed(start(
        &sandbox,
        2,
        &train("run", &[&LOCAL[..], &["--set", "train.max_steps=4"]].concat()),
    ));
    let more = ["resume", "runs/run", "--set", "distributed.mode=data_parallel"];
    let errors = ends(start(&sandbox, 2, &more)).swap_remove(0);
    let errors = String::from_utf8_lossy(&errors.stderr).into_owned();
    assert!(errors.contains("`distributed.mode` can't become data_parallel"), "{errors}");

    let text = "[data]\nkind = \"text\"\nbatch_size = 2\n[model]\nkind = \"lstm\"\n[lookahead]\n";
    std::fs::write(sandbox.config(), text).unwrap();
    let port = free_port();
    let ranks = [20_000, 30_000].iter().enumerate().map(|(rank, letters)| {
        let file = format!("text-{rank}.txt");
        std::fs::write(sandbox.path().join(&file), "abcde fgh ".repeat(letters / 10)).unwrap();
        let set = format!("data.file={file}");
        let more = [&LOCAL[..], &["--set", &set]].concat();
        as_rank(&mut sandbox.command(&train("texts", &more)), rank, 2, port)
    });
    for output in ends(ranks.collect()) {
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains("Rank 1 has other data than rank 0: "), "{errors}");
    }
}

#[test]
fn commands_to_one_process_reach_all() {
    let sandbox = Sandbox::new(SMALL);
    let long = ["--set", "train.max_steps=1000000", "--set", "checkpoint.every_steps=0"];
    let mut ranks = start(&sandbox, 2, &train("run", &[&LOCAL[..], &long].concat()));
    let begun = |record: &Record| record.step > 30;
    sandbox.wait_for("run", &mut ranks[0], begun);
    let status = succeeded(sandbox.lookahead(&["ctl", "runs/run", "status"]));
    let status = String::from_utf8(status.stdout).unwrap();
    for words in [
        "Rank 0 at the last exchange: loss",
        "Rank 1",
        "from the mean",
        "`set` can change optimizer.lr, lookahead.k",
    ] {
        assert!(status.contains(words), "{words}: {status}");
    }
    let asked = sandbox.lookahead(&["ctl", "runs/run", "checkpoint"]);
    assert!(asked.status.success());
    let saved = |record: &Record| matches!(record.event, Event::Checkpoint(_));
    sandbox.wait_for("run", &mut ranks[0], saved);
    assert!(sandbox.lookahead(&["ctl", "runs/run", "pause"]).status.success());
    sandbox.wait_for("run", &mut ranks[0], |record| matches!(record.event, Event::Paused));
    assert!(sandbox.lookahead(&["ctl", "runs/run", "continue"]).status.success());
    sandbox.wait_for("run", &mut ranks[0], |record| matches!(record.event, Event::Continued));
    // SIGTERM goes to the rank that has no log.
    kill_process(Pid::from_child(&ranks[1]), Signal::TERM).unwrap();
    succeed(ranks);
    let records = sandbox.records("run");
    let last = records.last().unwrap();
    assert!(matches!(&last.event, Event::RunEnded(ended) if ended.message.is_none()), "{last:?}");
    let checkpoints = sandbox.checkpoints("run");
    assert_eq!(checkpoints.last().unwrap().0, last.step);
    for (_, manifest) in checkpoints {
        assert!(manifest.unwrap().files.contains_key("training-rank-00001.safetensors"));
    }
}

/// Either of two processes is killed, twice in the suite and as often as `LOOKAHEAD_CRASHES` says: the
/// other ends too, and the same command, run again, reaches the model of an undisturbed run.
#[test]
fn killed_at_random_moments_two_processes_reach_the_same_model() {
    let times: u64 = std::env::var("LOOKAHEAD_CRASHES").map_or(2, |times| times.parse().unwrap());
    let mut state = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    println!("seed {state}");
    let sandbox = Sandbox::new(&SMALL.replace("max_steps = 14", "max_steps = 600"));
    // A process that is alone at the meeting point waits this long.
    let few = sets(&["checkpoint.every_steps=50", "distributed.timeout_seconds=20"]);
    let few = [&LOCAL[..], &few, &["--auto-resume"]].concat();
    let started = Instant::now();
    succeed(start(&sandbox, 2, &train("whole", &few)));
    let duration = started.elapsed().as_millis() as u64;
    let whole = sha256_of(&model(&sandbox, "whole", 600));

    let (mut kills, mut runs, mut victims) = (0, 0, [0, 0]);
    while kills < times {
        runs += 1;
        let run = format!("run-{runs}");
        loop {
            let mut ranks = start(&sandbox, 2, &train(&run, &few));
            // Each of them once, at first.
            let victim = if kills < 2 { kills } else { random(&mut state) % 2 } as usize;
            // Rarely so early that they have not met.
            let moment = duration / 5 + random(&mut state) % (duration * 4 / 5);
            std::thread::sleep(Duration::from_millis(moment));
            if kills == times || ranks[victim].try_wait().unwrap().is_some() {
                succeed(ranks);
                break;
            }
            kill_process(Pid::from_child(&ranks[victim]), Signal::KILL).unwrap();
            kills += 1;
            victims[victim] += 1;
            let other = ends(ranks).swap_remove(1 - victim);
            let errors = String::from_utf8_lossy(&other.stderr);
            // Unless it had just finished.
            if other.status.code() != Some(0) {
                assert_eq!(other.status.code(), Some(1), "{errors}");
                let alone = errors.contains("did not join") || errors.contains("could not join");
                assert!(alone || errors.contains("Start all ranks again"), "{errors}");
            }
        }
        assert_eq!(sha256_of(&model(&sandbox, &run, 600)), whole, "{run}");
    }
    println!("{kills} kills in {runs} runs; rank 0 was the victim {} times", victims[0]);
}

/// One process can't start: the other ends at once, with the same reason.
#[test]
fn a_process_that_can_not_start_tells_the_other_why() {
    let sandbox = Sandbox::new(SMALL);
    for resumes in [false, true] {
        let run = ["resume", "runs/run"];
        let arguments = if resumes { run.to_vec() } else { train("run", &LOCAL) };
        let port = free_port();
        let ranks = [0, 1].map(|rank| {
            // Each has its own device.
            let device = ["train.device=cpu", "train.device=cuda:99"][rank];
            let arguments = [&arguments[..], &["--set", device]].concat();
            as_rank(&mut sandbox.command(&arguments), rank, 2, port)
        });
        let started = Instant::now();
        let [leading, following] = ends(ranks.into()).try_into().unwrap();
        assert!(started.elapsed() < Duration::from_secs(50), "not at the timeout");
        let [leading, following] =
            [leading, following].map(|output| String::from_utf8(output.stderr).unwrap());
        assert!(following.contains("cuda:99"), "{following}");
        let words = following.trim().trim_start_matches("error: ").lines().last().unwrap();
        let expected = format!("Rank 1 of 2 ended, and with it rank 0: {words}");
        assert!(leading.contains(&expected), "{resumes}: {leading}");
        if !resumes {
            assert!(!sandbox.run_folder("run").exists(), "nothing has begun");
            // The second round needs a run to resume.
            succeed(start(
                &sandbox,
                2,
                &train("run", &[&LOCAL[..], &sets(&["train.max_steps=4"])].concat()),
            ));
        }
    }
}

/// NaN ends all, with advice that applies to several processes.
#[test]
fn divergence_ends_all_processes() {
    let sandbox = Sandbox::new(SMALL);
    let ranks =
        start(&sandbox, 2, &train("run", &[&LOCAL[..], &["--set", "optimizer.lr=1e30"]].concat()));
    for output in ends(ranks) {
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains("the training diverged"), "{errors}");
        assert!(errors.contains("lookahead.non_finite=roll_back"), "{errors}");
    }
    let records = sandbox.records("run");
    let Event::RunEnded(ended) = &records.last().unwrap().event else { panic!("{records:?}") };
    assert!(ended.message.as_ref().unwrap().contains("the training diverged"), "{ended:?}");
}

/// Another program than rank 0 listens at the meeting point.
#[test]
fn another_program_at_the_port_is_named() {
    let sandbox = Sandbox::new(SMALL);
    let timeout = ["distributed.mode=local", "distributed.timeout_seconds=3"];
    for (what, words) in [
        ("silent", "what is there takes connections and says nothing"),
        ("garbage", "what is there does not answer as a store does"),
        ("closes", "could not join the others at 127.0.0.1"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                match what {
                    "silent" => kept.push(stream),
                    "garbage" => {
                        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
                        kept.push(stream);
                    }
                    _ => drop(stream),
                }
            }
        });
        let started = Instant::now();
        let resume = [&["resume", "runs/run"][..], &sets(&timeout[1..])].concat();
        let both = [train("run", &sets(&timeout)), resume];
        let both = both.map(|arguments| as_rank(&mut sandbox.command(&arguments), 1, 2, port));
        for output in ends(both.into()) {
            failed(&output, 1, &[words]);
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(!said.contains("frame #") && !said.contains("c10d"), "one sentence: {said}");
        }
        assert!(started.elapsed() < Duration::from_secs(40), "{what}: {:?}", started.elapsed());
    }
}

/// Each mistake is reported at once, in one sentence.
#[test]
fn wrong_variables_of_the_environment_are_named() {
    let sandbox = Sandbox::new(SMALL);
    let arguments = train("run", &LOCAL);
    let started = Instant::now();
    let one = |name: &str, value: &str, status: i32, words: &[&str]| {
        let mut command = sandbox.command(&arguments);
        command.env("RANK", "1").env("WORLD_SIZE", "2").env("MASTER_PORT", free_port().to_string());
        command.env("MASTER_ADDR", "127.0.0.1").env(name, value);
        let output = command.output().unwrap();
        failed(&output, status, words);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.trim().lines().count(), 1, "{said}");
    };
    one("GLOO_SOCKET_IFNAME", "eth99", 2, &["GLOO_SOCKET_IFNAME is `eth99`", "There are", "lo"]);
    for address in ["tcp://h", "h:29500", "[h]"] {
        one("MASTER_ADDR", address, 2, &[&format!("MASTER_ADDR is `{address}`"), "without scheme"]);
    }

    let both = |sizes: [usize; 2], ranks: [usize; 2]| {
        let port = free_port();
        let start = |i: usize| as_rank(&mut sandbox.command(&arguments), ranks[i], sizes[i], port);
        let all = [start(0), start(1)].map(|child| child.wait_with_output().unwrap());
        let codes = all.each_ref().map(|output| output.status.code());
        assert_eq!(codes, [Some(1), Some(2)], "rank 1 was started wrongly, and tells rank 0");
        all.map(|output| String::from_utf8(output.stderr).unwrap())
    };
    for sizes in [[2, 3], [3, 2]] {
        let [leading, other] = both(sizes, [0, 1]);
        let words = format!(
            "Rank 1 was started with WORLD_SIZE {}, and rank 0 with {}",
            sizes[1], sizes[0]
        );
        for said in [&leading, &other] {
            assert!(said.contains(&words), "{said}");
            assert!(!said.contains("frame #"), "{said}");
        }
    }
    assert!(started.elapsed() < Duration::from_secs(50), "not at the timeout");
}

/// A host that does not resolve yet, for example while machines start, is waited for, with a warning.
#[test]
fn a_host_name_that_does_not_resolve_is_reported_early() {
    let sandbox = Sandbox::new(SMALL);
    let timeout = ["distributed.mode=local", "distributed.timeout_seconds=8"];
    let mut command = sandbox.command(&train("run", &sets(&timeout)));
    command.env("RANK", "1").env("WORLD_SIZE", "2").env("MASTER_PORT", "29500");
    let output = command.env("MASTER_ADDR", "no-such-host.invalid").output().unwrap();
    failed(
        &output,
        1,
        &["Warning: MASTER_ADDR is `no-such-host.invalid`", "error: MASTER_ADDR is"],
    );
    assert!(!String::from_utf8_lossy(&output.stderr).contains("frame #"));
}

/// The other ranks need no folder for files, and leave none behind however they end.
#[test]
fn only_rank_0_has_files() {
    let sandbox = Sandbox::new(SMALL);
    let with_temporary = |arguments: &[&str], place: &str| -> Vec<Child> {
        let port = free_port();
        let mut commands = [sandbox.command(arguments), sandbox.command(arguments)];
        commands[1].env("TMPDIR", place);
        let ranks = commands.iter_mut().enumerate();
        ranks.map(|(rank, command)| as_rank(command, rank, 2, port)).collect()
    };
    let more = [&LOCAL[..], &["--set", "train.max_steps=8"]].concat();
    succeed(with_temporary(&train("run", &more), "/nowhere"));
    let resume = ["resume", "runs/run", "--set", "train.max_steps=14"];
    succeed(with_temporary(&resume, "/nowhere"));
    succeed(start(&sandbox, 2, &train("whole", &LOCAL)));
    assert_eq!(model(&sandbox, "run", 14), model(&sandbox, "whole", 14));

    let place = sandbox.path().join("temporary");
    std::fs::create_dir(&place).unwrap();
    let more = [&LOCAL[..], &["--set", "train.max_steps=10000000"]].concat();
    let mut ranks = with_temporary(&train("killed", &more), place.to_str().unwrap());
    sandbox.wait_for("killed", &mut ranks[0], |record| record.step >= 10);
    for rank in &mut ranks {
        rank.kill().unwrap();
    }
    ends(ranks);
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0);
}

/// libtorch's messages about the lost process can't be written.
#[test]
fn a_lost_process_ends_the_other_even_if_its_stderr_is_full() {
    use std::io::Write;
    let sandbox = Sandbox::new(SMALL);
    let port = free_port();
    let arguments = train("run", &LOCAL);
    let arguments = [&arguments[..], &sets(&["train.max_steps=10000000"])].concat();
    let (_reader, mut writer) = std::io::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    rustix::fs::fcntl_setfl(&writer, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    while writer.write(b"\n").is_ok() {}
    rustix::fs::fcntl_setfl(&writer, flags).unwrap();
    let as_stuck = |rank: usize| {
        let mut command = sandbox.command(&arguments);
        command.env("RANK", rank.to_string()).env("WORLD_SIZE", "2");
        command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string());
        command.env("TORCH_CPP_LOG_LEVEL", "INFO").stdout(Stdio::null());
        command.stderr(writer.try_clone().unwrap()).spawn().unwrap()
    };
    let mut ranks = [as_stuck(0), as_stuck(1)];
    sandbox.wait_for("run", &mut ranks[0], |record| record.step >= 10);
    ranks[1].kill().unwrap();
    ranks[1].wait().unwrap();
    let mut status = None;
    wait_until("rank 0 ends, without a reader of its stderr", || {
        status = ranks[0].try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(1));
}
