//! Killed at random moments and after each call that changes the disk, the program resumes bit for bit.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::{SMALL, Sandbox, failed, random, sets, signal, stderr, succeeded};
use clap::Parser;
use lookahead_run::checkpoint::sha256_of;
use lookahead_run::event::{Event, Status};
use lookahead_trainer::cli::{self, Cli};
use lookahead_trainer::commands;
use lookahead_trainer::registry::Registry;
use rustix::process::{Signal, getpid, kill_process};

/// The SHA-256 of a run's last model, and its losses.
fn result(sandbox: &Sandbox, run: &str, step: u64) -> (String, Vec<(u64, u64)>) {
    let model = sandbox.run_folder(run).join(format!("step-{step:08}/model.safetensors"));
    (sha256_of(&std::fs::read(model).unwrap()), sandbox.losses(run))
}

/// 20 times in the suite, or `LOOKAHEAD_CRASHES` times.
#[test]
fn killed_at_random_moments() {
    const LAST: u64 = 150;
    let times = std::env::var("LOOKAHEAD_CRASHES").map_or(20, |times| times.parse().unwrap());
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut state = seed;
    let sandbox = Sandbox::new(SMALL);
    let frequent =
        &sets(&["train.max_steps=150", "checkpoint.every_steps=3", "checkpoint.keep=2"])[..];
    let started = Instant::now();
    sandbox.train("whole", frequent);
    let duration = started.elapsed().as_millis() as u64;
    let whole = result(&sandbox, "whole", LAST);

    let (mut kills, mut runs, mut after_steps) = (0, 0, 0);
    while kills < times {
        runs += 1;
        let run = format!("run-{runs}");
        let mut child = sandbox.start(&run, frequent);
        loop {
            std::thread::sleep(Duration::from_millis(random(&mut state) % duration));
            if child.try_wait().unwrap().is_some() {
                break; // it came to its end
            }
            signal(&child, "KILL");
            child.wait().unwrap();
            kills += 1;
            let begun = sandbox.run_folder(&run).join("config.toml").is_file();
            if !begun || sandbox.checkpoints(&run).is_empty() {
                break; // no checkpoint yet: only the beginning is lost
            }
            after_steps += 1;
            for (step, found) in sandbox.checkpoints(&run) {
                found.unwrap_or_else(|fault| panic!("seed {seed}, {run}, step {step}: {fault}"));
            }
            let mut resume = sandbox.command(&["resume", &format!("runs/{run}")]);
            child = resume.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        }
        let ended = child.wait_with_output().unwrap();
        if sandbox.run_folder(&run).join(format!("step-{LAST:08}")).is_dir() {
            succeeded(sandbox.lookahead(&["resume", &format!("runs/{run}")]));
            assert!(result(&sandbox, &run, LAST) == whole, "seed {seed}: {run} differs");
        } else if ended.status.code().is_some() {
            panic!("seed {seed}: {run} ended early: {}", stderr(&ended));
        }
    }
    assert!(
        after_steps * 3 > times,
        "of {times} kills only {after_steps} hit a run with a checkpoint"
    );
    println!("{kills} kills, {after_steps} of them with a checkpoint, in {runs} runs");
}

// ---- The program as a process of this test's own, with a hook after each call that changes the disk

const CHILD: &str = "LOOKAHEAD_TEST_CHILD";
/// The test that runs the program in such a process; its thread, of the same name, is the main thread.
pub(crate) const MAIN: &str = "crashes::in_a_process_of_its_own";

