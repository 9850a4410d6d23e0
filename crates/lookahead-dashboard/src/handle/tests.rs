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
