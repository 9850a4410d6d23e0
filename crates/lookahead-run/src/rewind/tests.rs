use super::*;
use std::cell::Cell;
use std::fs;
use std::panic::catch_unwind;

use tempfile::tempdir;

use crate::event::{Event, Record, Warning};
use crate::log::{self, EventLog};
use crate::testing::{append_all, names_in, resumed, step};

/// All lines in the log and in `abandoned/`, in any order.
fn all_lines(run: &Path) -> Vec<String> {
    let abandoned = fs::read_dir(run.join("abandoned")).into_iter().flatten();
    let files = abandoned.map(|entry| entry.unwrap().path()).chain([run.join("events.jsonl")]);
    let texts: Vec<_> = files.map(|path| fs::read_to_string(path).unwrap()).collect();
    let mut lines: Vec<_> = texts.iter().flat_map(|text| text.lines().map(str::to_owned)).collect();
    lines.sort();
    lines
}

fn late(step: u64) -> Record {
    let message = "it took long".to_owned();
    Record { time: 0.5, step, event: Event::Warning(Warning { message }) }
}

#[test]
fn later_events_and_nothing_else_move_to_abandoned() {
    let run = tempdir().unwrap();
    let path = run.path().join("events.jsonl");
    // With an abandoned timeline of an earlier version, and a late event of an earlier step.
    append_all(&path, &[step(1, 0.5), step(2, 0.5), resumed(1), step(2, 0.25), step(3, 0.25)]);
    append_all(&path, &[late(2), step(4, 0.25)]);
    let before = all_lines(run.path());
    let mut log = EventLog::open(&path).unwrap();
    log.buffer(&step(5, 0.25)).unwrap();
    let abandoned = log.rewind_to(2).unwrap().unwrap();
    assert_eq!(abandoned, run.path().join("abandoned/events-1.jsonl"));
    let expected = [step(2, 0.5), step(3, 0.25), step(4, 0.25), step(5, 0.25)];
    assert_eq!(log::read(&abandoned).unwrap(), expected);
    let kept = [step(1, 0.5), resumed(1), step(2, 0.25), late(2)];
    assert_eq!(log::read(&path).unwrap(), kept);
    assert_eq!(all_lines(run.path()).len(), before.len() + 1);

    assert_eq!(log.rewind_to(2).unwrap(), None, "there is nothing left to move");
    let syncer = log.syncer();
    log.append(&step(3, 0.125)).unwrap();
    syncer.sync().unwrap();
    assert_eq!(log::read(&path).unwrap().pop(), Some(step(3, 0.125)));
    let second = log.rewind_to(0).unwrap().unwrap();
    assert_eq!(second, run.path().join("abandoned/events-2.jsonl"));
    assert_eq!(names_in(run.path()), ["abandoned", "events.jsonl"]);
    assert_eq!(log::read(&path).unwrap(), []);
}

#[test]
fn a_damaged_line_is_moved_with_the_one_before_it_and_a_torn_one_is_cut_off() {
    let run = tempdir().unwrap();
    let path = run.path().join("events.jsonl");
    let line = |record: &Record| serde_json::to_string(record).unwrap() + "\n";
    let long = "x".repeat(2 * log::LARGEST_LINE) + "\n";
    let (one, two) = (line(&step(1, 0.5)), line(&step(2, 0.5)));
    fs::write(&path, [&one, "bad\n", &two, &long, &two, "{\"ti"].concat()).unwrap();
    let abandoned = EventLog::open(&path).unwrap().rewind_to(1).unwrap().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), one + "bad\n");
    assert!(fs::read_to_string(abandoned).unwrap() == [&two[..], &long, &two].concat());
}

#[test]
fn a_file_named_abandoned_leaves_the_log_unchanged() {
    let run = tempdir().unwrap();
    let path = run.path().join("events.jsonl");
    append_all(&path, &[step(1, 0.5), step(2, 0.5)]);
    fs::write(run.path().join("abandoned"), "mine").unwrap();
    let mut log = EventLog::open(&path).unwrap();
    let error = log.rewind_to(1).unwrap_err().to_string();
    assert!(error.contains("abandoned"), "{error}");
    assert_eq!(names_in(run.path()), ["abandoned", "events.jsonl"]);
    log.append(&step(3, 0.5)).unwrap();
    assert_eq!(log::read(&path).unwrap(), [step(1, 0.5), step(2, 0.5), step(3, 0.5)]);
}

thread_local! {
    /// Calls that change the disk until this thread panics, which leaves the disk as a kill would.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Rewinds the log, and panics after the `at`-th call that changes the disk; returns whether it did.
fn killed_after(at: usize, path: &Path, to: u64) -> bool {
    LEFT.set(at);
    let killed = catch_unwind(|| EventLog::open(path).unwrap().rewind_to(to).unwrap()).is_err();
    LEFT.set(usize::MAX);
    killed
}

#[test]
fn killed_after_each_call_it_loses_no_line_and_keeps_each_once() {
    let _ = crate::faults::after_each_call(Box::new(|call| {
        let left = LEFT.get().saturating_sub(1);
        LEFT.set(if LEFT.get() == usize::MAX { usize::MAX } else { left });
        assert!(left > 0, "killed after {call}");
    }));
    let records = [step(1, 0.5), step(2, 0.5), late(1), step(3, 0.5)];
    let mut kills = 0;
    // Killed in the first attempt, in the second, which goes back further, and not in the third.
    for first in 1.. {
        for second in 1.. {
            let run = tempdir().unwrap();
            let path = run.path().join("events.jsonl");
            append_all(&path, &records);
            let lines = all_lines(run.path());
            let was_killed = killed_after(first, &path, 2);
            for line in &lines {
                assert!(all_lines(run.path()).contains(line), "{first}: {line} is lost");
            }
            let again = was_killed && killed_after(second, &path, 1);
            for line in &lines {
                assert!(all_lines(run.path()).contains(line), "{first}, {second}: {line} is lost");
            }
            EventLog::open(&path).unwrap().rewind_to(1).unwrap();
            assert_eq!(all_lines(run.path()), lines, "killed after {first} and {second} calls");
            assert_eq!(log::read(&path).unwrap(), [step(1, 0.5), late(1)]);
            assert_eq!(names_in(run.path()), ["abandoned", "events.jsonl"]);
            let hidden = names_in(&run.path().join("abandoned"));
            assert!(hidden.iter().all(|name| !name.starts_with('.')), "{hidden:?}");
            if !was_killed {
                assert!(kills > 100, "{kills} kills");
                return;
            }
            kills += 1;
            if !again {
                break;
            }
        }
    }
}
