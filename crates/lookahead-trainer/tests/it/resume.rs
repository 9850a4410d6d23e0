//! A resumed run is the run that was never interrupted, to the bit.

use crate::common::{SMALL, Sandbox, copy_folder, failed, reseal, sets, stderr, succeeded, train};
use crate::tensors::publish;
use lookahead_run::TrainingMetadata;
use lookahead_run::event::{Event, Record, Split, Status, Weights};
use lookahead_trainer::tensor_file::read;

const LAST: u64 = 14;

/// The run is resumed in new processes from checkpoints at every phase of two cycles, which are
/// also all places in an epoch of four steps.
#[test]
fn from_every_phase_for_every_inner_optimizer() {
    let sandbox = Sandbox::new(SMALL);
    for optimizer in ["sgd", "adam", "adamw", "rmsprop"] {
        let kind = format!("optimizer.kind={optimizer}");
        let options: &[&str] = match optimizer {
            "rmsprop" => &["--set", "optimizer.momentum=0.9", "--set", "optimizer.centered=true"],
            "adam" => &["--set", "optimizer.amsgrad=true"],
            _ => &[],
        };
        let lr = if optimizer == "sgd" { "optimizer.lr=0.05" } else { "optimizer.lr=0.003" };
        sandbox.train(optimizer, &[&["--set", &kind, "--set", lr], options].concat());
        let whole = sandbox.losses(optimizer);
        assert_eq!(whole.len() as u64, LAST);

        for step in 1..=6 {
            let resumed = format!("{optimizer}-from-{step}");
            copy_folder(&sandbox.run_folder(optimizer), &sandbox.run_folder(&resumed));
            sandbox.resume(&resumed, &["--from", &step.to_string()]);
            assert_eq!(sandbox.losses(&resumed), whole, "{resumed}");
            assert!(
                sandbox.tensors(&resumed, LAST) == sandbox.tensors(optimizer, LAST),
                "{resumed}: θ, φ, inner state or generator differ"
            );
            let abandoned = sandbox.run_folder(&resumed).join("abandoned");
            let moved = std::fs::read_dir(&abandoned).unwrap().map(|entry| entry.unwrap().path());
            let moved = moved.filter(|path| path.is_dir()).count() as u64;
            assert_eq!(moved, LAST - step, "{resumed}: the checkpoints later than {step}");
            let steps = lookahead_run::log::read(&abandoned.join("events-1.jsonl")).unwrap();
            let steps = steps.iter().filter(|record| matches!(record.event, Event::Step(_)));
            let moved: Vec<u64> = steps.map(|record| record.step).collect();
            assert_eq!(moved, (step + 1..=LAST).collect::<Vec<_>>(), "{resumed}: their events");
        }
    }
}

/// Everything logged after a resume is what the uninterrupted run logs.
#[test]
fn probes_and_evaluations_repeat_as_well() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("whole", &[]);
    copy_folder(&sandbox.run_folder("whole"), &sandbox.run_folder("again"));
    sandbox.resume("again", &["--from", "5"]);
    let seen = |run: &str| -> Vec<String> {
        let records = sandbox.records(run);
        let seen = records.iter().filter_map(|record| match &record.event {
            Event::Probe(p) => {
                Some(format!("{} {} {} {}", record.step, p.sync, p.fast_loss, p.slow_loss))
            }
            Event::Sync(s) => Some(format!("{} sync {}", record.step, s.sync)),
            Event::Evaluation(e) => Some(format!(
                "{} {:?} {:?} {} {}",
                record.step, e.weights, e.split, e.loss, e.accuracy
            )),
            _ => None,
        });
        seen.collect()
    };
    assert_eq!(seen("again"), seen("whole"));
    assert!(seen("whole").len() > 10);
}

