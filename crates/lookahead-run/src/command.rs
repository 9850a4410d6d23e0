//! What can be asked of a run while it lives.

use serde::{Deserialize, Serialize};

/// A request to the training loop. Each takes effect at the next step, not at the next epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Take no further step until [`Command::Continue`] or [`Command::Stop`] comes.
    Pause,
    /// Go on after a pause.
    Continue,
    /// Save a checkpoint now, and go on.
    Checkpoint,
    /// Save a checkpoint and end the run.
    Stop,
}
