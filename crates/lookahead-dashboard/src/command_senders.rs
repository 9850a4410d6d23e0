//! Sends commands to runs of other processes.

use std::collections::HashMap;
use std::io;
use std::thread;

use crossbeam_channel::{Sender, bounded};
use lookahead_run::command::Command;
use lookahead_run::{RunFolder, control};

use crate::channels::{CommandSink, Updates};
use crate::followers::Followers;
use crate::message::RunUpdate;

/// Most updates that wait for the dashboard; threads that read logs wait for room.
const UPDATES: usize = 1 << 14;
/// Most commands to one run that wait for an answer.
const COMMANDS: usize = 16;

/// The runs that are watched. A run gets a thread with its first command, and a connection for the time
/// of a command.
pub(crate) struct CommandSenders {
    runs: Vec<RunFolder>,
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
    pub(crate) fn new(runs: Vec<RunFolder>) -> io::Result<(Self, Updates)> {
        let (updates, receiver) = bounded(UPDATES);
        let followers = Followers::start(updates.clone())?;
        runs.iter().enumerate().for_each(|(index, run)| followers.follow(index, run));
        let senders =
            CommandSenders { runs, senders: HashMap::new(), updates, _followers: followers };
        Ok((senders, Updates::new(receiver)))
    }

    /// Starts the thread of a run.
    fn start(&self, index: usize, run: RunFolder) -> Result<Sender<Command>, String> {
        let (sender, commands) = bounded::<Command>(COMMANDS);
        let updates = self.updates.clone();
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
}

impl CommandSink for CommandSenders {
    fn send(&mut self, index: usize, command: Command) -> Result<(), String> {
        let Some(run) = self.runs.get(index) else { return Err("There is no such run.".into()) };
        if !self.senders.contains_key(&index) {
            self.senders.insert(index, self.start(index, run.clone())?);
        }
        let busy = "The run has not answered earlier commands yet.";
        self.senders[&index].try_send(command).map_err(|_| busy.to_owned())
    }

    fn open(&mut self, runs: Vec<RunFolder>) -> io::Result<Option<Updates>> {
        // The threads of the runs before end, since no one receives from them.
        let (senders, updates) = CommandSenders::new(runs)?;
        *self = senders;
        Ok(Some(updates))
    }
}
