//! The events of a run, one JSON object a line of `events.jsonl`.
//!
//! Other programs read these lines, so their shape has a version, [`FORMAT`]: within one version fields and
//! events may be added, and none changes its meaning or disappears. A reader ignores those that it does not
//! know.
//!
//! Every line has `event` (its kind), `step` (inner steps taken since the start of the run) and `time` (Unix
//! seconds). Losses are means over samples, in nats for cross-entropy; accuracies, F1 scores and other shares are
//! fractions from 0 to 1; durations are in seconds.
//!
//! ```
//! use lookahead_run::event::{Event, Record, Step};
//!
//! let line = r#"{"time":1.5,"step":7,"event":"step","epoch":0,"loss":"NaN",
//!     "learning_rate":0.1,"samples_per_second":900.0,"phase":2}"#;
//! let record: Record = serde_json::from_str(line).unwrap();
//! assert_eq!(record.step, 7);
//! assert!(matches!(record.event, Event::Step(Step { loss, .. }) if loss.is_nan()));
//! ```

mod info;
mod layers;
mod names;
mod parse;
mod scalars;
#[cfg(test)]
mod tests;
mod trouble;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use info::{
    Compute, LookaheadInfo, MetricInfo, Parameters, RunInfo, Samples, Software, Task, TaskInfo,
    Versions,
};
pub use layers::Layers;
pub(crate) use parse::parse;
pub use scalars::Scalars;
pub use trouble::{RollBackCause, RolledBack, Stalled};

/// Version of the event format, written in `run_started` and `resumed`.
pub const FORMAT: u32 = 1;

/// One line of the event log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When it happened, in Unix seconds.
    pub time: f64,
    /// Inner steps taken since the start of the run.
    pub step: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Record {
    /// A record of `event` at `step`, at the current time.
    pub fn now(step: u64, event: Event) -> Self {
        Record { time: unix_time(), step, event }
    }
}

/// The current time, in Unix seconds; 0 if the clock is set before 1970, which must not end a training.
pub fn unix_time() -> f64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0.0, |duration| duration.as_secs_f64())
}

/// What happened; the field `event` of a line names the variant in snake case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The first line of a log.
    RunStarted(RunInfo),
    /// The run was resumed from a checkpoint. Earlier events of a later step belong to an abandoned
    /// timeline: they were moved to `abandoned/`, except by earlier versions.
    Resumed(Resumed),
    /// One inner step.
    Step(Step),
    /// The slow weights moved and the fast weights restarted from them.
    Sync(Sync),
    /// The loss on the fixed probe batch on both sides of a sync.
    Probe(Probe),
    /// The distance and the gradient of each layer at a sync.
    Layers(Layers),
    /// An evaluation of the model on a whole split.
    Evaluation(Evaluation),
    /// Numbers by name, which the program logs besides.
    Scalars(Scalars),
    /// A checkpoint was published.
    Checkpoint(Checkpoint),
    /// The run paused, on request.
    Paused,
    /// The run continued after a pause.
    Continued,
    /// Settings were changed during training, on request.
    Changed(Changed),
    /// The fast weights went back to the slow ones. A warning with a sentence comes with it.
    RolledBack(RolledBack),
    /// A step takes far longer than usual, and has not ended. A warning with a sentence comes with it.
    Stalled(Stalled),
    /// The process was stopped by a signal for a while, for example by Ctrl-Z.
    Suspended(Suspended),
    /// How the time of the last steps was spent.
    Timing(Timing),
    /// What the run's process uses of the machine.
    System(System),
    /// The measurements of several processes that train together.
    Ranks(Ranks),
    /// Information for the user, for example where the first weights came from.
    Note(Note),
    /// A problem that does not end the run.
    Warning(Warning),
    /// The last line of a run that ended in order.
    RunEnded(RunEnded),
    /// An event of a later version of the format.
    #[serde(other)]
    Unknown,
}

impl Event {
    /// Whether it comes in nearly every step, so that it may be buffered or dropped.
    pub fn is_frequent(&self) -> bool {
        matches!(
            self,
            Event::Step(_)
                | Event::Sync(_)
                | Event::Probe(_)
                | Event::Layers(_)
                | Event::Ranks(_)
                | Event::Scalars(_)
        )
    }
}

/// The measurements of the processes that train together, since the last such event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranks {
    /// Each of them, from rank 0.
    pub ranks: Vec<Rank>,
}

