//! Changing a setting of a running run equals stopping it and resuming with the new value.

use crate::common::{SMALL, Sandbox, failed, sets, signal, stderr, succeeded};
use lookahead_run::command::Command;
use lookahead_run::event::{Event, Record};
use lookahead_run::{RunFolder, control};
use std::process::Child;

/// Quiet, since its output is not read, and a full pipe would block it.
const ENDLESS: [&str; 5] =
    ["--quiet", "--set", "train.max_steps=10000000", "--set", "checkpoint.every_steps=0"];

fn ctl(sandbox: &Sandbox, arguments: &[&str]) -> std::process::Output {
    sandbox.lookahead(&[&["ctl", "runs/run"], arguments].concat())
}

/// Sends a command from this process: a new one takes longer to start than many steps.
fn ask(sandbox: &Sandbox, command: Command) {
    control::send(&RunFolder::open(&sandbox.run_folder("run")).unwrap(), command).unwrap();
}

/// Pauses the run at a step that `fits`, and returns it.
fn pause(sandbox: &Sandbox, child: &mut Child, fits: impl Fn(u64) -> bool) -> u64 {
    let mut last = 0;
    loop {
        sandbox.wait_for("run", child, |record| record.step > last);
        ask(sandbox, Command::Pause);
        let paused = |record: &Record| record.event == Event::Paused && record.step > last;
        sandbox.wait_for("run", child, paused);
        let step = sandbox.records("run").pop().unwrap().step;
        if fits(step) {
            return step;
        }
        last = step;
        ask(sandbox, Command::Continue);
    }
}

/// Lets a paused run take some steps, stops it, and returns its last step.
fn go_on_and_stop(sandbox: &Sandbox, mut child: Child) -> u64 {
    let paused = sandbox.records("run").pop().unwrap().step;
    ask(sandbox, Command::Continue);
    sandbox.wait_for("run", &mut child, |record| record.step > paused + 10);
    signal(&child, "TERM");
    succeeded(child.wait_with_output().unwrap());
    sandbox.records("run").pop().unwrap().step
}

fn changes(sandbox: &Sandbox, run: &str) -> Vec<(u64, String)> {
    let records = sandbox.records(run);
    let changes = records.iter().filter_map(|record| match &record.event {
        Event::Changed(changed) => {
            Some((record.step, serde_json::to_string(&changed.changes).unwrap()))
        }
        _ => None,
    });
    changes.collect()
}

#[test]
fn resume_of_a_paused_run_names_ctl_continue() {
    let sandbox = Sandbox::new(SMALL);
    let mut child = sandbox.start("run", &ENDLESS);
    pause(&sandbox, &mut child, |_| true);
    let words =
        ["`runs/run` is paused", "ctl runs/run continue` continues it", "ctl runs/run stop`"];
    failed(&sandbox.lookahead(&["resume", "runs/run", "--no-tui"]), 1, &words);
    go_on_and_stop(&sandbox, child);
}

/// A run stopped and resumed with the change at one step equals one that is changed while running and
/// stopped and resumed later, bit for bit.
#[test]
fn a_change_in_a_running_run_equals_one_at_a_resume() {
    // Schedule-Free weighs steps by the learning rate.
    let schedule_free = ["lookahead=false", "averaging.kind=schedule_free"];
    let nesterov = ["lookahead=false", "averaging.kind=ema_nesterov", "averaging.gamma=0.8"];
    for (setting, keys) in [
        ("optimizer.lr=0.2", &[][..]),
        ("lookahead.alpha=0.9", &[]),
        ("optimizer.lr=0.2", &schedule_free),
        ("optimizer.lr=0.2", &nesterov),
        ("optimizer.lr=0.2", &["averaging.kind=ema"]),
    ] {
        let sandbox = Sandbox::new(SMALL);
        let keys = sets(keys);
        let mut child = sandbox.start("run", &[&ENDLESS[..], &keys].concat());
        let at = pause(&sandbox, &mut child, |_| true);
        succeeded(ctl(&sandbox, &["set", setting]));
        sandbox.wait_for("run", &mut child, |record| matches!(record.event, Event::Changed(_)));
        let (key, value) = setting.split_once('=').unwrap();
        assert_eq!(changes(&sandbox, "run"), [(at, format!("{{\"{key}\":{value}}}"))]);
        let end = go_on_and_stop(&sandbox, child) + 4;
        let last = format!("train.max_steps={end}");
        sandbox.resume("run", &sets(&[&last]));

        let first = format!("train.max_steps={at}");
        let whole = sets(&[&first, "checkpoint.every_steps=0"]);
        sandbox.train("whole", &[&keys[..], &whole].concat());
        sandbox.resume("whole", &sets(&[&last, setting]));
        assert_eq!(sandbox.losses("run"), sandbox.losses("whole"), "{setting}, {keys:?}");
        let (run, whole) = (sandbox.tensors("run", end), sandbox.tensors("whole", end));
        assert!(run == whole, "{setting}, {keys:?}");
    }
}

