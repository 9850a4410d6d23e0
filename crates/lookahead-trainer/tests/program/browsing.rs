//! `watch` on a folder of runs: real programs, checked by their screens.

use std::fs;

use portable_pty::PtySize;

use crate::common::terminal::{SIZE, SIZES, Terminal, curve};
use crate::common::{SMALL, Sandbox, failed, wait_until};

const START: &str = r#"{"time":1700000000.0,"step":0,"event":"run_started","format":1,"run":"RUN","data":"digits","task":"classification","model":"mlp","optimizer":"sgd","lookahead":{"k":5,"alpha":0.5},"device":"cpu","threads":1,"cpu_capability":"AVX2","parameters":10,"total_steps":1000,"steps_per_epoch":10,"train_samples":1,"validation_samples":1,"test_samples":1,"seed":0,"versions":{"lookahead":"1","tch":"2","libtorch":"3"},"config":{"optimizer":{"kind":"sgd","lr":LR},"lookahead":{"k":5},"train":{"seed":SEED,"epochs":100}}}"#;

/// Writes a run by hand, of which each number is known.
fn write_run(sandbox: &Sandbox, name: &str, lr: f64, seed: u64, end: &str) {
    let folder = sandbox.run_folder(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), "").unwrap();
    let start = START.replace("RUN", name).replace("LR", &lr.to_string());
    let mut log = start.replace("SEED", &seed.to_string()) + "\n";
    for step in 1..=400 {
        let (time, loss) = (1_700_000_000 + step, 2.0 / (1.0 + lr * f64::from(step)));
        log += &format!(
            "{{\"time\":{time}.0,\"step\":{step},\"event\":\"step\",\"epoch\":0,\"loss\":{loss},\"learning_rate\":{lr},\"samples_per_second\":100.0,\"phase\":1}}\n"
        );
        if step % 100 == 0 {
            let accuracy = 0.9 - loss / 10.0;
            log += &format!(
                "{{\"time\":{time}.0,\"step\":{step},\"event\":\"evaluation\",\"weights\":\"slow\",\"split\":\"validation\",\"loss\":{loss},\"accuracy\":{accuracy},\"samples\":9,\"seconds\":1.0}}\n"
            );
        }
    }
    if !end.is_empty() {
        log += &format!(
            "{{\"time\":1700000401.0,\"step\":400,\"event\":\"run_ended\",\"status\":\"{end}\"}}\n"
        );
    }
    fs::write(folder.join("events.jsonl"), log).unwrap();
}

fn four_runs() -> Sandbox {
    let sandbox = Sandbox::new(SMALL);
    write_run(&sandbox, "low", 0.01, 0, "finished");
    write_run(&sandbox, "high", 0.1, 0, "stopped");
    write_run(&sandbox, "high-again", 0.1, 1, "");
    write_run(&sandbox, "damaged", 0.1, 2, "");
    fs::write(sandbox.run_folder("damaged").join("events.jsonl"), "{}\n{}\n").unwrap();
    // Neither is a run.
    fs::create_dir(sandbox.run_folder("empty")).unwrap();
    fs::write(sandbox.run_folder("notes.txt"), "").unwrap();
    sandbox
}

fn browse(sandbox: &Sandbox, size: PtySize) -> Terminal {
    Terminal::start(sandbox, size, &["watch", "runs"], &[])
}

#[test]
fn a_folder_is_a_table_at_each_size() {
    let sandbox = four_runs();
    for (cols, rows) in SIZES {
        let mut terminal = browse(&sandbox, PtySize { rows, cols, ..SIZE });
        terminal.wait_for("all runs with their best values", |text| {
            // A narrow screen has no room for them.
            let has_best =
                cols == 40 || (text.matches("89.5").count() == 2 && text.contains("86.00"));
            text.contains("4 runs") && has_best && text.contains("unread")
        });
        terminal.assert_screen(&format!("a folder of runs {cols}x{rows}"));
        terminal.press("q");
        assert_eq!(terminal.end(), 0);
    }
}

