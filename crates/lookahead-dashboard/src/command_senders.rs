//! Sends commands to runs of other processes.

use std::collections::HashMap;
use std::io;
use std::thread;

use crossbeam_channel::{Sender, bounded};
use lookahead_run::command::Command;
use lookahead_run::{LogTail, RunFolder, control};

use crate::channels::{BUSY, COMMANDS, CommandSink, Updates};
use crate::followers::Followers;
use crate::message::RunUpdate;
use crate::watched_run::WatchedRun;

/// Most updates that wait for the dashboard; threads that read logs wait for room.
const UPDATES: usize = 1 << 14;

/// The runs that are watched. A run of this machine gets a thread with its first command, and a connection for the
/// time of a command; that of another machine has a thread with a connection.
pub(crate) struct CommandSenders {
    /// Those of this machine.
    folders: HashMap<usize, RunFolder>,
    senders: HashMap<usize, Sender<Command>>,
    updates: Sender<(usize, RunUpdate)>,
    /// The threads that read the logs, which end with this.
    _followers: Followers,
}

impl CommandSenders {
    /// Follows these runs; also returns their updates.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub(crate) fn new(runs: Vec<WatchedRun>) -> io::Result<(Self, Updates)> {
        let (updates, receiver) = bounded(UPDATES);
        let followers = Followers::start(updates.clone())?;
        let (mut folders, mut senders) = (HashMap::new(), HashMap::new());
        for (index, run) in runs.into_iter().enumerate() {
            match run {
                WatchedRun::Here(run) => {
                    followers.follow(index, &run, LogTail::new(&run.events_path()));
                    folders.insert(index, run);
                }
                WatchedRun::Remote(run) => {
                    senders.insert(index, run.start(index, updates.clone())?);
                }
            }
        }
        let senders = CommandSenders { folders, senders, updates, _followers: followers };
        Ok((senders, Updates::new(receiver)))
    }
}

/// Starts the thread that sends a run its commands, and reports its answers under this number.
///
/// # Errors
/// A sentence, if the thread can't be started.
pub(crate) fn start(
    index: usize,
    run: RunFolder,
    updates: Sender<(usize, RunUpdate)>,
) -> Result<Sender<Command>, String> {
    let (sender, commands) = bounded::<Command>(COMMANDS);
    let send_all = move || {
        for command in commands {
            let update = match control::send(&run, command.clone()) {
                // The run logs everything else.
                Ok(_) => RunUpdate::Accepted(command),
                Err(lookahead_run::Error::Refused { message, .. }) => {
                    RunUpdate::Refused { command, why: message }
                }
                Err(error) => RunUpdate::Refused { command, why: error.to_string() },
            };
            if updates.send((index, update)).is_err() {
                return;
            }
        }
    };
    let thread = thread::Builder::new().name(format!("commands {index}"));
    let spawned = thread.spawn(send_all);
    spawned.map(|_| sender).map_err(|error| format!("The command can't be sent: {error}."))
}

impl CommandSink for CommandSenders {
    fn send(&mut self, index: usize, command: Command) -> Result<(), String> {
        if !self.senders.contains_key(&index) {
            let Some(run) = self.folders.get(&index) else {
                return Err("There is no such run.".into());
            };
            self.senders.insert(index, start(index, run.clone(), self.updates.clone())?);
        }
        self.senders[&index].try_send(command).map_err(|_| BUSY.to_owned())
    }

    fn open(&mut self, runs: Vec<RunFolder>) -> io::Result<Option<Updates>> {
        // The threads of the runs before end, since no one receives from them.
        let runs = runs.into_iter().map(WatchedRun::Here).collect();
        let (senders, updates) = CommandSenders::new(runs)?;
        *self = senders;
        Ok(Some(updates))
    }
}
