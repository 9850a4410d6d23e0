//! How the run is just now, for whoever asks through the control socket.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lookahead_run::event::{Rank, Step};
use lookahead_run::status::{LastStep, State, Status};

use crate::train::setup::Training;

/// The run's status, which the training keeps up to date and other threads read.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedStatus(Arc<Mutex<Status>>);

impl SharedStatus {
    /// A copy of it.
    pub(super) fn get(&self) -> Status {
        self.lock().clone()
    }

    /// What stays as it is for as long as this process trains; `checkpoint` is the newest one's name.
    pub(super) fn begin(
        &self,
        run: &str,
        t: &Training,
        settings: Vec<String>,
        checkpoint: Option<String>,
    ) {
        {
            let mut status = self.lock();
            status.run = run.to_owned();
            status.process = std::process::id();
            status.total_steps = t.total_steps;
            status.checkpoint = checkpoint;
            status.settings = settings;
        }
        self.show(t, State::Training);
    }

    /// Where the training stands. Takes no memory, since it is called several times a step.
    pub(super) fn show(&self, t: &Training, state: State) {
        let mut status = self.lock();
        status.state = state;
        status.step = t.state.step;
        status.epoch = t.batches.epoch();
        status.phase = t.optimizer.phase();
        let lookahead = t.config.lookahead.as_ref();
        (status.lookahead.k, status.lookahead.next_k) = t.optimizer.k();
        status.lookahead.alpha = lookahead.map(|lookahead| lookahead.alpha);
        status.probe_every_syncs = t.config.probe.every_syncs();
    }

    /// What the last step told.
    pub(super) fn record_step(&self, step: &Step) {
        self.lock().last_step = LastStep {
            loss: Some(step.loss),
            learning_rate: Some(step.learning_rate),
            samples_per_second: Some(step.samples_per_second),
        };
    }

    /// How several processes fared when they met.
    pub(super) fn record_ranks(&self, ranks: &[Rank]) {
        let mut status = self.lock();
        status.ranks.clear();
        status.ranks.extend_from_slice(ranks);
    }

    /// A checkpoint is there.
    pub(super) fn record_checkpoint(&self, name: &str) {
        self.lock().checkpoint = Some(name.to_owned());
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