#[test]
fn without_the_inner_state_it_would_differ() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("whole", &[]);
    copy_folder(&sandbox.run_folder("whole"), &sandbox.run_folder("damaged"));
    let checkpoint = sandbox.run_folder("damaged").join("step-00000005");
    let path = checkpoint.join("training.safetensors");
    let mut tensors = read(&path).unwrap();
    let before = tensors.len();
    tensors.retain(|name, _| !name.contains("momentum_buffer"));
    assert!(tensors.len() < before);
    // Sealed again as a valid checkpoint, so that only the missing state is wrong.
    let mut metadata = lookahead_run::checkpoint::verify(&checkpoint).unwrap().metadata;
    let model = std::fs::read(checkpoint.join("model.safetensors")).unwrap();
    let replace = |metadata: &TrainingMetadata| {
        let tensors = tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
        std::fs::remove_dir_all(&checkpoint).unwrap();
        publish(&sandbox.run_folder("damaged"), metadata.clone(), &model, tensors.collect());
    };
    replace(&metadata);
    let folder = sandbox.run_folder("damaged");
    let refused = sandbox.lookahead(&["resume", folder.to_str().unwrap(), "--from", "5"]);
    failed(&refused, 1, &["The state has no entry `inner/sgd/momentum_buffer/"]);
    // As by an earlier version, which did not count them.
    metadata.integers.remove("inner/sgd/tensors").unwrap();
    replace(&metadata);
    sandbox.resume("damaged", &["--from", "5"]);
    let (whole, damaged) = (sandbox.losses("whole"), sandbox.losses("damaged"));
    assert_eq!(whole[..6], damaged[..6], "step 6 starts from the same weights");
    assert_ne!(whole[6..], damaged[6..], "the momentum is missed from there on");
}

/// Given more steps later, a run continues as the longer run would have: the last checkpoint is
/// taken before φ is put into the model.
#[test]
fn a_finished_run_given_more_steps() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("long", &[]);
    sandbox.train("short", &["--set", "train.max_steps=8", "--set", "checkpoint.every_steps=0"]);
    let nothing = sandbox.resume("short", &[]);
    assert!(stderr(&nothing).contains("has taken all of its 8 steps"), "{}", stderr(&nothing));
    let more = ["--set", "train.max_steps=14", "--set", "checkpoint.every_steps=1"];
    sandbox.resume("short", &more);
    assert_eq!(sandbox.losses("short"), sandbox.losses("long"));
    assert!(sandbox.tensors("short", LAST) == sandbox.tensors("long", LAST));
    // The run's time is that of both processes.
    let seconds = |step: u64| {
        let all = sandbox.checkpoints("short");
        let of = |found: &lookahead_run::Manifest| found.metadata.wall_seconds;
        all.iter().find(|(of, _)| *of == step).map(|(_, found)| of(found.as_ref().unwrap()))
    };
    assert!(seconds(9).unwrap() > seconds(8).unwrap());
    let records = sandbox.records("short");
    let resumed = records.iter().find_map(|record| match &record.event {
        Event::Resumed(resumed) => Some(resumed),
        _ => None,
    });
    assert_eq!(resumed.unwrap().changes["train.max_steps"], 14);
}

#[test]
fn lookahead_can_not_be_added_at_a_resume() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("bare", &["--set", "lookahead=false"]);
    let more = ["resume", "runs/bare", "--set", "train.max_steps=20", "--set", "lookahead.k=5"];
    failed(&sandbox.lookahead(&more), 2, &["was started without Lookahead", "added"]);
}

/// Messages about a run's length name the key that decides it.
#[test]
fn the_key_that_decides_the_length() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &[]);
    let resume = |more: &[&str]| sandbox.lookahead(&[&["resume", "runs/run"], more].concat());
    let done = succeeded(resume(&["--set", "train.epochs=50"]));
    let said = stderr(&done);
    assert!(said.contains("`--set train.max_steps=…`") && !said.contains("epochs=…"), "{said}");
    let fewer = resume(&["--set", "train.max_steps=5"]);
    failed(&fewer, 2, &["`train.max_steps` is 5", "checkpoint is of step 14", "`--from`"]);
    let fewer = resume(&["--set", "train.max_steps=false", "--set", "train.epochs=2"]);
    failed(&fewer, 2, &["`train.epochs` is 2, which makes 8 steps", "checkpoint is of step 14"]);

    succeeded(resume(&["--set", "train.max_steps=false", "--set", "train.epochs=5"]));
    assert_eq!(sandbox.losses("run").len(), 20);
    let config = std::fs::read_to_string(sandbox.run_folder("run").join("config.toml")).unwrap();
    assert!(!config.contains("max_steps"), "{config}");
}

