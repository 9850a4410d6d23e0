//! What a training carries from step to step besides tensors and settings. A checkpoint's manifest holds it
//! whole.

use std::collections::BTreeMap;

use anyhow::Context;
use lookahead_run::TrainingMetadata;
use serde::{Deserialize, Serialize};

use super::best::Best;
use crate::config::train::TrainConfig;
use crate::data::Dataset;

/// What a training carries from step to step besides tensors and settings: `train_state` in a checkpoint's
/// manifest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainState {
    /// Inner steps taken.
    pub step: u64,
    /// Completed epochs.
    pub epoch: u64,
    /// Index of the next batch in the epoch.
    pub cursor: u64,
    /// The evaluations of the last step that are still to be done.
    pub pending: PendingEvaluation,
    /// Steps since the last sync that were skipped, or rolled back, because of NaN or infinity.
    pub diverging: u32,
    /// Roll-backs so far.
    #[serde(skip_serializing_if = "RollBacks::is_default")]
    pub roll_backs: RollBacks,
    /// The best evaluation so far.
    pub best: Best,
    /// The last evaluation of the final model on validation data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// Steps in the mean of θ; 0 if the run does not average.
    pub averaged_steps: u64,
    /// How many processes trained.
    pub workers: usize,
    /// Whether the last sync has been made: `model.safetensors` holds the model after it, and all else is the
    /// state before it.
    pub final_sync: bool,
    /// The training data.
    pub data: DataIdentity,
    /// Set if `config.toml` lacked settings of this state when it was saved, because the disk refused them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outdated_config: Option<OutdatedConfig>,
    /// The state of hooks that have one, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hooks: BTreeMap<String, serde_json::Value>,
    /// How long the run's earlier processes ran, in seconds: the manifest's `wall_seconds`. It is not in
    /// `train_state`, which is equal for two checkpoints of the same moment.
    #[serde(skip)]
    pub earlier_seconds: f64,
}

/// The automatic roll-backs of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RollBacks {
    /// How many.
    pub count: u64,
    /// By what the learning rate is multiplied since; a learning rate that is set sets it to 1.
    pub lr_scale: f64,
}

impl Default for RollBacks {
    fn default() -> Self {
        RollBacks { count: 0, lr_scale: 1.0 }
    }
}

impl RollBacks {
    fn is_default(&self) -> bool {
        *self == RollBacks::default()
    }
}

/// The evaluations that follow a step. If the run is requested to stop they are done after the resume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PendingEvaluation {
    /// None.
    #[default]
    None,
    /// That of θ, before the sync, and that of φ after it.
    Both,
    /// That of φ, after the sync.
    Slow,
}

/// Measurements of the final model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The step that they are of.
    pub step: u64,
    /// The values by their names in a manifest.
    #[serde(with = "lookahead_run::number::map")]
    pub values: BTreeMap<String, f64>,
}

/// What distinguishes training data from other data; none of it in checkpoints of early versions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataIdentity {
    /// Training samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_samples: Option<u64>,
    /// A hash of their contents, if the data has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<i64>,
}

impl DataIdentity {
    /// That of loaded data.
    pub fn new(data: &Dataset) -> Self {
        let train_samples = Some(data.train.len() as u64);
        DataIdentity { train_samples, fingerprint: data.train.fingerprint() }
    }
}

/// A `config.toml` that lacks settings of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutdatedConfig {
    /// A hash of its text.
    pub fingerprint: i64,
    /// The k from the next cycle on, in checkpoints of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_k: Option<u64>,
}

impl TrainState {
    /// The state in a checkpoint's metadata, which may be of an earlier version.
    ///
    /// # Errors
    /// If this version can't read it.
    pub fn from_metadata(metadata: &TrainingMetadata) -> anyhow::Result<Self> {
        let state = if metadata.train_state.is_null() {
            from_tables(metadata)
        } else {
            TrainState::deserialize(&metadata.train_state)
                .context("`train_state` in the checkpoint's manifest can't be read.")?
        };
        // The manifest itself is checked against the tensors.
        Ok(TrainState {
            step: metadata.step,
            epoch: metadata.epoch,
            cursor: metadata.cursor,
            workers: state.workers.max(1),
            earlier_seconds: metadata.wall_seconds,
            ..state
        })
    }

    /// Puts it into a checkpoint's metadata, with the keys that other readers of a manifest know.
    pub fn write_into(&self, metadata: &mut TrainingMetadata) {
        (metadata.step, metadata.epoch, metadata.cursor) = (self.step, self.epoch, self.cursor);
        metadata.metrics = match &self.metrics {
            Some(metrics) if metrics.step == self.step => metrics.values.clone(),
            _ => BTreeMap::new(),
        };
        metadata.train_state = serde_json::to_value(self).unwrap_or_default();
    }

    /// Whether the evaluations after this step would be there in a longer run too.
    pub fn is_regular_evaluation(&self, train: &TrainConfig) -> bool {
        self.cursor == 0 && train.evaluates_after(self.epoch)
    }

    /// Whether the best model is older than `patience` evaluations, with none pending; 0 is never.
    pub fn is_out_of_patience(&self, patience: u64) -> bool {
        patience > 0 && self.best.since >= patience && self.pending == PendingEvaluation::None
    }
}

/// Reads a manifest of an earlier version: its integers and numbers held the trainer's state beside the
/// optimizer's.
fn from_tables(metadata: &TrainingMetadata) -> TrainState {
    let integer = |key: &str| metadata.integers.get(key).copied();
    let count = |key: &str| integer(key).map(i64::unsigned_abs);
    TrainState {
        pending: match integer("train/owed") {
            Some(1) => PendingEvaluation::Both,
            Some(2) => PendingEvaluation::Slow,
            _ => PendingEvaluation::None,
        },
        diverging: integer("train/diverging").and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
        best: Best {
            value: metadata.numbers.get("train/best").copied(),
            step: count("train/best_step").unwrap_or(0),
            since: count("train/since_best").unwrap_or(0),
        },
        metrics: Some(Metrics { step: metadata.step, values: metadata.metrics.clone() }),
        averaged_steps: count("train/averaged").unwrap_or(0),
        workers: count("train/ranks").unwrap_or(1) as usize,
        final_sync: integer("train/final_sync") == Some(1),
        data: DataIdentity {
            train_samples: count("data/train_samples"),
            fingerprint: integer("data/fingerprint"),
        },
        outdated_config: integer("train/outdated_config")
            .map(|fingerprint| OutdatedConfig { fingerprint, next_k: count("train/next_k") }),
        ..TrainState::default()
    }
}

#[cfg(test)]
mod tests;
