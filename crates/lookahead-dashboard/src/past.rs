//! The past of a run that is resumed, from its log.

use std::path::Path;
use std::thread;

use crossbeam_channel::{Receiver, SendError, Sender, bounded};
use lookahead_run::LogTail;

use crate::message::RunUpdate;

/// Most updates that wait for the dashboard; the thread that reads the log waits for room.
const UPDATES: usize = 1 << 12;
/// Most events that are read from the log at once.
const AT_ONCE: usize = 1 << 10;
/// Bytes of a log from which on the progress is reported.
const MUCH: u64 = 8 << 20;

/// Reads the first `length` bytes of a log on a thread of its own.
pub(crate) fn read(log: &Path, length: u64) -> Receiver<RunUpdate> {
    let (sender, past) = bounded(UPDATES);
    let (tail, updates) = (LogTail::up_to(log, length), sender.clone());
    let spawned = thread::Builder::new().name("dashboard log".into()).spawn(move || {
        // Training comes first if there are few processors.
        let _ = rustix::process::nice(10);
        let _ = send_all(tail, length, &updates);
    });
    if let Err(error) = spawned {
        let _ = sender.try_send(RunUpdate::Unreadable(format!(
            "The log before the resume can't be shown: {error}."
        )));
    }
    past
}

fn send_all(
    mut tail: LogTail,
    length: u64,
    updates: &Sender<RunUpdate>,
) -> Result<(), SendError<RunUpdate>> {
    loop {
        match tail.read(AT_ONCE) {
            Ok(found) if found.is_empty() => break,
            Ok(found) => found.into_iter().try_for_each(|item| updates.send(item.into()))?,
            Err(error) => {
                updates.send(RunUpdate::Unreadable(error.to_string()))?;
                break;
            }
        }
        if length > MUCH {
            updates.send(RunUpdate::Reading(tail.progress().0, length))?;
        }
    }
    updates.send(RunUpdate::Reading(length, length))
}
