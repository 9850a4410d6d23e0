//! Signals save a checkpoint and end the run in order.

use std::process::{Child, Stdio};
use std::time::Duration;

use crate::common::{
    SMALL, Sandbox, failed, logged, sets, signal, stderr, succeeded, train, wait_until,
};
use lookahead_run::Manifest;
use lookahead_run::event::{Event, Record, Status, Weights};
use lookahead_run::format::count;

fn long(sandbox: &Sandbox) -> Child {
    let endless = sets(&["train.max_steps=10000000", "checkpoint.every_steps=0"]);
    let child = sandbox.command(&train("run", &endless)).stderr(Stdio::piped()).spawn().unwrap();
    let log = sandbox.run_folder("run").join("events.jsonl");
    wait_until("20 steps", || logged(&log, |record| record.step >= 20));
    child
}

#[test]
fn ctrl_c_sigterm_sighup_and_what_schedulers_send_save_and_end_with_0() {
    for name in ["INT", "TERM", "HUP", "USR1", "USR2", "XCPU"] {
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
fn a_running_run_can_be_evaluated() {
    let sandbox = Sandbox::new(SMALL);
    let endless = sets(&["train.max_steps=10000000", "checkpoint.keep=1"]);
    let mut child = sandbox.start("run", &[&endless[..], &["--quiet"]].concat());
    let saved = |record: &Record| matches!(record.event, Event::Checkpoint(_));
    sandbox.wait_for("run", &mut child, saved);
    for _ in 0..12 {
        succeeded(sandbox.lookahead(&["eval", "runs/run"]));
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
    failed(&output, 1, &["another process", "SIGTERM"]);
    signal(&child, "TERM");
    assert!(child.wait_with_output().unwrap().status.success());
}

/// Expects a checkpoint of the step at which a stopped run ended.
fn expect_stopped(sandbox: &Sandbox, run: &str, child: Child) -> Manifest {
    let output = succeeded(child.wait_with_output().unwrap());
    let last = sandbox.records(run).pop().unwrap();
    let stopped = matches!(&last.event, Event::RunEnded(e) if e.status == Status::Stopped);
    assert!(stopped, "{last:?} {}", stderr(&output));
    let (step, manifest) = sandbox.checkpoints(run).pop().unwrap();
    assert_eq!(step, last.step);
    manifest.unwrap()
}

/// At any moment: in a step, in a sync (after each step), in an evaluation (after each step too, of
/// both sets of weights), while a checkpoint is written.
#[test]
fn sigterm_at_any_moment() {
    let sandbox = Sandbox::new(SMALL);
    let busy = &sets(&[
        "data.batch_size=1200",
        "lookahead.k=1",
        "train.max_steps=1000000",
        "checkpoint.every_steps=2",
        "checkpoint.keep=2",
    ])[..];
    let mut longest = 0;
    for i in 0..8 {
        let run = format!("run-{i}");
        let mut child = sandbox.start(&run, busy);
        sandbox.wait_for(&run, &mut child, |record| record.step >= 3);
        std::thread::sleep(Duration::from_millis(7 * i));
        signal(&child, "TERM");
        longest = longest.max(expect_stopped(&sandbox, &run, child).metadata.step);
    }
    // Each continues like the one that was never interrupted.
    let last = format!("train.max_steps={}", longest + 3);
    sandbox.train("whole", &[busy, &["--set", &last]].concat());
    for i in 0..8 {
        let run = format!("run-{i}");
        sandbox.resume(&run, &["--set", &last]);
        assert_eq!(seen(&sandbox, &run), seen(&sandbox, "whole"), "{run}");
        assert!(
            sandbox.tensors(&run, longest + 3) == sandbox.tensors("whole", longest + 3),
            "{run}"
        );
    }
}

/// Losses, syncs, probes and evaluations.
fn seen(sandbox: &Sandbox, run: &str) -> Vec<String> {
    let records = sandbox.records(run);
    let seen = records.iter().filter_map(|record| match &record.event {
        Event::Step(s) => Some(format!("{} {}", record.step, s.loss)),
        Event::Sync(s) => Some(format!("{} sync {}", record.step, s.sync)),
        Event::Probe(p) => Some(format!("{} probe {} {}", record.step, p.fast_loss, p.slow_loss)),
        Event::Evaluation(e) => {
            Some(format!("{} {:?} {:?} {} {}", record.step, e.weights, e.split, e.loss, e.accuracy))
        }
        _ => None,
    });
    seen.collect()
}

/// An evaluation that takes much longer than a step is interrupted at once, and repeated after the
/// resume: that of θ before the sync, that of φ after it.
#[test]
fn a_stop_does_not_wait_for_an_evaluation() {
    let sandbox = Sandbox::new(SMALL);
    // A step on one image, an evaluation on 1,540, which is two batches of a wide net.
    let slow = &sets(&[
        "data.batch_size=1",
        "data.validation=1540",
        "model.hidden=[2048,2048]",
        "model.batch_norm=false",
        "probe.every_syncs=0",
        "checkpoint.every_steps=0",
    ])[..];
    sandbox.train("whole", &[slow, &["--set", "train.max_steps=6"]].concat());
    let mut found = Vec::new();
    for i in 0..20 {
        let run = format!("run-{i}");
        let mut child = sandbox.start(&run, slow);
        // Usually in the middle of an evaluation: the last event is the step before it, or that of θ.
        sandbox.wait_for(&run, &mut child, |record| match &record.event {
            Event::Step(_) => i % 2 == 0 && record.step == 3,
            Event::Evaluation(e) => record.step == 3 && e.weights == Weights::Fast,
            _ => false,
        });
        signal(&child, "TERM");
        let metadata = expect_stopped(&sandbox, &run, child).metadata;
        let pending = metadata.train_state["pending"].as_str().unwrap().to_owned();
        if pending == "none" || metadata.step != 3 {
            continue; // the signal came late
        }
        found.push(pending);
        let last = ["--set", "train.max_steps=6"];
        sandbox.resume(&run, &last);
        assert_eq!(seen(&sandbox, &run), seen(&sandbox, "whole"), "{run}");
        assert!(sandbox.tensors(&run, 6) == sandbox.tensors("whole", 6), "{run}");
        found.sort_unstable();
        found.dedup();
        if found == ["both", "slow"] {
            return;
        }
    }
    panic!("of 20 stops none came in each of the evaluations: {found:?}");
}

/// Without a terminal a run is paused through its socket.
#[test]
fn ctl_commands_reach_a_run_through_its_socket() {
    let sandbox = Sandbox::new(SMALL);
    let endless = ["--set", "train.max_steps=10000000", "--set", "checkpoint.every_steps=0"];
    let mut child = sandbox.start("run", &endless);
    sandbox.wait_for("run", &mut child, |record| record.step >= 5);
    let ctl = |command: &str| sandbox.lookahead(&["ctl", "runs/run", command]);
    let answer = stderr(&succeeded(ctl("pause")));
    let paused = sandbox.records("run").pop().unwrap();
    assert_eq!(paused.event, Event::Paused, "it waits for the outcome");
    let paused = paused.step;
    assert_eq!(answer, format!("Paused at step {}.\n", count(paused)));

    // It still runs, and takes commands during a pause.
    let answer = stderr(&succeeded(ctl("checkpoint")));
    assert_eq!(answer, format!("Saved step-{paused:08}.\n"));
    assert_eq!(sandbox.records("run").pop().unwrap().step, paused);
    assert!(sandbox.checkpoints("run").pop().unwrap().1.is_ok());
    let answer = stderr(&succeeded(ctl("continue")));
    assert_eq!(answer, format!("Training continues from step {}.\n", count(paused)));
    sandbox.wait_for("run", &mut child, |record| record.step > paused + 5);
    succeeded(ctl("pause"));
    let paused_again = |record: &Record| record.event == Event::Paused && record.step > paused;
    sandbox.wait_for("run", &mut child, paused_again);

    signal(&child, "TERM");
    expect_stopped(&sandbox, "run", child);
    assert!(!sandbox.run_folder("run").join("control.sock").exists());
    failed(&ctl("pause"), 1, &["is not running", "lookahead resume"]);
    failed(
        &sandbox.lookahead(&["ctl", "runs/run", "fly"]),
        2,
        &["`fly` is not a command", "The commands are pause, "],
    );
    failed(&sandbox.lookahead(&["ctl", "runs/other", "stop"]), 2, &["There is no run"]);
}

#[test]
fn ctl_stop_saves_and_ends() {
    let sandbox = Sandbox::new(SMALL);
    let child = long(&sandbox);
    let answer = stderr(&succeeded(sandbox.lookahead(&["ctl", "runs/run", "stop"])));
    let step = expect_stopped(&sandbox, "run", child).metadata.step;
    let expected = format!(
        "Stopped at step {}; the checkpoint is step-{step:08}.\nResume with: lookahead resume runs/run\n",
        count(step)
    );
    assert_eq!(answer, expected);
}

/// A program started with SIGHUP ignored survives it, and so does one with `--keep-on-hangup`.
#[test]
fn nohup_and_keep_on_hangup_survive_sighup() {
    let sandbox = Sandbox::new(SMALL);
    let endless = sets(&["train.max_steps=10000000", "checkpoint.every_steps=0"]);
    for (run, script, more) in [
        ("nohup", "trap '' HUP; exec \"$0\" \"$@\"", &[][..]),
        ("kept", "exec \"$0\" \"$@\"", &["--keep-on-hangup"]),
        ("both", "trap '' HUP; exec \"$0\" \"$@\"", &["--keep-on-hangup"]),
    ] {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_lookahead")]);
        command
            .args(train(run, &[&["--quiet"], more, &endless].concat()))
            .current_dir(sandbox.path())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        sandbox.wait_for(run, &mut child, |record| record.step >= 20);
        signal(&child, "HUP");
        let told = |record: &Record| matches!(&record.event, Event::Note(note) if note.message.contains("SIGHUP"));
        if run == "kept" {
            sandbox.wait_for(run, &mut child, told);
        }
        let last = sandbox.records(run).pop().unwrap().step;
        sandbox.wait_for(run, &mut child, |record| record.step > last + 50);
        signal(&child, "TERM");
        expect_stopped(&sandbox, run, child);
        assert_eq!(sandbox.records(run).iter().any(told), run == "kept", "{run}");
    }
}

#[test]
fn a_suspension_is_logged_and_not_counted_as_speed() {
    let sandbox = Sandbox::new(SMALL);
    let child = long(&sandbox);
    signal(&child, "STOP");
    std::thread::sleep(Duration::from_secs(3));
    signal(&child, "CONT");
    let suspended = |record: &Record| matches!(record.event, Event::Suspended(_));
    let (mut records, mut found) = (Vec::new(), None);
    wait_until("the suspension is logged, and some steps after it", || {
        records = sandbox.records("run");
        found = records.iter().position(suspended);
        found.is_some_and(|at| records.len() > at + 20)
    });
    let at = found.unwrap();
    let Event::Suspended(suspended) = records[at].event else { panic!() };
    assert!(suspended.seconds > 2.5, "{suspended:?}");
    let speed = |record: &Record| match record.event {
        Event::Step(step) => Some(step.samples_per_second),
        _ => None,
    };
    let before = records[..at].iter().rev().find_map(speed).unwrap();
    let after = records[at..].iter().find_map(speed).unwrap();
    assert_eq!(before, after, "the suspended step is not counted");
    signal(&child, "TERM");
    assert!(child.wait_with_output().unwrap().status.success());
}