/// A cycle of 3 ends as it began, and the next one has 5 inner steps: whether the run continues, or is
/// stopped or killed before.
#[test]
fn another_k_holds_from_the_next_cycle() {
    let sandbox = Sandbox::new(SMALL);
    let mut child = sandbox.start("run", &ENDLESS);
    let at = pause(&sandbox, &mut child, |step| step % 3 == 1);
    succeeded(ctl(&sandbox, &["set", "lookahead.k=5"]));
    let told = |record: &Record| matches!(&record.event, Event::Note(note) if note.message.contains("`lookahead.k` becomes 5 after the next sync"));
    sandbox.wait_for("run", &mut child, told);
    assert_eq!(changes(&sandbox, "run"), []);
    // A checkpoint inside the cycle has the cycle's k.
    succeeded(ctl(&sandbox, &["checkpoint"]));
    sandbox.wait_for("run", &mut child, |record| matches!(record.event, Event::Checkpoint(_)));
    go_on_and_stop(&sandbox, child);
    assert_eq!(changes(&sandbox, "run"), [(at + 2, "{\"lookahead.k\":5}".to_owned())]);
    let config = std::fs::read_to_string(sandbox.run_folder("run").join("config.toml")).unwrap();
    assert!(config.contains("k = 5\n"), "{config}");

    // As after a crash: the newest checkpoint is the one before the change took effect.
    let (end, from) = (at + 20, at.to_string());
    let last = format!("train.max_steps={end}");
    let resume = [&["--from", &from][..], &sets(&[&last])].concat();
    sandbox.resume("run", &resume);
    assert_eq!(changes(&sandbox, "run"), [(at + 2, "{\"lookahead.k\":5}".to_owned())]);
    let syncs: Vec<u64> = sandbox
        .records("run")
        .iter()
        .filter_map(|r| matches!(r.event, Event::Sync(_)).then_some(r.step))
        .filter(|step| *step > at)
        .collect();
    // The last one is that of the run's end.
    assert_eq!(syncs, [at + 2, at + 7, at + 12, at + 17, end]);

    let first = format!("train.max_steps={}", at + 2);
    sandbox.train("whole", &sets(&[&first, "checkpoint.every_steps=0"]));
    sandbox.resume("whole", &sets(&[&last, "lookahead.k=5"]));
    assert_eq!(sandbox.losses("run"), sandbox.losses("whole"));
    assert!(sandbox.tensors("run", end) == sandbox.tensors("whole", end));
}

/// A stop before the end of the cycle does not lose the change.
#[test]
fn another_k_survives_a_stop() {
    let sandbox = Sandbox::new(SMALL);
    let mut child = sandbox.start("run", &ENDLESS);
    let at = pause(&sandbox, &mut child, |step| step % 3 == 1);
    succeeded(ctl(&sandbox, &["set", "lookahead.k=5"]));
    succeeded(ctl(&sandbox, &["stop"]));
    succeeded(child.wait_with_output().unwrap());
    assert_eq!(changes(&sandbox, "run"), []);
    let (step, manifest) = sandbox.checkpoints("run").pop().unwrap();
    let metadata = manifest.unwrap().metadata;
    assert_eq!((step, metadata.integers["k"]), (at, 3));
    assert_eq!(metadata.config["lookahead"]["k"], 5);
    let last = format!("train.max_steps={}", at + 3);
    sandbox.resume("run", &sets(&[&last]));
    assert_eq!(changes(&sandbox, "run"), [(at + 2, "{\"lookahead.k\":5}".to_owned())]);
}

