//! The watchdog in the real program: requests, processes that hang, and several processes that decide alike.

use std::process::Child;

use crate::common::ranks::{start, succeed};
use crate::common::{SMALL, Sandbox, failed, signal, stderr, succeeded};
use lookahead_run::command::{Command, Setting};
use lookahead_run::event::{Event, Record, RollBackCause, Status};
use lookahead_run::{RunFolder, control};

const ENDLESS: [&str; 5] =
    ["--quiet", "--set", "train.max_steps=10000000", "--set", "checkpoint.every_steps=0"];

fn ask(sandbox: &Sandbox, command: Command) {
    control::send(&RunFolder::open(&sandbox.run_folder("run")).unwrap(), command).unwrap();
}

fn roll_backs(sandbox: &Sandbox, cause: RollBackCause) -> usize {
    let of_cause =
        |record: &Record| matches!(&record.event, Event::RolledBack(of) if of.cause == cause);
    sandbox.records("run").iter().filter(|record| of_cause(record)).count()
}

fn rolled_back(record: &Record) -> bool {
    matches!(record.event, Event::RolledBack(_))
}

fn stop(sandbox: &Sandbox, child: Child) {
    signal(&child, "TERM");
    succeeded(child.wait_with_output().unwrap());
    assert!(sandbox.run_folder("run").exists());
}

#[test]
fn ctl_rolls_back_a_run_with_slow_weights_and_no_other() {
    let sandbox = Sandbox::new(SMALL);
    let mut child =
        sandbox.start("run", &[&ENDLESS[..], &["--set", "lookahead.k=1000000"]].concat());
    sandbox.wait_for("run", &mut child, |record| record.step > 20);
    let output = succeeded(sandbox.lookahead(&["ctl", "runs/run", "roll-back"]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("Rolled back to the slow weights, as requested;"), "{said}");
    let back = sandbox.records("run").iter().position(rolled_back).unwrap();
    sandbox.wait_for("run", &mut child, |record| {
        matches!(record.event, Event::Step(step) if step.phase == 1) && record.step > 20
    });
    let records = sandbox.records("run");
    let next = records[back..].iter().find_map(|record| match record.event {
        Event::Step(step) => Some(step.phase),
        _ => None,
    });
    assert_eq!(next, Some(1), "a new cycle begins");
    stop(&sandbox, child);

    let sandbox = Sandbox::new(SMALL);
    let mut child = sandbox.start("run", &[&ENDLESS[..], &["--set", "lookahead=false"]].concat());
    sandbox.wait_for("run", &mut child, |record| record.step > 20);
    let output = sandbox.lookahead(&["ctl", "runs/run", "roll-back"]);
    failed(&output, 1, &["The run trains without Lookahead", "Nothing was changed."]);
    stop(&sandbox, child);
}

/// A learning rate that is far too large makes the loss jump until the watchdog gives up.
#[test]
fn a_run_whose_loss_jumps_again_and_again_fails_with_the_reason() {
    let sandbox = Sandbox::new(SMALL);
    let sets =
        ["watchdog.spike=roll_back", "watchdog.lr_factor=0.5", "lookahead.non_finite=roll_back"];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let mut child = sandbox.start("run", &[&ENDLESS[..], &sets].concat());
    sandbox.wait_for("run", &mut child, |record| record.step > 40);
    let (key, value) = ("optimizer.lr".to_owned(), 1000.into());
    ask(&sandbox, Command::Set(Setting { key, value }));
    let output = child.wait_with_output().unwrap();
    failed(
        &output,
        1,
        &["This is roll-back 4, and `watchdog.max_roll_backs` is 3", "Resume with: "],
    );
    let records = sandbox.records("run");
    let Some(Record { event: Event::RunEnded(ended), step, .. }) = records.last() else {
        panic!("{:?}", records.last())
    };
    assert_eq!(ended.status, Status::Failed);
    assert_eq!(records.iter().filter(|record| rolled_back(record)).count(), 4);
    assert!(sandbox.run_folder("run").join(format!("step-{step:08}")).exists(), "it is saved");
    let lr_scales: Vec<f64> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::RolledBack(event) => Some(event.lr_scale),
            _ => None,
        })
        .collect();
    assert_eq!(lr_scales, [0.5, 0.25, 0.125, 0.125], "the one that ends the run cuts nothing");

    // The command that it prints allows as many roll-backs again.
    let said = stderr(&output);
    let hint = said.lines().find_map(|line| line.strip_prefix("Resume with: lookahead "));
    let (_, set) = hint.unwrap().split_once("--set ").unwrap();
    assert_eq!(set, "watchdog.max_roll_backs=7");
    let output = sandbox.lookahead(&["resume", "runs/run", "--no-tui", "--quiet", "--set", set]);
    failed(&output, 1, &["This is roll-back 8, and `watchdog.max_roll_backs` is 7"]);
}

