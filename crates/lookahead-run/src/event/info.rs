//! What a run is: the first event of a log.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Weights;
use crate::format::{count, loss, percent, safe};

/// What a run is: enough to draw its dashboard without reading anything else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Version of the event format: [`FORMAT`](super::FORMAT).
    pub format: u32,
    /// Name of the run, which is that of its folder.
    pub run: String,
    /// Name of the data set.
    pub data: String,
    /// What is learned from it, and how an evaluation measures that.
    #[serde(flatten)]
    pub task: TaskInfo,
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
    /// The size of the model.
    #[serde(flatten)]
    pub parameters: Parameters,
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

impl RunInfo {
    /// The metric by which the run's best model is chosen: that of its config, else the most important one, else the
    /// loss.
    pub fn best_by(&self) -> MetricInfo {
        let by = self.config["train"]["best_by"].as_str().and_then(|name| self.task.metric(name));
        by.or_else(|| self.task.metrics().into_iter().next()).unwrap_or_else(MetricInfo::loss)
    }

    /// The weights of its final model: the result of `[averaging]`, else the slow weights, else the fast ones of an
    /// inner optimizer that trains alone.
    pub fn final_weights(&self) -> Weights {
        let averaging = self.config["averaging"]["kind"].as_str();
        if averaging.is_some_and(|kind| kind != "none") {
            Weights::Average
        } else if self.lookahead.is_some() {
            Weights::Slow
        } else {
            Weights::Fast
        }
    }
}

/// What is learned, and the metrics of an evaluation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskInfo {
    /// What is learned.
    #[serde(rename = "task", default)]
    pub kind: Task,
    /// The metrics of every evaluation besides the loss, the most important one first; empty in logs of
    /// earlier versions. Use [`metrics`](Self::metrics) to read logs of all versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricInfo>,
}

impl TaskInfo {
    /// A task whose evaluations have these metrics.
    pub fn new(kind: Task, metrics: Vec<MetricInfo>) -> Self {
        TaskInfo { kind, metrics }
    }

    /// The metrics of every evaluation besides the loss, the most important one first. Logs of earlier versions
    /// name none, and have the accuracy wherever something is classified.
    pub fn metrics(&self) -> Vec<MetricInfo> {
        match self.kind {
            Task::Classification if self.metrics.is_empty() => vec![MetricInfo::accuracy()],
            Task::Language if self.metrics.is_empty() => {
                vec![MetricInfo::perplexity(), MetricInfo::accuracy()]
            }
            _ => self.metrics.clone(),
        }
    }

    /// The metric of a name: one of [`metrics`](Self::metrics), or the loss.
    pub fn metric(&self, name: &str) -> Option<MetricInfo> {
        self.metrics().into_iter().chain([MetricInfo::loss()]).find(|metric| metric.name == name)
    }
}

impl From<Task> for TaskInfo {
    fn from(kind: Task) -> Self {
        TaskInfo::new(kind, Vec::new())
    }
}

/// A metric of evaluations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricInfo {
    /// Its name in [`Evaluation::metrics`](super::Evaluation::metrics).
    pub name: String,
    /// Whether more is better.
    #[serde(default)]
    pub higher_is_better: bool,
    /// Whether its values are fractions, which people read in percent.
    #[serde(default)]
    pub percent: bool,
}

impl MetricInfo {
    /// The fraction of samples that are classified correctly.
    pub fn accuracy() -> Self {
        MetricInfo { name: "accuracy".to_owned(), higher_is_better: true, percent: true }
    }

    /// e to the power of the mean cross-entropy of tokens.
    pub fn perplexity() -> Self {
        MetricInfo { name: "perplexity".to_owned(), ..MetricInfo::loss() }
    }

    /// The mean loss, which every evaluation has.
    pub fn loss() -> Self {
        MetricInfo { name: "loss".to_owned(), higher_is_better: false, percent: false }
    }

    /// The name in a sentence: `macro F1`. It is safe to print, whatever the log calls the metric.
    pub fn label(&self) -> String {
        safe(&self.name).replace('_', " ").replace("f1", "F1")
    }

    /// A value as text: a fraction in percent, anything else as a loss.
    pub fn format(&self, value: f64) -> String {
        if self.percent { percent(value, 2) } else { loss(value) }
    }

    /// Whether `value` is better than `than`; never if one of them is NaN.
    pub fn is_better(&self, value: f64, than: f64) -> bool {
        if self.higher_is_better { value > than } else { value < than }
    }
}

/// The parameters of a model, counted in elements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// Those that are trained.
    #[serde(rename = "parameters")]
    pub trainable: u64,
    /// Those that keep their first values.
    #[serde(rename = "frozen_parameters", default, skip_serializing_if = "is_zero")]
    pub frozen: u64,
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} parameters", count(self.trainable))?;
        match self.frozen {
            0 => Ok(()),
            frozen => write!(f, " and {} frozen ones", count(frozen)),
        }
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What is learned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// The class of each sample.
    #[default]
    Classification,
    /// The next token at each place of a text. Losses and accuracies are means over tokens.
    Language,
    /// The minimum of a quadratic function: losses are distances above it.
    Quadratic,
    /// One or more numbers for each sample.
    Regression,
    /// Which of several labels each sample has: none, some or all of them.
    Multilabel,
    /// Whatever a program's own loop learns, which it logs by a [`Recorder`](crate::Recorder).
    Recorded,
    /// A task of a later version.
    #[serde(other)]
    Unknown,
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