/// Killed after the last checkpoint, before the final evaluation.
#[test]
fn a_run_without_its_end_gets_one() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &[]);
    let events = sandbox.run_folder("run").join("events.jsonl");
    let log = std::fs::read_to_string(&events).unwrap();
    let kept = log
        .split_inclusive('\n')
        .filter(|line| !line.contains("\"run_ended\"") && !line.contains("\"split\":\"test\""));
    std::fs::write(&events, kept.collect::<String>()).unwrap();

    let ends = |records: Vec<Record>| -> Vec<Record> {
        let is_end = |event: &Event| match event {
            Event::Evaluation(found) => found.split == Split::Test,
            Event::RunEnded(ended) => ended.status == Status::Finished,
            _ => false,
        };
        records.into_iter().filter(|record| is_end(&record.event)).collect()
    };
    assert!(ends(sandbox.records("run")).is_empty());
    sandbox.resume("run", &[]);
    let ended = ends(sandbox.records("run"));
    assert_eq!(ended.iter().map(|record| record.step).collect::<Vec<_>>(), [LAST; 3]);
    assert!(stderr(&sandbox.resume("run", &[])).contains("has taken all of its 14 steps"));
    assert_eq!(ends(sandbox.records("run")).len(), 3);
}

/// The log has a change before any step under it: it is written before the config, whenever a crash happens.
#[test]
fn a_change_is_in_the_log_before_it_is_in_the_config() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "train.max_steps=4"]);
    let folder = sandbox.run_folder("run");
    // Makes writing the new config fail.
    std::fs::create_dir(folder.join(".config.toml.tmp")).unwrap();
    let resume = ["resume", "runs/run", "--set", "train.max_steps=6"];
    failed(&sandbox.lookahead(&resume), 1, &[".config.toml.tmp"]);
    let last = sandbox.records("run").pop().unwrap();
    assert!(matches!(last.event, Event::Resumed(resumed) if resumed.changes.len() == 1));

    std::fs::remove_dir(folder.join(".config.toml.tmp")).unwrap();
    succeeded(sandbox.lookahead(&resume));
    assert_eq!(sandbox.losses("run").len(), 6);
}

/// Without a writable log, training continues, and all but the log is as usual.
#[test]
fn a_full_disk_for_the_log_ends_no_training() {
    let sandbox = Sandbox::new(SMALL);
    let last = ["--set", "train.max_steps=2000", "--set", "checkpoint.every_steps=0"];
    let output = sandbox.with_file_limit(100, &train("run", &last));
    let words = ["THE EVENT LOG CAN'T BE WRITTEN", "events.jsonl", "Finished at step 2,000"];
    failed(&output, 1, &[&words[..], &["could not be logged, and are lost"]].concat());
    let logged = sandbox.losses("run");
    assert!((100..1000).contains(&logged.len()), "{} steps in the log", logged.len());
    sandbox.train("whole", &last);
    assert!(sandbox.tensors("run", 2000) == sandbox.tensors("whole", 2000));
    assert_eq!(logged[..], sandbox.losses("whole")[..logged.len()]);

    // With room again, it resumes.
    sandbox.resume("run", &["--set", "train.max_steps=2010"]);
    sandbox.resume("whole", &["--set", "train.max_steps=2010"]);
    let (run, whole) = (sandbox.losses("run"), sandbox.losses("whole"));
    assert_eq!(run[run.len() - 10..], whole[whole.len() - 10..]);
    assert!(sandbox.tensors("run", 2010) == sandbox.tensors("whole", 2010));
}

