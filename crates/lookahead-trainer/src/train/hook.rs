//! Hooks: code that runs around a step and is not part of Algorithm 1.

use std::fmt;

use lookahead_run::event::{Event, RollBackCause, RunEnded, Scalars};
use tch::Tensor;

use super::averaging::Average;
use super::hooks::events::Events;
use super::state::TrainState;
use crate::config::Config;
use crate::data::Dataset;
use crate::distributed::WorkerGroup;
use crate::models::Model;
use crate::objective::Objective;
use crate::optimizers::Optimizer;

/// Code that runs at fixed points of the [training loop](super::loop). Every method does nothing by default.
/// An error ends the run.
///
/// Hooks run in the order in which they were added, in every process of the run. A hook that only observes
/// must not change the training: it draws no random number, and leaves weights and buffers as they are.
pub trait Hook: fmt::Debug {
    /// The hook's name, unique in a run: its state in a checkpoint has this key.
    fn name(&self) -> &'static str;

    /// Before an inner step.
    fn before_step(&mut self, _context: &mut HookContext<'_>) -> anyhow::Result<()> {
        Ok(())
    }

    /// Once the gradients of a step are there, averaged over its batches and the processes, and before they are
    /// clipped and the inner optimizer uses them. Not called for a step that is skipped because of its loss.
    fn after_backward(&mut self, _context: &mut HookContext<'_>) -> anyhow::Result<()> {
        Ok(())
    }

    /// After an inner step, taken or skipped, and before the sync if one is due.
    fn after_inner_step(&mut self, _: &mut HookContext<'_>, _: &InnerStep) -> anyhow::Result<()> {
        Ok(())
    }

    /// Just before a sync: θ is in the model.
    fn before_sync(&mut self, _context: &mut HookContext<'_>) -> anyhow::Result<()> {
        Ok(())
    }

    /// Just after a sync: φ is in the model. `last` if it is the one at the end of the run.
    fn after_sync(&mut self, _context: &mut HookContext<'_>, _last: bool) -> anyhow::Result<()> {
        Ok(())
    }

    /// After an event of `step` was recorded, in the order of the log. A step's event comes once its loss has
    /// been read from the device, which may be some steps later.
    fn on_event(&mut self, _: &mut HookContext<'_>, _step: u64, _: &Event) -> anyhow::Result<()> {
        Ok(())
    }

    /// After a step, its sync and its evaluations, and before its checkpoint.
    fn after_step(&mut self, _context: &mut HookContext<'_>) -> anyhow::Result<()> {
        Ok(())
    }

    /// At the end of the run, before it is recorded: `ended` can get another message.
    fn finish(&mut self, _context: &mut HookContext<'_>, _ended: &mut RunEnded) {}

    /// Before a checkpoint, once all losses up to it are read: what [`state`](Self::state) needs of the other processes.
    fn before_checkpoint(&mut self, _context: &mut HookContext<'_>) -> anyhow::Result<()> {
        Ok(())
    }

    /// What a resumed run needs of this hook. A checkpoint holds it under the hook's name.
    fn state(&self) -> Option<serde_json::Value> {
        None
    }

    /// Restores what [`state`](Self::state) returned when the checkpoint was taken; before the first step.
    ///
    /// # Errors
    /// If the hook can't use it.
    fn restore(&mut self, _state: serde_json::Value) -> anyhow::Result<()> {
        Ok(())
    }
}

/// What a hook may look at and use.
#[derive(Debug)]
pub struct HookContext<'a> {
    /// The configuration, with what was changed during the run.
    pub config: &'a Config,
    /// The data.
    pub data: &'a Dataset,
    /// The processes of the run.
    pub workers: &'a WorkerGroup,
    /// The model; θ is in it, except just after a sync.
    pub model: &'a Model,
    /// The loss and the metrics.
    pub objective: &'a Objective,
    /// The optimizer, with φ.
    pub optimizer: &'a mut Optimizer,
    /// The mean of θ or φ, if the run averages.
    pub average: Option<&'a mut Average>,
    /// Step, epoch, and what else a training carries from step to step.
    pub state: &'a mut TrainState,
    /// What is recorded.
    pub events: &'a mut Events,
    /// What a hook wants the loop to do.
    pub(super) request: &'a mut Option<Request>,
}

/// What a hook wants the loop to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// Set θ back to φ.
    RollBack { cause: RollBackCause, reason: String },
    /// Save, and end the run as failed.
    Stop { reason: String },
}

impl HookContext<'_> {
    /// Records an event of the current step.
    pub fn record(&mut self, event: Event) {
        self.events.record(self.state.step, event);
    }

    /// Records numbers of the current step by name, for example `[("gradient noise", 0.3)]`: in the log, and as a chart
    /// each in the dashboard.
    pub fn log<N: Into<String>>(&mut self, values: impl IntoIterator<Item = (N, f64)>) {
        self.record(Event::Scalars(Scalars::new(values)));
    }

    /// Records a sentence for the user.
    pub fn note(&mut self, message: String) {
        self.events.note(self.state.step, message);
    }

    /// Records a sentence about what may be wrong.
    pub fn warn(&mut self, message: String) {
        self.events.warn(self.state.step, message);
    }

    /// Requests that the fast weights go back to the slow ones after this step, and before its sync if one is due. That
    /// needs Lookahead, and counts towards `watchdog.max_roll_backs`. `reason` is a sentence without its full stop. All
    /// processes of the run must request it in the same step.
    pub fn request_roll_back(&mut self, reason: impl Into<String>) {
        self.request_roll_back_because(RollBackCause::Hook, reason.into());
    }

    pub(super) fn request_roll_back_because(&mut self, cause: RollBackCause, reason: String) {
        // A request to stop is the stronger one.
        self.request.get_or_insert(Request::RollBack { cause, reason });
    }

    /// Requests that the run ends as failed after this step, with a checkpoint, from which it can be resumed. `reason` is
    /// a sentence without its full stop. All processes of the run must request it in the same step.
    pub fn request_stop(&mut self, reason: impl Into<String>) {
        *self.request = Some(Request::Stop { reason: reason.into() });
    }

    /// Whether this is a step after which several processes decide together: the same in all of them. The losses up to it
    /// have been read.
    pub(crate) fn processes_decide(&mut self) -> bool {
        processes_decide(self.workers, self.optimizer, self.state)
    }

    /// Reads the losses that are still on the device.
    ///
    /// # Errors
    /// If one is NaN or infinity.
    pub fn read_losses(&mut self) -> anyhow::Result<()> {
        self.events.read_losses(self.state, self.config.optimizer.lr)
    }
}

/// Steps from one decision of several processes to the next without Lookahead.
const DECIDE_EVERY: u64 = 10;

/// Whether several processes decide together after this step: at the end of a cycle, before its sync.
pub(super) fn processes_decide(
    workers: &WorkerGroup,
    optimizer: &mut Optimizer,
    state: &TrainState,
) -> bool {
    let is_due = match optimizer.lookahead() {
        Some(lookahead) => lookahead.sync_is_due(),
        None => state.step.is_multiple_of(DECIDE_EVERY),
    };
    is_due && !workers.is_single()
}

/// An inner step that was taken or skipped.
#[derive(Debug)]
pub struct InnerStep {
    /// Its loss, on the device.
    pub loss: Tensor,
    /// The loss's value, if it is read in each step.
    pub value: Option<f64>,
    /// Its learning rate.
    pub learning_rate: f64,
    /// Why it was skipped, as a sentence, if it was.
    pub skipped: Option<String>,
}
