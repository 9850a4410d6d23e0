//! What a training carries from step to step besides tensors.

use std::collections::BTreeMap;

use lookahead_run::TrainingMetadata;

use super::best::Best;
use crate::config::train::TrainConfig;

/// What a training carries from step to step besides tensors, the place in the data and settings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrainState {
    /// Inner steps taken.
    pub step: u64,
    /// Passes over the training set that are complete.
    pub epoch: u64,
    /// The index of the next batch in the epoch.
    pub cursor: u64,
    /// The evaluations of the last step that are still to be done.
    pub pending: PendingEvaluation,
    /// Steps since the last sync that were skipped, or rolled back, for values that are NaN or infinity.
    pub diverging: u32,
    /// The best evaluation so far.
    pub best: Best,
    /// The last evaluation's step, and its values by their names in a manifest.
    pub metrics: Option<(u64, BTreeMap<String, f64>)>,
    /// How long the run's earlier processes ran, in seconds.
    pub earlier_seconds: f64,
    /// Whether a step has begun and not ended, so that the weights belong to no step. Not saved.
    pub in_step: bool,
    /// Whether the last sync has been made: the weights are the final model's, and the snapshot to be
    /// written has the state before it. Not saved as such.
    pub final_sync: bool,
    /// The state of hooks that have one, by their names.
    pub hooks: BTreeMap<String, serde_json::Value>,
    /// The loss of θ on test data after the last step, once it has been evaluated. Not saved.
    pub fast_test_loss: Option<f64>,
}

/// The evaluations that follow a step, which a run that is asked to stop leaves for later. The numbers
/// are those in checkpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PendingEvaluation {
    /// None.
    #[default]
    None = 0,
    /// That of θ, before the sync, and that of φ after it.
    Both = 1,
    /// That of φ, after the sync.
    Slow = 2,
}

/// Keys of a manifest's integers and numbers.
const DIVERGING: &str = "train/diverging";
const PENDING: &str = "train/owed";
const BEST: &str = "train/best";
const BEST_STEP: &str = "train/best_step";
const SINCE_BEST: &str = "train/since_best";
const RANKS: &str = "train/ranks";
const FINAL_SYNC: &str = "train/final_sync";
/// How many training samples there were.
pub const TRAIN_SAMPLES: &str = "data/train_samples";
/// What tells the training data from others, if that is known.
pub const FINGERPRINT: &str = "data/fingerprint";
/// What identifies a `config.toml` that lacks the checkpoint's settings since it could not be written.
pub const OUTDATED_CONFIG: &str = "train/outdated_config";
/// In checkpoints of earlier versions: the k that was to hold from the next cycle on, if `config.toml`
/// lacks it.
pub const NEXT_K: &str = "train/next_k";

impl TrainState {
    /// The state that a manifest holds.
    pub fn from_details(metadata: &TrainingMetadata) -> Self {
        let integer = |key: &str| metadata.integers.get(key).copied().unwrap_or(0);
        TrainState {
            step: metadata.step,
            pending: match integer(PENDING) {
                1 => PendingEvaluation::Both,
                2 => PendingEvaluation::Slow,
                _ => PendingEvaluation::None,
            },
            diverging: u32::try_from(integer(DIVERGING)).unwrap_or(0),
            best: Best {
                value: metadata.numbers.get(BEST).copied(),
                step: integer(BEST_STEP).unsigned_abs(),
                since: integer(SINCE_BEST).unsigned_abs(),
            },
            metrics: Some((metadata.step, metadata.metrics.clone())),
            earlier_seconds: metadata.wall_seconds,
            ..TrainState::default()
        }
    }

    /// Writes it into a manifest, for a run of `workers` processes.
    pub fn write_into(&self, metadata: &mut TrainingMetadata, workers: usize) {
        metadata.step = self.step;
        let mut integer = |key: &str, value: i64| metadata.integers.insert(key.to_owned(), value);
        integer(DIVERGING, i64::from(self.diverging));
        integer(PENDING, self.pending as i64);
        if workers > 1 {
            integer(RANKS, workers as i64);
        }
        if self.final_sync {
            integer(FINAL_SYNC, 1);
        }
        if let Some(value) = self.best.value {
            integer(BEST_STEP, self.best.step as i64);
            integer(SINCE_BEST, self.best.since as i64);
            metadata.numbers.insert(BEST.to_owned(), value);
        }
        metadata.metrics = match &self.metrics {
            Some((step, metrics)) if *step == self.step => metrics.clone(),
            _ => BTreeMap::new(),
        };
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

/// How many processes took a checkpoint.
pub fn ranks_of(metadata: &TrainingMetadata) -> usize {
    metadata.integers.get(RANKS).map_or(1, |&ranks| ranks.unsigned_abs() as usize)
}
