//! The one loop that owns the terminal: collects messages, and draws when something changed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use crossterm::event::Event;
use lookahead_run::command::Command;
use lookahead_run::event::Record;
use ratatui::Terminal;
use ratatui::backend::Backend;
use ratatui::buffer::Buffer;

use crate::model::Model;
use crate::update::{Message, update};
use crate::view::view;

/// How often the loop looks for keys and records: short enough for a key to feel immediate.
const POLL: Duration = Duration::from_millis(30);
/// How often it draws at most.
const FRAME: Duration = Duration::from_millis(100);
/// Records taken in before keys and drawing have their turn again: some milliseconds of work.
const RECORDS_AT_ONCE: usize = 8192;
/// The same for keys: a paste or a stuck key must not keep the records waiting.
const KEYS_AT_ONCE: usize = 64;

/// Where keys come from, and who knows whose the terminal is. What is not a real terminal is
/// always ours.
pub(crate) trait Input {
    /// The next event if there is one; never waits.
    fn next(&mut self) -> io::Result<Option<Event>>;

    /// Whether there is a terminal to draw on; takes it again where that is possible.
    fn hold(&mut self) -> io::Result<Hold> {
        Ok(Hold::Ours)
    }

    /// Whether the whole process was stopped, and went on, since this was last asked.
    fn was_stopped(&mut self) -> bool {
        false
    }

    /// Stops the whole process and returns to the shell.
    fn suspend(&mut self) {}
}

/// Whose the terminal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    Ours,
    /// Ours again just now: nothing that was drawn before is left.
    TakenAgain,
    /// The shell's, because the process stops, or runs in the background.
    Away,
}

/// The ends of the channels that a dashboard holds.
pub(crate) struct Link {
    pub(crate) records: Receiver<Box<Record>>,
    pub(crate) commands: Sender<Command>,
    /// Disconnected when the dashboard is to end.
    pub(crate) close: Receiver<()>,
    /// Records that did not fit into the channel.
    pub(crate) dropped: Arc<AtomicU64>,
}

/// Why the loop ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was asked to; with the last frame as text.
    Closed(String),
    /// The user wants the whole program to end, now.
    Abort,
}

/// Runs until the dashboard is closed, the user interrupts twice, or the terminal fails.
pub(crate) fn run<B: Backend>(
    mut model: Model,
    terminal: &mut Terminal<B>,
    input: &mut impl Input,
    link: &Link,
) -> io::Result<Outcome>
where
    B::Error: Send + Sync + 'static,
{
    let (mut changed, mut drawn, mut dropped) = (true, None::<Instant>, 0);
    let mut before = unix_time();
    loop {
        let now = unix_time();
        // Before the records that were made since.
        if input.was_stopped() {
            changed = true;
            deliver(&mut model, Message::WasStopped { from: before, to: now }, link);
        }
        before = now;
        let hold = input.hold()?;
        if now.floor() != model.now.floor() {
            changed = true;
            deliver(&mut model, Message::Tick(now), link);
        }
        for record in link.records.try_iter().take(RECORDS_AT_ONCE) {
            changed = true;
            deliver(&mut model, Message::Record(record), link);
        }
        let lost = link.dropped.load(Ordering::Relaxed);
        if lost != dropped {
            (changed, dropped) = (true, lost);
            deliver(&mut model, Message::Dropped(lost), link);
        }
        // What the terminal shows is somebody else's, so all of the next frame is news.
        let mut answered = hold == Hold::TakenAgain;
        if answered {
            changed = true;
            terminal.swap_buffers();
        }
        for _ in 0..KEYS_AT_ONCE {
            let message = match input.next()? {
                Some(Event::Key(key)) => Message::Key(key),
                Some(Event::Resize(..)) => Message::Resize,
                Some(_) => continue,
                None => break,
            };
            (changed, answered) = (true, true);
            deliver(&mut model, message, link);
        }
        if model.abort {
            return Ok(Outcome::Abort);
        }
        if std::mem::take(&mut model.suspend) {
            input.suspend();
            continue;
        }
        // The answer to a key is drawn at once, everything else on the tick.
        if hold != Hold::Away
            && changed
            && (answered || drawn.is_none_or(|at| at.elapsed() >= FRAME))
        {
            terminal.draw(|frame| view(&model, frame)).map_err(io::Error::other)?;
            (changed, drawn) = (false, Some(Instant::now()));
        }
        // A full channel leaves no time to rest.
        let rest = if link.records.is_empty() { POLL } else { Duration::ZERO };
        if link.close.recv_timeout(rest) != Err(RecvTimeoutError::Timeout) {
            return close(model, terminal, link).map(Outcome::Closed);
        }
    }
}

