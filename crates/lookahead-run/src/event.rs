//! What happens in a run, one JSON object a line of `events.jsonl`.
//!
//! Other programs read these lines, so their shape is versioned by [`FORMAT`]: within one format
//! fields and events may be added, and none changes its meaning or goes. A reader ignores fields
//! and events that it does not know.
//!
//! Every line has `event` (which one), `step` (inner steps taken since the start of the run when
//! it happened) and `time` (Unix seconds). Losses are means over samples, in nats for
//! cross-entropy; accuracies are fractions from 0 to 1; durations are in seconds.
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

use serde::{Deserialize, Serialize};

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
    /// A record of `event` at `step`, stamped with the time now.
    pub fn now(step: u64, event: Event) -> Self {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock set before 1970 is no reason to end a training.
        let time = since_epoch.map_or(0.0, |duration| duration.as_secs_f64());
        Record { time, step, event }
    }
}

/// The record in a line of a log, as by `serde_json::from_slice`, and in about half the time where
/// it is a step: as good as all lines of a long log are, and a field that decides what the others
/// mean makes serde hold all of them.
pub(crate) fn parse(line: &[u8]) -> serde_json::Result<Record> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        time: f64,
        step: u64,
        #[serde(rename = "event")]
        _event: Name,
        epoch: u64,
        #[serde(with = "crate::number")]
        loss: f64,
        #[serde(with = "crate::number")]
        learning_rate: f64,
        #[serde(with = "crate::number")]
        samples_per_second: f64,
        phase: u64,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Name {
        Step,
    }

    // A list of values would pass for the fields in their order, and is no record.
    if line.starts_with(b"{")
        && let Ok(line) = serde_json::from_slice(line)
    {
        let Line { time, step, _event: Name::Step, epoch, loss, learning_rate, .. } = line;
        let Line { samples_per_second, phase, .. } = line;
        let event = Step { epoch, loss, learning_rate, samples_per_second, phase };
        return Ok(Record { time, step, event: Event::Step(event) });
    }
    serde_json::from_slice(line)
}

/// What happened; the field `event` of a line names the variant in snake case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The first line of a log.
    RunStarted(RunInfo),
    /// The run was resumed from a checkpoint. Earlier events of a later step than this one's belong to an
    /// abandoned timeline: they were moved to `abandoned/`, except by earlier versions.
    Resumed(Resumed),
    /// One inner step was taken.
    Step(Step),
    /// The slow weights moved and the fast weights restarted from them.
    Sync(Sync),
    /// The loss on the fixed probe batch on both sides of a sync.
    Probe(Probe),
    /// The model was evaluated on a whole split.
    Evaluation(Evaluation),
    /// A checkpoint was published.
    Checkpoint(Checkpoint),
    /// The run waits, on request.
    Paused,
    /// The run goes on after a pause.
    Continued,
    /// Settings were changed while the run goes on, on request.
    Changed(Changed),
    /// The process was stopped by a signal for a while, as by Ctrl-Z, and went on.
    Suspended(Suspended),
    /// Where the time of the last steps went.
    Timing(Timing),
    /// What the run's process uses of the machine.
    System(System),
    /// How each of several processes that train together fares.
    Ranks(Ranks),
    /// Something that its owner may like to know, such as where its first weights came from.
    Note(Note),
    /// Something that does not end the run and that its owner should know.
    Warning(Warning),
    /// The last line of a run that ended in order.
    RunEnded(RunEnded),
    /// An event of a later version of the format.
    #[serde(other)]
    Unknown,
}

impl Event {
    /// Whether it comes in every step or nearly so: who gathers or drops events does so with these.
    pub fn is_frequent(&self) -> bool {
        matches!(self, Event::Step(_) | Event::Sync(_) | Event::Probe(_) | Event::Ranks(_))
    }
}

/// How the processes that train together fared since they met last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranks {
    /// Each of them, from rank 0 on.
    pub ranks: Vec<Rank>,
}

/// How one of several processes fared since they met last. All stand at the same step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rank {
    /// Mean loss of its steps.
    #[serde(with = "crate::number")]
    pub loss: f64,
    /// Seconds a step, without those in which it waited.
    #[serde(with = "crate::number")]
    pub step_seconds: f64,
    /// Seconds in which it averaged with the others, which is to wait for the slowest and to send.
    #[serde(with = "crate::number")]
    pub wait_seconds: f64,
    /// How far its θ was from the mean of all in the last sync, ‖θ − mean‖₂; none before the first, and
    /// where gradients are averaged.
    #[serde(default, with = "crate::number::option", skip_serializing_if = "Option::is_none")]
    pub distance: Option<f64>,
}