/// Just after a sync there is nothing to wait for.
#[test]
fn another_k_between_two_cycles() {
    let sandbox = Sandbox::new(SMALL);
    let mut child = sandbox.start("run", &ENDLESS);
    let at = pause(&sandbox, &mut child, |step| step % 3 == 0);
    succeeded(ctl(&sandbox, &["set", "lookahead.k=1"]));
    sandbox.wait_for("run", &mut child, |record| matches!(record.event, Event::Changed(_)));
    assert_eq!(changes(&sandbox, "run"), [(at, "{\"lookahead.k\":1}".to_owned())]);
    go_on_and_stop(&sandbox, child);
    let records = sandbox.records("run");
    let synced = |step| records.iter().any(|r| r.step == step && matches!(r.event, Event::Sync(_)));
    assert!((at + 1..at + 9).all(synced));
}

/// Probes can be turned on later, and change nothing.
#[test]
fn probes_can_be_turned_on_in_a_running_run() {
    let sandbox = Sandbox::new(SMALL);
    let off = [&ENDLESS[..], &["--set", "probe.every_syncs=0"]].concat();
    let mut child = sandbox.start("run", &off);
    let at = pause(&sandbox, &mut child, |_| true);
    succeeded(ctl(&sandbox, &["set", "probe.every_syncs=2"]));
    let end = go_on_and_stop(&sandbox, child);
    let records = sandbox.records("run");
    let probed: Vec<u64> = records
        .iter()
        .filter_map(|r| if let Event::Probe(probe) = r.event { Some(probe.sync) } else { None })
        .collect();
    // It may have been stopped between a step and its sync.
    let synced = records.iter().rev().find(|r| matches!(r.event, Event::Sync(_))).unwrap().step;
    let due: Vec<u64> = (at / 3 + 1..=synced / 3).filter(|sync| sync % 2 == 0).collect();
    assert_eq!(probed, due);
    let last = format!("train.max_steps={end}");
    sandbox.train("quiet", &sets(&[&last, "checkpoint.every_steps=0", "probe.every_syncs=0"]));
    assert_eq!(sandbox.losses("run"), sandbox.losses("quiet"));
}

#[test]
fn invalid_settings_are_refused_at_once_and_the_run_continues() {
    let sandbox = Sandbox::new(SMALL);
    let mut child = sandbox.start("run", &ENDLESS);
    pause(&sandbox, &mut child, |_| true);
    for (setting, words) in [
        ("lookahead.k=0", "`lookahead.k` is 0. Use at least 1"),
        ("optimizer.lr=nan", "`optimizer.lr` is \"NaN\". Use a number"),
        ("train.max_steps=9", "`lookahead resume RUN --set train.max_steps=…`"),
        ("model.kind=cnn", "`model.kind` can't change during the run"),
    ] {
        failed(&ctl(&sandbox, &["set", setting]), 1, &["did not accept the command", words]);
    }
    failed(
        &ctl(&sandbox, &["set", "lookahead.k"]),
        2,
        &["Write both as one word: `lookahead.k=VALUE`"],
    );
    assert_eq!(sandbox.records("run").pop().unwrap().event, Event::Paused, "it had no effect");

    // The config can't be written: the change holds anyway, and the run reports it.
    std::fs::create_dir(sandbox.run_folder("run").join(".config.toml.tmp")).unwrap();
    succeeded(ctl(&sandbox, &["set", "optimizer.lr=0.01"]));
    let warned =
        |r: &Record| matches!(&r.event, Event::Warning(w) if w.message.contains("a resume"));
    sandbox.wait_for("run", &mut child, warned);
    let end = go_on_and_stop(&sandbox, child);
    let records = sandbox.records("run");
    let rate = records.iter().rev().find_map(|record| match record.event {
        Event::Step(step) => Some(step.learning_rate),
        _ => None,
    });
    assert_eq!(rate, Some(0.01));
    let (step, manifest) = sandbox.checkpoints("run").pop().unwrap();
    assert_eq!((step, &manifest.unwrap().metadata.config["optimizer"]["lr"]), (end, &0.01.into()));
    let output = succeeded(ctl_inspect(&sandbox));
    assert!(stderr(&output).is_empty(), "{}", stderr(&output));
}

fn ctl_inspect(sandbox: &Sandbox) -> std::process::Output {
    sandbox.lookahead(&["inspect", "runs/run"])
}
