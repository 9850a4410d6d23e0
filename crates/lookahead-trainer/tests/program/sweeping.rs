//! Sweeps by the real program: complete, interrupted, killed, with runs that fail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::terminal::{SIZE, Terminal};
use crate::common::{SMALL, Sandbox, failed, logged, signal, stderr, succeeded, wait_until};
use lookahead_run::event::{Event, Record, Split, Status, Weights};

/// Four runs, of which each takes long enough for a signal to find it training.
const LONG: &str = r#"
config = "test.toml"
seeds = 2
jobs = 1

[set]
"train.max_steps" = 1500
"train.evaluate_every_epochs" = 0
"checkpoint.every_steps" = 100

[grid]
"optimizer.lr" = [0.05, 0.01]
"#;

const LONG_RUNS: [&str; 4] = ["lr0.05-s0", "lr0.05-s1", "lr0.01-s0", "lr0.01-s1"];

/// A sandbox with a sweep in it.
fn sandbox(sweep: &str) -> Sandbox {
    let sandbox = Sandbox::new(SMALL);
    std::fs::write(sandbox.path().join("sweep.toml"), sweep).unwrap();
    sandbox
}

const ARGUMENTS: [&str; 4] = ["sweep", "sweep.toml", "--out", "out"];

fn sweep(sandbox: &Sandbox, more: &[&str]) -> std::process::Output {
    sandbox.lookahead(&[&ARGUMENTS, more].concat())
}

fn start(sandbox: &Sandbox) -> Child {
    sandbox.command(&ARGUMENTS).stderr(Stdio::piped()).spawn().unwrap()
}

fn run_folder(sandbox: &Sandbox, run: &str) -> PathBuf {
    sandbox.path().join("out/sweep/runs").join(run)
}

fn records(sandbox: &Sandbox, run: &str) -> Vec<Record> {
    lookahead_run::log::read(&run_folder(sandbox, run).join("events.jsonl")).unwrap()
}

/// Every loss of a run to the bit, those of evaluations too.
fn losses(sandbox: &Sandbox, run: &str) -> Vec<(u64, u64)> {
    let loss = |record: &Record| match &record.event {
        Event::Step(step) => Some((record.step, step.loss.to_bits())),
        Event::Evaluation(found) => Some((record.step, found.loss.to_bits())),
        _ => None,
    };
    records(sandbox, run).iter().filter_map(loss).collect()
}

/// The rows of a table of results, by the names of their columns.
fn rows(sandbox: &Sandbox) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(sandbox.path().join("out/sweep/results.csv")).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

fn column(sandbox: &Sandbox, key: &str) -> Vec<String> {
    rows(sandbox).iter().map(|row| row[key].clone()).collect()
}

/// Waits until a run has taken some steps.
#[track_caller]
fn wait_for_steps(sandbox: &Sandbox, run: &str) {
    let log = run_folder(sandbox, run).join("events.jsonl");
    wait_until("20 steps", || logged(&log, |record| record.step >= 20));
}

