//! Sends commands to runs of other processes.

use std::collections::HashMap;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use lookahead_run::command::Command;
use lookahead_run::{RunFolder, control};

use crate::channels::CommandSink;
use crate::followers::Followers;
use crate::message::RunUpdate;

/// Most commands to one run that wait for an answer.
const COMMANDS: usize = 16;

/// The runs that are watched. A run gets a thread with its first command, and a connection for the time
/// of a command.
pub(crate) struct CommandSenders {
    runs: Vec<RunFolder>,
    senders: HashMap<usize, Sender<Command>>,
    updates: Sender<(usize, RunUpdate)>,
    followers: Followers,
    later: Option<Receiver<RunFolder>>,
}

impl CommandSenders {
    /// Follows these runs, and those that come through `later`.
    pub(crate) fn new(
        runs: &[RunFolder],
        later: Option<Receiver<RunFolder>>,
        updates: Sender<(usize, RunUpdate)>,
        followers: Followers,
    ) -> Self {
        runs.iter().enumerate().for_each(|(index, run)| followers.follow(index, run));
        CommandSenders { runs: runs.to_vec(), senders: HashMap::new(), updates, followers, later }
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

    fn joined(&mut self) -> Option<String> {
        let run = self.later.as_ref()?.try_recv().ok()?;
        self.followers.follow(self.runs.len(), &run);
        let name = run.name().to_owned();
        self.runs.push(run);
        Some(name)
    }
}