/// Runs the program's own code with `arguments`, in a process that does `fault` at the `at`-th call of
/// the thread.
pub(crate) fn child(
    sandbox: &Sandbox,
    fault: &str,
    thread: &str,
    at: usize,
    arguments: &[&str],
) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", MAIN, "--ignored", "--nocapture"]);
    command.arg("--test-threads=2");
    command.env(CHILD, format!("{fault} {thread} {at}")).current_dir(sandbox.path());
    command.env("LOOKAHEAD_TEST_ARGUMENTS", arguments.join("\n"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
#[ignore = "only the other tests run it"]
fn in_a_process_of_its_own() {
    let Ok(plan) = std::env::var(CHILD) else { return };
    let [fault, thread, at] = plan.split(' ').collect::<Vec<_>>()[..] else { panic!("{plan}") };
    let (fault, thread, at) = (fault.to_owned(), thread.to_owned(), at.parse::<usize>().unwrap());
    let count = AtomicUsize::new(0);
    let hook = move |call: &'static str| {
        let here = std::thread::current().name() == Some(&thread);
        if !here || count.fetch_add(1, Ordering::Relaxed) + 1 != at {
            return;
        }
        // In one write: the program's own messages come from another thread.
        let _ = std::io::stderr().write_all(format!("{fault} after {call}\n").as_bytes());
        match &fault[..] {
            "kill" => end_by(Signal::KILL),
            "term" => end_by(Signal::TERM),
            "panic" => panic!("a bug, on purpose"),
            "wait" => {
                end_by(Signal::TERM);
                std::thread::sleep(Duration::from_secs(60));
            }
            other => unreachable!("{other}"),
        }
    };
    let set = lookahead_run::faults::after_each_call(Box::new(hook));
    assert!(set.is_ok());
    let arguments = std::env::var("LOOKAHEAD_TEST_ARGUMENTS").unwrap();
    let cli = Cli::parse_from(std::iter::once("lookahead").chain(arguments.lines()));
    let registry = Registry::builtin();
    let outcome = match cli.command {
        cli::Command::Train(arguments) => commands::train(&registry, &arguments),
        cli::Command::Resume(arguments) => commands::resume(&registry, &arguments),
        other => unreachable!("{other:?}"),
    };
    if let Err(error) = outcome {
        eprintln!("error: {error:#}");
        std::process::exit(1);
    }
}

fn end_by(signal: Signal) {
    kill_process(getpid(), signal).unwrap();
}

const TRAIN: [&str; 5] = ["train", "test.toml", "--out", "runs", "--name"];
const EACH_STEP: [&str; 4] = ["--set", "checkpoint.keep=1", "--set", "train.max_steps=5"];

/// After each call of the writer, from the first checkpoint to one that replaces an old one.
#[test]
fn killed_after_each_call_of_the_writer() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("whole", &EACH_STEP);
    let whole = result(&sandbox, "whole", 5);
    let mut calls = Vec::new();
    for at in 1.. {
        let run = format!("run-{at}");
        let arguments = [&TRAIN[..], &[&run], &EACH_STEP].concat();
        let output = child(&sandbox, "kill", "checkpoints", at, &arguments).output().unwrap();
        let said = stderr(&output);
        let Some(call) = said.lines().find_map(|line| line.strip_prefix("kill after ")) else {
            assert!(output.status.success(), "{said}");
            assert!(result(&sandbox, &run, 5) == whole, "it came to its end");
            break;
        };
        calls.push(call.to_owned());
        let begun = expect_valid_or_none(&sandbox, &run, at, call);
        if begun {
            sandbox.resume(&run, &[]);
            assert!(result(&sandbox, &run, 5) == whole, "killed after call {at}, {call}");
        }
        // The rest repeats what came before.
        if at >= 60 && std::env::var_os("LOOKAHEAD_CRASHES").is_none() {
            break;
        }
    }
    for call in ["mkdir", "create", "write", "fsync", "fsync of a folder", "rename", "remove"] {
        assert!(calls.iter().any(|found| found == call), "never killed after {call}: {calls:?}");
    }
}

/// Expects every published checkpoint to be valid; returns whether there is one.
fn expect_valid_or_none(sandbox: &Sandbox, run: &str, at: usize, call: &str) -> bool {
    let found = sandbox.checkpoints(run);
    for (step, found) in &found {
        assert!(found.is_ok(), "killed after call {at}, {call}: step {step}: {found:?}");
    }
    !found.is_empty()
}

/// All lines of the events in the log and in `abandoned/`, in any order.
fn all_lines(sandbox: &Sandbox, run: &str) -> Vec<String> {
    let folder = sandbox.run_folder(run);
    let abandoned = std::fs::read_dir(folder.join("abandoned")).into_iter().flatten();
    let logs = abandoned.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let texts = logs.chain([folder.join("events.jsonl")]).map(std::fs::read_to_string);
    let text = texts.map(Result::unwrap).collect::<String>();
    text.lines().map(str::to_owned).collect()
}

