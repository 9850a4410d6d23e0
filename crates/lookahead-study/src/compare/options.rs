//! What is compared.

use lookahead_run::event::{Evaluation, Split};

use super::statistics::Better;

/// The number by which runs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// The fraction of samples classified right, shown in per cent.
    Accuracy,
    /// The mean loss.
    Loss,
    /// e to the mean loss, of models of text.
    Perplexity,
}

impl Metric {
    /// As a sentence has it.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::Loss => "loss",
            Metric::Perplexity => "perplexity",
        }
    }

    /// As a column or an axis has it.
    pub fn title(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy in %",
            _ => self.name(),
        }
    }

    /// Which way it is good.
    pub fn better(self) -> Better {
        match self {
            Metric::Accuracy => Better::Higher,
            _ => Better::Lower,
        }
    }

    /// Its value at an evaluation, in the unit of [`Metric::title`].
    pub fn of(self, found: &Evaluation) -> f64 {
        match self {
            Metric::Accuracy => found.accuracy * 100.0,
            Metric::Loss => found.loss,
            Metric::Perplexity => found.loss.exp(),
        }
    }
}

/// What is compared, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The number; of none the accuracy, the perplexity of texts, or the loss where no run has either.
    pub metric: Option<Metric>,
    /// On which data the numbers are that are reported; the choice within a group is always made on
    /// validation data. Where no run was evaluated on it, the validation data take its place.
    pub split: Split,
    /// The keys by which points are grouped. Of none, all that differ; without `optimizer.lr`, so
    /// that each group has its best one, unless nothing else differs.
    pub by: Vec<String>,
    /// The label of the group that the others are compared with, or words of it. Of none, that of
    /// the first path if this is a run, else the first of the table.
    pub baseline: Option<String>,
    /// Whether runs on different data may be compared.
    pub mixed_data: bool,
}

impl Default for Options {
    fn default() -> Self {
        let by = Vec::new();
        Options { metric: None, split: Split::Test, by, baseline: None, mixed_data: false }
    }
}

/// A part of the data, in a word.
pub(crate) fn split_name(split: Split) -> &'static str {
    match split {
        Split::Validation => "validation",
        Split::Test => "test",
    }
}
