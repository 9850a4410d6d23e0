//! Losses, gradients and weights that are NaN or infinity: an error, or a step or a cycle that is dropped,
//! as `lookahead.non_finite` says.

use std::collections::BTreeMap;

use lookahead_core::{Lookahead, NonFinite};
use tch::Tensor;

use super::diverged::{Diverged, GRADIENT_NORM, PATIENCE, refuse_loss};
use super::hooks::events::Events;
use super::state::TrainState;
use crate::config::Config;
use crate::models::Model;
use crate::optimizers::Optimizer;
use crate::weights::all_finite;

/// What was done about a step.
const SKIPPED: &str = "the step was skipped.";
/// What was done about a cycle.
pub const ROLLED_BACK: &str = "the fast weights went back to the slow ones.";

/// Applies the policy for values that are NaN or infinity. No optimizer knows the model's buffers, and one
/// forward pass over NaN spoils the running statistics of batch normalization, so their last good values
/// are kept here.
#[derive(Debug)]
pub struct DivergenceGuard {
    policy: NonFinite,
    /// Whether a cycle may be dropped: by the policy, or by the watchdog.
    rolls_back: bool,
    before_step: KeptBuffers,
    before_cycle: KeptBuffers,
}

/// Buffers by name; none if they are not needed.
#[derive(Debug, Default)]
struct KeptBuffers(BTreeMap<String, Tensor>);

impl DivergenceGuard {
    /// The policy of a config.
    pub fn new(config: &Config) -> Self {
        let policy = config.lookahead.as_ref().map_or(NonFinite::Error, |l| l.non_finite);
        DivergenceGuard::of(policy, config.watchdog.rolling_back().is_some())
    }

    fn of(policy: NonFinite, watchdog_rolls_back: bool) -> Self {
        DivergenceGuard {
            policy,
            rolls_back: policy == NonFinite::RollBack || watchdog_rolls_back,
            before_step: KeptBuffers::default(),
            before_cycle: KeptBuffers::default(),
        }
    }

    /// What to do about values that are NaN or infinity.
    pub fn policy(&self) -> NonFinite {
        self.policy
    }

    /// Takes the buffers of a checkpoint that was taken inside a cycle.
    ///
    /// # Errors
    /// Those of libtorch.
    pub fn restore(
        &mut self,
        saved: &BTreeMap<String, Tensor>,
        device: tch::Device,
    ) -> anyhow::Result<()> {
        let moved =
            |(name, tensor): (&String, &Tensor)| Ok((name.clone(), tensor.f_to_device(device)?));
        self.before_cycle = KeptBuffers(saved.iter().map(moved).collect::<anyhow::Result<_>>()?);
        Ok(())
    }

    /// Copies of the buffers that a roll-back in this phase of a cycle would restore. At its start
    /// they are those in the model.
    pub fn buffers_to_save(&self, phase: u64) -> BTreeMap<String, Tensor> {
        let is_needed = self.rolls_back && phase != 0;
        let kept = self.before_cycle.0.iter().filter(|_| is_needed);
        kept.map(|(name, tensor)| (name.clone(), tensor.copy())).collect()
    }

    /// Keeps the buffers while all is well: before each step if single steps may be dropped, and at the start
    /// of a cycle if it may be dropped as a whole.
    pub(crate) fn before_loss(&mut self, phase: u64, model: &Model) -> anyhow::Result<()> {
        // Nothing inside the cycle is kept, unless an earlier version saved the checkpoint inside it, or the watchdog did
        // not roll back then: there is nothing else.
        if self.rolls_back && (phase == 0 || self.before_cycle.0.is_empty()) {
            self.before_cycle.keep(model)?;
        }
        if self.policy == NonFinite::SkipStep {
            self.before_step.keep(model)?;
        }
        Ok(())
    }

    /// Puts the buffers of the start of the cycle back into the model, if they are kept.
    pub(crate) fn restore_cycle(&self, model: &Model) -> anyhow::Result<()> {
        self.before_cycle.restore(model)
    }

    /// Whether a training continues after a loss of NaN or infinity.
    pub(crate) fn continues(&self) -> bool {
        matches!(self.policy, NonFinite::SkipStep | NonFinite::RollBack)
    }

    /// Drops the step whose loss is NaN or infinity, or its cycle. Returns a clause about that.
    pub(crate) fn drop_step(
        &self,
        model: &Model,
        optimizer: &mut Optimizer,
    ) -> anyhow::Result<&'static str> {
        if self.drops_cycles() {
            optimizer.lookahead().map_or(Ok(()), Lookahead::roll_back)?;
            self.before_cycle.restore(model)?;
        } else {
            self.before_step.restore(model)?;
        }
        Ok(self.done())
    }

    /// An error if gradients can't be clipped by their norm and the policy is not to continue.
    pub(crate) fn check_norm(&self, norm: f64, step: u64, lr: f64) -> Result<(), Diverged> {
        if self.continues() { Ok(()) } else { refuse_loss(GRADIENT_NORM, norm, step, lr) }
    }

    /// Why the optimizer did not take a step: its gradients hold NaN or infinity.
    pub(crate) fn after_skipped_step(&self, model: &Model) -> anyhow::Result<String> {
        // It rolls back only if it could not clip them.
        let kept = if self.drops_cycles() { &self.before_cycle } else { &self.before_step };
        kept.restore(model)?;
        Ok(format!("A gradient holds NaN or infinity: {}", self.done()))
    }

    /// Whether the policy drops the cycle, and not only the step.
    pub(crate) fn drops_cycles(&self) -> bool {
        self.policy == NonFinite::RollBack
    }

    /// What the policy does.
    fn done(&self) -> &'static str {
        if self.drops_cycles() { ROLLED_BACK } else { SKIPPED }
    }
}

impl KeptBuffers {
    fn keep(&mut self, model: &Model) -> anyhow::Result<()> {
        let _guard = tch::no_grad_guard();
        for (name, mut buffer) in model.buffers() {
            match self.0.get_mut(&name) {
                // Statistics can overflow while the loss is still finite.
                Some(kept) if !all_finite(&buffer)? => buffer.f_copy_(kept)?,
                Some(kept) => kept.f_copy_(&buffer)?,
                None => drop(self.0.insert(name, buffer.f_detach()?.copy())),
            }
        }
        Ok(())
    }

    fn restore(&self, model: &Model) -> anyhow::Result<()> {
        let _guard = tch::no_grad_guard();
        for (name, mut buffer) in model.buffers() {
            if let Some(kept) = self.0.get(&name) {
                buffer.f_copy_(kept)?;
            }
        }
        Ok(())
    }
}

/// Warns about what the policy did, and ends the run if that happened too often without a sync between.
///
/// # Errors
/// [`Diverged`].
pub fn check_divergence_limit(
    state: &mut TrainState,
    events: &mut Events,
    lr: f64,
    what: String,
) -> anyhow::Result<()> {
    events.warn(state.step, what);
    state.diverging += 1;
    if state.diverging < PATIENCE {
        return Ok(());
    }
    Err(Diverged::repeatedly(state.step, lr).into())
}

#[cfg(test)]
mod tests;
