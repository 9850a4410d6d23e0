//! Runs, sorted into points and groups.

use std::collections::BTreeMap;

use lookahead_run::event::Split;

use super::options::Metric;
use super::run::{Outcome, Run};
use super::settings::Settings;
use super::statistics::{Paired, Spread};

/// Runs that differ in nothing but their seeds.
#[derive(Debug, Clone)]
pub struct ComparedPoint {
    /// `optimizer.kind=adam lookahead.k=5`: the keys in which the compared points differ; `all runs`
    /// if there is only one point.
    pub label: String,
    /// All keys.
    pub settings: Settings,
    /// Indices of its runs in [`Comparison::runs`].
    pub runs: Vec<usize>,
    /// Numbers on validation data by seed, of the runs that have one.
    pub validation: BTreeMap<u64, f64>,
    /// Numbers on the reported data by seed.
    pub reported: BTreeMap<u64, f64>,
    /// Indices of the runs without a result, which are always reported.
    pub failed: Vec<usize>,
}

impl ComparedPoint {
    /// A summary of the numbers on the reported data; none if no run has one.
    pub fn spread(&self) -> Option<Spread> {
        spread(&self.reported)
    }

    /// That on validation data.
    pub fn validation_spread(&self) -> Option<Spread> {
        spread(&self.validation)
    }
}

fn spread(values: &BTreeMap<u64, f64>) -> Option<Spread> {
    Spread::of(&values.values().copied().collect::<Vec<_>>())
}

/// Points that are equal in the keys by which is grouped.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its values of these keys; `all runs` if there is only one group.
    pub label: String,
    /// Indices of its points in [`Comparison::points`].
    pub points: Vec<usize>,
    /// The point that is best on validation data, which is reported.
    pub best: usize,
    /// The best one against that of the baseline, over the seeds that both have; none for the
    /// baseline itself and without common seeds.
    pub against: Option<Paired>,
}

/// Runs, sorted into points and groups.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The metric.
    pub metric: Metric,
    /// The data on which the reported numbers are.
    pub split: Split,
    /// The keys in which points differ.
    pub keys: Vec<String>,
    /// The keys by which they are grouped.
    pub by: Vec<String>,
    /// All runs.
    pub runs: Vec<Run>,
    /// In the order of their settings.
    pub points: Vec<ComparedPoint>,
    /// In the order of their settings.
    pub groups: Vec<Group>,
    /// The index of the group that the others are compared with.
    pub baseline: usize,
    /// What a reader must know, in sentences.
    pub notes: Vec<String>,
}

impl Comparison {
    /// The best point of a group.
    pub fn best_of(&self, group: &Group) -> &ComparedPoint {
        &self.points[group.best]
    }

    /// The runs of a point that finished.
    pub fn finished(&self, point: &ComparedPoint) -> impl Iterator<Item = &Run> {
        point.runs.iter().map(|index| &self.runs[*index]).filter(|run| run.reported.is_some())
    }

    /// The number of runs without a result.
    pub fn failed(&self) -> usize {
        self.runs.iter().filter(|run| run.outcome != Outcome::Finished).count()
    }
}
