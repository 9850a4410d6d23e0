//! Algorithm 1 (Zhang, Lucas, Hinton and Ba, 2019), as the training loop.
//!
//! ```text
//! for t = 1, 2, …
//!     θ ← φ
//!     for i = 1, …, k
//!         θ ← θ + A(L, θ, d)          the inner optimizer A on the loss L of a batch d
//!     φ ← φ + α(θ − φ)
//! ```
//!
//! Both loops are one here: [`step`] takes an inner step, and syncs if it was the k-th of its cycle. The model
//! holds θ and the optimizer holds φ. Everything around a step is in [`Hooks`].

use std::ops::ControlFlow::{self, Break, Continue};

use lookahead_run::event::{RunEnded, Status};

use super::finish::finish;
use super::gradients::{self, StepLoss};
use super::hook::InnerStep;
use super::hooks::Hooks;
use super::hooks::timing::Phase;
use super::setup::Training;

/// Trains until the last step, a request to stop, or early stopping, and returns how the run ended.
///
/// # Errors
/// If a step fails, or what follows the last one: the final sync, its evaluations, the last checkpoint.
pub fn train(training: &mut Training, hooks: &mut Hooks) -> anyhow::Result<RunEnded> {
    hooks.begin(training)?;
    while training.has_pending_work()
        || (training.state.step < training.total_steps && !training.is_out_of_patience())
    {
        if step(training, hooks)?.is_break() {
            hooks.stop(training)?;
            return Ok(RunEnded::new(Status::Stopped));
        }
    }
    finish(training, hooks)
}

/// Takes one inner step, and syncs if that ends a cycle. Returns `Break` on a request to stop. That may leave the
/// step's sync and evaluations pending: the next call, or a resumed run, does only those.
///
/// # Errors
/// If the step, the sync, an evaluation, a hook or the checkpoint fails.
pub fn step(training: &mut Training, hooks: &mut Hooks) -> anyhow::Result<ControlFlow<()>> {
    if hooks.handle_commands(training)?.is_break() {
        return Ok(Break(()));
    }
    if !training.has_pending_work() {
        hooks.before_step(training)?;
        let learning_rate = training.learning_rate();
        training.optimizer.set_learning_rate(learning_rate)?;
        let StepLoss { loss, value, mut skipped } = gradients::compute(training, hooks)?; // ∇L(θ, d)
        if skipped.is_none() {
            training.average_gradients()?; // over data-parallel workers
            hooks.after_backward(training)?;
            gradients::clip(training, hooks)?;
            let taken = training.inner_step()?; // θ ← θ + A(L, θ, d)
            hooks.events.timer.end(Phase::InnerStep);
            if !taken {
                skipped = Some(training.guard.after_skipped_step(&training.model)?);
            }
        }
        training.state.step += 1; // counts skipped steps too, unlike the optimizer
        hooks.after_inner_step(training, InnerStep { loss, value, learning_rate, skipped })?;
    }

    // If evaluations are due, that of θ comes first: the sync overwrites θ with φ.
    if hooks.evaluate_fast(training)?.is_break() {
        return Ok(Break(()));
    }
    if training.optimizer.sync_is_due() {
        hooks.before_sync(training)?;
        let outcome = training.optimizer.sync_if_due(); // φ ← φ + α(θ − φ); θ ← φ
        hooks.after_sync(training, outcome, false)?;
    }
    if hooks.evaluate_slow(training)?.is_break() {
        return Ok(Break(()));
    }
    hooks.after_step(training)?;
    Ok(Continue(()))
}