/// During a resume from an earlier step, later checkpoints and events are always in the run or in
/// `abandoned/`, and afterwards each event is there once.
#[test]
fn killed_after_each_call_of_a_resume() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("whole", &EACH_STEP);
    let sets = ["--set", "checkpoint.every_steps=1", "--set", "checkpoint.keep=9"];
    let sets = [&EACH_STEP[2..], &sets].concat();
    sandbox.train("first", &sets);
    let whole = result(&sandbox, "first", 5);
    assert!(whole == result(&sandbox, "whole", 5));
    let before = all_lines(&sandbox, "first");
    let mut calls = Vec::new();
    for at in 1.. {
        let run = format!("run-{at}");
        let folders = ["first", &run].map(|name| sandbox.run_folder(name));
        assert!(Command::new("cp").arg("-a").args(folders).status().unwrap().success());
        let arguments = ["resume", &format!("runs/{run}"), "--from", "2"];
        let output = child(&sandbox, "kill", MAIN, at, &arguments).output().unwrap();
        let said = stderr(&output);
        let call = said.lines().find_map(|line| line.strip_prefix("kill after "));
        let lines = all_lines(&sandbox, &run);
        let lost = before.iter().find(|line| !lines.contains(line));
        assert_eq!(lost, None, "killed after call {at}, {call:?}");
        let Some(call) = call else {
            assert!(output.status.success(), "{said}");
            break;
        };
        calls.push(call.to_owned());
        expect_valid_or_none(&sandbox, &run, at, call);
        sandbox.resume(&run, &[]);
        assert!(result(&sandbox, &run, 5) == whole, "killed after call {at}, {call}");
        let lines = all_lines(&sandbox, &run);
        let once = |line: &&String| lines.iter().filter(|found| found == line).count() == 1;
        assert!(before.iter().all(|line| once(&line)), "killed after call {at}, {call}");
    }
    assert!(calls.iter().filter(|call| *call == "rename").count() >= 5, "{calls:?}");
}

/// After calls of the training thread: writing the log and the folder, before, between and after checkpoints.
#[test]
fn killed_after_calls_of_the_training() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("whole", &EACH_STEP);
    let whole = result(&sandbox, "whole", 5);
    let mut kills = 0;
    for at in (1..).step_by(3) {
        let run = format!("run-{at}");
        let arguments = [&TRAIN[..], &[&run], &EACH_STEP].concat();
        let output = child(&sandbox, "kill", MAIN, at, &arguments).output().unwrap();
        let said = stderr(&output);
        let Some(call) = said.lines().find_map(|line| line.strip_prefix("kill after ")) else {
            assert!(output.status.success(), "{said}");
            break;
        };
        kills += 1;
        let begun = sandbox.run_folder(&run).join("config.toml").is_file();
        if begun && expect_valid_or_none(&sandbox, &run, at, call) {
            sandbox.resume(&run, &[]);
            assert!(result(&sandbox, &run, 5) == whole, "killed after call {at}, {call}");
        }
    }
    assert!(kills > 8, "{kills} kills");
}

/// SIGTERM while the writer writes.
#[test]
fn a_signal_while_a_checkpoint_is_written() {
    let sandbox = Sandbox::new(SMALL);
    for at in [1, 3, 7, 12, 20] {
        let run = format!("run-{at}");
        let more = ["--set", "train.max_steps=1000000", "--set", "checkpoint.keep=1"];
        let arguments = [&TRAIN[..], &[&run], &more].concat();
        let output = child(&sandbox, "term", "checkpoints", at, &arguments).output().unwrap();
        succeeded(output);
        let last = sandbox.records(&run).pop().unwrap();
        assert!(matches!(&last.event, Event::RunEnded(e) if e.status == Status::Stopped));
        let (step, found) = sandbox.checkpoints(&run).pop().unwrap();
        assert_eq!(step, last.step);
        found.unwrap();
    }
}

