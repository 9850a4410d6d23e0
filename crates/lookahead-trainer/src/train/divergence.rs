//! Losses, gradients and weights that are NaN or infinity: an error, or a step or a cycle that is dropped,
//! as `lookahead.non_finite` says.

use std::collections::BTreeMap;

use lookahead_core::NonFinite;
use tch::Tensor;

use super::diverged::{BATCH_LOSS, Diverged, GRADIENT_NORM, PATIENCE, refuse_loss};
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
    /// By name; empty if the policy needs none.
    last_good: BTreeMap<String, Tensor>,
}

impl DivergenceGuard {
    /// The policy of a config.
    pub fn new(config: &Config) -> Self {
        let policy = config.lookahead.as_ref().map_or(NonFinite::Error, |l| l.non_finite);
        DivergenceGuard { policy, last_good: BTreeMap::new() }
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
        self.last_good = saved.iter().map(moved).collect::<anyhow::Result<_>>()?;
        Ok(())
    }

    /// Copies of the buffers that a roll-back in this phase of a cycle would restore. At its start
    /// they are those in the model.
    pub fn buffers_to_save(&self, phase: u64) -> BTreeMap<String, Tensor> {
        let is_needed = self.policy == NonFinite::RollBack && phase != 0;
        let kept = self.last_good.iter().filter(|_| is_needed);
        kept.map(|(name, tensor)| (name.clone(), tensor.copy())).collect()
    }

    /// Keeps the buffers while all is well: before each step if single steps may be dropped, and at the start
    /// of a cycle if it may be dropped as a whole.
    pub(crate) fn before_loss(&mut self, phase: u64, model: &Model) -> anyhow::Result<()> {
        match self.policy {
            NonFinite::Error => Ok(()),
            // Nothing inside the cycle is kept, unless an earlier version saved the checkpoint inside it:
            // then there is nothing else.
            NonFinite::RollBack if phase != 0 && !self.last_good.is_empty() => Ok(()),
            _ => self.keep_buffers(model),
        }
    }

    fn keep_buffers(&mut self, model: &Model) -> anyhow::Result<()> {
        let _guard = tch::no_grad_guard();
        for (name, mut buffer) in model.buffers() {
            match self.last_good.get_mut(&name) {
                // Statistics can overflow while the loss is still finite.
                Some(kept) if !all_finite(&buffer)? => buffer.f_copy_(kept)?,
                Some(kept) => kept.f_copy_(&buffer)?,
                None => drop(self.last_good.insert(name, buffer.f_detach()?.copy())),
            }
        }
        Ok(())
    }

    /// Puts the last good buffers back into the model.
    pub(crate) fn restore_buffers(&self, model: &Model) -> anyhow::Result<()> {
        let _guard = tch::no_grad_guard();
        for (name, mut buffer) in model.buffers() {
            if let Some(kept) = self.last_good.get(&name) {
                buffer.f_copy_(kept)?;
            }
        }
        Ok(())
    }

    /// Why step `step` is not taken, if its loss is known to be NaN or infinity and the policy is to continue.
    ///
    /// # Errors
    /// [`Diverged`] under the other policy.
    pub fn skip_reason(
        &self,
        loss: Option<f64>,
        model: &Model,
        optimizer: &mut Optimizer,
        step: u64,
        lr: f64,
    ) -> anyhow::Result<Option<String>> {
        let Some(loss) = loss.filter(|loss| !loss.is_finite()) else { return Ok(None) };
        match (self.policy, optimizer.lookahead()) {
            (NonFinite::SkipStep, Some(_)) => {}
            (NonFinite::RollBack, Some(lookahead)) => lookahead.roll_back()?,
            _ => refuse_loss(BATCH_LOSS, loss, step, lr)?,
        }
        self.restore_buffers(model)?;
        let done = if self.policy == NonFinite::SkipStep { SKIPPED } else { ROLLED_BACK };
        Ok(Some(format!("The loss is {loss}: {done}")))
    }

    /// An error if gradients can't be clipped by their norm and the policy is not to continue.
    pub(crate) fn check_norm(&self, norm: f64, step: u64, lr: f64) -> Result<(), Diverged> {
        match self.policy {
            NonFinite::SkipStep | NonFinite::RollBack => Ok(()),
            _ => refuse_loss(GRADIENT_NORM, norm, step, lr),
        }
    }

    /// Why the optimizer did not take a step: its gradients hold NaN or infinity.
    pub(crate) fn after_skipped_step(&self, model: &Model) -> anyhow::Result<String> {
        self.restore_buffers(model)?;
        // It rolls back only if it could not clip them.
        let done = if self.policy == NonFinite::RollBack { ROLLED_BACK } else { SKIPPED };
        Ok(format!("A gradient holds NaN or infinity: {done}"))
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