/// A run's config has no defaults of the section, so that nothing else seems to have changed.
#[test]
fn one_key_that_is_set_at_a_resume_is_one_change() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &[]);
    let sets = ["watchdog.spike=roll_back", "alert.command=[\"true\"]", "train.max_steps=16"];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let said = stderr(&sandbox.resume("run", &sets));
    assert!(!said.contains("config has changed"), "{said}");
    let records = sandbox.records("run");
    let changes = records.iter().find_map(|record| match &record.event {
        Event::Resumed(resumed) => Some(resumed.changes.keys().cloned().collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(changes.unwrap(), ["alert.command", "train.max_steps", "watchdog.spike"]);
    let config = std::fs::read_to_string(sandbox.run_folder("run").join("config.toml")).unwrap();
    let config: toml::Table = config.parse().unwrap();
    assert_eq!(config["watchdog"].as_table().unwrap().len(), 1);
    assert_eq!(config["alert"].as_table().unwrap().len(), 1);
    // One in which all are written out, and another value in an editor.
    let all =
        "[watchdog]\nspike = \"stop\"\nspike_window = 50\nlr_factor = 1.0\nstall = \"note\"\n";
    let path = sandbox.run_folder("run").join("config.toml");
    let mut edited = config.clone();
    edited.insert("watchdog".to_owned(), all.parse::<toml::Table>().unwrap()["watchdog"].clone());
    std::fs::write(&path, edited.to_string()).unwrap();
    let said = stderr(&sandbox.resume("run", &["--set", "train.max_steps=18"]));
    assert!(
        said.contains("From here on: `watchdog.spike` is \"stop\", and was \"roll_back\".\n"),
        "{said}"
    );
}

const LOCAL: [&str; 4] =
    ["--set", "distributed.mode=local", "--set", "distributed.timeout_seconds=60"];

fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let first = ["train", "test.toml", "--out", "runs", "--name", "run", "--no-tui"];
    [&first[..], &ENDLESS, &LOCAL, more].concat()
}

/// Settings and roll-backs reach all processes at the same step: otherwise their syncs would not meet, or their configs
/// differ at the resume.
#[test]
fn several_processes_take_settings_and_roll_backs_alike() {
    let sandbox = Sandbox::new(SMALL);
    let mut ranks = start(&sandbox, 2, &train(&[]));
    sandbox.wait_for("run", &mut ranks[0], |record| record.step > 20);
    for (key, value) in [("optimizer.lr", 0.02.into()), ("lookahead.k", 7.into())] {
        ask(&sandbox, Command::Set(Setting { key: key.to_owned(), value }));
        sandbox.wait_for("run", &mut ranks[0], |record| {
            matches!(&record.event, Event::Changed(changed) if changed.changes.contains_key(key))
        });
    }
    succeeded(sandbox.lookahead(&["ctl", "runs/run", "pause"]));
    let output = succeeded(sandbox.lookahead(&["ctl", "runs/run", "roll-back"]));
    let said = stderr(&output);
    assert!(said.contains("after `lookahead ctl runs/run continue` it rolls back"), "{said}");
    succeeded(sandbox.lookahead(&["ctl", "runs/run", "continue"]));
    sandbox.wait_for("run", &mut ranks[0], rolled_back);
    assert_eq!(roll_backs(&sandbox, RollBackCause::Requested), 1);
    let step = sandbox.records("run").last().unwrap().step;
    sandbox.wait_for("run", &mut ranks[0], |record| record.step > step + 20);
    ask(&sandbox, Command::Stop);
    succeed(ranks);
    let resumed = ["resume", "runs/run", "--no-tui", "--quiet", "--set"];
    let end = format!("train.max_steps={}", sandbox.records("run").last().unwrap().step + 5);
    succeed(start(&sandbox, 2, &[&resumed[..], &[&end]].concat()));
}

fn of_a_spike(record: &Record) -> Option<&String> {
    match &record.event {
        Event::RolledBack(of) if of.cause == RollBackCause::Spike => Some(&of.message),
        _ => None,
    }
}

/// Each process sees the jump of the mean loss, so all roll back before the same sync, and end with the same reason.
#[test]
fn several_processes_roll_back_alike() {
    for mode in ["local", "data_parallel"] {
        let sandbox = Sandbox::new(SMALL);
        let mode = format!("distributed.mode={mode}");
        let sets = ["watchdog.spike=roll_back", "lookahead.non_finite=roll_back", &mode];
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        let mut ranks = start(&sandbox, 2, &train(&sets));
        sandbox.wait_for("run", &mut ranks[0], |record| record.step > 40);
        let (key, value) = ("optimizer.lr".to_owned(), 1000.into());
        ask(&sandbox, Command::Set(Setting { key, value }));
        let outputs: Vec<_> =
            ranks.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
        for output in &outputs {
            failed(output, 1, &["This is roll-back 4, and `watchdog.max_roll_backs` is 3"]);
        }
        // Both name the same mean.
        let records = sandbox.records("run");
        let messages: Vec<&String> = records.iter().filter_map(of_a_spike).collect();
        assert!(!messages.is_empty(), "{records:?}");
        let said = stderr(&outputs[1]);
        assert!(messages.iter().all(|message| said.contains(*message)), "{messages:?}: {said}");
    }
}

/// The other process is stopped in the middle of its work, and waits for no one.
#[test]
fn a_process_that_hangs_is_noticed_by_the_others() {
    let sandbox = Sandbox::new(SMALL);
    // On a busy machine a step of a process that does not hang may take a second.
    let sets = ["--set", "watchdog.stall_seconds=4"];
    let mut ranks = start(&sandbox, 2, &train(&sets));
    sandbox.wait_for("run", &mut ranks[0], |record| record.step > 40);
    signal(&ranks[1], "STOP");
    sandbox.wait_for("run", &mut ranks[0], |record| matches!(record.event, Event::Stalled(_)));
    signal(&ranks[1], "CONT");
    let step = sandbox.records("run").last().unwrap().step;
    sandbox.wait_for("run", &mut ranks[0], |record| record.step > step + 20);
    ask(&sandbox, Command::Stop);
    succeed(ranks);

    let sandbox = Sandbox::new(SMALL);
    let stops = [&sets[..], &["--set", "watchdog.stall=stop"]].concat();
    let mut ranks = start(&sandbox, 2, &train(&stops));
    sandbox.wait_for("run", &mut ranks[0], |record| record.step > 40);
    signal(&ranks[1], "STOP");
    let hangs = ranks.pop().unwrap();
    let output = ranks.pop().unwrap().wait_with_output().unwrap();
    failed(&output, 1, &["steps usually take", "the program was ended"]);
    signal(&hangs, "KILL");
    drop(hangs.wait_with_output());
    let records = sandbox.records("run");
    let Some(Record { event: Event::RunEnded(ended), .. }) = records.last() else {
        panic!("{:?}", records.last())
    };
    assert_eq!(ended.status, Status::Failed);
    assert!(output.stdout.is_empty());
}
