//! The channels between a dashboard and its runs.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crossbeam_channel::{Receiver, TryRecvError};
use lookahead_run::RunFolder;
use lookahead_run::command::Command;

use crate::message::RunUpdate;
use crate::model::table::TableUpdate;

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

    /// Follows these runs instead of the present ones; returns their updates. Only a watcher can.
    ///
    /// # Errors
    /// If the system refuses a thread.
    fn open(&mut self, _runs: Vec<RunFolder>) -> io::Result<Option<Updates>> {
        Ok(None)
    }
}

/// Most updates that are held while a run's past is being read; more wait in the channel.
const HELD: usize = 1 << 16;

/// Updates of runs by their numbers, in order.
pub(crate) struct Updates {
    channel: Receiver<(usize, RunUpdate)>,
    /// The past of a run, which comes before everything else.
    past: Option<(usize, Receiver<RunUpdate>)>,
    /// What came out of the channel meanwhile.
    held: VecDeque<(usize, RunUpdate)>,
}

impl Updates {
    pub(crate) fn new(channel: Receiver<(usize, RunUpdate)>) -> Self {
        Updates { channel, past: None, held: VecDeque::new() }
    }

    /// The next update, if it is there.
    pub(crate) fn next(&mut self) -> Option<(usize, RunUpdate)> {
        loop {
            if let Some((run, past)) = &self.past {
                let room = HELD.saturating_sub(self.held.len());
                self.held.extend(self.channel.try_iter().take(room));
                match past.try_recv() {
                    Ok(update) => return Some((*run, update)),
                    Err(TryRecvError::Empty) => return None,
                    Err(TryRecvError::Disconnected) => self.past = None,
                }
            }
            match self.held.pop_front().or_else(|| self.channel.try_recv().ok())? {
                (run, RunUpdate::Past(past)) => self.past = Some((run, past)),
                update => return Some(update),
            }
        }
    }

    /// Whether a run's past is still being read.
    pub(crate) fn is_behind(&self) -> bool {
        self.past.is_some()
    }

    /// Gives up the rest of a run's past.
    pub(crate) fn skip_past(&mut self) {
        self.past = None;
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        let past = self.past.as_ref().map(|(_, past)| past.is_empty());
        past.unwrap_or(self.held.is_empty() && self.channel.is_empty())
    }

    /// How many updates wait.
    pub(crate) fn len(&self) -> usize {
        self.held.len() + self.channel.len()
    }
}

/// A dashboard's ends of the channels.
pub(crate) struct Channels {
    pub(crate) updates: Updates,
    pub(crate) commands: Box<dyn CommandSink>,
    /// Disconnected when the dashboard shall end.
    pub(crate) close: Receiver<()>,
    /// Records that did not fit into the channel.
    pub(crate) dropped: Arc<AtomicU64>,
    /// The folder for which the arrangement of the charts is remembered.
    pub(crate) folder: Option<PathBuf>,
    /// What the reader of the table has found, if there is a table.
    pub(crate) table: Receiver<TableUpdate>,
}
