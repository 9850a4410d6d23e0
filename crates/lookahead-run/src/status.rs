//! The current status of a run, as its [control socket](crate::control) reports it.
//!
//! In JSON a missing field has its default, and unknown fields are ignored, so fields can be added. NaN and
//! infinity are written as in [`number`](crate::number).
//!
//! ```
//! use lookahead_run::status::{State, Status};
//!
//! let status: Status = serde_json::from_str(
//!     r#"{"run":"mnist","state":"paused","step":7,"total_steps":100,"loss":"NaN","mood":"good"}"#,
//! ).unwrap();
//! assert_eq!((status.state, status.step, status.lookahead.k), (State::Paused, 7, None));
//! assert!(status.last_step.loss.is_some_and(f64::is_nan));
//! ```

use serde::{Deserialize, Serialize};

use crate::event::Rank;

/// The current status of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Name of the run, which is that of its folder.
    pub run: String,
    /// The id of its process.
    pub process: u32,
    /// What it is doing.
    pub state: State,
    /// Inner steps taken since the start of the run.
    pub step: u64,
    /// Inner steps that it will have taken at its end.
    pub total_steps: u64,
    /// Completed epochs.
    pub epoch: u64,
    /// Inner steps since the last sync, 0 to k; 0 when the inner optimizer trains alone.
    pub phase: u64,
    /// What was measured in the last step.
    #[serde(flatten)]
    pub last_step: LastStep,
    /// Lookahead's settings.
    #[serde(flatten)]
    pub lookahead: LookaheadStatus,
    /// The last measurements of each of several processes; empty for a single process.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ranks: Vec<Rank>,
    /// The probe batch is evaluated around every Nth sync; 0 for none.
    pub probe_every_syncs: u64,
    /// Folder name of the last checkpoint, if there is one.
    pub checkpoint: Option<String>,
    /// Keys that [`Command::Set`](crate::command::Command::Set) accepts.
    pub settings: Vec<String>,
}

/// What was measured in the last step; nothing before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LastStep {
    /// Mean loss of its batch at the fast weights.
    #[serde(with = "crate::number::option")]
    pub loss: Option<f64>,
    /// Learning rate of the inner optimizer.
    #[serde(with = "crate::number::option")]
    pub learning_rate: Option<f64>,
    /// Training samples a second, smoothed over the last steps.
    #[serde(with = "crate::number::option")]
    pub samples_per_second: Option<f64>,
}

/// Lookahead's settings; none if the inner optimizer trains alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LookaheadStatus {
    /// Synchronization period: inner steps between syncs.
    pub k: Option<u64>,
    /// The requested k, which holds from the next cycle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_k: Option<u64>,
    /// Slow step size.
    #[serde(with = "crate::number::option")]
    pub alpha: Option<f64>,
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It takes steps, evaluates or writes a checkpoint.
    #[default]
    Training,
    /// It waits, on request.
    Paused,
    /// A stop was requested, and it takes no further step.
    Stopping,
}

#[cfg(test)]
mod tests;
