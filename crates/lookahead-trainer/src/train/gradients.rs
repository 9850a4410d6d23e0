//! The gradients of a step: those of its batches together, averaged over the workers and clipped.

use lookahead_core::Accumulation;
use tch::Tensor;

use super::hooks::Hooks;
use super::hooks::timing::Phase;
use super::setup::Training;

/// The loss of a step.
#[derive(Debug)]
pub(super) struct StepLoss {
    /// The mean over the samples of the step, on the device.
    pub(super) loss: Tensor,
    /// Its value, if it is read in each step.
    pub(super) value: Option<f64>,
    /// Why the step is skipped, as a sentence, if it is. Then it has no gradients.
    pub(super) skipped: Option<String>,
}

/// Computes the loss of a step and its gradients, of one batch after the other with `train.accumulate`.
///
/// A loss of NaN or infinity ends the run, unless the policy `lookahead.non_finite` skips the step or rolls the
/// cycle back, in all processes alike. A loss that is still on the device is checked once it is read.
pub(super) fn compute(training: &mut Training, hooks: &mut Hooks) -> anyhow::Result<StepLoss> {
    let step = of_batches(training, hooks)?;
    let skipped = training.skip_reason(step.value.filter(|loss| !loss.is_finite()))?;
    Ok(StepLoss { skipped, ..step })
}

/// The loss and the gradients of the batches, up to the first one whose loss is NaN or infinity.
fn of_batches(training: &mut Training, hooks: &mut Hooks) -> anyhow::Result<StepLoss> {
    training.guard.before_loss(training.optimizer.phase(), &training.model)?;
    let all = training.batches().step_len();
    let mut step = Accumulation::new(all as u64);
    let mut mean: Option<f64> = None;
    loop {
        let samples = training.batches().current().len();
        let batch = training.current_batch()?; // d
        hooks.events.timer.end(Phase::Data);
        let loss = training.objective.loss(&training.model, &batch, true)?;
        let value = hooks.events.read_now(&loss)?;
        if value.is_some_and(|loss| !loss.is_finite()) {
            return Ok(StepLoss { loss, value, skipped: None });
        }
        training.optimizer.backward(&mut step, &loss, samples)?;
        hooks.events.timer.end(Phase::ForwardBackward);
        if samples == all {
            return Ok(StepLoss { loss, value, skipped: None });
        }
        mean = value.map(|value| mean.unwrap_or(0.0) + value * samples as f64 / all as f64);
        if !training.next_part() {
            let loss = step.loss().map_or(loss, Tensor::shallow_clone);
            return Ok(StepLoss { loss, value: mean, skipped: None });
        }
    }
}

/// Clips the gradients, as `train.clip_grad_value` and `train.clip_grad_norm` say.
///
/// # Errors
/// [`Diverged`](super::diverged::Diverged) if there is no norm to clip by, and no policy for that.
pub(super) fn clip(training: &mut Training, hooks: &mut Hooks) -> anyhow::Result<()> {
    let (norm, value) =
        (training.config.train.clip_grad_norm, training.config.train.clip_grad_value);
    if value > 0.0 {
        training.optimizer.clip_grad_value(value)?;
    }
    if norm > 0.0 {
        let before = training.optimizer.clip_grad_norm(norm)?;
        hooks.events.gradient_norm = Some(before);
        let (step, lr) = (training.state.step + 1, training.config.optimizer.lr);
        training.guard.check_norm(before, step, lr)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
