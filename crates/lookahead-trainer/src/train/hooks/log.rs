//! What is recorded of a run: events, losses that are read later, whether it learns, its status, and where
//! the time goes.

use lookahead_run::event::{Event, Note, RunInfo, Step, Warning};
use lookahead_run::status::State;
use tch::Tensor;

use super::learning::LearningCheck;
use super::losses::{self, PendingLosses};
use super::status::SharedStatus;
use super::timing::PhaseTimer;
use crate::observer::Observer;
use crate::train::diverged::{BATCH_LOSS, refuse_loss};
use crate::train::setup::Training;

/// What is recorded of a run, and shown to whoever watches.
#[derive(Debug)]
pub struct Events {
    /// The event log and whoever watches.
    pub observer: Observer,
    /// Where the time goes.
    pub timer: PhaseTimer,
    pub(crate) status: SharedStatus,
    losses: PendingLosses,
    learning: LearningCheck,
}

impl Events {
    pub(super) fn new(observer: Observer, t: &Training) -> Self {
        let (config, steps) = (&t.config, t.batches.per_epoch());
        let may_wait = config.losses_may_wait();
        Events {
            observer,
            timer: PhaseTimer::default(),
            status: SharedStatus::default(),
            losses: PendingLosses::new(config.train.read_loss_every, t.device, may_wait),
            learning: LearningCheck::new(&t.data.problem, &config.data, steps),
        }
    }

    /// Records an event of a step.
    pub fn record(&mut self, step: u64, event: Event) {
        self.observer.record(step, event);
    }

    /// Records a sentence for whoever runs it.
    pub fn note(&mut self, step: u64, message: String) {
        self.record(step, Event::Note(Note { message }));
    }

    /// Records a sentence about what may be wrong.
    pub fn warn(&mut self, step: u64, message: String) {
        self.record(step, Event::Warning(Warning { message }));
    }

    /// The loss of a step, if each loss is read in its own step.
    ///
    /// # Errors
    /// What libtorch says.
    pub(crate) fn read_now(&self, loss: &Tensor) -> anyhow::Result<Option<f64>> {
        Ok(self.losses.none_may_wait().then(|| f64::try_from(loss)).transpose()?)
    }

    /// Records a step whose loss is known.
    pub(super) fn record_step(&mut self, step: u64, taken: Step) {
        self.learning.take(taken.loss);
        self.status.record_step(&taken);
        self.record(step, Event::Step(taken));
    }

    /// Records a step whose loss stays on the device until several are read together.
    ///
    /// # Errors
    /// As [`read_losses`](Self::read_losses).
    pub(super) fn record_step_later(
        &mut self,
        t: &mut Training,
        loss: &Tensor,
        taken: Step,
    ) -> anyhow::Result<()> {
        self.losses.push(t.state.step, loss)?;
        self.observer.hold(t.state.step, Event::Step(taken));
        if self.losses.are_due() { self.read_losses(t) } else { Ok(()) }
    }

    /// Reads the losses that are still on the device, in one transfer, and records their steps with all that
    /// was recorded since.
    ///
    /// # Errors
    /// If one is NaN or infinity: what comes after it is dropped, since it came of weights that hold
    /// nothing any more.
    pub(crate) fn read_losses(&mut self, t: &mut Training) -> anyhow::Result<()> {
        let (first, losses) = self.losses.take();
        if losses.is_empty() {
            return Ok(());
        }
        let values = losses::to_host(&losses);
        let found = values.as_deref().unwrap_or_default();
        let finite = found.iter().position(|loss| !loss.is_finite()).unwrap_or(found.len());
        found[..finite].iter().for_each(|loss| self.learning.take(*loss));
        if let Some(last) = self.observer.release(&found[..finite]) {
            self.status.record_step(&last);
        }
        let found = values?;
        let Some(&loss) = found.get(finite) else { return Ok(()) };
        let step = first + finite as u64;
        // What came of it is dropped: the run's timeline ends before.
        t.state.step = step - 1;
        Ok(refuse_loss(BATCH_LOSS, loss, step, t.config.optimizer.lr)?)
    }

    /// Updates the status that other processes can ask for.
    pub(super) fn show(&self, t: &Training, state: State) {
        self.status.show(t, state);
    }

    /// Warns at the end of an epoch, once, if the training has diverged or learns nothing, by the losses
    /// that have been read: no device is waited for.
    pub(super) fn check_learning(&mut self, t: &Training) {
        if let Some(message) = self.learning.warning(t) {
            self.warn(t.state.step, message);
        }
    }

    /// What is wrong at the end of a run, as a clause, if anything is.
    pub fn fault_at_the_end(&self, t: &Training) -> Option<String> {
        self.learning.fault_at_the_end(t)
    }

    /// Records that a run starts.
    pub fn record_start(&mut self, info: RunInfo) {
        self.record(0, Event::RunStarted(info));
    }
}
