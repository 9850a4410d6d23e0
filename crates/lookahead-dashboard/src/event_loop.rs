//! The one loop that owns the terminal: collects messages, and draws when something changed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use crossterm::event::Event;
use lookahead_run::command::Command;
use ratatui::Terminal;
use ratatui::backend::Backend;
use ratatui::buffer::Buffer;

use crate::figure;
use crate::message::{Effect, Message, RunUpdate};
use crate::model::Model;
use crate::update::update;
use crate::view::view;
use crate::worker::Worker;

/// How often the loop looks for keys and records: short enough for a key to feel immediate.
const POLL: Duration = Duration::from_millis(30);
/// How often it draws at most.
const FRAME: Duration = Duration::from_millis(100);
/// How many times as long as a frame took the next one waits for, within [`FRAME`] and this.
const RESTS: u32 = 10;
const SLOWEST: Duration = Duration::from_secs(2);
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
    fn terminal_state(&mut self) -> io::Result<TerminalState> {
        Ok(TerminalState::Held)
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
pub(crate) enum TerminalState {
    Held,
    /// Ours again just now: nothing that was drawn before is left.
    Reacquired,
    /// The shell's, because the process stops, or runs in the background.
    Released,
}

/// The ends of the channels that a dashboard holds.
pub(crate) struct Channels {
    /// RunUpdate of the run of that number.
    pub(crate) news: Receiver<(usize, RunUpdate)>,
    /// Passes commands on to the run of that number.
    pub(crate) commands: Box<dyn CommandSink>,
    pub(crate) worker: Worker,
    /// Disconnected when the dashboard is to end.
    pub(crate) close: Receiver<()>,
    /// Records that did not fit into the channel.
    pub(crate) dropped: Arc<AtomicU64>,
}

/// Who passes commands on.
pub(crate) trait CommandSink: Send {
    /// Passes a command on, without waiting for what becomes of it.
    ///
    /// # Errors
    /// A sentence where nobody takes it.
    fn ask(&mut self, run: usize, command: Command) -> Result<(), String>;
}

/// Why the loop ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was asked to; with the last frame as text.
    Closed(String),
    /// The user wants the dashboard to end, and nothing else.
    Left,
    /// The user wants the whole program to end, now.
    Abort,
}

/// Runs until the dashboard is closed, the user leaves it or interrupts twice, or the terminal fails.
pub(crate) fn run<B: Backend>(
    mut model: Model,
    terminal: &mut Terminal<B>,
    input: &mut impl Input,
    channels: &mut Channels,
) -> io::Result<Outcome>
where
    B::Error: Send + Sync + 'static,
{
    let (mut changed, mut next_frame, mut dropped) = (true, None::<Instant>, 0);
    let mut before = unix_time();
    let size = terminal.size().map_err(io::Error::other)?;
    deliver(&mut model, Message::Resize(size.width, size.height), channels);
    loop {
        let now = unix_time();
        // Before the records that were made since.
        if input.was_stopped() {
            changed = true;
            deliver(&mut model, Message::WasStopped { from: before, to: now }, channels);
        }
        before = now;
        let state = input.terminal_state()?;
        if now.floor() != model.now.floor() {
            changed = true;
            deliver(&mut model, Message::Tick(now), channels);
        }
        for _ in 0..RECORDS_AT_ONCE {
            let Ok((run, news)) = channels.news.try_recv() else { break };
            changed = true;
            deliver(&mut model, Message::Run(run, news), channels);
        }
        let lost = channels.dropped.load(Ordering::Relaxed);
        if lost != dropped {
            (changed, dropped) = (true, lost);
            deliver(&mut model, Message::Dropped(lost), channels);
        }
        // What the terminal shows is somebody else's, so all of the next frame is news.
        let mut answered = state == TerminalState::Reacquired;
        if answered {
            changed = true;
            terminal.swap_buffers();
        }
        while let Some(message) = channels.worker.done() {
            (changed, answered) = (true, true);
            deliver(&mut model, message, channels);
        }
        for _ in 0..KEYS_AT_ONCE {
            let message = match input.next()? {
                Some(Event::Key(key)) => Message::Key(key),
                Some(Event::Mouse(mouse)) => Message::Mouse(mouse),
                Some(Event::Paste(text)) => Message::Paste(text),
                Some(Event::Resize(width, height)) => Message::Resize(width, height),
                Some(_) => continue,
                None => break,
            };
            (changed, answered) = (true, true);
            deliver(&mut model, message, channels);
        }
        if model.abort {
            return Ok(Outcome::Abort);
        }
        if model.quit {
            return Ok(Outcome::Left);
        }
        if std::mem::take(&mut model.suspend) {
            input.suspend();
            continue;
        }
        // The answer to a key is drawn at once, everything else on the tick.
        let due = next_frame.is_none_or(|at| at <= Instant::now());
        if state != TerminalState::Released && changed && (answered || due) {
            let started = Instant::now();
            faults::frame();
            terminal.draw(|frame| view(&model, frame)).map_err(io::Error::other)?;
            model.question.iter_mut().for_each(|question| question.seen = true);
            // A terminal at the end of a slow line gets fewer.
            let rest = (started.elapsed() * RESTS).clamp(FRAME, SLOWEST);
            (changed, next_frame) = (false, Some(started + rest));
        }
        // A full channel leaves no time to rest.
        let rest = if channels.news.is_empty() { POLL } else { Duration::ZERO };
        if channels.close.recv_timeout(rest) != Err(RecvTimeoutError::Timeout) {
            return close(model, terminal, channels).map(Outcome::Closed);
        }
    }
}

