use super::*;
use crate::event::{Changed, Status, Warning};
use crate::testing::{append_all, info, resumed, step};

fn at(time: f64, step: u64, event: Event) -> Record {
    Record { time, step, event }
}

fn of(records: &[Record]) -> RunSummary {
    let mut summary = RunSummary::default();
    records.iter().for_each(|record| summary.apply(record));
    summary
}

#[test]
fn the_state_is_that_of_the_last_process() {
    let ended = RunEnded::new(Status::Stopped);
    let mut records = vec![at(1.0, 0, Event::RunStarted(info()))];
    assert_eq!(of(&[]).state, State::Waiting);
    assert_eq!((of(&records).state, of(&records).total_steps()), (State::Training, 100));
    records.push(at(2.0, 0, Event::Paused));
    assert_eq!(of(&records).state, State::Paused);
    records.push(at(3.0, 0, Event::Continued));
    records.push(step(4, 0.5));
    assert_eq!(of(&records).state, State::Training);
    records.push(at(5.0, 4, Event::RunEnded(ended.clone())));
    assert_eq!(of(&records).ended(), Some(&ended));
    records.push(resumed(4));
    assert_eq!((of(&records).state, of(&records).step), (State::Training, 4));
}

#[test]
fn an_event_that_comes_late_takes_no_step_back() {
    let warning = Event::Warning(Warning { message: "of a checkpoint".into() });
    let found = of(&[step(7, 0.5), at(9.0, 5, warning)]);
    assert_eq!((found.step, found.events, found.warnings), (7, 2, 1));
    assert_eq!((found.first_time, found.last_time), (Some(7.0), Some(9.0)));
}

#[test]
fn the_time_between_two_processes_does_not_count() {
    let again = Record { time: 1000.0, ..resumed(20) };
    let records = [at(10.0, 0, Event::RunStarted(info())), step(20, 0.5), again];
    assert_eq!(of(&records).seconds, 10.0);
    let more = at(1005.0, 21, Event::Paused);
    assert_eq!(of(&[&records[..], &[more]].concat()).seconds, 15.0);
}

#[test]
fn it_knows_whether_settings_were_changed() {
    assert!(!of(&[at(1.0, 0, Event::RunStarted(info()))]).changed);
    assert!(of(&[resumed(3)]).changed);
    assert!(of(&[at(1.0, 0, Event::Changed(Changed { changes: Default::default() }))]).changed);
}

#[test]
fn an_abandoned_timeline_left_by_an_earlier_version_does_not_count() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("events.jsonl");
    append_all(&path, &[step(1, 0.5), step(2, 0.5), resumed(1)]);
    let found = RunSummary::read(&path).unwrap();
    assert_eq!((found.events, found.step), (2, 1));
}