/// Real data, a real kill in the middle of an epoch.
#[test]
fn killed_on_fashion_mnist() {
    let sandbox = Sandbox::new("");
    let config = crate::common::root().join("configs/fashion-mnist.toml");
    std::fs::copy(config, sandbox.config()).unwrap();
    let more = sets(&[
        "train.max_steps=120",
        "checkpoint.every_steps=30",
        "train.threads=1",
        "model.dropout=0.2",
    ]);
    sandbox.train("whole", &more);

    let mut child = sandbox.start("killed", &more);
    sandbox.wait_for("killed", &mut child, |record| record.step >= 70);
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    let at_the_kill = sandbox.losses("killed").len();
    assert!((70..120).contains(&at_the_kill), "{at_the_kill} steps");

    sandbox.resume("killed", &[]);
    assert_eq!(sandbox.losses("killed"), sandbox.losses("whole"));
    assert!(sandbox.tensors("killed", 120) == sandbox.tensors("whole", 120));
}

#[test]
fn a_damaged_checkpoint_is_reported_and_the_one_before_it_used() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "train.max_steps=6"]);
    let whole = sandbox.losses("run");
    let file = sandbox.run_folder("run").join("step-00000006/training.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();

    let output = sandbox.resume("run", &[]);
    let said = stderr(&output);
    assert!(said.contains("step-00000006") && said.contains("training.safetensors"), "{said}");
    assert!(said.contains("Resuming from step-00000005"), "{said}");
    assert!(said.contains("Skipped; the newest valid one is step-00000005."), "{said}");
    assert_eq!(sandbox.losses("run"), whole);
    let warned = sandbox
        .records("run")
        .iter()
        .any(|record| matches!(&record.event, Event::Warning(w) if w.message.contains("SHA-256")));
    assert!(warned, "the warning is in the log too");

    for step in 1..=6 {
        let file = sandbox.run_folder("run").join(format!("step-{step:08}/manifest.json"));
        std::fs::write(file, "{}").unwrap();
    }
    let folder = sandbox.run_folder("run");
    let output = sandbox.lookahead(&["resume", folder.to_str().unwrap()]);
    failed(&output, 1, &["step-00000006", "step-00000001"]);
}

#[test]
fn changes_that_do_not_fit_are_refused() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "train.max_steps=4"]);
    let folder = sandbox.run_folder("run");
    let resume =
        |more: &[&str]| sandbox.lookahead(&[&["resume", folder.to_str().unwrap()], more].concat());
    for change in ["train.seed=7", "optimizer.kind=adam", "model.hidden=[8]", "data.batch_size=9"] {
        let key = change.split('=').next().unwrap();
        failed(&resume(&["--set", change]), 2, &[&format!("`{key}` can't change on resume")]);
    }
    failed(&resume(&["--from", "99"]), 2, &["99"]);
    let bare = ["--set", "train.max_steps=6", "--set", "lookahead=false"];
    failed(&resume(&bare), 2, &["was started with Lookahead", "removed"]);
}

#[test]
fn another_k_at_a_resume_holds_from_the_next_cycle() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "train.max_steps=4"]);
    let syncs = || -> Vec<u64> {
        let records = sandbox.records("run");
        let within = |r: &&Record| matches!(&r.event, Event::Sync(sync) if !sync.last);
        records.iter().filter(within).map(|r| r.step).collect()
    };
    // At step 4 one inner step of a cycle of 3 is taken.
    sandbox.resume("run", &["--set", "train.max_steps=9", "--set", "lookahead.k=2"]);
    assert_eq!(syncs(), [3, 6, 8]);
    let noted = |record: &Record| matches!(&record.event, Event::Note(note) if note.message.contains("`lookahead.k` becomes 2 after the next sync, in 2 steps, at step 6"));
    assert!(sandbox.records("run").iter().any(noted));
    // At step 3 none is.
    let from = ["--from", "3", "--set", "train.max_steps=6", "--set", "lookahead.k=2"];
    sandbox.resume("run", &from);
    assert_eq!(syncs(), [3, 5]);
}

