//! Settings changed in a running run survive a kill, and a full disk.

use std::process::Child;

use crate::common::{SMALL, Sandbox, sets, stderr, succeeded, wait_until};
use lookahead_run::command::{Command, Setting};
use lookahead_run::event::{Event, Record};
use lookahead_run::{RunFolder, control};

fn config(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.run_folder("run").join("config.toml")).unwrap()
}

fn begin(sandbox: &Sandbox, every: &str) -> Child {
    let keys = ["train.max_steps=10000000", "checkpoint.keep=3", every];
    let mut child = sandbox.start("run", &[&["--quiet"][..], &sets(&keys)].concat());
    sandbox.wait_for("run", &mut child, |record| record.step >= 10);
    child
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Learning rates of the steps after a step.
fn rates(sandbox: &Sandbox, after: u64) -> Vec<f64> {
    let records = sandbox.records("run").into_iter().filter(|record| record.step > after);
    let rate = |record: Record| match record.event {
        Event::Step(step) => Some(step.learning_rate),
        _ => None,
    };
    records.filter_map(rate).collect()
}

/// The step of the newest checkpoint.
fn newest(sandbox: &Sandbox) -> u64 {
    let folder = RunFolder::open(&sandbox.run_folder("run")).unwrap();
    folder.checkpoints().newest_valid().unwrap().checkpoint.step
}

#[test]
fn a_setting_survives_a_kill_right_after_the_answer() {
    for attempt in 0..4 {
        let sandbox = Sandbox::new(SMALL);
        let mut child = begin(&sandbox, "checkpoint.every_steps=5");
        let saved = |record: &Record| matches!(record.event, Event::Checkpoint(_));
        sandbox.wait_for("run", &mut child, saved);
        // Repeatedly, so that one is being written when the process ends.
        let folder = RunFolder::open(&sandbox.run_folder("run")).unwrap();
        let rate = (1..=3 + attempt).map(|i| f64::from(i) / 64.0).fold(0.0, |_, rate| {
            let setting = Setting { key: "optimizer.lr".into(), value: rate.into() };
            assert_eq!(control::send(&folder, Command::Set(setting)).unwrap(), None);
            rate
        });
        kill(child);
        assert!(config(&sandbox).contains(&format!("lr = {rate}\n")), "{}", config(&sandbox));
        let step = newest(&sandbox);
        let last = format!("train.max_steps={}", step + 4);
        sandbox.resume("run", &sets(&[&last]));
        assert_eq!(rates(&sandbox, step), [rate; 4]);
    }
}

/// Makes the folder refuse the config but not checkpoints, as a nearly full disk may.
fn blocked(sandbox: &Sandbox) -> std::path::PathBuf {
    let block = sandbox.run_folder("run").join(".config.toml.tmp");
    std::fs::create_dir(&block).unwrap();
    block
}

#[test]
fn a_setting_that_the_disk_did_not_take_comes_from_the_checkpoint() {
    for (key, value, of) in [("optimizer.lr", "0.25", "lr"), ("lookahead.k", "7", "k")] {
        let sandbox = Sandbox::new(SMALL);
        let mut child = begin(&sandbox, "checkpoint.every_steps=0");
        let block = blocked(&sandbox);
        let set = format!("{key}={value}");
        let output = succeeded(sandbox.lookahead(&["ctl", "runs/run", "set", &set]));
        let said = stderr(&output);
        assert!(said.contains("The run is at step") && said.contains("not kept yet"), "{said}");
        let changed = |record: &Record| matches!(record.event, Event::Changed(_));
        sandbox.wait_for("run", &mut child, changed);
        succeeded(sandbox.lookahead(&["ctl", "runs/run", "checkpoint"]));
        let saved = |record: &Record| matches!(record.event, Event::Checkpoint(_));
        sandbox.wait_for("run", &mut child, saved);
        kill(child);
        assert!(!config(&sandbox).contains(&format!("{of} = {value}\n")));
        std::fs::remove_dir(block).unwrap();

        let step = newest(&sandbox);
        let last = format!("train.max_steps={}", step + 20);
        let said = stderr(&sandbox.resume("run", &sets(&[&last])));
        let words = format!("continues with those of step-{step:08}: `{key}` = {value}.");
        assert!(said.contains(&words), "{said}");
        assert!(config(&sandbox).contains(&format!("{of} = {value}\n")), "{}", config(&sandbox));
        match of {
            "lr" => assert_eq!(rates(&sandbox, step), [0.25; 20]),
            _ => {
                let records = sandbox.records("run");
                let synced = |r: &&Record| matches!(r.event, Event::Sync(_)) && r.step > step;
                let steps: Vec<u64> = records.iter().filter(synced).map(|r| r.step).collect();
                assert_eq!(steps[1] - steps[0], 7, "{steps:?}");
            }
        }
        // What is kept is not reported again.
        let last = format!("train.max_steps={}", step + 25);
        let said = stderr(&sandbox.resume("run", &sets(&[&last])));
        assert!(!said.contains("continues with those"), "{said}");
    }
}

#[test]
fn a_setting_is_tried_again_until_the_disk_takes_it() {
    let sandbox = Sandbox::new(SMALL);
    let mut child = begin(&sandbox, "checkpoint.every_steps=0");
    let block = blocked(&sandbox);
    succeeded(sandbox.lookahead(&["ctl", "runs/run", "set", "optimizer.lr=0.25"]));
    let warned = |record: &Record| matches!(&record.event, Event::Warning(w) if w.message.contains("`config.toml` could not be written"));
    sandbox.wait_for("run", &mut child, warned);
    std::fs::remove_dir(block).unwrap();
    wait_until("it is tried again", || config(&sandbox).contains("lr = 0.25\n"));
    kill(child);
}

/// A config edited by the user, or changed in the run after the resumed checkpoint.
#[test]
fn a_config_that_is_not_the_checkpoints_is_named() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "train.max_steps=4"]);
    let path = sandbox.run_folder("run").join("config.toml");
    let edited = config(&sandbox).replace("lr = 0.05", "lr = 0.125");
    std::fs::write(path, edited).unwrap();
    let said = stderr(&sandbox.resume("run", &sets(&["train.max_steps=6"])));
    let words = "`optimizer.lr` is 0.125, and was 0.05";
    assert!(said.contains(words) && !said.contains("`train.max_steps`"), "{said}");
    assert_eq!(rates(&sandbox, 4), [0.125; 2]);
}
