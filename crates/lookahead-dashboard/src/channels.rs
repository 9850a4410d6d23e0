//! The channels between a dashboard and its runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crossbeam_channel::Receiver;
use lookahead_run::command::Command;

use crate::message::RunUpdate;

/// Most commands to one run that wait for an answer.
pub(crate) const COMMANDS: usize = 16;
pub(crate) const BUSY: &str = "The run has not answered earlier commands yet.";

/// Sends commands to runs.
pub(crate) trait CommandSink: Send {
    /// Sends a command, without waiting for its effect.
    ///
    /// # Errors
    /// A sentence for the user if the command can't be sent.
    fn send(&mut self, run: usize, command: Command) -> Result<(), String>;

    /// The name of a run that has joined since the last call; its number is the next one.
    fn joined(&mut self) -> Option<String> {
        None
    }
}

/// A dashboard's ends of the channels.
pub(crate) struct Channels {
    /// Updates of runs by their numbers.
    pub(crate) updates: Receiver<(usize, RunUpdate)>,
    pub(crate) commands: Box<dyn CommandSink>,
    /// Disconnected when the dashboard shall end.
    pub(crate) close: Receiver<()>,
    /// Records that did not fit into the channel.
    pub(crate) dropped: Arc<AtomicU64>,
    /// The folder for which the arrangement of the charts is remembered.
    pub(crate) folder: Option<PathBuf>,
}