#[test]
fn eval_agrees_with_the_run_for_fast_and_slow_weights() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &[]);
    let folder = sandbox.run_folder("run");
    for (name, weights) in [("slow", Weights::Slow), ("fast", Weights::Fast)] {
        let arguments = ["eval", folder.to_str().unwrap(), "--weights", name, "--json"];
        let output = succeeded(sandbox.lookahead(&arguments));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["step"], LAST);
        assert_eq!(report["weights"], name);
        let records = sandbox.records("run");
        let recorded = records.iter().find_map(|record| match &record.event {
            Event::Evaluation(e) if e.weights == weights && e.samples == 256 => Some(e),
            _ => None,
        });
        assert_eq!(report["loss"], recorded.unwrap().loss, "{name}");
        assert_eq!(report["accuracy"], recorded.unwrap().accuracy, "{name}");
    }
    let plain = succeeded(sandbox.lookahead(&["eval", folder.to_str().unwrap()]));
    let text = String::from_utf8(plain.stdout).unwrap();
    assert!(text.contains("slow weights: test accuracy"), "{text}");
}

/// Settings in the config override those in the saved state.
#[test]
fn a_changed_setting_has_its_effect() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("whole", &[]);
    let whole = sandbox.losses("whole");
    for (i, change) in ["optimizer.weight_decay=0.5", "optimizer.lr=0.2", "lookahead.alpha=0.9"]
        .into_iter()
        .enumerate()
    {
        let run = format!("changed-{i}");
        copy_folder(&sandbox.run_folder("whole"), &sandbox.run_folder(&run));
        sandbox.resume(&run, &["--from", "6", "--set", change]);
        assert_ne!(sandbox.losses(&run), whole, "{change}");
        assert_eq!(sandbox.losses(&run)[..7], whole[..7], "{change}: from the same weights");
    }
}

/// A checkpoint keeps the config that it was saved with.
#[test]
fn a_checkpoint_of_another_config() {
    let sandbox = Sandbox::new(SMALL);
    let short = ["--set", "train.max_steps=4"];
    sandbox.train("run", &short);
    for (other, change) in [("wider", "model.hidden=[17]"), ("hotter", "optimizer.lr=0.2")] {
        sandbox.train(other, &[&short[..], &["--set", change]].concat());
        let from = sandbox.run_folder(other).join("step-00000003");
        let to = sandbox.run_folder("run").join("step-00000003");
        std::fs::remove_dir_all(&to).unwrap();
        copy_folder(&from, &to);
        let resume = ["resume", "runs/run", "--from", "3"];
        failed(&sandbox.lookahead(&resume), 2, &["step-00000003` is of another run"]);
        // One of an earlier version does not name its run.
        let manifest = to.join("manifest.json");
        reseal(&manifest, &std::fs::read(&manifest).unwrap(), |manifest| {
            manifest.as_object_mut().unwrap().remove("run_id").unwrap();
        });
        let output = sandbox.lookahead(&resume);
        if other == "wider" {
            let words = [
                "step-00000003 was taken with another config",
                "`model.hidden` was [17], and is [16]",
                "`--from`",
            ];
            failed(&output, 2, &words);
            assert!(sandbox.run_folder("run").join("step-00000004").is_dir(), "nothing is moved");
        } else {
            // A learning rate may change, and the change is reported.
            succeeded(output);
            let records = sandbox.records("run");
            let resumed = records.iter().find_map(|record| match &record.event {
                Event::Resumed(resumed) => Some(&resumed.changes),
                _ => None,
            });
            assert_eq!(resumed.unwrap()["optimizer.lr"], 0.05);
            assert_eq!(resumed.unwrap().len(), 1);
        }
    }
    // The same for an edited config.
    let path = sandbox.run_folder("run").join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("batch_norm = true", "batch_norm = false")).unwrap();
    let output = sandbox.lookahead(&["resume", "runs/run"]);
    failed(&output, 2, &["config.toml", "`model.batch_norm` was true, and is false"]);
}