/// The measurements of one of several processes. All of them are at the same step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rank {
    /// Mean loss of its steps.
    #[serde(with = "crate::number")]
    pub loss: f64,
    /// Seconds per step, without waiting.
    #[serde(with = "crate::number")]
    pub step_seconds: f64,
    /// Seconds that averaging took: waiting for the slowest process, and communication.
    #[serde(with = "crate::number")]
    pub wait_seconds: f64,
    /// How far its θ was from the mean of all in the last sync, ‖θ − mean‖₂; none before the first sync,
    /// and if gradients are averaged.
    #[serde(default, with = "crate::number::option", skip_serializing_if = "Option::is_none")]
    pub distance: Option<f64>,
}

/// The run was resumed from the checkpoint of the record's step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resumed {
    /// Folder name of the checkpoint.
    pub checkpoint: String,
    /// Configuration keys that were changed, with their new values.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub changes: serde_json::Map<String, serde_json::Value>,
    /// What the run is from now on.
    #[serde(flatten)]
    pub info: RunInfo,
}

/// One inner step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Passes over the training set completed before this step.
    pub epoch: u64,
    /// Mean loss of the step's batch at the fast weights before the step.
    #[serde(with = "crate::number")]
    pub loss: f64,
    /// Learning rate of the inner optimizer in this step.
    #[serde(with = "crate::number")]
    pub learning_rate: f64,
    /// Training samples a second, smoothed over the last steps, without the time of evaluations, probes
    /// and checkpoints.
    #[serde(with = "crate::number")]
    pub samples_per_second: f64,
    /// Inner steps since the last sync, 1 to k: equal to k if a sync follows at once.
    /// 0 when the inner optimizer trains alone.
    pub phase: u64,
}

/// One sync.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sync {
    /// Its number, from 1.
    pub sync: u64,
    /// Slow step size of this sync.
    #[serde(with = "crate::number")]
    pub alpha: f64,
    /// ‖θ − φ‖ just before the sync, over all trainable parameters, if it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::number::option")]
    pub distance: Option<f64>,
    /// Norm of the last inner step's gradient, over all trainable parameters, if it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::number::option")]
    pub gradient_norm: Option<f64>,
    /// Whether it is the last sync of a run that ended inside a cycle. A run that gets more steps takes
    /// it back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub last: bool,
}

/// The loss on one fixed batch of validation data, in evaluation mode.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// The number of the sync.
    pub sync: u64,
    /// Mean loss at the fast weights just before the sync.
    #[serde(with = "crate::number")]
    pub fast_loss: f64,
    /// Mean loss at the slow weights just after the sync.
    #[serde(with = "crate::number")]
    pub slow_loss: f64,
    /// How long both evaluations took.
    #[serde(with = "crate::number")]
    pub seconds: f64,
}

/// The sets of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// φ, the final model.
    Slow,
    /// θ, which the inner optimizer moves.
    Fast,
    /// What `[averaging]` makes the final model: a mean of θ or φ, or of EMA-Nesterov, whose model is ahead of them, the
    /// weights themselves.
    Average,
}

/// Parts of the data on which the model is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// The validation set, taken from the training set; every choice is made on it.
    Validation,
    /// The data set's own test set; only reported.
    Test,
}

/// An evaluation on a whole split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// At which weights.
    pub weights: Weights,
    /// On which data.
    pub split: Split,
    /// Mean loss over the samples.
    #[serde(with = "crate::number")]
    pub loss: f64,
    /// Fraction of samples classified correctly, 0 to 1; NaN if nothing is classified.
    #[serde(with = "crate::number")]
    pub accuracy: f64,
    /// The number of samples; of a text, the number of tokens.
    pub samples: u64,
    /// How long it took.
    #[serde(with = "crate::number")]
    pub seconds: f64,
    /// The step whose model was evaluated, if it is not the record's: after early stopping the best model
    /// is tested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_step: Option<u64>,
    /// The values of the task's metrics by their names, the accuracy among them; [`RunInfo::task`] says which
    /// there are and how to read them. Empty in logs of earlier versions: use [`value`](Self::value).
    #[serde(default, with = "crate::number::map", skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// On test data, if there are at most 100 classes: for each class in a row, how many of its samples were
    /// taken for each class in a column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion_matrix: Option<Vec<Vec<u64>>>,
}

impl Evaluation {
    /// An evaluation of no samples: NaN for loss and accuracy.
    pub fn new(weights: Weights, split: Split) -> Self {
        Evaluation {
            weights,
            split,
            loss: f64::NAN,
            accuracy: f64::NAN,
            samples: 0,
            seconds: 0.0,
            model_step: None,
            metrics: BTreeMap::new(),
            confusion_matrix: None,
        }
    }

