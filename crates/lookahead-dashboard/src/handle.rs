//! What a trainer holds of the dashboard.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use lookahead_run::command::Command;
use lookahead_run::event::Record;
use ratatui::Terminal;
use ratatui::backend::Backend;

use crate::event_loop::{self, Channels, CommandSink, Input, Outcome};
use crate::message::RunUpdate;
use crate::model::{Model, Role};
use crate::options::Options;
use crate::terminal::{self, restore_terminal};
use crate::theme::Theme;
use crate::worker::Worker;

/// Records that wait for the dashboard at most: 30 ms of the fastest training, four megabytes.
const RECORDS: usize = 8192;
/// Places of these for records that come seldom and must not be lost among the steps.
const RESERVED: usize = 512;
/// Commands that wait for the training at most.
const COMMANDS: usize = 32;
/// How long a dashboard that is merely dropped may take to end.
const PATIENCE: Duration = Duration::from_millis(500);

/// A dashboard on a thread of its own.
///
/// The terminal is restored when this is closed or dropped, when any thread panics, and when the
/// dashboard itself fails.
#[derive(Debug)]
pub struct Dashboard {
    records: Sender<(usize, RunUpdate)>,
    commands: Receiver<Command>,
    alive: Arc<AtomicBool>,
    dropped: Arc<AtomicU64>,
    close: Option<Sender<()>>,
    last_frame: Receiver<Option<String>>,
}

/// Starts a dashboard, which takes over the terminal on standard output: raw mode and the
/// alternate screen, until it is closed.
///
/// # Errors
/// Where standard output is no terminal, another dashboard of this process has it, or it can't
/// be put into raw mode. The terminal is then as it was.
pub fn spawn(options: Options) -> io::Result<Dashboard> {
    let (terminal, keyboard) = terminal::take_over(options.mouse)?;
    start(options, terminal, keyboard).inspect_err(|_| restore_terminal())
}

/// Runs the loop on its own thread, on any terminal and any source of keys.
fn start<B>(
    options: Options,
    mut terminal: Terminal<B>,
    mut input: impl Input + Send + 'static,
) -> io::Result<Dashboard>
where
    B: Backend + Send + 'static,
    B::Error: Send + Sync + 'static,
{
    let (dashboard, mut channels, last_frame) = channels()?;
    let alive = dashboard.alive.clone();
    let mut model = Model::new(Theme::new(options.theme), Role::Trainer, vec![String::new()]);
    model.ascii = options.ascii;
    thread::Builder::new().name("dashboard".into()).spawn(move || {
        // The channels are dropped in here, so that nothing piles up in them afterwards.
        let work = AssertUnwindSafe(move || {
            // Where there are few processors, training comes first. Linux counts niceness by
            // thread.
            let _ = rustix::process::nice(5);
            let outcome = event_loop::run(model, &mut terminal, &mut input, &mut channels);
            restore_terminal();
            outcome
        });
        let outcome = catch_unwind(work);
        restore_terminal();
        alive.store(false, Ordering::SeqCst);
        let text = match outcome {
            Ok(Ok(Outcome::Closed(text))) => Some(text),
            // 128 + SIGINT: what a shell reports of a program that Ctrl-C has ended.
            Ok(Ok(Outcome::Abort)) => std::process::exit(130),
            Ok(Ok(Outcome::Left) | Err(_)) | Err(_) => None,
        };
        let _ = last_frame.send(text);
    })?;
    Ok(dashboard)
}

/// The training in this process.
struct Training(Sender<Command>);

impl CommandSink for Training {
    fn ask(&mut self, _run: usize, command: Command) -> Result<(), String> {
        let busy = "The training takes no commands at the moment; try again.";
        self.0.try_send(command).map_err(|_| busy.to_owned())
    }
}

fn channels() -> io::Result<(Dashboard, Channels, Sender<Option<String>>)> {
    let (records, records_out) = bounded(RECORDS);
    let (commands_in, commands) = bounded(COMMANDS);
    let (close, close_out) = bounded(0);
    let (last_frame_in, last_frame) = bounded(1);
    let dropped = Arc::new(AtomicU64::new(0));
    let channels = Channels {
        news: records_out,
        commands: Box::new(Training(commands_in)),
        worker: Worker::start()?,
        close: close_out,
        dropped: dropped.clone(),
    };
    let dashboard = Dashboard {
        records,
        commands,
        alive: Arc::new(AtomicBool::new(true)),
        dropped,
        close: Some(close),
        last_frame,
    };
    Ok((dashboard, channels, last_frame_in))
}

impl Dashboard {
    /// Shows a record.
    ///
    /// Never waits: a record that finds no room is dropped, and the screen tells how many were.
    /// Steps, syncs and probes go first; the last places are kept for what comes seldom, such as
    /// a checkpoint or the end. Does nothing once the dashboard has ended.
    pub fn send(&self, record: &Record) {
        if !self.is_alive() {
            return;
        }
        let frequent = record.event.is_frequent();
        let lost = (frequent && self.records.len() >= RECORDS - RESERVED)
            || matches!(
                self.records.try_send((0, RunUpdate::Record(Box::new(record.clone())))),
                Err(TrySendError::Full(_))
            );
        if lost {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What the user asks for, in order.
    pub fn commands(&self) -> &Receiver<Command> {
        &self.commands
    }

    /// Whether the dashboard still runs. It ends by itself where the terminal goes away, where
    /// [`restore_terminal`] is called, and by a panic of any thread; the terminal is restored by
    /// then, and the training may report in another way.
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::SeqCst)
    }

    /// Ends the dashboard, restores the terminal, and returns the last frame as text, to be
    /// printed where it stays.
    ///
    /// Waits for the dashboard at most `timeout`, and a moment more to restore the terminal in
    /// its place. Then, and where the dashboard had failed before, there is no last frame; a
    /// terminal that takes no output would hold up whoever prints to it.
    pub fn close(mut self, timeout: Duration) -> Option<String> {
        self.end(timeout)
    }

    fn end(&mut self, timeout: Duration) -> Option<String> {
        drop(self.close.take()?);
        let text = self.last_frame.recv_timeout(timeout).ok().flatten();
        self.alive.store(false, Ordering::SeqCst);
        restore_terminal();
        text
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.end(PATIENCE);
    }
}

#[cfg(test)]
mod tests {
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

    impl Input for Keys {
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
        start(Options::plain(), terminal, keys.clone()).unwrap()
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
        // Nobody takes anything out of the channel.
        let (dashboard, channels, _last_frame) = channels().unwrap();
        let start = Instant::now();
        for number in 0..100_000 {
            dashboard.send(&step(number));
        }
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(channels.news.len(), RECORDS - RESERVED);
        let dropped = || channels.dropped.load(Ordering::Relaxed);
        assert_eq!(dropped(), (100_000 - RECORDS + RESERVED) as u64);
        // What comes seldom still finds room.
        let before = dropped();
        dashboard.send(&fixture::record(0.0, 100_000, Event::Paused));
        assert_eq!(dropped(), before);
        for _ in 0..RECORDS {
            dashboard.send(&fixture::record(0.0, 100_000, Event::Paused));
        }
        assert_eq!(channels.news.len(), RECORDS);
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
        // The other ends of the channels live, and nobody listens: a frame that never ends.
        let (dashboard, _link, _last_frame) = channels().unwrap();
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
        assert!(last_frame.contains("loss at θ"), "{last_frame}");
    }
}