/// The config that comes with the program, as it is.
#[test]
fn the_digits_resume() {
    let sandbox = Sandbox::new("");
    let config = crate::common::root().join("configs/digits.toml");
    let train = |name: &str, steps: &str| {
        let steps = format!("train.max_steps={steps}");
        let fixed = ["train", config.to_str().unwrap(), "--out", "runs", "--name", name];
        let more = ["--set", &steps, "--set", "train.threads=1"];
        succeeded(sandbox.lookahead(&[&fixed[..], &more].concat()));
    };
    train("whole", "60");
    train("run", "33");
    sandbox.resume("run", &["--set", "train.max_steps=60"]);
    assert_eq!(sandbox.losses("run"), sandbox.losses("whole"));
    assert!(sandbox.tensors("run", 60) == sandbox.tensors("whole", 60));
    succeeded(sandbox.lookahead(&["inspect", "runs/run/step-00000060"]));
    succeeded(sandbox.lookahead(&["eval", "runs/run", "--weights", "fast"]));
}

/// The statistics of batch normalization that a roll-back puts back are those before the cycle, also
/// for a run that resumes in the middle of it.
#[test]
fn a_roll_back_after_a_resume_inside_the_cycle() {
    let sandbox = Sandbox::new(SMALL);
    let more = [
        "--set",
        "lookahead.non_finite=roll_back",
        "--set",
        "lookahead.k=8",
        "--set",
        "optimizer.lr=1e25",
        "--set",
        "probe.every_syncs=0",
        "--set",
        "train.evaluate_every_epochs=0",
        "--set",
        "train.max_steps=30",
    ];
    // Such a run may end as one that diverged; what it saved is what counts.
    sandbox.lookahead(&train("whole", &more));
    let all: Vec<u64> = sandbox.checkpoints("whole").iter().map(|(step, _)| *step).collect();
    let last = *all.last().unwrap();
    let mut inside = 0;
    for step in all.iter().copied().filter(|step| step + 4 < last).take(8) {
        let run = format!("from-{step}");
        copy_folder(&sandbox.run_folder("whole"), &sandbox.run_folder(&run));
        let checkpoint = sandbox.run_folder(&run).join(format!("step-{step:08}"));
        let phase = lookahead_run::checkpoint::verify(&checkpoint).unwrap().metadata.phase;
        inside += u64::from(phase != 0);
        sandbox.lookahead(&["resume", &format!("runs/{run}"), "--from", &step.to_string()]);
        assert!(
            sandbox.tensors(&run, last) == sandbox.tensors("whole", last),
            "{run}, phase {phase}"
        );
    }
    assert!(inside > 0, "no checkpoint was inside a cycle: {all:?}");
}

/// Symbolic links in a run's folder are not followed.
#[test]
fn nothing_is_written_through_links() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "train.max_steps=4"]);
    let elsewhere = sandbox.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("precious"), "mine").unwrap();
    let folder = sandbox.run_folder("run");
    let link = |to: &str, name: &str| {
        let at = folder.join(name);
        if at.symlink_metadata().is_ok() {
            std::fs::rename(&at, folder.join(format!("kept-{name}"))).unwrap();
        }
        std::os::unix::fs::symlink(elsewhere.join(to), &at).unwrap();
    };
    let put_back = |name: &str| {
        std::fs::remove_file(folder.join(name)).unwrap();
        let _ = std::fs::rename(folder.join(format!("kept-{name}")), folder.join(name));
    };
    let resume = ["resume", "runs/run", "--from", "3", "--set", "train.max_steps=6"];
    for (name, to) in [("lock", "lock"), ("events.jsonl", "log"), ("abandoned", "")] {
        link(to, name);
        failed(&sandbox.lookahead(&resume), 1, &[name]);
        put_back(name);
        assert!(folder.join("step-00000004").is_dir(), "{name}: nothing is moved");
    }
    link("precious", ".config.toml.tmp");
    succeeded(sandbox.lookahead(&resume));
    assert_eq!(std::fs::read_to_string(elsewhere.join("precious")).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 1);
    assert!(!folder.join("config.toml").is_symlink());
}
