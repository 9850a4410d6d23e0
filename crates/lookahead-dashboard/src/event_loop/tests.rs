use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crossbeam_channel::{Receiver, bounded};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use lookahead_run::command::Command;
use ratatui::backend::TestBackend;

use super::*;
use crate::channels::{CommandSink, Updates};
use crate::fixture;

/// A sequence of events, and then an error.
struct Script(Vec<Event>);

impl EventSource for Script {
    fn next(&mut self) -> io::Result<Option<Event>> {
        if self.0.is_empty() {
            return Err(io::Error::other("the terminal has hung up"));
        }
        Ok(Some(self.0.remove(0)))
    }
}

struct Sent(crossbeam_channel::Sender<Command>);

impl CommandSink for Sent {
    fn send(&mut self, _run: usize, command: Command) -> Result<(), String> {
        self.0.try_send(command).map_err(|error| error.to_string())
    }
}

fn channels(updates: Receiver<(usize, RunUpdate)>, room: usize) -> (Channels, Receiver<Command>) {
    let (commands_in, sent) = bounded(room);
    let (close_in, close) = bounded(0);
    std::mem::forget(close_in);
    let dropped = Arc::new(AtomicU64::new(0));
    let commands = Box::new(Sent(commands_in));
    let updates = Updates::new(updates);
    let table = crossbeam_channel::never();
    (Channels { updates, commands, close, dropped, table, folder: None }, sent)
}

fn play(events: Vec<Event>, commands: usize) -> (io::Result<Outcome>, Receiver<Command>) {
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let (_updates, updates) = bounded(1);
    let (mut channels, commands) = channels(updates, commands);
    let mut script = Script(events);
    (run(fixture::run(true, 3), &mut terminal, &mut script, &mut channels), commands)
}

#[test]
fn a_terminal_that_hangs_up_ends_the_loop() {
    let (outcome, _) = play(vec![Event::Resize(40, 12)], 1);
    assert_eq!(outcome.unwrap_err().to_string(), "the terminal has hung up");
}

#[test]
fn two_interrupts_end_the_program_after_asking_for_a_stop() {
    let ctrl_c = Event::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    let mut events = vec![ctrl_c.clone(), ctrl_c];
    events.extend(vec![Event::FocusGained; KEYS_AT_ONCE]);
    let (outcome, commands) = play(events, 4);
    assert!(matches!(outcome, Ok(Outcome::Abort)), "{outcome:?}");
    assert_eq!(commands.try_iter().collect::<Vec<_>>(), [Command::Stop]);
}

/// Presses `p` once, and then hangs up; counts each time how many records wait.
struct Flooded {
    records: Receiver<(usize, RunUpdate)>,
    waiting: Vec<usize>,
}

impl EventSource for Flooded {
    fn next(&mut self) -> io::Result<Option<Event>> {
        self.waiting.push(self.records.len());
        match self.waiting.len() {
            1 => Ok(Some(Event::Key(KeyEvent::new(KeyCode::Char('p'), KeyModifiers::NONE)))),
            2 => Ok(None),
            _ => Err(io::Error::other("enough")),
        }
    }
}

#[test]
fn a_flood_of_records_starves_neither_keys_nor_drawing() {
    const FLOOD: usize = 100_000;
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let (records_in, records) = crossbeam_channel::unbounded();
    for number in 1..=FLOOD as u64 {
        let step = fixture::record(0.0, number, fixture::step(number, 1.0));
        records_in.send((0, RunUpdate::Record(Box::new(step)))).unwrap();
    }
    let mut input = Flooded { records: records.clone(), waiting: Vec::new() };
    let (mut channels, commands) = channels(records, 1);
    run(fixture::model(true), &mut terminal, &mut input, &mut channels).unwrap_err();
    let [first, second] = [1, 2].map(|turn| FLOOD - turn * RECORDS_AT_ONCE);
    assert_eq!(input.waiting, [first, first, second]);
    assert_eq!(commands.try_recv(), Ok(Command::Pause));
    let drawn = screen_text(terminal.backend().buffer());
    assert!(drawn.contains("8,192 │") && drawn.contains("PAUSING"), "{drawn}");
}
