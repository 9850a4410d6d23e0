//! What a run is: the first event of a log.

use serde::{Deserialize, Serialize};

/// What a run is: enough to draw its dashboard without reading anything else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Version of the event format: [`FORMAT`](super::FORMAT).
    pub format: u32,
    /// Name of the run, which is that of its folder.
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
    /// Seed that fixes weights, dropout and the order of data.
    pub seed: u64,
    /// The programs that ran.
    #[serde(flatten)]
    pub software: Software,
    /// The resolved configuration, every default written out.
    pub config: serde_json::Value,
}

/// What is learnt, which decides what an evaluation reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// The class of each sample: losses are cross-entropies, and there are accuracies.
    #[default]
    Classification,
    /// The next token at each place of a text: losses are cross-entropies per token, whose exponential is
    /// the perplexity; accuracies are fractions of tokens.
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

/// Versions of a program and its libraries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The program.
    pub lookahead: String,
    /// The Rust binding of libtorch.
    pub tch: String,
    /// libtorch itself.
    pub libtorch: String,
}