/// A disk that blocks, on a machine that is about to be preempted.
#[test]
fn the_deadline_holds_while_the_disk_blocks() {
    let sandbox = Sandbox::new(SMALL);
    let more = [
        "--set",
        "train.max_steps=1000000",
        "--set",
        "checkpoint.every_steps=3",
        "--set",
        "checkpoint.deadline_seconds=1",
    ];
    let arguments = [&TRAIN[..], &["run"], &more].concat();
    // In the second checkpoint.
    let mut process = child(&sandbox, "wait", "checkpoints", 18, &arguments).spawn().unwrap();
    let mut said = String::new();
    // It ends long before the writer continues; otherwise the pipe would stay open.
    process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("Nothing was saved within 1 s of the signal"), "{said}");
    assert!(said.trim_end().ends_with("Resume with: lookahead resume runs/run"), "{said}");
    let (step, found) = sandbox.checkpoints("run").remove(0);
    assert_eq!(step, 3);
    found.unwrap();
    sandbox.resume("run", &["--set", "train.max_steps=9"]);
    sandbox.train("whole", &["--set", "train.max_steps=9"]);
    assert!(result(&sandbox, "run", 9) == result(&sandbox, "whole", 9));
}

/// A bug in the middle of a training, and one in the writer.
#[test]
fn a_panic_fails_the_run_and_harms_nothing() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("whole", &[]);
    let arguments = |run| [&TRAIN[..], &[run]].concat();
    let output = child(&sandbox, "panic", MAIN, 30, &arguments("training")).output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("a bug, on purpose"), "{said}");
    let last = sandbox.records("training").pop().unwrap();
    let Event::RunEnded(ended) = last.event else { panic!("{last:?}") };
    assert_eq!(ended.status, Status::Failed);
    assert!(ended.message.unwrap().contains("a bug, on purpose"));
    assert!(sandbox.checkpoints("training").iter().all(|(_, found)| found.is_ok()));
    assert!(!sandbox.checkpoints("training").is_empty());
    sandbox.resume("training", &[]);
    assert!(result(&sandbox, "training", 14) == result(&sandbox, "whole", 14));

    let output =
        child(&sandbox, "panic", "checkpoints", 20, &arguments("writer")).output().unwrap();
    let said = stderr(&succeeded(output));
    assert!(
        said.contains("NO CHECKPOINT of step 2") && said.contains("a bug, on purpose"),
        "{said}"
    );
    assert!(result(&sandbox, "writer", 14) == result(&sandbox, "whole", 14));
    let steps: Vec<u64> = sandbox.checkpoints("writer").iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [&[1][..], &(3..=14).collect::<Vec<_>>()].concat());
}

#[test]
fn a_panic_while_the_dashboard_is_open_restores_the_terminal() {
    use portable_pty::{CommandBuilder, PtySize, native_pty_system};

    let sandbox = Sandbox::new(SMALL);
    let more = ["--set", "train.max_steps=1000000", "--set", "checkpoint.every_steps=20"];
    let arguments = [&TRAIN[..], &["run"], &more].concat();
    let plan = child(&sandbox, "panic", MAIN, 1500, &arguments);
    let mut command = CommandBuilder::new(plan.get_program());
    command.args(plan.get_args());
    command.cwd(sandbox.path());
    command.env("TERM", "xterm-256color");
    for (name, value) in plan.get_envs() {
        command.env(name, value.unwrap());
    }
    let size = PtySize { rows: 36, cols: 120, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).unwrap();
    let before = format!("{:?}", pair.master.get_termios().unwrap());
    let mut process = pair.slave.spawn_command(command).unwrap();
    let mut output = pair.master.try_clone_reader().unwrap();
    drop(pair.slave);
    let [rows, cols] = [36, 120].map(|n: u16| n.try_into().unwrap());
    let mut screen = vt100::Parser::new(rows, cols, 0);
    let (mut buffer, mut was_up) = ([0; 4096], false);
    while let Ok(count @ 1..) = output.read(&mut buffer) {
        screen.process(&buffer[..count]);
        was_up |= screen.screen().alternate_screen();
    }
    assert_eq!(process.wait().unwrap().exit_code(), 1);
    assert!(was_up, "the dashboard was up");
    let shown = screen.screen().contents();
    assert!(!screen.screen().alternate_screen() && shown.contains("a bug, on purpose"), "{shown}");
    assert_eq!(format!("{:?}", pair.master.get_termios().unwrap()), before);
    assert!(sandbox.checkpoints("run").iter().any(|(_, found)| found.is_ok()));
}

