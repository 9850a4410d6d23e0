//! Algorithm 1 (Zhang, Lucas, Hinton and Ba, 2019), from top to bottom.
//!
//! ```text
//! for t = 1, 2, …
//!     θ ← φ
//!     for i = 1, …, k
//!         θ ← θ + A(L, θ, d)          the inner optimizer A on a batch d
//!     φ ← φ + α(θ − φ)
//! ```
//!
//! θ is in the model, φ in the optimizer. Whatever else happens is in [`Hooks`].

use std::ops::ControlFlow::{self, Break, Continue};

use lookahead_run::event::{RunEnded, Status};

use super::finish::finish;
use super::hook::InnerStep;
use super::hooks::Hooks;
use super::hooks::timing::Phase;
use super::setup::Training;

/// Trains until the last step, a request to stop, or early stopping, and returns how the run ended.
///
/// # Errors
/// If a step fails, or the last checkpoint can't be saved.
pub fn train(t: &mut Training, hooks: &mut Hooks) -> anyhow::Result<RunEnded> {
    hooks.begin(t)?;
    while t.has_pending_work() || (t.state.step < t.total_steps && !t.is_out_of_patience()) {
        if step(t, hooks)?.is_break() {
            hooks.stop(t)?;
            return Ok(RunEnded::new(Status::Stopped));
        }
    }
    finish(t, hooks)
}

/// Takes one inner step, and syncs if that ends a cycle. `Break` on a request to stop. That may leave the step's
/// sync and evaluations pending: the next call, or a resumed run, does only those.
///
/// # Errors
/// If the step fails.
pub fn step(t: &mut Training, hooks: &mut Hooks) -> anyhow::Result<ControlFlow<()>> {
    if hooks.handle_commands(t)?.is_break() {
        return Ok(Break(()));
    }
    if !t.has_pending_work() {
        hooks.before_step(t)?;
        let learning_rate = t.learning_rate();
        t.optimizer.set_learning_rate(learning_rate)?;
        let batch = t.current_batch();
        hooks.events.timer.end(Phase::Data);
        t.guard.before_loss(t.optimizer.phase(), &t.model)?;
        let loss = t.model.loss(&batch, true);
        let value = hooks.events.read_now(&loss)?;

        // A loss that is NaN or infinity ends the run, unless `lookahead.non_finite` skips the step.
        let mut skipped = t.skip_reason(value)?;
        if skipped.is_none() {
            t.optimizer.backward(&loss)?;
            hooks.events.timer.end(Phase::ForwardBackward);
            t.average_gradients()?; // over data-parallel workers
            let taken = t.optimizer.inner_step()?; // θ ← θ + A(L, θ, d)
            hooks.events.timer.end(Phase::InnerStep);
            if !taken {
                skipped = Some(t.guard.after_skipped_step(&t.model)?);
            }
        }
        t.state.step += 1;
        hooks.after_inner_step(t, InnerStep { loss, value, learning_rate, skipped })?;
    }

    // θ is evaluated before the sync and φ after it: a sync makes them equal.
    if hooks.evaluate_fast(t)?.is_break() {
        return Ok(Break(()));
    }
    if t.optimizer.sync_is_due() {
        hooks.before_sync(t)?;
        let synced = t.optimizer.sync_if_due(); // after k inner steps: φ ← φ + α(θ − φ); θ ← φ
        hooks.after_sync(t, synced, false)?;
    }
    if hooks.evaluate_slow(t)?.is_break() {
        return Ok(Break(()));
    }
    hooks.after_step(t)?;
    Ok(Continue(()))
}
