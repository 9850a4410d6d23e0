//! What is recorded of a run: events, losses that are read later, the status, and where the time goes.

use lookahead_run::event::{Event, Note, Record, RunInfo, Step, Warning};
use lookahead_run::status::State;
use tch::{Device, Tensor};

use super::losses::{self, PendingLosses};
use super::status::{Progress, SharedStatus};
use super::throughput::Throughput;
use super::timing::PhaseTimer;
use crate::config::Config;
use crate::observer::Observer;
use crate::train::diverged::{BATCH_LOSS, refuse_loss};
use crate::train::state::TrainState;
use crate::train::watchdog::stall::StepClock;

/// What is recorded of a run, and shown on the screen.
#[derive(Debug)]
pub struct Events {
    /// The event log, and the dashboard or the lines on stderr.
    pub observer: Observer,
    /// Where the time goes.
    pub timer: PhaseTimer,
    /// How long steps take, for the watchdog.
    pub(crate) step_clock: StepClock,
    pub(super) throughput: Throughput,
    pub(crate) status: SharedStatus,
    losses: PendingLosses,
    /// The norm of the last step's gradient before it was clipped by it, if that was in this process.
    pub(crate) gradient_norm: Option<f64>,
}

impl Events {
    pub(super) fn new(observer: Observer, config: &Config, device: Device) -> Self {
        let losses =
            PendingLosses::new(config.train.read_loss_every, device, config.losses_may_wait());
        Events {
            observer,
            timer: PhaseTimer::default(),
            step_clock: StepClock::default(),
            throughput: Throughput::default(),
            status: SharedStatus::default(),
            losses,
            gradient_norm: None,
        }
    }

    /// Records an event of a step.
    pub fn record(&mut self, step: u64, event: Event) {
        self.observer.record(step, event);
    }

    /// Records a sentence for the user.
    pub fn note(&mut self, step: u64, message: String) {
        self.record(step, Event::Note(Note { message }));
    }

    /// Records a sentence about what may be wrong.
    pub fn warn(&mut self, step: u64, message: String) {
        self.record(step, Event::Warning(Warning { message }));
    }

    /// Records that a run starts.
    pub fn record_start(&mut self, info: RunInfo) {
        self.record(0, Event::RunStarted(info));
    }

    /// The loss of a step, if each loss is read in its own step.
    pub(crate) fn read_now(&self, loss: &Tensor) -> anyhow::Result<Option<f64>> {
        Ok(self.losses.none_may_wait().then(|| f64::try_from(loss)).transpose()?)
    }

    /// Records a step whose loss is known.
    pub(super) fn record_step(&mut self, step: u64, taken: Step) {
        self.status.record_step(&taken);
        self.record(step, Event::Step(taken));
    }

    /// Records a step whose loss stays on the device until several are read at once. Returns whether it is
    /// time to read them.
    pub(super) fn record_step_later(
        &mut self,
        step: u64,
        loss: &Tensor,
        taken: Step,
    ) -> anyhow::Result<bool> {
        self.losses.push(step, loss)?;
        self.observer.hold(step, Event::Step(taken));
        Ok(self.losses.are_due())
    }

    /// Reads the losses that are still on the device, in one transfer, and records their steps and all that
    /// was recorded since.
    ///
    /// # Errors
    /// If one is NaN or infinity. Then the run ends before its step: what was recorded since is dropped.
    pub(crate) fn read_losses(&mut self, state: &mut TrainState, lr: f64) -> anyhow::Result<()> {
        let (first, losses) = self.losses.take();
        if losses.is_empty() {
            return Ok(());
        }
        let values = losses::to_host(&losses);
        let found = values.as_deref().unwrap_or_default();
        let finite = found.iter().position(|loss| !loss.is_finite()).unwrap_or(found.len());
        if let Some(last) = self.observer.release(&found[..finite]) {
            self.status.record_step(&last);
        }
        let found = values?;
        let Some(&loss) = found.get(finite) else { return Ok(()) };
        let step = first + finite as u64;
        state.step = step - 1;
        Ok(refuse_loss(BATCH_LOSS, loss, step, lr)?)
    }

    /// Updates the status that other processes can request.
    pub(super) fn show(&self, progress: &Progress, state: State) {
        self.status.show(progress, state);
    }

    /// What was recorded since the last call and is in the log.
    pub(super) fn take_recent(&mut self) -> Vec<Record> {
        self.observer.take_recent()
    }
}
