use super::*;
use std::io::Write;

use crate::lines::BLOCK;
use crate::log::{self, EventLog, LARGEST_LINE};
use crate::testing::{append_all, log_path, resumed, step};
use proptest::prelude::*;

fn append_bytes(path: &Path, bytes: &[u8]) {
    let mut file = File::options().create(true).append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

fn line(record: &Record) -> Vec<u8> {
    [&serde_json::to_vec(record).unwrap()[..], b"\n"].concat()
}

/// All new items, by calls of `limit` items.
fn all(tail: &mut LogTail, limit: usize) -> Vec<LogItem> {
    let calls = std::iter::repeat_with(|| tail.read(limit).unwrap());
    let calls = calls.inspect(|items| assert!(items.len() <= limit));
    calls.take_while(|items| !items.is_empty()).flatten().collect()
}

#[test]
fn a_tail_from_the_end_has_only_what_is_new() {
    let (_temp, path) = log_path();
    // A log that does not exist yet is all new.
    let mut early = LogTail::from_end(&path).unwrap();
    append_all(&path, &[step(1, 0.5)]);
    assert_eq!(words(&mut early), "1");
    let mut tail = LogTail::from_end(&path).unwrap();
    assert_eq!(words(&mut tail), "");
    append_all(&path, &[step(2, 0.5)]);
    assert_eq!(words(&mut tail), "2");
    // In a log with more than the bytes by which it is recognized, and within a line.
    append_all(&path, &(3..200).map(|i| step(i, 0.5)).collect::<Vec<_>>());
    let whole = line(&step(200, 0.5));
    append_bytes(&path, &whole[..9]);
    let mut tail = LogTail::from_end(&path).unwrap();
    append_bytes(&path, &whole[9..]);
    append_all(&path, &[step(201, 0.5)]);
    let found = all(&mut tail, 1);
    assert!(matches!(found[0], LogItem::Damaged { line: 1, .. }), "{found:?}");
    assert!(matches!(&found[1..], [LogItem::Record(record)] if record.step == 201));
    append_all(&path, &[step(202, 0.5)]);
    assert_eq!(words(&mut tail), "202");
}

#[test]
fn a_resting_tail_holds_no_file_and_misses_nothing() {
    let (_temp, path) = log_path();
    let mut tail = LogTail::new(&path);
    let rest = |tail: &mut LogTail| {
        tail.rest();
        let lines = &tail.source.as_ref().unwrap().lines;
        assert!(lines.is_closed() && lines.memory() == 0);
    };
    append_all(&path, &[step(1, 0.5)]);
    assert_eq!(tail.read(1).unwrap().len(), 1);
    tail.rest();
    assert!(!tail.source.as_ref().unwrap().lines.is_closed(), "it has not seen the end");
    assert_eq!(words(&mut tail), "");
    rest(&mut tail);
    assert_eq!(words(&mut tail), "");
    // Another line, a part of a line, and its rest.
    append_all(&path, &[step(2, 0.5)]);
    assert_eq!(words(&mut tail), "2");
    let whole = line(&step(3, 0.5));
    append_bytes(&path, &whole[..9]);
    assert_eq!(words(&mut tail), "");
    rest(&mut tail);
    append_bytes(&path, &whole[9..]);
    assert_eq!(words(&mut tail), "3");
    rest(&mut tail);
    // Another log, which may have the inode of the first.
    fs::remove_file(&path).unwrap();
    assert_eq!(words(&mut tail), "");
    append_all(&path, &[step(7, 0.5), step(8, 0.5), step(9, 0.5), step(10, 0.5)]);
    assert_eq!(words(&mut tail), "restarted, 7, 8, 9, 10");
    rest(&mut tail);
    fs::write(&path, "").unwrap();
    assert_eq!(words(&mut tail), "restarted");
}

/// All new items, each as a word: the step of a record, `restarted`, or `damaged` and the number of the
/// line.
fn words(tail: &mut LogTail) -> String {
    let words = all(tail, 1000).into_iter().map(|item| match item {
        LogItem::Record(record) => record.step.to_string(),
        LogItem::Restarted => "restarted".to_owned(),
        LogItem::Damaged { line, .. } => format!("damaged {line}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

#[test]
fn appended_events_are_returned_once() {
    let (_temp, path) = log_path();
    let mut tail = LogTail::new(&path);
    assert_eq!(tail.read(1000).unwrap(), [], "a run that is just beginning has no log");
    assert_eq!(tail.progress(), (0, 0));
    let batches =
        [vec![step(1, 0.5), step(2, f64::INFINITY)], vec![resumed(2)], vec![step(3, 0.25)]];
    for batch in &batches {
        append_all(&path, batch);
        let items = all(&mut tail, 1);
        let expected: Vec<_> = batch.iter().cloned().map(LogItem::Record).collect();
        assert_eq!(items, expected);
        let bytes = fs::read(&path).unwrap();
        assert_eq!(tail.progress(), (bytes.len() as u64, bytes.len() as u64));
    }
}

#[test]
fn a_call_returns_at_most_its_limit() {
    let (_temp, path) = log_path();
    // Several blocks.
    let records: Vec<_> = (1..=5000).map(|i| step(i, 0.5)).collect();
    let bytes = records.iter().flat_map(line).collect::<Vec<_>>();
    assert!(bytes.len() > 2 * BLOCK);
    fs::write(&path, &bytes).unwrap();
    let mut tail = LogTail::new(&path);
    assert_eq!(tail.read(0).unwrap(), []);
    let mut found = Vec::new();
    for expected in [1, 7, 1000, 3992, 0] {
        let items = tail.read(expected.max(1)).unwrap();
        assert_eq!(items.len(), expected);
        found.extend(items);
        let (read, there) = tail.progress();
        assert_eq!(there, bytes.len() as u64);
        let handed_out = records[..found.len()].iter().map(|record| line(record).len());
        assert_eq!(read, handed_out.sum::<usize>() as u64);
        // A change of the log does not lose what was read already.
        let ending = File::options().append(true).open(&path).unwrap();
        ending.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    }
    let records_of = |items: Vec<LogItem>| -> Vec<Record> {
        let record = |item| match item {
            LogItem::Record(record) => record,
            other => panic!("{other:?}"),
        };
        items.into_iter().map(record).collect()
    };
    assert_eq!(records_of(found), records);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// In whatever parts a log's bytes come, the items after the last restart are the log's.
    #[test]
    fn bytes_in_parts_of_any_size(
        parts in prop::collection::vec(0usize..200, 0..30),
        limit in 1usize..5,
    ) {
        let (_temp, path) = log_path();
        let records =
            [step(1, 0.5), step(2, 5e-324), resumed(1), step(2, 0.25), step(3, f64::INFINITY)];
        let bytes = records.iter().flat_map(line).collect::<Vec<_>>();
        let mut tail = LogTail::new(&path);
        let mut found = Vec::new();
        let mut rest = &bytes[..];
        for part in parts {
            let (now, later) = rest.split_at(part.min(rest.len()));
            append_bytes(&path, now);
            rest = later;
            found.extend(all(&mut tail, limit));
        }
        append_bytes(&path, rest);
        found.extend(all(&mut tail, limit));
        let begin = found.iter().rposition(|item| *item == LogItem::Restarted);
        let found = &found[begin.expect("the log goes back") + 1..];
        let expected = log::read(&path).unwrap().into_iter().map(LogItem::Record);
        prop_assert_eq!(found, expected.collect::<Vec<_>>());
    }

    /// Any bytes give as many items as they have line feeds.
    #[test]
    fn a_log_of_any_bytes(
        lines in prop::collection::vec(
            prop::collection::vec(prop_oneof![Just(b'{'), Just(b'}'), any::<u8>()], 0..20),
            0..20,
        ),
    ) {
        let (_temp, path) = log_path();
        let bytes = lines.join(&b'\n');
        fs::write(&path, &bytes).unwrap();
        let items = all(&mut LogTail::new(&path), 3);
        let feeds = bytes.iter().filter(|byte| **byte == b'\n').count();
        prop_assert_eq!(items.len(), feeds);
        let damaged = |item: &LogItem| matches!(item, LogItem::Damaged { .. });
        prop_assert!(items.iter().all(damaged));
    }
}

#[test]
fn a_torn_line_is_read_once_it_is_whole_or_replaced() {
    let (_temp, path) = log_path();
    append_all(&path, &[step(1, 0.5)]);
    let mut tail = LogTail::new(&path);
    assert_eq!(words(&mut tail), "1");
    let two = line(&step(2, 0.5));
    append_bytes(&path, &two[..20]);
    assert_eq!(words(&mut tail), "");
    append_bytes(&path, &two[20..two.len() - 1]);
    assert_eq!(words(&mut tail), "", "all but the line feed is not a line either");
    append_bytes(&path, b"\n");
    assert_eq!(words(&mut tail), "2");

    // A resumed run cuts it off, and its own line may be longer by the next call.
    append_bytes(&path, &two[..20]);
    assert_eq!(words(&mut tail), "");
    append_all(&path, &[resumed(2), step(3, 0.5)]);
    assert_eq!(words(&mut tail), "2, 3");
    append_bytes(&path, &two[..20]);
    assert_eq!(words(&mut tail), "");
    EventLog::open(&path).unwrap();
    assert_eq!(words(&mut tail), "");
    append_all(&path, &[step(4, 0.5)]);
    assert_eq!(words(&mut tail), "4");
}

#[test]
fn a_line_that_is_not_an_event_is_skipped_with_its_number() {
    let (_temp, path) = log_path();
    for bad in ["", "7", "{\"time\":1.0,\"st", "\0\0\0", "[1.0,2,\"paused\"]"] {
        let _ = fs::remove_file(&path);
        append_all(&path, &[step(1, 0.5)]);
        append_bytes(&path, format!("{bad}\n").as_bytes());
        append_bytes(&path, &line(&step(2, 0.5)));
        let items = all(&mut LogTail::new(&path), 2);
        let LogItem::Damaged { line: 2, cause } = &items[1] else { panic!("{items:?}") };
        assert!(!cause.is_empty());
        assert!(matches!(&items[2], LogItem::Record(record) if record.step == 2));
        assert_eq!(items.len(), 3);
    }
}

#[test]
fn a_line_that_is_too_long_is_skipped_and_not_kept() {
    let (_temp, path) = log_path();
    let one = line(&step(1, 0.5));
    // More than one call skips; on disk it is a hole.
    let hole = 3 * SKIPPED_AT_ONCE;
    append_bytes(&path, &one);
    append_bytes(&path, b"{");
    File::options().append(true).open(&path).unwrap().set_len(hole).unwrap();
    let mut tail = LogTail::new(&path);
    assert_eq!(tail.read(1000).unwrap().len(), 1);
    let mut calls = 0;
    while tail.progress().0 < hole {
        let before = tail.progress().0;
        assert_eq!(tail.read(1000).unwrap(), []);
        assert!(before < tail.progress().0, "each call comes further");
        calls += 1;
    }
    assert!(calls > 1, "one call skips a part");
    assert!(tail.source.as_ref().unwrap().lines.memory() <= 2 * (LARGEST_LINE + BLOCK));
    append_bytes(&path, b"}");
    assert_eq!(words(&mut tail), "", "it still has no end");
    assert!(tail.progress().0 > hole, "and is not read again");
    append_bytes(&path, &[b"\n", &line(&step(2, 0.5))[..]].concat());
    let items = all(&mut tail, 1000);
    let [LogItem::Damaged { line: 2, cause }, LogItem::Record(record)] = &items[..] else {
        panic!("{items:?}")
    };
    assert!(cause.contains("more than 4194304 bytes"), "{cause}");
    assert_eq!(record.step, 2);

    // A long line that is cut short.
    let mut tail = LogTail::new(&path);
    fs::write(&path, [&one[..], &vec![b'x'; 2 * LARGEST_LINE]].concat()).unwrap();
    assert_eq!(words(&mut tail), "1");
    let file = File::options().append(true).open(&path).unwrap();
    file.set_len(LARGEST_LINE as u64 * 3 / 2).unwrap();
    append_bytes(&path, &[b"\n", &line(&step(2, 0.5))[..]].concat());
    assert_eq!(words(&mut tail), "damaged 2, 2");

    // A long line that a resumed run cuts off, even if the log is soon as long as before.
    for more in [None, Some(hole)] {
        fs::write(&path, &one).unwrap();
        let mut tail = LogTail::new(&path);
        append_bytes(&path, b"\0");
        File::options().append(true).open(&path).unwrap().set_len(hole / 6).unwrap();
        assert_eq!(words(&mut tail), "1");
        assert!(tail.progress().0 > one.len() as u64);
        append_all(&path, &[step(2, 0.5)]);
        if let Some(length) = more {
            File::options().append(true).open(&path).unwrap().set_len(length).unwrap();
        }
        assert_eq!(words(&mut tail), "2");
    }
}

#[test]
fn a_line_of_the_largest_size_is_read_and_one_byte_more_is_not() {
    let (_temp, path) = log_path();
    for (length, expected) in [(LARGEST_LINE, "1, 2"), (LARGEST_LINE + 1, "damaged 1, 2")] {
        let mut one = line(&step(1, 0.5));
        one.splice(0..0, vec![b' '; length - one.len()]);
        fs::write(&path, [&one[..], &line(&step(2, 0.5))].concat()).unwrap();
        assert_eq!(words(&mut LogTail::new(&path)), expected);
        // In two parts.
        let mut tail = LogTail::new(&path);
        fs::write(&path, &one[..length - 1]).unwrap();
        assert_eq!(words(&mut tail), "");
        append_bytes(&path, &[b"\n", &line(&step(2, 0.5))[..]].concat());
        assert_eq!(words(&mut tail), expected);
        // Starting inside a block.
        fs::write(&path, [&line(&step(0, 0.5))[..], &one, &line(&step(2, 0.5))].concat()).unwrap();
        let expected = format!("0, {}", expected.replace("damaged 1", "damaged 2"));
        assert_eq!(words(&mut LogTail::new(&path)), expected);
    }
}

#[test]
fn a_log_that_is_cut_is_read_from_its_beginning() {
    let (_temp, path) = log_path();
    let mut tail = LogTail::new(&path);
    append_all(&path, &[step(1, 0.5), step(2, 0.5)]);
    assert_eq!(words(&mut tail), "1, 2");
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(0).unwrap();
    assert_eq!(words(&mut tail), "restarted");
    assert_eq!(words(&mut tail), "", "once");
    append_all(&path, &[step(7, 0.5)]);
    assert_eq!(words(&mut tail), "7");
    file.set_len(0).unwrap();
    append_all(&path, &[step(8, 0.5)]);
    assert_eq!(words(&mut tail), "restarted, 8");
    // Cut in its middle: the rest may not be the same.
    append_all(&path, &[step(9, 0.5)]);
    assert_eq!(words(&mut tail), "9");
    file.set_len(line(&step(8, 0.5)).len() as u64).unwrap();
    assert_eq!(words(&mut tail), "restarted, 8");
    // Cut far from its beginning.
    let there = fs::metadata(&path).unwrap().len();
    let last = 2 * BEGINNING as u64;
    append_all(&path, &(9..=last).map(|i| step(i, 0.5)).collect::<Vec<_>>());
    assert!(words(&mut tail).ends_with(&format!(", {last}")));
    file.set_len(fs::metadata(&path).unwrap().len() - there).unwrap();
    assert_eq!(tail.read(0).unwrap(), []);
    assert_eq!(tail.read(1).unwrap(), [LogItem::Restarted]);
    assert!(words(&mut tail).starts_with("8, 9, 10, "));
}

#[test]
fn a_log_rewritten_in_its_place_is_noticed() {
    let (_temp, path) = log_path();
    let mut tail = LogTail::new(&path);
    fs::write(&path, line(&step(1, 0.5))).unwrap();
    assert_eq!(words(&mut tail), "1");
    let longer = [resumed(3), step(4, 0.5)];
    fs::write(&path, longer.iter().flat_map(line).collect::<Vec<_>>()).unwrap();
    assert_eq!(words(&mut tail), "restarted, 3, 4");
    // Another log of the same length, with another time.
    let later = [Record { time: 0.75, ..resumed(3) }, step(5, 0.5)];
    let bytes: Vec<_> = later.iter().flat_map(line).collect();
    fs::write(&path, &bytes[..bytes.len()]).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(words(&mut tail), "restarted, 3, 5");
}

#[test]
fn another_log_of_the_name_is_read_instead() {
    let (temp, path) = log_path();
    let mut tail = LogTail::new(&path);
    append_all(&path, &[step(1, 0.5)]);
    assert_eq!(words(&mut tail), "1");
    let other = temp.path().join("other");
    // It begins with the same bytes, and is another log nevertheless.
    append_all(&other, &[step(1, 0.5), step(2, 0.5)]);
    fs::rename(&other, &path).unwrap();
    assert_eq!(words(&mut tail), "restarted, 1, 2");

    // A missing log may come back.
    let aside = temp.path().join("aside");
    fs::rename(&path, &aside).unwrap();
    assert_eq!(words(&mut tail), "");
    fs::rename(&aside, &path).unwrap();
    assert_eq!(words(&mut tail), "");
    append_all(&path, &[step(3, 0.5)]);
    assert_eq!(words(&mut tail), "3");
    fs::remove_file(&path).unwrap();
    assert_eq!(words(&mut tail), "");
    append_all(&path, &[]);
    assert_eq!(words(&mut tail), "restarted");
    append_all(&path, &[step(1, 0.5)]);
    assert_eq!(words(&mut tail), "1");
}

#[test]
fn a_log_from_which_nothing_was_read_does_not_restart() {
    let (_temp, path) = log_path();
    let mut tail = LogTail::new(&path);
    fs::write(&path, "{\"time\"").unwrap();
    assert_eq!(words(&mut tail), "");
    fs::remove_file(&path).unwrap();
    append_all(&path, &[step(1, 0.5)]);
    assert_eq!(words(&mut tail), "1");
}

#[test]
fn a_folder_or_a_pipe_is_an_error_and_a_log_in_its_place_is_read() {
    let (_temp, path) = log_path();
    let mut tail = LogTail::new(&path);
    append_all(&path, &[step(1, 0.5)]);
    assert_eq!(words(&mut tail), "1");
    let fifo = || {
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    };
    fs::remove_file(&path).unwrap();
    for make in [&fifo as &dyn Fn(), &|| fs::create_dir(&path).unwrap()] {
        make();
        for _ in 0..2 {
            let error = tail.read(1000).unwrap_err().to_string();
            assert!(error.contains("not a plain file"), "{error}");
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
    }
    append_all(&path, &[step(2, 0.5)]);
    assert_eq!(words(&mut tail), "restarted, 2");
}

#[test]
fn a_log_is_followed_while_it_is_written() {
    let (_temp, path) = log_path();
    let last = 20_000;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut log = EventLog::open(&path).unwrap();
            (1..=last).for_each(|i| log.append(&step(i, 0.5)).unwrap());
        });
        let mut tail = LogTail::new(&path);
        let mut next = 1;
        let started = std::time::Instant::now();
        while next <= last {
            for item in tail.read(100).unwrap() {
                let LogItem::Record(record) = item else { panic!("{item:?}") };
                assert_eq!(record.step, next);
                next += 1;
            }
            assert!(started.elapsed().as_secs() < 60, "step {next} never came");
        }
    });
}

/// A log of an earlier version: abandoned events stop counting as soon as the `resumed` event is read.
#[test]
fn a_log_that_goes_back_is_read_again_without_what_it_abandons() {
    let (_temp, path) = log_path();
    let mut tail = LogTail::new(&path);
    append_all(&path, &[step(1, 0.5), step(2, 0.5), step(3, 0.5), resumed(1)]);
    assert_eq!(words(&mut tail), "1, 2, 3, restarted, 1, 1");
    append_all(&path, &[step(2, 0.25), resumed(2), step(3, 0.25)]);
    assert_eq!(words(&mut tail), "2, 2, 3", "nothing is abandoned by going back to the last step");
    append_all(&path, &[resumed(0), step(1, 0.125), resumed(1)]);
    assert_eq!(words(&mut tail), "restarted, 0, 1, 1");
    assert_eq!(words(&mut LogTail::new(&path)), "1, 2, 3, restarted, 0, 1, 1");
}

#[test]
fn a_log_that_is_rewound_is_read_again() {
    let (_temp, path) = log_path();
    let mut tail = LogTail::new(&path);
    append_all(&path, &[step(1, 0.5), step(2, 0.5), step(3, 0.5)]);
    assert_eq!(words(&mut tail), "1, 2, 3");
    let mut log = EventLog::open(&path).unwrap();
    log.rewind_to(1).unwrap().unwrap();
    // It is longer than before by the next call.
    for record in [resumed(1), step(2, 0.25), step(3, 0.25), step(4, 0.25)] {
        log.append(&record).unwrap();
    }
    assert_eq!(words(&mut tail), "restarted, 1, 1, 2, 3, 4");
}
