//! The newest of what a run reports now and then.

use lookahead_run::event::{Probe, Rank, Step, System, Timing};

use super::weights::ByWeights;

#[derive(Debug)]
pub(crate) struct SavedCheckpoint {
    pub(crate) name: String,
    /// Unix time.
    pub(crate) time: f64,
    /// Seconds for which the training waited, and for which it was written; unknown for the one that
    /// a run was resumed from.
    pub(crate) cost: Option<[f64; 2]>,
}

/// The newest of what a run reports now and then.
#[derive(Debug, Default)]
pub(crate) struct LatestReports {
    pub(crate) step: Option<Step>,
    pub(crate) probe: Option<Probe>,
    /// The run's [headline](super::Run::headline) on the test set.
    pub(crate) test: ByWeights<Option<f64>>,
    pub(crate) checkpoint: Option<SavedCheckpoint>,
    pub(crate) timing: Option<Timing>,
    pub(crate) system: Option<System>,
    /// Whether the program logs more names of numbers than are kept.
    pub(crate) names_are_full: bool,
    /// One for each process of a distributed run.
    pub(crate) ranks: Vec<Rank>,
}