/// What a run is: enough to draw its dashboard without reading anything else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Version of the event format: [`FORMAT`].
    pub format: u32,
    /// Name of the run, which is the name of its folder.
    pub run: String,
    /// Name of the data set.
    pub data: String,
    /// What is learnt from it.
    #[serde(default)]
    pub task: Task,
    /// Name of the model.
    pub model: String,
    /// Name of the inner optimizer.
    pub optimizer: String,
    /// Lookahead's settings; absent when the inner optimizer trains alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookahead: Option<LookaheadInfo>,
    /// What computes.
    #[serde(flatten)]
    pub compute: Compute,
    /// Trainable parameters, counted in elements.
    pub parameters: u64,
    /// Inner steps that the run will have taken at its end.
    pub total_steps: u64,
    /// Inner steps in one pass over the training set.
    pub steps_per_epoch: u64,
    /// Sizes of the splits of the data.
    #[serde(flatten)]
    pub samples: Samples,
    /// Seed that fixes weights, dropout and order of data.
    pub seed: u64,
    /// The programs that ran.
    #[serde(flatten)]
    pub software: Software,
    /// The resolved configuration, every default written out.
    pub config: serde_json::Value,
}

/// What is learnt, which decides what an evaluation says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// The class of each sample: losses are cross-entropies, and there are accuracies.
    #[default]
    Classification,
    /// The next symbol at each place of a text: losses are cross-entropies of a symbol, whose
    /// exponential is the perplexity; accuracies are fractions of symbols.
    Language,
    /// The minimum of a quadratic function: losses are distances above it, and accuracies are NaN.
    Quadratic,
}

/// Lookahead's settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LookaheadInfo {
    /// Synchronization period: inner steps between syncs.
    pub k: u64,
    /// Slow step size.
    pub alpha: f64,
}

/// The device of a run, and how its CPU kernels compute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compute {
    /// Where the tensors are: `cpu`, or for example `cuda:0`.
    pub device: String,
    /// Threads that libtorch uses inside one operation.
    pub threads: u32,
    /// Vector instructions that libtorch's CPU kernels use, for example `AVX2`.
    pub cpu_capability: String,
}

/// How many samples each split of the data has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Samples {
    /// The training set, without the validation set.
    #[serde(rename = "train_samples")]
    pub train: u64,
    /// The validation set, which is taken from the training set.
    #[serde(rename = "validation_samples")]
    pub validation: u64,
    /// The test set.
    #[serde(rename = "test_samples")]
    pub test: u64,
}

/// The programs behind a run or a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Software {
    /// Name of the program that trains, which knows what the configuration and the tensors mean; none in
    /// files of earlier versions, which only `lookahead` wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Its version, and those of its libraries.
    pub versions: Versions,
}

/// Versions of the programs behind a run or a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// This project.
    pub lookahead: String,
    /// The Rust binding of libtorch.
    pub tch: String,
    /// libtorch itself.
    pub libtorch: String,
}

/// The run went on from the checkpoint of the record's step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resumed {
    /// Folder name of the checkpoint.
    pub checkpoint: String,
    /// Configuration keys that were changed, with their new values.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub changes: serde_json::Map<String, serde_json::Value>,
    /// What the run is from here on.
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
    /// Training samples a second, smoothed over the last steps; evaluation, probes and
    /// checkpoints are not counted in.
    #[serde(with = "crate::number")]
    pub samples_per_second: f64,
    /// Inner steps since the last sync, 1 to k: equal to k where a sync follows at once.
    /// 0 when the inner optimizer trains alone.
    pub phase: u64,
}

/// One sync.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sync {
    /// How many syncs there have been, this one counted in.
    pub sync: u64,
    /// Slow step size of this sync.
    #[serde(with = "crate::number")]
    pub alpha: f64,
    /// ‖θ − φ‖ just before the sync, over all trainable parameters; only where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::number::option")]
    pub distance: Option<f64>,
    /// Norm of the last inner step's gradient, over all trainable parameters; only where it was
    /// measured.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::number::option")]
    pub gradient_norm: Option<f64>,
    /// Whether it is the last sync of a run that ended inside a cycle. A run that is given more steps takes
    /// it back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub last: bool,
}