    /// The value of a metric, or of `loss`. `None` if it was not measured. In logs of earlier versions the
    /// perplexity follows from the loss.
    pub fn value(&self, metric: &str) -> Option<f64> {
        match (metric, self.metrics.get(metric)) {
            (_, Some(value)) => Some(*value),
            ("loss", _) => Some(self.loss),
            ("accuracy", _) => Some(self.accuracy).filter(|accuracy| !accuracy.is_nan()),
            ("perplexity", _) if self.metrics.is_empty() => Some(self.loss.exp()),
            _ => None,
        }
    }
}

/// A checkpoint was published, or a valid one of the same step existed. The record's step is the
/// checkpoint's: training may have taken more while it was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Folder name, for example `step-00001500`.
    pub name: String,
    /// Size of all its files.
    pub bytes: u64,
    /// How long the training waited for it.
    #[serde(with = "crate::number")]
    pub seconds: f64,
    /// How long it took to write while training continued; 0 in logs of earlier versions.
    #[serde(default, with = "crate::number")]
    pub write_seconds: f64,
}

/// Settings that apply from the next step, or, for `lookahead.k`, from the next cycle. The configuration
/// in the run's folder and in later checkpoints has them too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// Configuration keys with their new values.
    pub changes: serde_json::Map<String, serde_json::Value>,
}

/// The process was stopped by a signal, and has continued.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Suspended {
    /// For how long at most: the longest time without an event in the last step or just before.
    #[serde(with = "crate::number")]
    pub seconds: f64,
}

/// How the time since the last such event was spent, in seconds. What is in none of the parts, for example
/// writing the log, is the rest of `seconds`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timing {
    /// Inner steps taken in this time.
    pub steps: u64,
    /// All of it, without pauses.
    #[serde(with = "crate::number")]
    pub seconds: f64,
    /// Waiting for batches.
    #[serde(with = "crate::number")]
    pub data: f64,
    /// The loss and its gradient.
    #[serde(with = "crate::number")]
    pub forward_backward: f64,
    /// The inner optimizer.
    #[serde(with = "crate::number")]
    pub inner_step: f64,
    /// Moving φ and restarting θ.
    #[serde(with = "crate::number")]
    pub sync: f64,
    /// The loss on the probe batch at both, and the norms at syncs.
    #[serde(with = "crate::number")]
    pub probe: f64,
    /// Whole evaluations.
    #[serde(with = "crate::number")]
    pub evaluation: f64,
    /// Waiting for snapshots, which are written in the background.
    #[serde(with = "crate::number")]
    pub checkpoint: f64,
}

/// What the run's process uses of the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct System {
    /// Processor time a second since the last such event: 1 is one busy core.
    #[serde(with = "crate::number")]
    pub cpu: f64,
    /// Resident memory, in bytes.
    pub memory: u64,
    /// The GPU that it trains on, if NVML is available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<Gpu>,
}

/// The use of a GPU by all processes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gpu {
    /// Fraction of the time in which some kernel ran, 0 to 1.
    #[serde(with = "crate::number")]
    pub utilization: f64,
    /// Memory in use, in bytes.
    pub memory_used: u64,
    /// All of its memory, in bytes.
    pub memory_total: u64,
}

/// Information for the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The text, in full sentences.
    pub message: String,
}

/// A problem that does not end the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The text, in full sentences.
    pub message: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnded {
    /// Whether it reached its last step, was stopped, or failed.
    pub status: Status,
    /// Why, if the status is not enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The reason for other programs, if the status is not enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The step whose model is the run's result, if it is not the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_step: Option<u64>,
}

impl RunEnded {
    /// An end with nothing but a status.
    pub fn new(status: Status) -> Self {
        RunEnded { status, message: None, reason: None, best_step: None }
    }

    /// Whether early stopping ended it.
    pub fn stopped_early(&self) -> bool {
        self.reason == Some(Reason::EarlyStopping)
    }
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// `train.patience` evaluations on validation data came without a better one.
    EarlyStopping,
    /// The watchdog, or another hook of the program, ended it: the message has the cause.
    Watchdog,
    /// A reason of a later version.
    #[serde(other)]
    Unknown,
}

/// Whether a run reached its last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It took all its steps or stopped early: see [`Reason`].
    Finished,
    /// It was stopped on request, with a checkpoint saved.
    Stopped,
    /// An error ended it.
    Failed,
}
