//! The dashboard on runs of other processes.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;

use crossbeam_channel::{Receiver, bounded};
use lookahead_run::RunFolder;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::arrangement_store::common_folder;
use crate::channels::Channels;
use crate::command_senders::CommandSenders;
use crate::event_loop;
use crate::followers::Followers;
use crate::labels::labels;
use crate::model::{Model, Role};
use crate::options::Options;
use crate::ownership::restore_terminal;
use crate::terminal;
use crate::watched_run::WatchedRun;

/// Most updates that wait for the dashboard; threads that read logs wait for room.
const UPDATES: usize = 1 << 14;

/// Shows runs on the terminal behind standard output, until the user leaves.
///
/// Running runs are followed, and accept commands through their control sockets; a finished run appears as
/// it ended. Runs that come through `later` are added. If the connection to a run of another machine is lost, the
/// dashboard shows why, and connects again when it can.
///
/// # Errors
/// If standard output is not a terminal, if it goes away, or if the dashboard itself fails.
pub fn watch(
    runs: Vec<WatchedRun>,
    later: Option<Receiver<RunFolder>>,
    options: Options,
) -> io::Result<()> {
    let (mut screen, mut keyboard) = terminal::take_over(options.mouse)?;
    restore_on_signals().inspect_err(|_| restore_terminal())?;
    // A panic becomes an error.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let (sender, updates) = bounded(UPDATES);
        let followers = Followers::start(sender.clone())?;
        let model = Model::new(&options, Role::Watcher, &labels(&runs));
        let folder = options.folder.clone().or_else(|| common_folder(&runs));
        let commands = CommandSenders::new(runs, later, sender, followers)?;
        // Only the user ends it.
        let (_close, close) = bounded(0);
        let dropped = Arc::new(AtomicU64::new(0));
        let commands = Box::new(commands);
        let mut channels = Channels { updates, commands, close, dropped, folder };
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
