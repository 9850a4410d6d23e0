//! Takes commands to runs of other processes, and brings their answers back.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crossbeam_channel::Sender;
use lookahead_run::command::Command;
use lookahead_run::{RunFolder, control};

use crate::event_loop::CommandSink;
use crate::followers::Followers;
use crate::message::RunUpdate;

/// Commands to one run that wait for their answers at most.
const COMMANDS: usize = 16;

/// The runs that are watched. A thread and a connection are there only while a run is being asked for
/// something.
#[derive(Clone)]
pub(crate) struct CommandSenders {
    runs: Arc<Mutex<Vec<Asked>>>,
    news: Sender<(usize, RunUpdate)>,
    followers: Followers,
}

/// A run, and what it is asked for.
struct Asked {
    run: RunFolder,
    waiting: VecDeque<Command>,
    /// A thread takes what waits, one after the other.
    has_courier: bool,
}

impl CommandSenders {
    pub(crate) fn new(news: Sender<(usize, RunUpdate)>, followers: Followers) -> Self {
        CommandSenders { runs: Arc::default(), news, followers }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many runs there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Follows the next run, and takes commands to it.
    pub(crate) fn attend(&self, run: &RunFolder) {
        let mut runs = self.lock();
        self.followers.follow(runs.len(), run);
        let waiting = VecDeque::new();
        runs.push(Asked { run: run.clone(), waiting, has_courier: false });
    }

    /// The next command to a run; without one the courier is done.
    fn next(&self, index: usize) -> Option<(RunFolder, Command)> {
        let mut runs = self.lock();
        let asked = runs.get_mut(index)?;
        let command = asked.waiting.pop_front();
        asked.has_courier = command.is_some();
        Some((asked.run.clone(), command?))
    }

    fn carry(&self, index: usize) {
        while let Some((run, command)) = self.next(index) {
            let news = match control::send(&run, command.clone()) {
                // What more there is to say is in the log of the run.
                Ok(_) => RunUpdate::Accepted(command),
                // That it was the run that refused it is clear here.
                Err(lookahead_run::Error::Refused { message, .. }) => {
                    RunUpdate::Refused { command, why: message }
                }
                Err(error) => RunUpdate::Refused { command, why: error.to_string() },
            };
            if self.news.send((index, news)).is_err() {
                return;
            }
        }
    }
}

impl CommandSink for CommandSenders {
    fn ask(&mut self, index: usize, command: Command) -> Result<(), String> {
        let mut runs = self.lock();
        let Some(asked) = runs.get_mut(index) else { return Err("There is no such run.".into()) };
        if asked.waiting.len() >= COMMANDS {
            return Err("The run has not answered earlier commands yet.".into());
        }
        if !asked.has_courier {
            let theirs = self.clone();
            let courier = thread::Builder::new().name(format!("courier {index}"));
            courier
                .spawn(move || theirs.carry(index))
                .map_err(|error| format!("The run can't be asked: {error}."))?;
            asked.has_courier = true;
        }
        asked.waiting.push_back(command);
        Ok(())
    }
}