/// A requested checkpoint that could not be saved is tried again, though none is due.
#[test]
fn a_failed_checkpoint_is_tried_again() {
    let sandbox = Sandbox::new(SMALL);
    // Slow steps, so that the log does not grow by megabytes.
    let more = ["--set", "train.max_steps=100000000", "--set", "checkpoint.every_steps=0"];
    let more = [&more[..], &["--set", "model.hidden=[512,512]"]].concat();
    let arguments = [&TRAIN[..], &["run"], &more].concat();
    let mut process = child(&sandbox, "panic", "checkpoints", 5, &arguments).spawn().unwrap();
    sandbox.wait_for("run", &mut process, |record| record.step >= 5);
    failed(&sandbox.lookahead(&["ctl", "runs/run", "checkpoint"]), 1, &["NO CHECKPOINT"]);
    sandbox.wait_for(
        "run",
        &mut process,
        |record| matches!(&record.event, Event::Warning(w) if w.message.contains("NO CHECKPOINT")),
    );
    sandbox.wait_for("run", &mut process, |record| matches!(record.event, Event::Checkpoint(_)));
    succeeded(sandbox.lookahead(&["ctl", "runs/run", "stop"]));
    succeeded(process.wait_with_output().unwrap());
}

/// What a killed process leaves is cleared away by the next one, and its lock and socket are taken
/// over.
#[test]
fn leftovers_are_cleared() {
    let sandbox = Sandbox::new(SMALL);
    let arguments = [&TRAIN[..], &["run"]].concat();
    // In the middle of the third checkpoint.
    let output = child(&sandbox, "kill", "checkpoints", 32, &arguments).output().unwrap();
    assert!(output.status.code().is_none());
    let names = || -> Vec<String> {
        let entries = std::fs::read_dir(sandbox.run_folder("run")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let leftover = |name: &&String| name.starts_with('.');
    assert_eq!(names().iter().filter(leftover).count(), 1, "{:?}", names());
    assert!(names().contains(&"control.sock".to_owned()) && names().contains(&"lock".to_owned()));
    // Without a checkpoint of the same step, which would replace the leftover.
    sandbox.resume("run", &["--set", "checkpoint.every_steps=0"]);
    assert_eq!(names().iter().filter(leftover).count(), 0, "{:?}", names());
    assert!(!names().contains(&"control.sock".to_owned()));
}

#[test]
fn of_several_processes_that_resume_a_run_one_does() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "train.max_steps=4"]);
    let resume = || {
        let more = ["resume", "runs/run", "--set", "train.max_steps=1000000"];
        let mut command = sandbox.command(&more);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut children = [resume(), resume(), resume()];
    let started = Instant::now();
    let ended = |children: &mut [std::process::Child; 3]| {
        children.iter_mut().filter_map(|child| child.try_wait().unwrap()).count()
    };
    while ended(&mut children) < 2 {
        assert!(started.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    }
    // The third may still be starting, without signal handlers.
    for child in &mut children {
        if child.try_wait().unwrap().is_none() {
            sandbox.wait_for("run", child, |record| record.step > 4);
        }
    }
    let (mut trained, mut refused) = (0, 0);
    for mut child in children {
        match child.try_wait().unwrap() {
            Some(status) => {
                assert_eq!(status.code(), Some(1));
                refused += 1;
            }
            None => {
                signal(&child, "TERM");
                succeeded(child.wait_with_output().unwrap());
                trained += 1;
            }
        }
    }
    assert_eq!((trained, refused), (1, 2));
    let steps: Vec<u64> = sandbox.losses("run").iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, (1..=steps.len() as u64).collect::<Vec<_>>());
}
