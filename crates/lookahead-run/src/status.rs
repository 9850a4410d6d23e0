//! How a run that lives is just now, as it tells through its [control socket](crate::control).
//!
//! In JSON every field may be missing, and has its default then, and others may be there: so fields
//! can be added. Numbers that are not finite are written as in [`number`](crate::number).
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

/// How a run is just now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Name of the run, which is the name of its folder.
    pub run: String,
    /// Number of its process.
    pub process: u32,
    /// What it does.
    pub state: State,
    /// Inner steps taken since the start of the run.
    pub step: u64,
    /// Inner steps that it will have taken at its end.
    pub total_steps: u64,
    /// Passes over the training set completed.
    pub epoch: u64,
    /// Inner steps since the last sync, 0 to k; 0 when the inner optimizer trains alone.
    pub phase: u64,
    /// What was measured in the last step.
    #[serde(flatten)]
    pub last_step: LastStep,
    /// Lookahead's settings.
    #[serde(flatten)]
    pub lookahead: LookaheadStatus,
    /// Of a run of several processes, how each fared when they met last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ranks: Vec<Rank>,
    /// The probe batch is evaluated around one of so many syncs; 0 for none.
    pub probe_every_syncs: u64,
    /// Folder name of the last checkpoint; none where there is none yet.
    pub checkpoint: Option<String>,
    /// Keys of the settings that [`Command::Set`](crate::command::Command::Set) takes.
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

/// What a run does just now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It takes steps, evaluates or writes a checkpoint.
    #[default]
    Training,
    /// It waits, on request.
    Paused,
    /// It was asked to end, and takes no further step.
    Stopping,
}

#[cfg(test)]
mod tests;
