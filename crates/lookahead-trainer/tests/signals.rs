//! Signals save a checkpoint and end the run in order.

mod common;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{SMALL, Sandbox, stderr};
use lookahead_run::event::{Event, Status};

fn long(sandbox: &Sandbox) -> Child {
    let arguments = [
        "train",
        "test.toml",
        "--out",
        "runs",
        "--name",
        "run",
        "--set",
        "train.max_steps=10000000",
        "--set",
        "checkpoint.every_steps=0",
    ];
    let child = sandbox.command(&arguments).stderr(Stdio::piped()).spawn().unwrap();
    let events = sandbox.run_folder("run").join("events.jsonl");
    let started = Instant::now();
    while !std::fs::read_to_string(&events).unwrap_or_default().contains("\"step\":20,") {
        assert!(started.elapsed() < Duration::from_secs(60), "it never took 20 steps");
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

fn signal(child: &Child, name: &str) {
    let status = std::process::Command::new("kill")
        .args([format!("-{name}"), child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn ctrl_c_sigterm_and_sighup_save_and_end_with_0() {
    for name in ["INT", "TERM", "HUP"] {
        let sandbox = Sandbox::new(SMALL);
        let child = long(&sandbox);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "SIG{name}: {}", stderr(&output));
        assert!(stderr(&output).contains("Stopped at step"), "{}", stderr(&output));

        let records = sandbox.records("run");
        let ended = records.last().unwrap();
        assert!(matches!(&ended.event, Event::RunEnded(e) if e.status == Status::Stopped));
        let folder = lookahead_run::RunFolder::open(&sandbox.run_folder("run")).unwrap();
        let newest = folder.checkpoints().newest_valid().unwrap();
        assert_eq!(newest.checkpoint.step, ended.step, "the checkpoint is of the last step");
    }
}

/// With `checkpoint.keep` 1 the checkpoint that is being read is removed again and again.
#[test]
fn a_run_that_lives_can_be_evaluated() {
    let sandbox = Sandbox::new(SMALL);
    let mut arguments = vec!["train", "test.toml", "--out", "runs", "--name", "run"];
    arguments.extend(["--set", "train.max_steps=10000000", "--set", "checkpoint.keep=1"]);
    let child = sandbox.command(&arguments).stderr(Stdio::piped()).spawn().unwrap();
    let events = sandbox.run_folder("run").join("events.jsonl");
    while !std::fs::read_to_string(&events).unwrap_or_default().contains("\"checkpoint\"") {
        std::thread::sleep(Duration::from_millis(10));
    }
    for _ in 0..40 {
        common::succeeded(sandbox.lookahead(&["eval", "runs/run"]));
    }
    signal(&child, "TERM");
    assert!(child.wait_with_output().unwrap().status.success());
}

#[test]
fn one_run_is_written_by_one_process() {
    let sandbox = Sandbox::new(SMALL);
    let child = long(&sandbox);
    let folder = sandbox.run_folder("run");
    let output = sandbox.lookahead(&["resume", folder.to_str().unwrap()]);
    common::failed(&output, 1, &["another process", "SIGTERM"]);
    signal(&child, "TERM");
    assert!(child.wait_with_output().unwrap().status.success());
}