/// Changes the model, and does what is to be done outside of it.
fn deliver(model: &mut Model, message: Message, channels: &mut Channels) {
    for effect in update(model, message) {
        match effect {
            Effect::Ask(run, command) => {
                if let Err(why) = channels.commands.ask(run, command.clone()) {
                    let news = RunUpdate::Refused { command, why };
                    update(model, Message::Run(run, news));
                }
            }
            Effect::Save(file) => {
                let (picture, path) = (figure::of(model), figure::path(model, file));
                channels.worker.save(picture, path);
            }
        }
    }
}

/// Takes in what is still in the channel and draws one last frame, to be kept as text.
fn close<B: Backend>(
    mut model: Model,
    terminal: &mut Terminal<B>,
    channels: &Channels,
) -> io::Result<String>
where
    B::Error: Send + Sync + 'static,
{
    for (run, news) in channels.news.try_iter().take(channels.news.len()) {
        update(&mut model, Message::Run(run, news));
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

/// A fault on purpose, so that a test can see what a bug in the view does to the training: with
/// `LOOKAHEAD_TEST_PANIC_AT_FRAME=N` in the environment the N-th frame panics.
mod faults {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static AT: LazyLock<Option<u64>> =
        LazyLock::new(|| std::env::var("LOOKAHEAD_TEST_PANIC_AT_FRAME").ok()?.parse().ok());
    static FRAMES: AtomicU64 = AtomicU64::new(0);

    pub(super) fn frame() {
        if let Some(at) = *AT {
            let frame = FRAMES.fetch_add(1, Ordering::Relaxed) + 1;
            assert!(frame != at, "this frame was asked to panic");
        }
    }
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

    struct Sent(crossbeam_channel::Sender<Command>);

    impl CommandSink for Sent {
        fn ask(&mut self, _run: usize, command: Command) -> Result<(), String> {
            self.0.try_send(command).map_err(|error| error.to_string())
        }
    }

    fn channels(news: Receiver<(usize, RunUpdate)>, room: usize) -> (Channels, Receiver<Command>) {
        let (commands_in, sent) = bounded(room);
        let (close_in, close) = bounded(0);
        std::mem::forget(close_in);
        let dropped = Arc::new(AtomicU64::new(0));
        let (commands, worker) = (Box::new(Sent(commands_in)), Worker::start().unwrap());
        (Channels { news, commands, worker, close, dropped }, sent)
    }

    fn play(events: Vec<Event>, commands: usize) -> (io::Result<Outcome>, Receiver<Command>) {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        let (_news, news) = bounded(1);
        let (mut channels, commands) = channels(news, commands);
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

    /// Presses `p` once, and then hangs up; notes each time how many records wait.
    struct Flooded {
        records: Receiver<(usize, RunUpdate)>,
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
            records_in.send((0, RunUpdate::Record(Box::new(step)))).unwrap();
        }
        let mut input = Flooded { records: records.clone(), waiting: Vec::new() };
        let (mut channels, commands) = channels(records, 1);
        run(fixture::model(true), &mut terminal, &mut input, &mut channels).unwrap_err();
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
