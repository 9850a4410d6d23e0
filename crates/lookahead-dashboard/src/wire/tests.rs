use std::io::Cursor;

use lookahead_run::command::{Command, Setting};
use lookahead_run::event::{Event, Note, Record, Step};

use super::*;
use crate::run::connection::Control;

fn record(time: f64, step: u64) -> RunUpdate {
    let event = Event::Note(Note { message: "Text.".into() });
    RunUpdate::Record(Box::new(Record { time, step, event }))
}

#[test]
fn every_update_comes_through_as_it_was() {
    let setting = Setting { key: "optimizer.lr".into(), value: 0.1.into() };
    let step = Step {
        epoch: 3,
        loss: f64::NAN,
        learning_rate: 0.1 + 0.2,
        samples_per_second: f64::INFINITY,
        phase: 1,
    };
    let step = Record { time: 1_764_500_000.123_456_7, step: u64::MAX, event: Event::Step(step) };
    let later = Record { time: 1.0, step: 2, event: Event::Unknown };
    for update in [
        RunUpdate::Record(Box::new(step)),
        RunUpdate::Record(Box::new(later)),
        RunUpdate::Restarted,
        RunUpdate::Damaged { line: 7, cause: "it is \u{1b}[31m not JSON\n".into() },
        RunUpdate::Unreadable("Gone.".into()),
        RunUpdate::Reading(1, 2),
        RunUpdate::Heartbeat { alive: true, control: Control::ViewOnly },
        RunUpdate::Refused { command: Command::Set(setting), why: "No.".into() },
        RunUpdate::Accepted(Command::Stop),
    ] {
        let line = serde_json::to_string(&update).unwrap();
        assert!(!line.contains('\n'));
        let found: RunUpdate = serde_json::from_str(&line).unwrap();
        assert_eq!(format!("{found:?}"), format!("{update:?}"));
        let [mut one, mut other] = [Bookmark::default(); 2];
        one.add(&update);
        other.add(&found);
        assert_eq!(one, other);
    }
}

/// The other machine can't pretend what only this one knows.
#[test]
fn updates_of_this_machine_are_not_taken_from_another() {
    for line in [
        r#"{"joined":"x"}"#,
        r#"{"disconnected":{"host":"x","why":"y","retry":1.0}}"#,
        r#"{"reconnected":{"host":"x"}}"#,
        r#""moon""#,
        "[]",
    ] {
        assert!(serde_json::from_str::<RunUpdate>(line).is_err(), "{line}");
    }
}

#[test]
fn a_bookmark_tells_logs_apart_and_can_be_written() {
    let mark = |updates: &[RunUpdate]| {
        let mut mark = Bookmark::default();
        updates.iter().for_each(|update| mark.add(update));
        mark
    };
    let all = mark(&[record(1.0, 0), record(2.0, 1)]);
    assert_eq!(all.to_string().parse(), Ok(all));
    assert_eq!(all.lines, 2);
    assert_eq!(mark(&[record(7.0, 7), RunUpdate::Restarted]), Bookmark::default());
    assert_eq!(mark(&[record(1.0, 0), RunUpdate::Reading(1, 2), record(2.0, 1)]), all);
    for other in [
        mark(&[record(1.0, 0), record(2.0, 2)]),
        mark(&[record(2.0, 1), record(1.0, 0)]),
        mark(&[record(1.5, 0), record(2.0, 1)]),
        mark(&[record(1.0, 0)]),
    ] {
        assert_ne!(other, all);
    }
    for text in ["", "1", "x:1", "1:x", "1:2:3", "-1:0"] {
        assert!(text.parse::<Bookmark>().is_err(), "{text}");
    }
}

#[test]
fn a_line_has_an_end_and_a_bounded_length() {
    let mut line = Vec::new();
    let mut reader = Cursor::new(b"one\n\nfour\nhalf");
    for expected in [&b"one"[..], b"", b"four"] {
        assert!(read_line(&mut reader, 4, &mut line).unwrap());
        assert_eq!(line, expected);
    }
    assert!(!read_line(&mut reader, 4, &mut line).unwrap());
    assert!(!read_line(&mut reader, 4, &mut line).unwrap());
    assert!(read_line(&mut Cursor::new(b"12345\n"), 4, &mut line).is_err());
    assert!(read_line(&mut Cursor::new([b'x'; 100]), 4, &mut line).is_err());
}
