use super::*;
use crate::event::Event;
use crate::event::{Probe, Warning};
use crate::testing::{append_all, info, log_path, resumed, step};
use std::io::Write;

use proptest::prelude::*;
use tempfile::tempdir;

fn steps(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.step).collect()
}

#[test]
fn appended_events_are_read_back_one_object_a_line() {
    let (_temp, path) = log_path();
    let start = Record { time: 0.25, step: 0, event: Event::RunStarted(info()) };
    let warning = Event::Warning(Warning { message: "two\nlines".into() });
    let records = [start, step(1, 0.5), Record { time: 2.0, step: 1, event: warning }];
    append_all(&path, &records[..1]);
    append_all(&path, &records[1..]);
    assert_eq!(read(&path).unwrap(), records);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 3);
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(["event", "step", "time"].iter().all(|key| line.get(key).is_some()));
    }
}

#[test]
fn a_log_torn_at_any_byte_keeps_its_earlier_lines_and_takes_new_ones() {
    let (_temp, path) = log_path();
    append_all(&path, &[step(1, 0.5), step(2, 0.25)]);
    let two = fs::metadata(&path).unwrap().len() as usize;
    append_all(&path, &[resumed(2)]);
    let whole = fs::read(&path).unwrap();
    for cut in two..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(read(&path).unwrap(), [step(1, 0.5), step(2, 0.25)], "cut at {cut}");
        append_all(&path, &[step(3, 0.125)]);
        let expected = [step(1, 0.5), step(2, 0.25), step(3, 0.125)];
        assert_eq!(read(&path).unwrap(), expected, "cut at {cut}, then appended");
    }
}

#[test]
fn a_last_line_that_is_not_json_is_torn_even_with_its_newline() {
    let (_temp, path) = log_path();
    for tail in ["\0\0\0\0\n", "{\"time\":\"\0\0\n", "\n", "}\n", "{\"time\":1}{\n{\"ti"] {
        let _ = fs::remove_file(&path);
        append_all(&path, &[step(1, 0.5)]);
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(tail.as_bytes()).unwrap();
        assert_eq!(read(&path).unwrap(), [step(1, 0.5)], "{tail:?}");
        append_all(&path, &[step(2, 0.5)]);
        assert_eq!(steps(&read(&path).unwrap()), [1, 2], "{tail:?}, then appended");
    }
}

#[test]
fn a_bad_line_before_the_last_is_an_error_with_its_number() {
    let (_temp, path) = log_path();
    let good = serde_json::to_string(&step(1, 0.5)).unwrap();
    for bad in ["", "{\"time\":1.0,\"st", r#"{"time":1.0,"step":2,"event":"step"}"#, "7"] {
        fs::write(&path, format!("{good}\n{bad}\n{good}\n")).unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, Error::LogLine { line: 2, .. }), "{error}");
        let start = format!("Line 2 of `{}` is not an event", path.display());
        assert!(error.to_string().starts_with(&start), "{error}");
    }
}

#[test]
fn a_line_that_is_too_long_is_not_kept() {
    let (_temp, path) = log_path();
    append_all(&path, &[step(1, 0.5)]);
    let one = fs::read(&path).unwrap();
    let long = [b"[".repeat(2 * LARGEST_LINE), b"\n".to_vec()].concat();
    fs::write(&path, [&one[..], &long, &one].concat()).unwrap();
    let error = read(&path).unwrap_err();
    assert!(matches!(error, Error::LogLine { line: 2, .. }), "{error}");
    assert!(error.to_string().contains("more than 4194304 bytes"), "{error}");
    // At the end it is torn, with or without its line feed.
    for end in [&long[..], &long[..long.len() - 1]] {
        fs::write(&path, [&one[..], end].concat()).unwrap();
        assert_eq!(read(&path).unwrap(), [step(1, 0.5)]);
        append_all(&path, &[step(2, 0.5)]);
        assert_eq!(steps(&read(&path).unwrap()), [1, 2]);
    }
    // One of the largest size is read.
    let mut event = step(1, 0.5);
    let Event::Step(_) = event.event else { panic!() };
    let room = LARGEST_LINE - serde_json::to_string(&warning("")).unwrap().len() - 1;
    event = warning(&"x".repeat(room));
    append_all(&path, std::slice::from_ref(&event));
    // One more byte could not be read again, so it is not written.
    let error = EventLog::open(&path).unwrap().append(&warning(&"x".repeat(room + 1)));
    let error = error.unwrap_err();
    assert!(matches!(error, Error::EventTooLarge { found: 4_194_305, .. }), "{error}");
    assert_eq!(read(&path).unwrap().pop(), Some(event));
}

