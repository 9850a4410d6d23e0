//! Readers of stdout and stderr that stop reading: training never waits for them.

use std::io::{PipeReader, Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::{Killed, SMALL, Sandbox, sets, signal, train, wait_until};
use lookahead_run::event::{Event, Record, RunEnded, Status};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

const ENDLESS: [&str; 2] = ["train.max_steps=10000000", "checkpoint.every_steps=0"];

/// A full pipe, and its reading end.
fn full_pipe() -> (PipeReader, Stdio) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    for block in [&[b'\n'; 4096][..], b"\n"] {
        while writer.write(block).is_ok() {}
    }
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer.into())
}

/// Starts training with these as stdout and stderr.
fn start(sandbox: &Sandbox, more: &[&str], stdout: Stdio, stderr: Stdio) -> Killed {
    let mut command = sandbox.command(&train("run", more));
    Killed(command.stdout(stdout).stderr(stderr).spawn().unwrap())
}

/// Waits for the end of the program.
#[track_caller]
fn ended(Killed(child): &mut Killed) -> Option<i32> {
    let mut status = None;
    wait_until("the program ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap().code()
}

fn warnings(sandbox: &Sandbox) -> Vec<String> {
    let records = sandbox.records("run").into_iter();
    let messages = records.filter_map(|record| match record.event {
        Event::Warning(warning) => Some(warning.message),
        _ => None,
    });
    messages.collect()
}

#[test]
fn full_pipes_block_neither_training_nor_a_stop() {
    for by in ["TERM", "ctl", "INT"] {
        let sandbox = Sandbox::new(SMALL);
        let ((_events, stdout), (_lines, stderr)) = (full_pipe(), full_pipe());
        let more = [&["--json", "--progress-every", "0"][..], &sets(&ENDLESS)].concat();
        let mut child = start(&sandbox, &more, stdout, stderr);
        sandbox.wait_for("run", &mut child.0, |record| record.step >= 500);
        match by {
            "ctl" => {
                drop(crate::common::succeeded(sandbox.lookahead(&["ctl", "runs/run", "stop"])))
            }
            _ => signal(&child.0, by),
        }
        assert_eq!(ended(&mut child), Some(0), "{by}");
        let last = sandbox.records("run").pop().unwrap();
        let stopped = matches!(&last.event, Event::RunEnded(e) if e.status == Status::Stopped);
        assert!(stopped, "{last:?}");
        let (step, manifest) = sandbox.checkpoints("run").pop().unwrap();
        assert_eq!(manifest.unwrap().metadata.step, last.step);
        assert_eq!(step, last.step);
    }
}

/// A step takes much longer than the deadline: nothing can be saved in time, and the pipes are full.
#[test]
fn full_pipes_do_not_delay_the_deadline() {
    let sandbox = Sandbox::new(SMALL);
    let ((_events, stdout), (_lines, stderr)) = (full_pipe(), full_pipe());
    let more = sets(&[
        "model.hidden=[8192,8192,8192]",
        "data.batch_size=1200",
        "train.max_steps=100000",
        "checkpoint.every_steps=0",
        "checkpoint.deadline_seconds=1",
    ]);
    let more = [&["--json", "--progress-every", "0"][..], &more].concat();
    let mut child = start(&sandbox, &more, stdout, stderr);
    sandbox.wait_for("run", &mut child.0, |record| matches!(record.event, Event::RunStarted(_)));
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    signal(&child.0, "TERM");
    assert_eq!(ended(&mut child), Some(1));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// The process waits at its end for a slow reader.
#[test]
fn a_slow_reader_gets_every_event_in_order() {
    let sandbox = Sandbox::new(SMALL);
    let more = [&["--json", "--quiet"][..], &sets(&["train.max_steps=800"])].concat();
    let more = [&more[..], &sets(&["checkpoint.keep=1", "checkpoint.every_steps=0"])].concat();
    let mut child = start(&sandbox, &more, Stdio::piped(), Stdio::inherit());
    let mut stdout = child.0.stdout.take().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let mut text = Vec::new();
    let mut block = [0; 4096];
    loop {
        let count = stdout.read(&mut block).unwrap();
        if count == 0 {
            break;
        }
        text.extend_from_slice(&block[..count]);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(ended(&mut child), Some(0));
    let log = std::fs::read(sandbox.run_folder("run").join("events.jsonl")).unwrap();
    assert!(log.len() > 200_000 && text == log, "{} of {}", text.len(), log.len());
}

/// Dropped events are counted, in the stream and in the log, and the end of the run is not among them.
#[test]
fn a_reader_that_returns_at_the_end_learns_how_many_events_are_missing() {
    let sandbox = Sandbox::new(SMALL);
    // Short steps, so that the buffer is soon full.
    let fast = sets(&["data.batch_size=10", "model.hidden=[1]", "lookahead.k=1"]);
    let more = [&["--json", "--quiet"][..], &fast, &sets(&ENDLESS)].concat();
    let mut child = start(&sandbox, &more, Stdio::piped(), Stdio::inherit());
    let dropping = |record: &Record| matches!(&record.event, Event::Warning(warning) if warning.message.starts_with("Standard output is not being read"));
    let log = sandbox.run_folder("run").join("events.jsonl");
    let mut tail = lookahead_run::LogTail::new(&log);
    wait_until("events are dropped", || {
        let found = tail.read(10_000).unwrap();
        found.iter().any(|item| match item {
            lookahead_run::LogItem::Record(record) => dropping(record),
            _ => false,
        })
    });
    signal(&child.0, "TERM");
    // Parsed afterwards: a slow reader would miss events again.
    let mut stdout = child.0.stdout.take().unwrap();
    let read = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        text
    });
    assert_eq!(ended(&mut child), Some(0));
    let text = read.join().unwrap();
    let events: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let message = |event: &serde_json::Value| event["message"].as_str().unwrap_or("").to_owned();
    let counts = |messages: &[String], words: &str| -> Vec<usize> {
        let counting = messages.iter().filter(|message| message.contains(words));
        counting.map(|message| message.split(' ').next().unwrap().parse().unwrap()).collect()
    };
    let messages: Vec<String> = events.iter().map(message).collect();
    let gaps = counts(&messages, "events are missing here");
    let missing: usize = gaps.iter().sum();
    assert!(missing > 0);
    assert_eq!(events.len() - gaps.len() + missing, sandbox.records("run").len());
    let end = serde_json::from_value::<RunEnded>(events.last().unwrap().clone()).unwrap();
    assert_eq!(end.status, Status::Stopped);
    let words = "events were dropped, because standard output was not being read.";
    let counted: usize = counts(&warnings(&sandbox), words).iter().sum();
    assert_eq!(counted, missing, "{:?}", warnings(&sandbox));
}

/// Like `--json > FILE` on a full disk: missing output is reported, and the run is saved.
#[test]
fn a_full_output_file_is_reported() {
    let sandbox = Sandbox::new(SMALL);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut child = start(&sandbox, &["--json", "--quiet"], full.into(), Stdio::piped());
    assert_eq!(ended(&mut child), Some(0));
    let mut said = String::new();
    child.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("Standard output can't be written for now (No space left"), "{said}");
    assert!(said.contains("The last events on standard output were not read"), "{said}");
    assert_eq!(sandbox.losses("run").len(), 14);
}
