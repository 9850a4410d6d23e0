use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Instant;

use crossterm::event::{self, KeyCode, KeyEvent, KeyModifiers};
use ratatui::backend::TestBackend;

use super::*;
use crate::fixture;
use lookahead_run::event::Event;

/// Keys that a test presses; panics at the sight of an `x`.
#[derive(Clone, Default)]
struct Keys(Arc<Mutex<VecDeque<char>>>);

impl Keys {
    fn press(&self, letter: char) {
        self.0.lock().unwrap().push_back(letter);
    }
}

impl EventSource for Keys {
    fn next(&mut self) -> io::Result<Option<event::Event>> {
        let letter = self.0.lock().unwrap().pop_front();
        assert_ne!(letter, Some('x'), "a bug in the dashboard");
        Ok(letter.map(|letter| {
            event::Event::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE))
        }))
    }
}

fn dashboard(keys: &Keys) -> Dashboard {
    let terminal = Terminal::new(TestBackend::new(120, 36)).unwrap();
    start(fixture::options(crate::theme::ThemeName::Dark), terminal, keys.clone()).unwrap()
}

fn step(number: u64) -> Record {
    fixture::record(number as f64, number, fixture::step(number, 1.0))
}

#[track_caller]
fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited too long");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn records_are_shown_and_keys_become_commands() {
    let keys = Keys::default();
    let dashboard = dashboard(&keys);
    dashboard.send(&fixture::record(0.0, 0, Event::RunStarted(fixture::info())));
    dashboard.send(&step(7));
    keys.press('p');
    let command = dashboard.commands().recv_timeout(Duration::from_secs(10));
    assert_eq!(command, Ok(Command::Pause));
    assert!(dashboard.is_alive());
    let last_frame = dashboard.close(Duration::from_secs(10)).unwrap();
    assert!(last_frame.contains("7 of 2,000"), "{last_frame}");
}

#[test]
fn sending_never_waits_and_what_does_not_fit_is_counted() {
    // Nothing is taken out of the channel.
    let (dashboard, channels, _last_frame) = channels(None);
    let start = Instant::now();
    for number in 0..100_000 {
        dashboard.send(&step(number));
    }
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(channels.updates.len(), RECORDS - RESERVED);
    let dropped = || channels.dropped.load(Ordering::Relaxed);
    assert_eq!(dropped(), (100_000 - RECORDS + RESERVED) as u64);
    // Rare records still find room.
    let before = dropped();
    dashboard.send(&fixture::record(0.0, 100_000, Event::Paused));
    assert_eq!(dropped(), before);
    for _ in 0..RECORDS {
        dashboard.send(&fixture::record(0.0, 100_000, Event::Paused));
    }
    assert_eq!(channels.updates.len(), RECORDS);
    assert_eq!(dropped(), before + (RECORDS - RESERVED) as u64 + 1);
}

#[test]
fn a_panic_ends_the_dashboard_and_nothing_else() {
    let keys = Keys::default();
    let dashboard = dashboard(&keys);
    dashboard.send(&step(1));
    keys.press('x');
    wait_until(|| !dashboard.is_alive());
    for number in 0..2 * RECORDS as u64 {
        dashboard.send(&step(number));
    }
    assert_eq!(dashboard.dropped.load(Ordering::Relaxed), 0);
    assert_eq!(dashboard.close(Duration::from_secs(10)), None);
}

#[test]
fn a_dashboard_that_does_not_answer_is_left_behind() {
    // Nothing reads the other ends of the channels, as in a frame that never ends.
    let (dashboard, _channels, _last_frame) = channels(None);
    let start = Instant::now();
    assert_eq!(dashboard.close(Duration::from_millis(100)), None);
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn keys_get_through_a_flood_of_records() {
    let keys = Keys::default();
    let dashboard = dashboard(&keys);
    keys.press('c');
    let mut number = 0;
    let start = Instant::now();
    let answered = loop {
        for _ in 0..1000 {
            number += 1;
            dashboard.send(&step(number));
        }
        if dashboard.commands().try_recv().is_ok() {
            break start.elapsed();
        }
        assert!(start.elapsed() < Duration::from_secs(10));
    };
    assert!(answered < Duration::from_secs(2), "{answered:?}");
    while number < 100_000 {
        number += 1;
        dashboard.send(&step(number));
    }
    let last_frame = dashboard.close(Duration::from_secs(10)).unwrap();
    assert!(last_frame.contains("training loss"), "{last_frame}");
}

/// The log of a resumed run comes first, whole, with a damaged line; then what was sent meanwhile, and nothing twice.
#[test]
fn the_past_of_a_resumed_run_comes_before_what_follows() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("events.jsonl");
    let mut log = lookahead_run::EventLog::open(&path).unwrap();
    log.append(&fixture::record(0.0, 0, Event::RunStarted(fixture::info()))).unwrap();
    for number in 1..=20_000 {
        log.buffer(&step(number)).unwrap();
    }
    log.write().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let last = text.trim_end().rfind('\n').unwrap() + 1;
    std::fs::write(&path, [&text[..last], "broken\n", &text[last..]].concat()).unwrap();

    let (dashboard, mut channels, _last_frame) = channels(None);
    dashboard.send_log(&path);
    for number in 20_001..=20_100 {
        dashboard.send(&step(number));
    }
    // The same events are appended to the log while it is being read.
    let mut log = lookahead_run::EventLog::open(&path).unwrap();
    log.append(&step(20_001)).unwrap();
    let (mut steps, mut damaged) = (Vec::new(), 0);
    while steps.last() != Some(&20_100) {
        match channels.updates.next() {
            Some((0, RunUpdate::Record(record))) => {
                if let Event::Step(_) = record.event {
                    steps.push(record.step);
                }
            }
            Some((0, RunUpdate::Damaged { .. })) => damaged += 1,
            Some((0, RunUpdate::Reading(..))) | None => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(steps, (1..=20_100).collect::<Vec<_>>());
    assert_eq!(damaged, 1);
    assert!(channels.updates.next().is_none() && channels.updates.is_empty());
}

#[test]
fn the_last_frame_of_a_resumed_run_has_its_whole_curve() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("events.jsonl");
    let mut log = lookahead_run::EventLog::open(&path).unwrap();
    log.append(&fixture::record(0.0, 0, Event::RunStarted(fixture::info()))).unwrap();
    for number in 1..=1500 {
        log.buffer(&step(number)).unwrap();
    }
    log.write().unwrap();
    let dashboard = dashboard(&Keys::default());
    dashboard.send_log(&path);
    dashboard.send(&fixture::record(2000.0, 1500, fixture::resumed(1500)));
    dashboard.send(&step(1501));
    let last_frame = dashboard.close(Duration::from_secs(10)).unwrap();
    let axis = |line: &&str| line.contains(" 500 ") && line.contains(" 1,000 ");
    assert!(last_frame.lines().any(|line| axis(&line)), "{last_frame}");
    assert!(last_frame.contains("1,501 of 2,000"), "{last_frame}");
}