#[test]
fn runs_are_sorted_filtered_compared_and_opened() {
    let sandbox = four_runs();
    let mut terminal = browse(&sandbox, SIZE);
    terminal.wait_for("the runs", |text| text.contains("4 runs") && text.contains("89.5"));
    terminal.press("/lr=0.1");
    terminal.wait_for("the filter", |text| !text.contains(" low ") && text.contains("high-again"));
    terminal.press("\r");
    // Both are marked and compared.
    terminal.press("  d");
    terminal.wait_for("the difference", |text| {
        text.contains("1 key differs") && text.contains("train.seed")
    });
    terminal.press("\x1b");
    terminal.wait_for("the table", |text| text.contains("2 marked"));
    terminal.press("\r");
    terminal.wait_for("both curves", |text| text.contains("2 runs") && curve(text) > 20);
    terminal.press("\x1b");
    terminal.wait_for("the table", |text| text.contains("2 shown"));
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

/// A run begins, trains and stops while the table is on the screen; another one is removed.
#[test]
fn rows_follow_the_runs() {
    let sandbox = four_runs();
    let mut terminal = browse(&sandbox, SIZE);
    terminal.wait_for("the runs", |text| text.contains("4 runs"));
    let more = ["--set", "train.max_steps=10000000", "--set", "checkpoint.every_steps=0"];
    let mut child = sandbox.start("live", &more);
    let row = |text: &str, state: &str| {
        text.lines().any(|line| line.contains("live") && line.contains(state))
    };
    terminal.wait_for("the new run", |text| row(text, "running") && text.contains("5 runs"));
    crate::common::signal(&child, "TERM");
    assert!(child.wait().unwrap().success());
    terminal.wait_for("its end", |text| row(text, "stopped"));
    fs::remove_dir_all(sandbox.run_folder("low")).unwrap();
    terminal.wait_for("four runs", |text| text.contains("4 runs") && !text.contains(" low "));
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn without_a_terminal_that_draws_the_list_is_named() {
    let sandbox = four_runs();
    failed(&sandbox.lookahead(&["watch", "runs"]), 2, &["needs a terminal", "list runs"]);
    let terminal = Terminal::start(&sandbox, SIZE, &["watch", "runs"], &[("TERM", "dumb")]);
    terminal.wait_for("the advice", |text| text.contains("list runs"));
    assert_eq!(terminal.end(), 2);
    let empty = sandbox.lookahead(&["watch", "runs/empty"]);
    failed(&empty, 2, &["needs a terminal", "list runs/empty"]);
}

/// The run's own terminal shows what was logged before the resume.
#[test]
fn a_resumed_run_shows_its_past_in_its_own_terminal() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &[]);
    let more = ["resume", "runs/run", "--set", "train.max_steps=10000000"];
    let mut terminal = Terminal::start(&sandbox, SIZE, &more, &[]);
    terminal.wait_for("curves", |text| curve(text) > 10 && text.contains("TRAINING"));
    terminal.press("m/step-00000010\r");
    terminal.wait_for("a checkpoint of before", |text| text.contains("saved step-00000010"));
    terminal.signal("TERM");
    assert_eq!(terminal.end(), 0);
    wait_until("the end", || !sandbox.records("run").is_empty());
}

/// `head` closes the pipe after a line: that is no failure, and nothing is said.
#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let sandbox = four_runs();
    let program = env!("CARGO_BIN_EXE_lookahead");
    for command in [
        "list runs",
        "list runs --json",
        "inspect runs/low",
        "config",
        "config optimizer.lr",
        "schema",
        "completions bash",
        "--help",
        "watch --help",
        "doctor",
        "ctl runs/low status",
        "compare runs/low runs/high --json",
    ] {
        for reader in ["head -1", "true"] {
            let line = format!("({program} {command}; echo status $? >&2) | {reader}");
            let output = std::process::Command::new("sh")
                .args(["-c", &line])
                .current_dir(sandbox.path())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("status 0"), "{line}: {said}");
            assert!(!said.contains("roken pipe") && !said.contains("panicked"), "{line}: {said}");
        }
    }
}

#[test]
fn an_empty_folder_is_a_table_of_runs_that_begin_later() {
    let sandbox = four_runs();
    let mut terminal = Terminal::start(&sandbox, SIZE, &["watch", "runs/empty"], &[]);
    terminal.wait_for("an empty table", |text| text.contains("There is no run yet."));
    write_run(&sandbox, "empty/late", 0.1, 0, "finished");
    terminal.wait_for("the run", |text| text.contains("late") && text.contains("finished"));
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

/// The list, the table, the dashboard and the status agree on it.
#[test]
fn a_damaged_log_has_the_same_state_everywhere() {
    let sandbox = four_runs();
    let log = sandbox.run_folder("low").join("events.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let lines = text.lines().enumerate();
    let torn = lines.map(|(number, line)| if number == 20 { "{torn" } else { line });
    fs::write(&log, torn.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    write_run(&sandbox, "new", 0.1, 3, "");
    fs::write(sandbox.run_folder("new").join("events.jsonl"), "").unwrap();
    let list = crate::common::succeeded(sandbox.lookahead(&["list", "runs"]));
    let text = String::from_utf8(list.stdout.clone()).unwrap();
    let row = |name: &str, words: [&str; 2]| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(words.iter().all(|word| line.contains(word)), "{text}");
    };
    row("runs/low", ["finished", "400"]);
    row("runs/damaged", ["unreadable", "0"]);
    row("runs/new", ["waiting", "0"]);
    assert!(crate::common::stderr(&list).contains("runs/damaged: Line 1 of"));
    let status = crate::common::succeeded(sandbox.lookahead(&["ctl", "runs/low", "status"]));
    assert!(String::from_utf8(status.stdout).unwrap().contains("finished at step 400"));
    let mut terminal = browse(&sandbox, SIZE);
    terminal.wait_for("the states", |text| {
        let is = |name, state| text.lines().any(|line| line.contains(name) && line.contains(state));
        is("low ", "finished") && is("damaged ", "unreadable") && is("new ", "waiting")
    });
    terminal.press("/damaged");
    terminal.wait_for("the filter", |text| !text.contains(" low "));
    terminal.press("\r\r");
    terminal.wait_for("the reason", |text| {
        text.contains("UNREADABLE") && text.contains("line 1 of the event log")
    });
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn a_missing_folder_is_named_once() {
    let sandbox = Sandbox::new(SMALL);
    let refused = sandbox.lookahead(&["list", "/nonexistent"]);
    failed(&refused, 2, &["There is no folder `/nonexistent`. "]);
}