#[test]
fn a_sweep_runs_every_point_and_its_tables_agree_with_the_logs() {
    let text = r#"
config = "test.toml"
seeds = 2
jobs = 2
[grid]
"optimizer.lr" = [0.05, 0.01]
[[variants]]
name = "alone"
lookahead = false
[[variants]]
name = "k"
[variants.grid]
"lookahead.k" = [2]
"#;
    let sandbox = sandbox(text);
    let output = succeeded(sweep(&sandbox, &[]));
    let said = stderr(&output);
    assert!(said.contains("8 runs, 2 at once"), "{said}");
    assert!(said.contains("8 of 8 runs are finished"), "{said}");
    let names = column(&sandbox, "name");
    assert_eq!(names[..3], ["alone-lr0.05-s0", "alone-lr0.05-s1", "alone-lr0.01-s0"]);
    assert_eq!(names[7], "k-lr0.01-k2-s1");
    let lines = std::fs::read_to_string(sandbox.path().join("out/sweep/results.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 8);

    for (row, line) in rows(&sandbox).iter().zip(&lines) {
        let records = records(&sandbox, &row["name"]);
        let Event::RunStarted(info) = &records[0].event else { panic!("{:?}", records[0]) };
        assert_eq!(info.seed.to_string(), row["seed"]);
        assert_eq!(info.config["optimizer"]["lr"].to_string(), row["optimizer.lr"]);
        assert_eq!(line["optimizer.lr"], info.config["optimizer"]["lr"]);
        let k = info.lookahead.map(|found| found.k.to_string());
        assert_eq!(k.unwrap_or_default(), row["lookahead.k"]);
        assert_eq!((row["status"].as_str(), row["attempts"].as_str()), ("finished", "1"));
        assert_eq!(row["steps"], "14");
        let weights = if info.lookahead.is_some() { Weights::Slow } else { Weights::Fast };
        let last = records.iter().rev().find_map(|record| match &record.event {
            Event::Evaluation(found) if found.split == Split::Test && found.weights == weights => {
                Some(found.loss)
            }
            _ => None,
        });
        let key = if info.lookahead.is_some() { "test_loss_slow" } else { "test_loss_fast" };
        assert_eq!(row[key].parse::<f64>().unwrap(), last.unwrap());
        assert_eq!(line[key].as_f64(), last);
        let best = records.iter().filter_map(|record| match &record.event {
            Event::Evaluation(found)
                if found.split == Split::Validation && found.weights == weights =>
            {
                Some(found.accuracy)
            }
            _ => None,
        });
        let best = best.fold(0.0, f64::max);
        assert_eq!(row["best_validation"].parse::<f64>().unwrap(), best);
    }

    // Nothing is left to do until values are added.
    let logs = |names: &[String]| -> Vec<Vec<u8>> {
        let read = |name: &String| std::fs::read(run_folder(&sandbox, name).join("events.jsonl"));
        names.iter().map(|name| read(name).unwrap()).collect()
    };
    let before = logs(&names);
    let output = succeeded(sweep(&sandbox, &[]));
    assert!(stderr(&output).contains("8 of 8 runs are already finished"), "{}", stderr(&output));
    let more = text.replace("[2]", "[2, 5]");
    std::fs::write(sandbox.path().join("sweep.toml"), &more).unwrap();
    succeeded(sweep(&sandbox, &["--quiet"]));
    assert_eq!(rows(&sandbox).len(), 12);
    assert_eq!(logs(&names), before);

    // A shared setting has changed, so the runs there belong to another sweep.
    let other = more.replace("jobs = 2", "[set]\n\"model.dropout\" = 0.1");
    std::fs::write(sandbox.path().join("sweep.toml"), other).unwrap();
    let words = ["alone-lr0.05-s0", "`model.dropout` was 0.3, and is 0.1", "--name"];
    failed(&sweep(&sandbox, &[]), 2, &words);
    assert_eq!(logs(&names), before);
}

#[test]
fn a_dry_run_lists_the_points_and_trains_none() {
    let sandbox = sandbox(LONG);
    let output = succeeded(sweep(&sandbox, &["--dry-run"]));
    let said = String::from_utf8(output.stdout).unwrap();
    for run in LONG_RUNS {
        assert!(said.lines().any(|line| line == run), "{said}");
    }
    assert!(said.contains("    --set optimizer.lr=0.01\n"), "{said}");
    assert!(said.ends_with("4 runs\n"), "{said}");
    assert!(!sandbox.path().join("out").exists());
}

#[test]
fn mistakes_are_reported_with_their_line_before_anything_runs() {
    for (from, to, words) in [
        ("optimizer.lr", "optimizer.rl", ["sweep.toml, line 12", "`optimizer.rl`"]),
        ("0.01]", "-0.01]", ["sweep.toml, line 12", "`lr-0.01-s0`"]),
        ("train.max_steps", "train.max_stepz", ["sweep.toml, line 7", "max_stepz"]),
        ("[grid]", "[gird]", ["sweep.toml, line 11", "`gird` is not a key of a sweep"]),
        ("test.toml", "tset.toml", ["sweep.toml", "tset.toml"]),
        ("seeds = 2", "seeds = 100000", ["200000 runs", "at most 100000"]),
    ] {
        let sandbox = sandbox(&LONG.replace(from, to));
        failed(&sweep(&sandbox, &[]), 2, &words);
        assert!(!sandbox.path().join("out").exists());
    }
    let sandbox = Sandbox::new(SMALL);
    failed(
        &sweep(&sandbox, &[]),
        2,
        &["There is no sweep `sweep.toml`", "A sweep is a TOML file with"],
    );
}

#[test]
fn a_diverging_run_is_tried_twice_and_the_others_continue() {
    let sandbox = sandbox(
        "config = \"test.toml\"\njobs = 1\n[set]\n\"model.batch_norm\" = false\n\
         [grid]\n\"optimizer.lr\" = [1e30, 0.05]\n",
    );
    let output = sweep(&sandbox, &[]);
    let words = ["1 of 2 runs failed", "lr1e30", "the training diverged", "tried once more"];
    failed(&output, 1, &words);
    assert_eq!(column(&sandbox, "status"), ["failed", "finished"]);
    assert_eq!(column(&sandbox, "attempts"), ["2", "1"]);
    assert!(column(&sandbox, "message")[0].contains("the training diverged"));
    let output = sandbox.path().join("out/sweep/output");
    let said = std::fs::read_to_string(output.join("lr1e30.txt")).unwrap();
    assert!(said.contains("the training diverged"), "{said}");
    assert!(!output.join("lr0.05.txt").exists());

    // It would only fail again.
    let log = run_folder(&sandbox, "lr1e30").join("events.jsonl");
    let before = std::fs::read(&log).unwrap();
    failed(&sweep(&sandbox, &[]), 1, &["1 of 2 runs failed", "--retry-failed"]);
    assert_eq!(std::fs::read(&log).unwrap(), before);
    assert_eq!(column(&sandbox, "attempts"), ["2", "1"]);
    failed(&sweep(&sandbox, &["--retry-failed"]), 1, &["tried once more"]);
    assert_ne!(std::fs::read(&log).unwrap(), before);
}

/// An uninterrupted sweep, to compare with.
fn undisturbed() -> Sandbox {
    let sandbox = sandbox(LONG);
    succeeded(sweep(&sandbox, &[]));
    sandbox
}

#[track_caller]
fn expect_the_same(found: &Sandbox, whole: &Sandbox) {
    for run in LONG_RUNS {
        let expected = losses(whole, run);
        assert!(expected.len() > 1500);
        assert!(losses(found, run) == expected, "{run} took another way");
    }
    assert_eq!(column(found, "test_loss_slow"), column(whole, "test_loss_slow"));
    assert_eq!(column(found, "status"), ["finished"; 4]);
}

#[test]
fn an_interrupted_sweep_resumes_bit_for_bit() {
    let whole = undisturbed();
    let sandbox = sandbox(LONG);
    for (name, run) in [("TERM", LONG_RUNS[0]), ("INT", LONG_RUNS[2])] {
        let child = start(&sandbox);
        wait_for_steps(&sandbox, run);
        signal(&child, name);
        let output = succeeded(child.wait_with_output().unwrap());
        let said = stderr(&output);
        assert!(said.contains("Resume with: lookahead sweep sweep.toml --out out"), "{said}");
        let last = records(&sandbox, run).pop().unwrap();
        assert!(matches!(&last.event, Event::RunEnded(e) if e.status == Status::Stopped));
        assert_eq!(column(&sandbox, "status").pop().unwrap(), "stopped");
    }
    // A process is killed, but not the sweep: the run resumes from its checkpoint.
    let child = start(&sandbox);
    wait_until("the last run", || {
        run_folder(&sandbox, LONG_RUNS[3]).join("step-00000100").exists()
    });
    kill_children(child.id());
    let output = succeeded(child.wait_with_output().unwrap());
    assert!(stderr(&output).contains("signal 9"), "{}", stderr(&output));
    expect_the_same(&sandbox, &whole);
    assert_eq!(column(&sandbox, "attempts"), ["1", "1", "1", "2"]);
    for (run, goes_on) in LONG_RUNS.iter().zip([true, false, true, true]) {
        let resumed = |record: &Record| matches!(record.event, Event::Resumed(_));
        assert_eq!(records(&sandbox, run).iter().any(resumed), goes_on, "{run}");
    }
}

/// The processes of a sweep that was killed keep running: they are waited for, and none is started twice.
#[test]
fn a_killed_sweep_resumes_bit_for_bit() {
    let whole = undisturbed();
    let sandbox = sandbox(LONG);
    let mut child = start(&sandbox);
    wait_for_steps(&sandbox, LONG_RUNS[1]);
    signal(&child, "KILL");
    child.wait().unwrap();
    let output = succeeded(sweep(&sandbox, &[]));
    assert!(stderr(&output).contains("waited for"), "{}", stderr(&output));
    expect_the_same(&sandbox, &whole);
    let begun = |record: &&Record| matches!(record.event, Event::RunStarted(_) | Event::Resumed(_));
    assert_eq!(records(&sandbox, LONG_RUNS[1]).iter().filter(begun).count(), 1);
    assert_eq!(column(&sandbox, "attempts"), ["1"; 4]);
}

#[test]
fn runs_of_a_killed_sweep_are_left_alone_and_a_second_ctrl_c_kills_own_ones() {
    let text = LONG.replace("1500", "100000000");
    let sandbox = sandbox(&text);
    let mut child = start(&sandbox);
    wait_for_steps(&sandbox, LONG_RUNS[0]);
    let other = sweep(&sandbox, &[]);
    failed(&other, 1, &["in use", "SIGTERM"]);
    signal(&child, "KILL");
    child.wait().unwrap();

    let child = start(&sandbox);
    let results = sandbox.path().join("out/sweep/results.csv");
    let written = std::fs::metadata(&results).unwrap().modified().unwrap();
    // The next sweep has looked at its runs when it writes its results.
    wait_until("the next sweep", || {
        std::fs::metadata(&results).and_then(|found| found.modified()).is_ok_and(|at| at != written)
    });
    signal(&child, "TERM");
    let output = succeeded(child.wait_with_output().unwrap());
    assert!(stderr(&output).contains("Stopped with 0 of 4"), "{}", stderr(&output));
    assert!(stderr(&output).contains("`lookahead ctl RUN stop`"), "{}", stderr(&output));
    let ended =
        || matches!(records(&sandbox, LONG_RUNS[0]).pop().unwrap().event, Event::RunEnded(_));
    assert!(!ended());
    let run = format!("out/sweep/runs/{}", LONG_RUNS[0]);
    succeeded(sandbox.lookahead(&["ctl", &run, "stop"]));
    wait_until("the end of the run", ended);

    // A process that does not respond is killed on a second Ctrl-C.
    let child = start(&sandbox);
    let resumed = |record: &Record| matches!(record.event, Event::Resumed(_));
    wait_until("the run again", || records(&sandbox, LONG_RUNS[0]).iter().any(resumed));
    let trainer = children(child.id());
    assert_eq!(trainer.len(), 1);
    send("STOP", trainer[0]);
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    wait_until("its end", || !Path::new(&format!("/proc/{}", trainer[0])).exists());
}

/// The processes that a process has started.
fn children(of: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{of}/task")).unwrap();
    let lists = threads
        .filter_map(|thread| std::fs::read_to_string(thread.unwrap().path().join("children")).ok());
    let lists: Vec<String> = lists.collect();
    lists.iter().flat_map(|list| list.split_whitespace()).map(|id| id.parse().unwrap()).collect()
}

fn kill_children(of: u32) {
    let all = children(of);
    assert_eq!(all.len(), 1);
    send("KILL", all[0]);
}

fn send(signal: &str, to: u32) {
    let arguments = [format!("-{signal}"), to.to_string()];
    assert!(Command::new("kill").args(arguments).status().unwrap().success());
}

/// A watcher of a sweep sees runs that begin later.
#[test]
fn a_watcher_sees_the_runs_of_a_sweep_as_they_begin() {
    let sandbox = sandbox(&LONG.replace("1500", "100000000"));
    let child = start(&sandbox);
    wait_for_steps(&sandbox, LONG_RUNS[0]);
    let mut watcher = Terminal::start(&sandbox, SIZE, &["watch", "out/sweep"], &[]);
    watcher.wait_for("the first run", |text| text.contains("lr0.05-s0"));
    succeeded(sandbox.lookahead(&["ctl", "out/sweep/runs/lr0.05-s0", "stop"]));
    let both = |text: &str| {
        let is_there =
            |run| text.lines().any(|line| line.contains(run) && line.contains("running"));
        text.contains("0 of 4 runs finished") && is_there("lr0.05-s1")
    };
    watcher.wait_for("the second run", both);
    watcher.press("\r");
    watcher.wait_for("the charts of the latest run", |text| text.contains("TRAINING"));
    watcher.press("\x1b");
    signal(&child, "TERM");
    let output = succeeded(child.wait_with_output().unwrap());
    assert!(stderr(&output).contains("was stopped, but not by this sweep"), "{}", stderr(&output));
    watcher.wait_for("the end", |text| text.contains("2 stopped"));
    watcher.press("q");
    assert_eq!(watcher.end(), 0);
}