#[test]
fn bad_lines_are_an_error_in_the_middle_and_torn_at_the_end_unless_they_are_json() {
    let (_temp, path) = log_path();
    let one = serde_json::to_vec(&step(1, 0.5)).unwrap();
    let deep = [b"[".repeat(10_000), b"]".repeat(10_000)].concat();
    let inside =
        |value: &[u8]| [br#"{"time":1.0,"step":2,"event":"moon","x":"#, value, b"}"].concat();
    let huge = "9".repeat(100_000);
    // Each with whether it is JSON, which can't be torn.
    let lines: [(Vec<u8>, bool); 11] = [
        (vec![0; 5000], false),
        (b"\xff\xfe\x80".to_vec(), false),
        (br#"{"time":1.0,"step":2,"event":"pau\xed\xa0\x80sed"}"#.to_vec(), false),
        (b"[".repeat(10_000), false),
        (deep.clone(), true),
        (inside(&deep), true),
        (br#"{"time":1e999,"step":2,"event":"paused"}"#.to_vec(), true),
        (br#"{"time":1.0,"step":1e999,"event":"paused"}"#.to_vec(), true),
        (br#"{"time":1.0,"step":-1,"event":"paused"}"#.to_vec(), true),
        (format!(r#"{{"time":1.0,"step":{huge},"event":"paused"}}"#).into(), true),
        (br#"[1.0,2,"paused"]"#.to_vec(), true),
    ];
    for (line, is_json) in lines {
        let start = String::from_utf8_lossy(&line[..line.len().min(60)]).into_owned();
        fs::write(&path, [&one[..], b"\n", &line, b"\n", &one, b"\n"].concat()).unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, Error::LogLine { line: 2, .. }), "{start}: {error}");
        fs::write(&path, [&one[..], b"\n", &line, b"\n"].concat()).unwrap();
        assert_eq!(read(&path).is_err(), is_json, "{start}");
        append_all(&path, &[]);
        let length = fs::metadata(&path).unwrap().len() as usize;
        let torn = if is_json { 0 } else { line.len() + 1 };
        assert_eq!(length, one.len() + 1 + line.len() + 1 - torn, "{start}");
    }
}

#[test]
fn records_come_one_by_one_in_the_order_of_the_file_and_end_at_an_error() {
    let (_temp, path) = log_path();
    append_all(&path, &[step(1, 0.5), step(2, 0.5), resumed(1), step(2, 0.25)]);
    let found: Vec<_> = records(&path).unwrap().map(Result::unwrap).collect();
    assert_eq!(found, [step(1, 0.5), resumed(1), step(2, 0.25)]);

    let there = fs::read(&path).unwrap();
    fs::write(&path, [&there[..], b"7\n", &there].concat()).unwrap();
    let mut reader = records(&path).unwrap().skip(2);
    assert!(matches!(reader.next(), Some(Err(Error::LogLine { line: 5, .. }))));
    assert!(reader.next().is_none(), "what comes after an error is not guessed at");
}

#[test]
fn the_ends_of_a_log_are_read_without_the_rest() {
    let (_temp, path) = log_path();
    // More than fits into memory or is read in reasonable time; on disk it is a hole.
    let hole = 1 << 38;
    append_all(&path, &[step(1, 0.5)]);
    let start = fs::metadata(&path).unwrap().len();
    File::options().append(true).open(&path).unwrap().set_len(hole).unwrap();
    let line = serde_json::to_vec(&step(2, 0.5)).unwrap();
    let mut file = File::options().append(true).open(&path).unwrap();
    file.write_all(&[b"\n", &line[..], b"\n{\"time\":1.0,\"st"].concat()).unwrap();
    append_all(&path, &[step(3, 0.5)]);
    assert_eq!(fs::metadata(&path).unwrap().len(), hole + 2 + 2 * start - 1);
    assert_eq!(first(&path).unwrap(), Some(step(1, 0.5)));
}

#[test]
fn another_thread_can_sync_while_events_are_appended() {
    let (_temp, path) = log_path();
    let mut log = EventLog::open(&path).unwrap();
    let syncer = log.syncer();
    let same = |file: &File| {
        let found = file.metadata().unwrap();
        (found.dev(), found.ino())
    };
    assert_eq!(same(&syncer.file.lock().unwrap()), same(&log.file));
    let syncing = std::thread::spawn(move || (0..10).try_for_each(|_| syncer.sync()));
    (1..=50).for_each(|i| log.append(&step(i, 0.5)).unwrap());
    syncing.join().unwrap().unwrap();
    assert_eq!(steps(&read(&path).unwrap()), (1..=50).collect::<Vec<_>>());

    // An error of the disk is reported: a pipe can't be synced.
    let (_reader, writer) = std::io::pipe().unwrap();
    let pipe = File::from(std::os::fd::OwnedFd::from(writer));
    let syncer = LogSyncer::new(&pipe, &path).unwrap();
    let error = syncer.sync().unwrap_err();
    assert!(error.to_string().starts_with("Could not sync `"), "{error}");
}

fn warning(message: &str) -> Record {
    let event = Event::Warning(Warning { message: message.to_owned() });
    Record { time: 0.5, step: 3, event }
}

#[test]
fn events_appended_while_reading_are_left_out() {
    let (_temp, path) = log_path();
    append_all(&path, &[step(1, 0.5), step(2, 0.5)]);
    let reading = records(&path).unwrap();
    append_all(&path, &[resumed(1), step(2, 0.25)]);
    assert_eq!(reading.collect::<Result<Vec<_>>>().unwrap(), [step(1, 0.5), step(2, 0.5)]);
}

#[test]
fn a_folder_or_a_pipe_is_not_a_log() {
    let (temp, path) = log_path();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    for path in [temp.path(), &path] {
        let errors = [read(path).unwrap_err(), EventLog::open(path).unwrap_err()];
        for error in errors {
            assert!(error.to_string().contains("not a plain file"), "{error}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// However often a run was resumed, and from which step.
    #[test]
    fn one_timeline(runs in prop::collection::vec((0u64..12, 0u64..6), 1..8)) {
        let (_temp, path) = log_path();
        let mut all: Vec<Record> = Vec::new();
        let mut expected: Vec<Record> = Vec::new();
        for (from, taken) in runs {
            all.push(resumed(from));
            expected.retain(|earlier| earlier.step <= from);
            expected.push(resumed(from));
            let steps = (from + 1..=from + taken).map(|i| step(i, 0.5));
            all.extend(steps.clone());
            expected.extend(steps);
            // Contains the word by which `resumed` events are found.
            all.push(Record { step: from + taken, ..warning("\"resumed\"") });
            expected.push(all[all.len() - 1].clone());
        }
        append_all(&path, &all);
        prop_assert_eq!(records(&path).unwrap().collect::<Result<Vec<_>>>().unwrap(), expected);
    }

    /// Reading any log is safe, and what can be read can still be read after something is appended, whether
    /// the end was torn or not.
    #[test]
    fn a_log_of_any_bytes(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        tail in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'{'), any::<u8>()], 0..40),
    ) {
        let (_temp, path) = log_path();
        append_all(&path, &[step(1, f64::NAN), resumed(1), warning("\u{0}"), step(2, 1e-300)]);
        let mut bytes = fs::read(&path).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() - cut.index(bytes.len()).min(300));
        bytes.extend(tail);
        fs::write(&path, &bytes).unwrap();
        if let Ok(before) = read(&path) {
            append_all(&path, &[step(7, 0.5)]);
            let after = read(&path).unwrap();
            prop_assert_eq!(format!("{:?}", &after[..before.len()]), format!("{before:?}"));
            prop_assert_eq!(steps(&after[before.len()..]), [7]);
        }
    }
}

#[test]
fn json_that_is_not_an_event_is_an_error_even_at_the_end() {
    let (_temp, path) = log_path();
    let line = "{\"time\":1.0,\"step\":2,\"event\":\"step\"}\n";
    fs::write(&path, line).unwrap();
    assert!(matches!(read(&path), Err(Error::LogLine { line: 1, .. })));
    EventLog::open(&path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), line);
}

#[test]
fn a_missing_log_is_named_and_an_empty_one_is_empty() {
    let (_temp, path) = log_path();
    let error = read(&path).unwrap_err();
    assert!(matches!(error, Error::LogMissing { .. }), "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    EventLog::open(&path).unwrap();
    assert_eq!(read(&path).unwrap(), []);
}

#[test]
fn a_log_that_cannot_be_written_is_named() {
    let temp = tempdir().unwrap();
    let path = temp.path().join("missing/events.jsonl");
    let error = EventLog::open(&path).unwrap_err();
    assert!(error.to_string().contains("missing/events.jsonl"), "{error}");
}

#[test]
fn the_rest_of_a_failed_append_is_cut_off_before_the_next() {
    let (_temp, path) = log_path();
    let mut log = EventLog::open(&path).unwrap();
    log.append(&step(1, 0.5)).unwrap();
    let writable = std::mem::replace(&mut log.file, File::open(&path).unwrap());
    let error = log.append(&step(2, 0.5)).unwrap_err();
    assert!(error.to_string().contains("Could not append to"), "{error}");
    // The part of a line that a full disk took.
    log.file = writable;
    log.file.write_all(b"{\"time\":2.0,\"st").unwrap();
    log.append(&step(3, 0.5)).unwrap();
    log.append(&step(4, 0.5)).unwrap();
    assert_eq!(steps(&read(&path).unwrap()), [1, 3, 4]);
}

#[test]
fn an_event_that_is_too_large_to_buffer_leaves_nothing() {
    let (_temp, path) = log_path();
    let mut log = EventLog::open(&path).unwrap();
    log.buffer(&step(1, 0.5)).unwrap();
    let error = log.buffer(&warning(&"x".repeat(LARGEST_LINE))).unwrap_err();
    assert!(matches!(error, Error::EventTooLarge { .. }), "{error}");
    assert_eq!(log.buffered(), 1);
    log.append(&step(2, 0.5)).unwrap();
    assert_eq!((log.buffered(), steps(&read(&path).unwrap())), (0, vec![1, 2]));
}

#[test]
fn resuming_drops_what_came_after_the_checkpoint() {
    let (_temp, path) = log_path();
    let first: Vec<_> = (1..=5).map(|i| step(i, 0.5)).collect();
    append_all(&path, &first);
    append_all(&path, &[resumed(3), step(4, 0.25), step(5, 0.25), step(6, 0.25)]);
    let records = read(&path).unwrap();
    assert_eq!(steps(&records), [1, 2, 3, 3, 4, 5, 6]);
    assert_eq!(records[2], step(3, 0.5), "the checkpoint's own step happened");
    assert_eq!(records[3], resumed(3));
    assert_eq!(records[4], step(4, 0.25));
}

#[test]
fn resuming_twice_drops_from_both_timelines() {
    let (_temp, path) = log_path();
    append_all(&path, &(1..=4).map(|i| step(i, 0.5)).collect::<Vec<_>>());
    append_all(&path, &[resumed(2), step(3, 0.25), step(4, 0.25)]);
    append_all(&path, &[resumed(3), step(4, 0.125)]);
    let records = read(&path).unwrap();
    assert_eq!(steps(&records), [1, 2, 2, 3, 3, 4]);
    assert_eq!(records[3], step(3, 0.25));
    assert_eq!(records[5], step(4, 0.125));

    // Further back than the first resumption, which is then abandoned too.
    append_all(&path, &[resumed(1)]);
    assert_eq!(read(&path).unwrap(), [step(1, 0.5), resumed(1)]);
}

#[test]
fn numbers_come_back_to_the_bit() {
    let (_temp, path) = log_path();
    let values = crate::testing::tricky_numbers();
    let probe = |fast_loss| {
        let event = Probe { sync: 1, fast_loss, slow_loss: -fast_loss, seconds: 0.0 };
        Record { time: 0.1 + 0.2, step: u64::MAX, event: Event::Probe(event) }
    };
    append_all(&path, &values.iter().map(|value| probe(*value)).collect::<Vec<_>>());
    for (value, record) in values.iter().zip(read(&path).unwrap()) {
        let Event::Probe(found) = record.event else { panic!("{record:?}") };
        assert_eq!(record.step, u64::MAX);
        assert_eq!(record.time.to_bits(), (0.1 + 0.2_f64).to_bits());
        if value.is_nan() {
            assert!(found.fast_loss.is_nan() && found.slow_loss.is_nan());
        } else {
            assert_eq!(found.fast_loss.to_bits(), value.to_bits(), "{value:e}");
            assert_eq!(found.slow_loss.to_bits(), (-value).to_bits(), "-{value:e}");
        }
    }
}

#[test]
fn unknown_events_and_fields_are_ignored() {
    let (_temp, path) = log_path();
    let lines = concat!(
        r#"{"event":"moon_phase","step":1,"time":1.0,"full":true,"craters":[{"a":null}]}"#,
        "\n",
        r#"{"event":"sync","step":5,"time":2.0,"sync":1,"alpha":0.5,"mood":{"good":[1,2]}}"#,
        "\n",
        r#"{"event":"paused","step":5,"time":3.0,"by":"me"}"#,
        "\n",
    );
    fs::write(&path, lines).unwrap();
    let events: Vec<_> = read(&path).unwrap().into_iter().map(|record| record.event).collect();
    let sync = Event::Sync(crate::event::Sync {
        sync: 1,
        alpha: 0.5,
        distance: None,
        gradient_norm: None,
        last: false,
    });
    assert_eq!(events, [Event::Unknown, sync, Event::Paused]);
}

#[test]
fn the_last_bytes_hold_the_last_events_on_their_timeline() {
    let (_temp, path) = log_path();
    append_all(&path, &(1..=100).map(|number| step(number, 0.5)).collect::<Vec<_>>());
    let length = fs::metadata(&path).unwrap().len();
    let found = |most| steps(&last(&path, most).unwrap().collect::<Result<Vec<_>>>().unwrap());
    assert_eq!(found(u64::MAX), (1..=100).collect::<Vec<_>>());
    assert_eq!(found(length), found(u64::MAX));
    let some = found(length / 2);
    assert!((40..=50).contains(&some.len()) && some.last() == Some(&100), "{some:?}");
    // Less than a line.
    assert!(found(10).is_empty());
    // As earlier versions went back.
    append_all(&path, &[resumed(98), step(99, 0.25)]);
    let most = fs::metadata(&path).unwrap().len() - length / 2;
    assert_eq!(found(most)[found(most).len() - 3..], [98, 98, 99]);
}
