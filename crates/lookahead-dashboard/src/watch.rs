//! The dashboard on runs of other processes.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;

use crossbeam_channel::{Receiver, bounded, never};
use lookahead_run::format::safe;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::arrangement_store::common_folder;
use crate::channels::Channels;
use crate::command_senders::CommandSenders;
use crate::labels::labels;
use crate::model::table::{Table, TableUpdate};
use crate::model::{Model, Role};
use crate::options::Options;
use crate::ownership::restore_terminal;
use crate::watched_run::WatchedRun;
use crate::{event_loop, table_reader, terminal};

/// Most rounds of the reader of the table that wait for the dashboard.
const ROUNDS: usize = 4;

/// Shows runs on the terminal behind standard output, until the user leaves.
///
/// Running runs are followed, and accept commands through their control sockets; a finished run appears as
/// it ended. If the connection to a run of another machine is lost, the dashboard shows why, and connects again when it
/// can.
///
/// # Errors
/// If standard output is not a terminal, if it goes away, or if the dashboard itself fails.
pub fn watch(runs: Vec<WatchedRun>, options: Options) -> io::Result<()> {
    let model = Model::new(&options, Role::Watcher, &labels(&runs));
    let folder = options.folder.clone().or_else(|| common_folder(&runs));
    show(model, runs, never(), folder, &options)
}

/// Where the runs of a table come from.
pub struct RunSource {
    /// What they are: the name of a folder or of a sweep.
    pub title: String,
    /// How many runs there will be, if that is known: then the table has the time left.
    pub planned: Option<usize>,
    /// Finds the folders of the runs that are there now, with the names to show. It is called about once a second, on a
    /// thread of its own. What is not a run's folder is ignored.
    pub find: Box<dyn FnMut() -> Vec<(String, PathBuf)> + Send>,
}

impl fmt::Debug for RunSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunSource").field("title", &self.title).finish_non_exhaustive()
    }
}

/// Shows a table of runs on the terminal behind standard output, and the charts of those that the user opens, until the
/// user leaves. Only these are followed as in [`watch`]; of the others the two ends of their logs are read, and once the
/// rest for their best values.
///
/// # Errors
/// As [`watch`].
pub fn browse(source: RunSource, options: Options) -> io::Result<()> {
    let mut model = Model::new(&options, Role::Watcher, &[]);
    model.table = Some(Table::new(&safe(&source.title), source.planned));
    let (sender, found) = bounded(ROUNDS);
    table_reader::start(source.find, sender)?;
    let folder = options.folder.clone();
    show(model, Vec::new(), found, folder, &options)
}

fn show(
    model: Model,
    runs: Vec<WatchedRun>,
    table: Receiver<TableUpdate>,
    folder: Option<PathBuf>,
    options: &Options,
) -> io::Result<()> {
    let (mut screen, mut keyboard) = terminal::take_over(options.mouse)?;
    restore_on_signals().inspect_err(|_| restore_terminal())?;
    // A panic becomes an error.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let (commands, updates) = CommandSenders::new(runs)?;
        // Only the user ends it.
        let (_close, close) = bounded(0);
        let dropped = Arc::new(AtomicU64::new(0));
        let commands = Box::new(commands);
        let mut channels = Channels { updates, commands, close, dropped, table, folder };
        event_loop::run(model, &mut screen, &mut keyboard, &mut channels)
    }));
    restore_terminal();
    // The panic's message is on the screen.
    let failed = "the dashboard failed because of a bug; the runs are not affected";
    outcome.unwrap_or_else(|_| Err(io::Error::other(failed))).map(|_| ())
}

/// Signals end a watcher at once, but the terminal must be restored first.
fn restore_on_signals() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            restore_terminal();
            let _ = emulate_default_handler(signal);
        }
    })?;
    Ok(())
}
