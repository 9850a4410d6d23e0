//! The dashboard on runs that other processes train, or have trained.

use std::collections::HashMap;
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

use crate::command_senders::CommandSenders;
use crate::event_loop::{self, Channels, Outcome};
use crate::followers::Followers;
use crate::message::RunUpdate;
use crate::model::{Model, Role};
use crate::options::Options;
use crate::terminal::{self, restore_terminal};
use crate::theme::Theme;
use crate::worker::Worker;

/// RunUpdate that wait for the dashboard at most; who reads a log waits for room.
const WAITING: usize = 1 << 14;

/// Shows runs on the terminal behind standard output, until the user leaves.
///
/// Runs that train are followed, and asked for things through their control sockets; what is
/// finished is shown as it ended. Runs that come through `later` are shown from then on.
///
/// # Errors
/// Where standard output is no terminal, or it goes away; where the dashboard itself fails.
pub fn watch(
    runs: &[RunFolder],
    later: Option<Receiver<RunFolder>>,
    options: Options,
) -> io::Result<()> {
    let (mut screen, mut keyboard) = terminal::take_over(options.mouse)?;
    give_back_on_signals().inspect_err(|_| restore_terminal())?;
    // Else a panic would leave by another way than an error.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let (model, mut channels) = begin(runs, later, &options)?;
        event_loop::run(model, &mut screen, &mut keyboard, &mut channels)
    }));
    restore_terminal();
    match outcome {
        Ok(outcome) => match outcome? {
            Outcome::Closed(_) | Outcome::Left | Outcome::Abort => Ok(()),
        },
        // Its message is on the screen, and the runs are not touched.
        Err(_) => Err(io::Error::other(
            "the dashboard failed by a bug of its own; the runs are not affected",
        )),
    }
}

/// Nothing of a watcher is worth saving, but the terminal is to be as it was.
fn give_back_on_signals() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            restore_terminal();
            let _ = emulate_default_handler(signal);
        }
    })?;
    Ok(())
}

/// The model of runs, and the threads that follow them.
fn begin(
    runs: &[RunFolder],
    later: Option<Receiver<RunFolder>>,
    options: &Options,
) -> io::Result<(Model, Channels)> {
    let mut model = Model::new(Theme::new(options.theme), Role::Watcher, labels(runs));
    model.ascii = options.ascii;
    let (sender, news) = bounded(WAITING);
    let followers = Followers::start(sender.clone())?;
    let command_senders = CommandSenders::new(sender.clone(), followers.clone());
    runs.iter().for_each(|run| command_senders.attend(run));
    if let Some(later) = later {
        let theirs = command_senders.clone();
        thread::Builder::new().name("newcomers".into()).spawn(move || {
            for run in later {
                let joins = RunUpdate::Joins(run.name().into());
                // Before anything else of it is told.
                if sender.send((theirs.len(), joins)).is_err() {
                    return;
                }
                theirs.attend(&run);
            }
        })?;
    }
    let (_never_closed, close) = bounded(0);
    // The user is the only one who ends it.
    std::mem::forget(_never_closed);
    let channels = Channels {
        news,
        commands: Box::new(command_senders),
        worker: Worker::start()?,
        close,
        dropped: Arc::new(AtomicU64::new(0)),
    };
    Ok((model, channels))
}

/// A name for each run: that of its folder, or the path where several have that name.
pub(crate) fn labels(runs: &[RunFolder]) -> Vec<String> {
    let mut namesakes = HashMap::<&str, u32>::new();
    runs.iter().for_each(|run| *namesakes.entry(run.name()).or_default() += 1);
    let label = |run: &RunFolder| match namesakes[run.name()] {
        1 => run.name().to_owned(),
        _ => run.path().display().to_string(),
    };
    runs.iter().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_name_are_told_apart_by_their_paths() {
        let temp = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|folder| {
            let out = temp.path().join(folder);
            std::fs::create_dir(&out).unwrap();
            RunFolder::create(&out, "run").unwrap()
        });
        let other = RunFolder::create(temp.path(), "other").unwrap();
        let found = labels(&[a, other, b]);
        assert!(found[0].ends_with("a/run") && found[2].ends_with("b/run"), "{found:?}");
        assert_eq!(found[1], "other");
    }
}
