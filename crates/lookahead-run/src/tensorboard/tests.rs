use std::fs;
use std::io::Write;

use tempfile::tempdir;

use super::crc32c::crc32c;
use super::*;
use crate::event::{Evaluation, Event, Note, Probe, Split, Sync, Weights};
use crate::testing::{info, resumed, step};

/// The messages of a file, each with the checksums of its record verified; a torn last record is not one.
fn messages(file: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut rest = file;
    while let Some((head, after)) = rest.split_at_checked(12) {
        let unmasked = |bytes: &[u8]| {
            let masked = u32::from_le_bytes(bytes.try_into().unwrap());
            masked.wrapping_sub(0xa282_ead8).rotate_left(15)
        };
        assert_eq!(unmasked(&head[8..]), crc32c(&head[..8]));
        let length = u64::from_le_bytes(head[..8].try_into().unwrap()) as usize;
        let Some((body, after)) = after.split_at_checked(length + 4) else { break };
        let (message, checksum) = body.split_at(length);
        assert_eq!(unmasked(checksum), crc32c(message));
        messages.push(message.to_vec());
        rest = after;
    }
    messages
}

/// The fields of a message: their numbers, and their integers or bytes.
fn fields(mut message: &[u8]) -> Vec<(u64, u64, Vec<u8>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let end = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
        let (own, rest) = bytes.split_at(end);
        *bytes = rest;
        own.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f))
    }
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let (value, length) = match key & 7 {
            0 => (varint(&mut message), 0),
            1 => (0, 8),
            5 => (0, 4),
            2 => (0, varint(&mut message) as usize),
            other => panic!("encoding {other}"),
        };
        let (bytes, rest) = message.split_at(length);
        fields.push((key >> 3, value, bytes.to_vec()));
        message = rest;
    }
    fields
}

/// The scalars of a file, in order: step, tag and value.
fn scalars(file: &[u8]) -> Vec<(u64, String, f32)> {
    let mut found = Vec::new();
    for message in messages(file) {
        let event = fields(&message);
        let step = event.iter().find(|field| field.0 == 2).unwrap().1;
        for (_, _, summary) in event.iter().filter(|field| field.0 == 5) {
            for (_, _, value) in fields(summary) {
                let value = fields(&value);
                let tag = String::from_utf8(value[0].2.clone()).unwrap();
                if let Some((_, _, bytes)) = value.iter().find(|field| field.0 == 2) {
                    let bytes = bytes.as_slice().try_into().unwrap();
                    found.push((step, tag, f32::from_le_bytes(bytes)));
                }
            }
        }
    }
    found
}

fn values_of(file: &Path, tag: &str) -> Vec<(u64, f32)> {
    let all = scalars(&fs::read(file).unwrap()).into_iter();
    all.filter(|point| point.1 == tag).map(|(step, _, value)| (step, value)).collect()
}

fn run() -> (tempfile::TempDir, RunFolder) {
    let temp = tempdir().unwrap();
    let run = RunFolder::create(temp.path(), "run").unwrap();
    run.write_config("").unwrap();
    (temp, run)
}

fn log_of(run: &RunFolder, records: &[Record]) {
    crate::testing::append_all(&run.events_path(), records);
}

fn start() -> Record {
    Record { time: 0.5, step: 0, event: Event::RunStarted(info()) }
}

#[test]
fn the_live_file_has_the_records_of_the_exported_one() {
    let (temp, run) = run();
    let records = [
        start(),
        step(1, 0.5),
        step(2, f64::NAN),
        Record {
            time: 2.5,
            step: 2,
            event: Event::Sync(Sync {
                sync: 1,
                alpha: 0.5,
                distance: Some(1.5),
                gradient_norm: None,
                last: false,
            }),
        },
        Record {
            time: 2.5,
            step: 2,
            event: Event::Probe(Probe { sync: 1, fast_loss: 0.75, slow_loss: 0.25, seconds: 0.0 }),
        },
        Record { time: 2.5, step: 1, event: Event::Note(Note { message: "late".into() }) },
        step(3, f64::INFINITY),
    ];
    log_of(&run, &records[..1]);
    let mut live = EventFile::create(&run).unwrap();
    for record in &records[1..] {
        live.add(record);
        live.write().unwrap();
    }
    live.finish().unwrap();
    log_of(&run, &records[1..]);
    let exported = export(&run, &temp.path().join("new/folder")).unwrap();
    let own = files(run.path()).unwrap();
    assert_eq!(own.len(), 1);
    assert!(fs::read(&own[0]).unwrap() == fs::read(&exported).unwrap());
    assert_eq!(values_of(&exported, "probe/loss/slow"), [(2, 0.25)]);
    assert_eq!(values_of(&exported, "lookahead/k"), [(2, 1.0)]);
    assert_eq!(values_of(&exported, "lookahead/distance"), [(2, 1.5)]);
    let losses = values_of(&exported, "train/loss");
    assert_eq!((losses[0], losses[2]), ((1, 0.5), (3, f32::INFINITY)));
    assert!(losses[1].1.is_nan() && losses.len() == 3);
    assert!(run.base().join(TEMPORARY).metadata().is_err());
}

