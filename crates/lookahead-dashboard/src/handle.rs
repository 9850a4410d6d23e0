//! The trainer's end of a dashboard.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, never};
use lookahead_run::command::Command;
use lookahead_run::event::Record;
use ratatui::Terminal;
use ratatui::backend::Backend;

use crate::channels::{Channels, CommandSink, Updates};
use crate::event_loop::{self, Outcome};
use crate::message::RunUpdate;
use crate::model::{Model, Role};
use crate::options::Options;
use crate::ownership::restore_terminal;
use crate::past;
use crate::source::EventSource;
use crate::terminal;

/// Most records that wait for the dashboard: 30 ms of the fastest training, four megabytes.
const RECORDS: usize = 8192;
/// Places among these for rare records, which must not be lost among the steps.
const RESERVED: usize = 512;
/// Most commands that wait for the training.
const COMMANDS: usize = 32;
/// How long a dropped dashboard may take to end.
const PATIENCE: Duration = Duration::from_millis(500);

/// A dashboard on its own thread.
///
/// The terminal is restored when this is closed or dropped, when any thread panics, and when the
/// dashboard itself fails.
#[derive(Debug)]
pub struct Dashboard {
    updates: Sender<(usize, RunUpdate)>,
    commands: Receiver<Command>,
    alive: Arc<AtomicBool>,
    dropped: Arc<AtomicU64>,
    close: Option<Sender<()>>,
    last_frame: Receiver<Option<String>>,
}

/// Starts a dashboard, which takes over the terminal on standard output: raw mode and the alternate
/// screen, until it is closed.
///
/// # Errors
/// If standard output is not a terminal, if another dashboard of this process has it, or if it can't be
/// put into raw mode. The terminal is then unchanged.
pub fn spawn(options: Options) -> io::Result<Dashboard> {
    let (terminal, keyboard) = terminal::take_over(options.mouse)?;
    start(options, terminal, keyboard).inspect_err(|_| restore_terminal())
}

/// Runs the loop on its own thread, with any terminal and any source of keys.
fn start<B>(
    options: Options,
    mut terminal: Terminal<B>,
    mut source: impl EventSource + Send + 'static,
) -> io::Result<Dashboard>
where
    B: Backend + Send + 'static,
    B::Error: Send + Sync + 'static,
{
    let (dashboard, mut channels, last_frame) = channels(options.folder.clone());
    let alive = dashboard.alive.clone();
    let model = Model::new(&options, Role::Trainer, &[]);
    thread::Builder::new().name("dashboard".into()).spawn(move || {
        // This drops the channels, so that nothing accumulates in them.
        let work = AssertUnwindSafe(move || {
            // Training comes first if there are few processors. On Linux each thread has its own
            // niceness.
            let _ = rustix::process::nice(5);
            let outcome = event_loop::run(model, &mut terminal, &mut source, &mut channels);
            restore_terminal();
            outcome
        });
        let outcome = catch_unwind(work);
        restore_terminal();
        alive.store(false, Ordering::SeqCst);
        let text = match outcome {
            Ok(Ok(Outcome::Closed(text))) => Some(text),
            // 128 + SIGINT, as a shell reports for a program that was ended by Ctrl-C.
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
    fn send(&mut self, _run: usize, command: Command) -> Result<(), String> {
        let busy = "The training accepts no commands at the moment; try again.";
        self.0.try_send(command).map_err(|_| busy.to_owned())
    }
}

fn channels(folder: Option<PathBuf>) -> (Dashboard, Channels, Sender<Option<String>>) {
    let (updates_in, updates) = bounded(RECORDS);
    let (commands_in, commands) = bounded(COMMANDS);
    let (close, close_out) = bounded(0);
    let (last_frame_in, last_frame) = bounded(1);
    let dropped = Arc::new(AtomicU64::new(0));
    let channels = Channels {
        updates: Updates::new(updates),
        commands: Box::new(Training(commands_in)),
        close: close_out,
        dropped: dropped.clone(),
        folder,
        table: never(),
    };
    let dashboard = Dashboard {
        updates: updates_in,
        commands,
        alive: Arc::new(AtomicBool::new(true)),
        dropped,
        close: Some(close),
        last_frame,
    };
    (dashboard, channels, last_frame_in)
}

impl Dashboard {
    /// Shows a record.
    ///
    /// Never waits: a record is dropped if there is no room, and the screen shows how many were. Steps,
    /// syncs and probes are dropped first; the last places are reserved for rare events, for example a
    /// checkpoint or the end. Does nothing once the dashboard has ended.
    pub fn send(&self, record: &Record) {
        if !self.is_alive() {
            return;
        }
        let frequent = record.event.is_frequent();
        let lost = (frequent && self.updates.len() >= RECORDS - RESERVED)
            || matches!(
                self.updates.try_send((0, RunUpdate::Record(Box::new(record.clone())))),
                Err(TrySendError::Full(_))
            );
        if lost {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Shows what is in a log now, before the records that are sent from now on: the past of a run that is resumed. A
    /// thread reads it, and meanwhile the dashboard keeps the new records.
    ///
    /// Never waits. What can't be read is reported on the screen.
    pub fn send_log(&self, log: &Path) {
        if let (true, Ok(found)) = (self.is_alive(), log.metadata()) {
            let past = past::read(log, found.len());
            let _ = self.updates.try_send((0, RunUpdate::Past(past)));
        }
    }

    /// The user's commands, in order.
    pub fn commands(&self) -> &Receiver<Command> {
        &self.commands
    }

    /// Whether the dashboard still runs. It ends by itself if the terminal goes away, after
    /// [`restore_terminal`], and after a panic of any thread; the terminal is restored by then, and the
    /// training may report in another way.
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::SeqCst)
    }

    /// Ends the dashboard, restores the terminal, and returns the last frame as text, to be printed.
    ///
    /// Waits for the dashboard at most `timeout`, and then a moment more to restore the terminal
    /// without it. There is no last frame then, nor if the dashboard failed before: a terminal that
    /// accepts no output would block printing.
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
mod tests;
