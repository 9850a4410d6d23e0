//! What is compared.

use lookahead_run::event::{Evaluation, Split};

use super::statistics::Better;

/// The number by which runs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// The fraction of samples classified correctly, in per cent.
    Accuracy,
    /// The mean loss.
    Loss,
    /// e to the power of the mean loss, for language models.
    Perplexity,
}

impl Metric {
    /// As a sentence prints it.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::Loss => "loss",
            Metric::Perplexity => "perplexity",
        }
    }

    /// As a column or an axis prints it.
    pub fn title(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy in %",
            _ => self.name(),
        }
    }

    /// Which direction is better.
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

/// What is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The metric; by default the accuracy, the perplexity of texts, or the loss if no run has either.
    pub metric: Option<Metric>,
    /// The data on which the reported numbers are; the choice within a group is always made on
    /// validation data. If no run was evaluated on them, validation data are used instead.
    pub split: Split,
    /// The keys by which points are grouped; by default all that differ, without `optimizer.lr`, so
    /// that each group has its best rate, unless nothing else differs.
    pub by: Vec<String>,
    /// The label of the group that the others are compared with, or words of it; by default that of
    /// the first path if it is a run, else the first of the table.
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