#[test]
fn a_file_cut_at_any_byte_has_the_values_before() {
    let (temp, run) = run();
    log_of(&run, &[start(), step(1, 0.5), step(2, 0.25), step(3, 0.125)]);
    let whole = fs::read(export(&run, temp.path()).unwrap()).unwrap();
    let all = scalars(&whole);
    for cut in 0..whole.len() {
        let part = scalars(&whole[..cut]);
        assert!(all.starts_with(&part) && part.len() < all.len(), "cut at {cut}");
    }
}

/// After a resume the file is a new one: what came after the checkpoint is not in it, nor is anything twice.
#[test]
fn a_resumed_run_has_each_step_once() {
    let (_temp, run) = run();
    log_of(&run, &[start(), step(1, 0.5)]);
    let mut first = EventFile::create(&run).unwrap();
    first.add(&step(2, 0.25));
    first.add(&step(3, 0.125));
    first.finish().unwrap();
    let before = files(run.path()).unwrap();
    let linked = run.path().join("linked");
    // The log of an earlier version keeps steps that were abandoned.
    log_of(&run, &[step(2, 0.25), step(3, 0.125), resumed(2)]);
    // What a crash leaves.
    fs::write(run.path().join(TEMPORARY), "half").unwrap();
    let mut second = EventFile::create(&run).unwrap();
    second.add(&step(3, 8.0));
    second.finish().unwrap();
    let after = files(run.path()).unwrap();
    assert!(after.len() == 2 && after[0] == before[0], "{before:?}, {after:?}");
    assert!(fs::read(&after[0]).unwrap().is_empty());
    assert_eq!(values_of(&after[1], "train/loss"), [(1, 0.5), (2, 0.25), (3, 8.0)]);
    // A copy of the folder with hard links keeps its file.
    fs::hard_link(&after[1], &linked).unwrap();
    EventFile::create(&run).unwrap();
    assert!(fs::metadata(&linked).unwrap().len() > 0 && !after[1].exists());
    // A reader that has the other file open drops its values.
    let second = fields(&messages(&fs::read(&linked).unwrap())[1]);
    assert!(second.contains(&(7, 0, vec![8, 1])), "{second:?}");
}

/// φ is evaluated at the last step, and again after the final sync.
#[test]
fn of_two_values_of_a_step_the_last_one_counts() {
    let (_temp, run) = run();
    let evaluation = |time, loss| {
        let found = Evaluation { loss, ..Evaluation::new(Weights::Slow, Split::Validation) };
        Record { time, step: 1, event: Event::Evaluation(found) }
    };
    log_of(&run, &[start(), step(1, 0.5)]);
    let mut live = EventFile::create(&run).unwrap();
    live.add(&evaluation(2.0, 4.0));
    live.add(&evaluation(3.0, 3.0));
    live.finish().unwrap();
    let own = files(run.path()).unwrap();
    assert_eq!(values_of(&own[0], "validation/loss/slow"), [(1, 3.0)]);
}

#[test]
fn the_rest_of_a_failed_write_is_cut_off_before_the_next() {
    let (temp, run) = run();
    log_of(&run, &[start(), step(1, 0.5)]);
    let mut live = EventFile::create(&run).unwrap();
    (2..=3).for_each(|number| live.add(&step(number, 0.5)));
    let writable = std::mem::replace(&mut live.file, File::open(&live.path).unwrap());
    let error = live.write().unwrap_err();
    assert!(error.to_string().contains("Could not append to"), "{error}");
    // The part of a record that a full disk took.
    live.file = writable;
    live.file.write_all(&live.buffer[..40]).unwrap();
    live.add(&step(4, 0.5));
    live.write().unwrap();
    live.finish().unwrap();
    log_of(&run, &[step(2, 0.5), step(3, 0.5), step(4, 0.5)]);
    let whole = export(&run, temp.path()).unwrap();
    assert!(fs::read(&live.path).unwrap() == fs::read(whole).unwrap());
}

#[test]
fn files_of_other_programs_stay() {
    let (temp, run) = run();
    log_of(&run, &[start()]);
    let other = temp.path().join("events.out.tfevents.1700000000.host.1.0");
    fs::write(&other, "theirs").unwrap();
    (0..3).for_each(|_| drop(export(&run, temp.path()).unwrap()));
    assert_eq!(fs::read(&other).unwrap(), b"theirs");
    let sizes = files(temp.path()).unwrap().into_iter().map(|path| fs::read(path).unwrap().len());
    assert!(matches!(sizes.collect::<Vec<_>>()[..], [0, size] if size > 0));
}
