//! Output without the dashboard: lines on stderr, JSON on stdout, or nothing.

use std::process::Stdio;

use crate::common::{SMALL, Sandbox, failed, sets, stderr, succeeded, train};

/// The lines on stderr that begin with a word.
fn lines<'a>(said: &'a str, word: &str) -> Vec<&'a str> {
    said.lines().filter(|line| line.starts_with(word)).collect()
}

#[test]
fn the_first_and_the_last_step_and_evaluations_have_lines() {
    let sandbox = Sandbox::new(SMALL);
    let rare = ["--progress-every", "3600"];
    // With lines for checkpoints as well, some would be dropped.
    let said =
        stderr(&sandbox.train("run", &[&rare[..], &sets(&["checkpoint.every_steps=0"])].concat()));
    let steps: Vec<&str> = lines(&said, "step ").into_iter().filter(|l| l.contains("lr")).collect();
    assert_eq!(steps.len(), 2, "{said}");
    assert!(steps[0].starts_with("step 1/14  epoch 0  loss "), "{said}");
    assert!(steps[1].starts_with("step 14/14  epoch 3  loss "), "{said}");
    assert_eq!(said.matches("  validation ").count(), 8, "{said}");
    assert_eq!(said.matches("  test       ").count(), 2, "{said}");
    // With early stopping the last step is an earlier one.
    let impatient = sets(&["train.patience=1", "optimizer.lr=0", "train.max_steps=100"]);
    let said = stderr(&sandbox.train("impatient", &[&rare[..], &impatient].concat()));
    let steps: Vec<&str> = lines(&said, "step ").into_iter().filter(|l| l.contains("lr")).collect();
    assert!(steps.len() == 2 && steps[1].starts_with("step 8/100  epoch 1"), "{said}");

    let said = stderr(&sandbox.train("every", &["--progress-every", "0"]));
    assert_eq!(said.matches("  lr ").count(), 14, "{said}");
    let output = sandbox.lookahead(&train("other", &["--progress-every=-1"]));
    failed(&output, 2, &["`-1` is not a number of seconds", "10 or 0.5"]);
}

#[test]
fn quiet_leaves_only_warnings_and_errors() {
    let sandbox = Sandbox::new(SMALL);
    let cosine = sets(&["schedule.kind=cosine", "train.max_steps=4"]);
    let output = sandbox.train("run", &[&["--quiet"][..], &cosine].concat());
    assert_eq!((stderr(&output), output.stdout), (String::new(), Vec::new()));
    let said = stderr(&sandbox.resume("run", &["--quiet", "--set", "train.max_steps=6"]));
    assert!(said.starts_with("Warning: The number of steps changed"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let output = sandbox.lookahead(&train("bad", &["--quiet", "--set", "optimizer.lr=1e30"]));
    failed(&output, 1, &["error: "]);
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
}

#[test]
fn json_is_what_is_in_the_log() {
    let sandbox = Sandbox::new(SMALL);
    let events = sandbox.run_folder("run").join("events.jsonl");
    let output = sandbox.train("run", &["--json", "--quiet"]);
    let first = std::fs::read(&events).unwrap();
    assert!(output.stdout == first && first.len() > 1000);
    let output = sandbox.resume("run", &["--json", "--set", "train.max_steps=20"]);
    assert!(output.stdout == std::fs::read(&events).unwrap()[first.len()..]);
    assert!(stderr(&output).contains("Finished at step 20"));
}

/// Like `| head`.
#[test]
fn a_closed_pipe_ends_no_training() {
    let sandbox = Sandbox::new(SMALL);
    let mut command = sandbox.command(&train("run", &["--json"]));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = succeeded(child.wait_with_output().unwrap());
    let said = stderr(&output);
    assert_eq!(said.matches("The events on standard output are not read").count(), 1, "{said}");
    assert_eq!(sandbox.losses("run").len(), 14);
}
