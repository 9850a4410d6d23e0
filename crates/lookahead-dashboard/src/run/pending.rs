//! Commands that no event has confirmed yet.

use lookahead_run::command::Command;

/// A requested change between training and pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transition {
    Pause,
    Continue,
}

/// Commands that were sent to a run and that no event has confirmed yet.
#[derive(Debug, Default)]
pub(crate) struct PendingCommands {
    pub(crate) transition: Option<Transition>,
    pub(crate) checkpoint: bool,
    pub(crate) stop: bool,
    pub(crate) roll_back: bool,
    /// The key of the last `set`.
    pub(crate) setting: Option<String>,
}

impl PendingCommands {
    pub(crate) fn add(&mut self, command: &Command) {
        match command {
            Command::Pause => self.transition = Some(Transition::Pause),
            Command::Continue => self.transition = Some(Transition::Continue),
            Command::Checkpoint => self.checkpoint = true,
            Command::Stop => (self.stop, self.transition) = (true, None),
            Command::RollBack => self.roll_back = true,
            Command::Set(setting) => self.setting = Some(setting.key.clone()),
        }
    }

    /// A command was refused, so it can be sent again.
    pub(crate) fn remove(&mut self, command: &Command) {
        match command {
            Command::Pause | Command::Continue => self.transition = None,
            Command::Checkpoint => self.checkpoint = false,
            Command::Stop => self.stop = false,
            Command::RollBack => self.roll_back = false,
            Command::Set(_) => self.setting = None,
        }
    }

    /// The run has made this transition.
    pub(crate) fn confirm(&mut self, made: Transition) {
        self.transition.take_if(|requested| *requested == made);
    }
}
