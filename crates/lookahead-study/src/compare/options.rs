//! What is compared.

use lookahead_run::event::{Evaluation, MetricInfo, Split};

use super::statistics::Better;

/// The number by which runs are compared: one of their metrics, or the loss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric(MetricInfo);

impl From<MetricInfo> for Metric {
    fn from(info: MetricInfo) -> Self {
        Metric(info)
    }
}

impl Metric {
    /// As commands and files name it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// As a column or an axis prints it.
    pub fn title(&self) -> String {
        let label = self.0.label();
        if self.0.percent { format!("{label} in %") } else { label }
    }

    /// Which direction is better.
    pub fn better(&self) -> Better {
        if self.0.higher_is_better { Better::Higher } else { Better::Lower }
    }

    /// Its value at an evaluation, in the unit of [`Metric::title`]; NaN if it was not measured.
    pub fn of(&self, found: &Evaluation) -> f64 {
        let value = found.value(&self.0.name).unwrap_or(f64::NAN);
        if self.0.percent { value * 100.0 } else { value }
    }
}

/// What is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The name of the metric; by default the first one that all runs have, for example the accuracy, or the
    /// perplexity of texts; the loss if there is none.
    pub metric: Option<String>,
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
    split.name()
}