/// Changes the model, and passes on what it asks of the run.
fn deliver(model: &mut Model, message: Message, link: &Link) {
    for command in update(model, message) {
        if link.commands.try_send(command.clone()).is_err() {
            update(model, Message::Undelivered(command));
        }
    }
}

/// Takes in what is still in the channel and draws one last frame, to be kept as text.
fn close<B: Backend>(
    mut model: Model,
    terminal: &mut Terminal<B>,
    link: &Link,
) -> io::Result<String>
where
    B::Error: Send + Sync + 'static,
{
    for record in link.records.try_iter().take(link.records.len()) {
        update(&mut model, Message::Record(record));
    }
    update(&mut model, Message::Closing(unix_time()));
    let frame = terminal.draw(|frame| view(&model, frame)).map_err(io::Error::other)?;
    Ok(text(frame.buffer))
}

/// What a buffer shows, without colours and without the blanks at the ends.
pub(crate) fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width).max(1);
    let lines: Vec<String> = buffer
        .content
        .chunks(width)
        .map(|row| {
            let line: String = row.iter().map(|cell| cell.symbol()).collect();
            line.trim_end().to_owned()
        })
        .collect();
    lines.join("\n").trim_end().to_owned()
}

fn unix_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::bounded;
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::fixture;

    /// Events to give out, and then an error.
    struct Script(Vec<Event>);

    impl Input for Script {
        fn next(&mut self) -> io::Result<Option<Event>> {
            if self.0.is_empty() {
                return Err(io::Error::other("the terminal has hung up"));
            }
            Ok(Some(self.0.remove(0)))
        }
    }

    fn play(events: Vec<Event>, commands: usize) -> (io::Result<Outcome>, Receiver<Command>) {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        let (_records, records) = bounded(1);
        let (commands_in, commands) = bounded(commands);
        let (_close, close) = bounded(0);
        let dropped = Arc::new(AtomicU64::new(0));
        let link = Link { records, commands: commands_in, close, dropped };
        let outcome = run(fixture::model(true), &mut terminal, &mut Script(events), &link);
        (outcome, commands)
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

    /// Presses `p` once, and then hangs up; notes each time how many records wait.
    struct Flooded {
        records: Receiver<Box<Record>>,
        waiting: Vec<usize>,
    }

    impl Input for Flooded {
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
            records_in.send(Box::new(step)).unwrap();
        }
        let (commands_in, commands) = bounded(1);
        let (_close, close) = bounded(0);
        let dropped = Arc::new(AtomicU64::new(0));
        let mut input = Flooded { records: records.clone(), waiting: Vec::new() };
        let link = Link { records, commands: commands_in, close, dropped };
        run(fixture::model(true), &mut terminal, &mut input, &link).unwrap_err();
        let [first, second] = [1, 2].map(|turn| FLOOD - turn * RECORDS_AT_ONCE);
        assert_eq!(input.waiting, [first, first, second]);
        assert_eq!(commands.try_recv(), Ok(Command::Pause));
        let drawn = text(terminal.backend().buffer());
        assert!(drawn.contains("8,192 │") && drawn.contains("PAUSING"), "{drawn}");
    }

    #[test]
    fn text_has_no_blanks_at_its_ends() {
        let buffer = Buffer::with_lines(["ab  ", "  c ", "    "]);
        assert_eq!(text(&buffer), "ab\n  c");
    }
}
