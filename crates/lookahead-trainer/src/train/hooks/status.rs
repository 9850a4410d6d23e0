//! The run's present status, for requests through the control socket.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lookahead_run::event::{Rank, Step};
use lookahead_run::status::{LastStep, State, Status};

/// The run's status, which the training keeps up to date and other threads read.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedStatus(Arc<Mutex<Status>>);

/// The part of the status that changes from step to step.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    pub(crate) step: u64,
    pub(crate) epoch: u64,
    pub(crate) phase: u64,
    /// The k of this cycle, and the next one's if it differs.
    pub(crate) k: (Option<u64>, Option<u64>),
    pub(crate) alpha: Option<f64>,
    pub(crate) probe_every_syncs: u64,
}

impl SharedStatus {
    /// A copy of it.
    pub(super) fn get(&self) -> Status {
        self.lock().clone()
    }

    /// Sets what does not change while this process trains; `checkpoint` is the newest one's name.
    pub(super) fn begin(
        &self,
        run: &str,
        total_steps: u64,
        settings: Vec<String>,
        checkpoint: Option<String>,
    ) {
        let mut status = self.lock();
        status.run = run.to_owned();
        status.process = std::process::id();
        status.total_steps = total_steps;
        status.checkpoint = checkpoint;
        status.settings = settings;
    }

    /// Updates it. Allocates nothing, since it is called several times a step.
    pub(super) fn show(&self, progress: &Progress, state: State) {
        let mut status = self.lock();
        status.state = state;
        status.step = progress.step;
        status.epoch = progress.epoch;
        status.phase = progress.phase;
        (status.lookahead.k, status.lookahead.next_k) = progress.k;
        status.lookahead.alpha = progress.alpha;
        status.probe_every_syncs = progress.probe_every_syncs;
    }

    /// Takes the last step's loss and speed.
    pub(super) fn record_step(&self, step: &Step) {
        self.lock().last_step = LastStep {
            loss: Some(step.loss),
            learning_rate: Some(step.learning_rate),
            samples_per_second: Some(step.samples_per_second),
        };
    }

    /// Takes what several processes reported.
    pub(super) fn record_ranks(&self, ranks: &[Rank]) {
        let mut status = self.lock();
        status.ranks.clear();
        status.ranks.extend_from_slice(ranks);
    }

    /// Takes the name of a new checkpoint.
    pub(super) fn record_checkpoint(&self, name: &str) {
        self.lock().checkpoint = Some(name.to_owned());
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
