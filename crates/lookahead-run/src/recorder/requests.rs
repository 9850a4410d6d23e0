//! What others ask of the loop, from the control socket to [`poll`](super::Recorder::poll).

use crate::command::{Command, Setting};
use crate::control::Accepted;

use super::settings::Settings;

/// What the loop should do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Take the next step: nothing is asked for.
    Continue,
    /// End the loop, after saving what should be kept. Every later [`poll`](super::Recorder::poll) returns it again.
    Stop,
    /// Save a checkpoint, and report it by [`checkpoint_saved`](super::Recorder::checkpoint_saved). Only asked of a
    /// loop that [declared](super::RecorderOptions::checkpoints) that it does.
    Checkpoint,
    /// Use another value of a [declared setting](super::RecorderOptions::setting) from the next step on; it has the
    /// type of the first value.
    Set(Setting),
}

/// Requests that wait for the loop, in bounded memory: a setting waits with its last value only.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// Whether the loop should take no step.
    pub(super) paused: bool,
    pub(super) stop: bool,
    /// Whether the loop asks for no more requests.
    pub(super) ended: bool,
    checkpoint: bool,
    changes: Vec<Setting>,
    settings: Settings,
    saves_checkpoints: bool,
}

impl Requests {
    pub(super) fn new(settings: Settings, saves_checkpoints: bool) -> Self {
        Requests { settings, saves_checkpoints, ..Requests::default() }
    }

    /// The keys that can be changed.
    pub(super) fn keys(&self) -> Vec<String> {
        self.settings.declared().iter().map(|(key, _)| key.clone()).collect()
    }

    /// Takes a command, or refuses it with a sentence.
    pub(super) fn accept(&mut self, command: Command) -> Accepted {
        if self.ended {
            return Err("The run has ended.".to_owned());
        }
        if self.stop && command != Command::Stop {
            return Err("The run is stopping.".to_owned());
        }
        match command {
            Command::Pause => self.paused = true,
            Command::Continue => self.paused = false,
            Command::Stop => self.stop = true,
            Command::Checkpoint if !self.saves_checkpoints => {
                return Err("This program saves no checkpoint on request.".to_owned());
            }
            Command::Checkpoint => self.checkpoint = true,
            Command::RollBack => {
                return Err("This program has no slow weights to roll back to.".to_owned());
            }
            Command::Set(change) => {
                let change = self.settings.check(change)?;
                self.changes.retain(|waiting| waiting.key != change.key);
                self.changes.push(change);
            }
        }
        Ok(None)
    }

    /// The next request, taken from those that wait; none if the loop should continue or wait.
    pub(super) fn next(&mut self) -> Option<Request> {
        if self.stop {
            return Some(Request::Stop);
        }
        if !self.changes.is_empty() {
            return Some(Request::Set(self.changes.remove(0)));
        }
        std::mem::take(&mut self.checkpoint).then_some(Request::Checkpoint)
    }
}
