//! When to save: `[checkpoint]`.

use serde::{Deserialize, Serialize};

use super::check::{ConfigIssue, require};

/// `[checkpoint]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// A checkpoint at every so many steps; 0 saves only at the end and on request.
    pub every_steps: u64,
    /// How many of the newest checkpoints to keep.
    pub keep: usize,
    /// Those of every so manieth step are kept for good; 0 keeps none of them.
    pub keep_every_steps: u64,
    /// Whether a checkpoint is saved after each evaluation on validation data that is the best so
    /// far, by `train.best_by`, and the best one kept; with `train.patience` it always is.
    pub keep_best: bool,
    /// Seconds that the program may take to save and end after a signal that asks it to; 0 is as
    /// long as it takes.
    pub deadline_seconds: u64,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        CheckpointConfig {
            every_steps: 500,
            keep: 3,
            keep_every_steps: 0,
            keep_best: false,
            deadline_seconds: 0,
        }
    }
}

impl CheckpointConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigIssue> {
        require(self.keep >= 1, "checkpoint.keep", self.keep, "at least 1")?;
        let (deadline, allowed) = (self.deadline_seconds, "at most 86400, a day");
        require(deadline <= 86400, "checkpoint.deadline_seconds", deadline, allowed)
    }
}