/// The loss on one fixed batch of validation data, in evaluation mode.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// The sync around which it was taken.
    pub sync: u64,
    /// Mean loss at the fast weights just before the sync.
    #[serde(with = "crate::number")]
    pub fast_loss: f64,
    /// Mean loss at the slow weights just after the sync.
    #[serde(with = "crate::number")]
    pub slow_loss: f64,
    /// What the two evaluations cost, in seconds.
    #[serde(with = "crate::number")]
    pub seconds: f64,
}

/// The sets of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// φ, the final model.
    Slow,
    /// θ, what the inner optimizer moves.
    Fast,
    /// A mean of θ over steps, the final model of a run that averages.
    Average,
}

/// Parts of the data that the model is evaluated on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Held out of the training set; every choice is made on it.
    Validation,
    /// The data set's own test set; only reported.
    Test,
}

/// An evaluation on a whole split.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// At which weights.
    pub weights: Weights,
    /// On which data.
    pub split: Split,
    /// Mean loss over the samples.
    #[serde(with = "crate::number")]
    pub loss: f64,
    /// Fraction of samples classified right, 0 to 1; NaN where nothing is classified.
    #[serde(with = "crate::number")]
    pub accuracy: f64,
    /// How many samples: of a text, how many symbols.
    pub samples: u64,
    /// What it cost, in seconds.
    #[serde(with = "crate::number")]
    pub seconds: f64,
    /// The step whose model was evaluated, where that is not the record's step: after early stopping
    /// the best model is tested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_step: Option<u64>,
}

/// A checkpoint was published, or one of the same step was already there and valid. The record's
/// step is the checkpoint's: while it was written, the training has taken more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Folder name, such as `step-00001500`.
    pub name: String,
    /// Size of its files together.
    pub bytes: u64,
    /// How long the training waited for it.
    #[serde(with = "crate::number")]
    pub seconds: f64,
    /// How long it took to write, while the training went on; 0 in logs of earlier versions.
    #[serde(default, with = "crate::number")]
    pub write_seconds: f64,
}

/// Settings that hold from the next step on, or, for `lookahead.k`, from the next cycle on. The
/// configuration in the run's folder and in later checkpoints has them too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// Configuration keys with their new values.
    pub changes: serde_json::Map<String, serde_json::Value>,
}

/// The process was stopped by a signal, and has gone on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Suspended {
    /// For how long at most: the longest time without an event since the last step.
    #[serde(with = "crate::number")]
    pub seconds: f64,
}

/// Where the time went since the last such event, in seconds. What is not in any part, such as
/// writing the log, makes up the rest of `seconds`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timing {
    /// Inner steps taken in this time.
    pub steps: u64,
    /// All of it, pauses left out.
    #[serde(with = "crate::number")]
    pub seconds: f64,
    /// Getting batches: what the training waited for data.
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
    /// Waiting for snapshots; writing them goes on beside the training.
    #[serde(with = "crate::number")]
    pub checkpoint: f64,
}

/// What the run's process uses of the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct System {
    /// Processor time a second since the last such event: 1 is one core kept busy.
    #[serde(with = "crate::number")]
    pub cpu: f64,
    /// Resident memory, in bytes.
    pub memory: u64,
    /// The GPU that it trains on, where NVML can be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<Gpu>,
}

/// A GPU, all its processes together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gpu {
    /// Fraction of the time in which some kernel ran, 0 to 1.
    #[serde(with = "crate::number")]
    pub utilization: f64,
    /// Memory in use, in bytes.
    pub memory_used: u64,
    /// Memory that there is, in bytes.
    pub memory_total: u64,
}

/// Something that its owner may like to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What, in full sentences.
    pub message: String,
}

/// Something that does not end the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What, in full sentences.
    pub message: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnded {
    /// Whether it reached its last step, was stopped, or failed.
    pub status: Status,
    /// Why, where there is more to say than the status does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What ended it, for programs; absent where the status says it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The step whose model is the run's result, where that is not the last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_step: Option<u64>,
}

impl RunEnded {
    /// An end of which the status says all.
    pub fn new(status: Status) -> Self {
        RunEnded { status, message: None, reason: None, best_step: None }
    }

    /// Whether it ended before its last step, since evaluations came without a better one.
    pub fn stopped_early(&self) -> bool {
        self.reason == Some(Reason::EarlyStopping)
    }
}

/// What ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// `train.patience` evaluations on validation data came without a better one.
    EarlyStopping,
    /// A reason of a later version.
    #[serde(other)]
    Unknown,
}

/// Whether a run reached its last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All steps were taken, or the run stopped early: see [`Reason`].
    Finished,
    /// Stopped on request, with a checkpoint saved.
    Stopped,
    /// Ended by an error.
    Failed,
}

#[cfg(test)]
mod tests;
