//! The status of a run, from another process: while it runs, and after its end.

use crate::common::{SMALL, Sandbox, sets, signal, succeeded, train};
use lookahead_run::event::Event;
use serde_json::{Value, json};

fn status(sandbox: &Sandbox) -> (String, Value) {
    let ask = |more: &[&str]| {
        let output = sandbox.lookahead(&[&["ctl", "runs/run", "status"], more].concat());
        let output = succeeded(output);
        assert!(output.stderr.is_empty());
        String::from_utf8(output.stdout).unwrap()
    };
    (ask(&[]), serde_json::from_str(&ask(&["--json"])).unwrap())
}

#[test]
fn a_running_run_reports_its_status() {
    let sandbox = Sandbox::new(SMALL);
    let endless = sets(&["train.max_steps=10000000", "checkpoint.every_steps=0"]);
    let mut child = sandbox.start("run", &[&["--quiet"][..], &endless].concat());
    sandbox.wait_for("run", &mut child, |record| record.step > 5);
    assert_eq!(status(&sandbox).1["state"], "training");
    for command in [&["pause"][..], &["set", "lookahead.alpha=0.8"], &["checkpoint"]] {
        succeeded(sandbox.lookahead(&[&["ctl", "runs/run"], command].concat()));
    }
    sandbox.wait_for("run", &mut child, |record| matches!(record.event, Event::Checkpoint(_)));
    let records = sandbox.records("run");
    let (step, taken) = records
        .iter()
        .rev()
        .find_map(|record| match record.event {
            Event::Step(step) => Some((record.step, step)),
            _ => None,
        })
        .unwrap();
    let (text, json) = status(&sandbox);
    let expected = json!({
        "run": "run", "process": child.id(), "state": "paused", "step": step,
        "total_steps": 10_000_000, "epoch": step / 4, "phase": step % 3, "loss": taken.loss,
        "learning_rate": 0.05, "samples_per_second": taken.samples_per_second, "k": 3, "alpha": 0.8,
        "probe_every_syncs": 1, "checkpoint": format!("step-{step:08}"),
        "settings": ["optimizer.lr", "lookahead.k", "lookahead.alpha", "probe.every_syncs"],
    });
    assert_eq!(json, expected);
    for words in ["run is paused", "k 3, ", "α 0.8", "a probe at every sync", "optimizer.lr"] {
        assert!(text.contains(words), "{text}");
    }

    // Its log tells a stop, a crash and an end apart.
    signal(&child, "TERM");
    succeeded(child.wait_with_output().unwrap());
    let step = sandbox.records("run").pop().unwrap().step;
    let (text, json) = status(&sandbox);
    assert_eq!((&json["state"], &json["step"]), (&"stopped".into(), &step.into()));
    assert_eq!(json["checkpoint"], format!("step-{step:08}"));
    assert!(text.contains("`lookahead resume runs/run` resumes it"), "{text}");

    let events = sandbox.run_folder("run").join("events.jsonl");
    let log = std::fs::read_to_string(&events).unwrap();
    let without_its_end = log.lines().filter(|line| !line.contains("\"run_ended\""));
    std::fs::write(&events, without_its_end.map(|line| format!("{line}\n")).collect::<String>())
        .unwrap();
    let (text, json) = status(&sandbox);
    assert_eq!((&json["state"], &json["step"]), (&"crashed".into(), &step.into()));
    assert!(text.contains("its process is gone"), "{text}");

    let last = format!("train.max_steps={}", step + 2);
    sandbox.resume("run", &sets(&[&last]));
    let (text, json) = status(&sandbox);
    assert_eq!((&json["state"], &json["total_steps"]), (&"finished".into(), &(step + 2).into()));
    assert!(text.contains("run finished at step"), "{text}");
}

#[test]
fn a_run_that_failed_says_why() {
    let sandbox = Sandbox::new(SMALL);
    let output = sandbox.lookahead(&train("run", &sets(&["optimizer.lr=1e30"])));
    assert!(!output.status.success());
    let (text, json) = status(&sandbox);
    assert_eq!(json["state"], "failed");
    assert!(json["message"].as_str().unwrap().contains("the training diverged"), "{json}");
    assert!(text.contains("run failed at step") && text.contains("diverged"), "{text}");
}

/// Its socket is gone, or was never there: the lock shows that it is running.
#[test]
fn a_run_without_a_socket() {
    let sandbox = Sandbox::new(SMALL);
    let mut child = sandbox.start("run", &["--quiet", "--set", "train.max_steps=10000000"]);
    sandbox.wait_for("run", &mut child, |record| record.step > 5);
    std::fs::remove_file(sandbox.run_folder("run").join("control.sock")).unwrap();
    let (text, json) = status(&sandbox);
    assert_eq!(json["state"], "deaf");
    assert!(text.contains("A process is training run"), "{text}");
    signal(&child, "TERM");
    succeeded(child.wait_with_output().unwrap());
}

/// Like a copy by rsync: it may train elsewhere, until its log has not grown for long.
#[test]
fn a_copy_of_a_running_run_has_not_crashed() {
    let sandbox = Sandbox::new(SMALL);
    let endless = sets(&["train.max_steps=10000000", "checkpoint.every_steps=0"]);
    let mut child = sandbox.start("original", &[&["--quiet"][..], &endless].concat());
    sandbox.wait_for("original", &mut child, |record| record.step > 5);
    for file in ["config.toml", "events.jsonl", "lock", "id"] {
        std::fs::create_dir_all(sandbox.run_folder("run")).unwrap();
        let [from, to] = ["original", "run"].map(|run| sandbox.run_folder(run).join(file));
        std::fs::copy(from, to).unwrap();
    }
    let (text, json) = status(&sandbox);
    assert_eq!(json["state"], "elsewhere");
    assert!(text.contains("in the folder that runs/run is a copy of"), "{text}");

    // The same log, grown last some time ago.
    let events = sandbox.run_folder("run").join("events.jsonl");
    let log = std::fs::read_to_string(&events).unwrap();
    let mut lines: Vec<&str> = log.lines().collect();
    let mut last: Value = serde_json::from_str(lines.pop().unwrap()).unwrap();
    last["time"] = (last["time"].as_f64().unwrap() - 700.0).into();
    std::fs::write(&events, format!("{}\n{last}\n", lines.join("\n"))).unwrap();
    assert_eq!(status(&sandbox).1["state"], "crashed");

    signal(&child, "KILL");
    child.wait().unwrap();
    std::fs::remove_dir_all(sandbox.run_folder("run")).unwrap();
    std::fs::rename(sandbox.run_folder("original"), sandbox.run_folder("run")).unwrap();
    assert_eq!(status(&sandbox).1["state"], "crashed", "moved, it is still the folder that it was");
}
