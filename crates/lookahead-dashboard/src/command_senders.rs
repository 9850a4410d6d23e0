//! Sends commands to runs of other processes.

use std::collections::HashMap;
use std::io;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use lookahead_run::command::Command;
use lookahead_run::{LogTail, RunFolder, control};

use crate::channels::{BUSY, COMMANDS, CommandSink};
use crate::followers::Followers;
use crate::message::RunUpdate;
use crate::watched_run::WatchedRun;

/// The runs that are watched. A run of this machine gets a thread with its first command, and a connection for the
/// time of a command; that of another machine has a thread with a connection.
pub(crate) struct CommandSenders {
    /// How many there are.
    runs: usize,
    /// Those of this machine.
    folders: HashMap<usize, RunFolder>,
    senders: HashMap<usize, Sender<Command>>,
    updates: Sender<(usize, RunUpdate)>,
    followers: Followers,
    later: Option<Receiver<RunFolder>>,
}

impl CommandSenders {
    /// Follows these runs, and those that come through `later`.
    ///
    /// # Errors
    /// If a thread can't be started.
    pub(crate) fn new(
        runs: Vec<WatchedRun>,
        later: Option<Receiver<RunFolder>>,
        updates: Sender<(usize, RunUpdate)>,
        followers: Followers,
    ) -> io::Result<Self> {
        let mut all = CommandSenders {
            runs: 0,
            folders: HashMap::new(),
            senders: HashMap::new(),
            updates,
            followers,
            later,
        };
        for run in runs {
            match run {
                WatchedRun::Here(run) => all.add(run),
                WatchedRun::Remote(run) => {
                    let sender = run.start(all.runs, all.updates.clone())?;
                    all.senders.insert(all.runs, sender);
                    all.runs += 1;
                }
            }
        }
        Ok(all)
    }

    fn add(&mut self, run: RunFolder) {
        self.followers.follow(self.runs, &run, LogTail::new(&run.events_path()));
        self.folders.insert(self.runs, run);
        self.runs += 1;
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

    fn joined(&mut self) -> Option<String> {
        let run = self.later.as_ref()?.try_recv().ok()?;
        let name = run.name().to_owned();
        self.add(run);
        Some(name)
    }
}
