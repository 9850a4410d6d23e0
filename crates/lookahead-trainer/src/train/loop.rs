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
//! θ is in the model; φ is the optimizer's. Whatever else happens is a hook, see [`Hooks`].

use std::ops::ControlFlow::{self, Break};

use lookahead_run::event::{RunEnded, Status};

use super::finish::finish;
use super::hooks::timing::Phase;
use super::hooks::{Hooks, InnerStep};
use super::setup::Training;

/// Trains from where `t` is to its last step, until it is asked to stop, or until it gets no better, and
/// returns how it ended. Whatever is recorded of a step is recorded before its checkpoint, so that a
/// resumed run neither repeats nor leaves out anything.
///
/// # Errors
/// If a step fails, or the last checkpoint can't be saved.
pub fn train(t: &mut Training, hooks: &mut Hooks) -> anyhow::Result<RunEnded> {
    hooks.begin(t);
    while t.has_pending_work() || (t.state.step < t.total_steps && !t.is_out_of_patience()) {
        if step(t, hooks)?.is_break() {
            hooks.stop(t)?;
            return Ok(RunEnded::new(Status::Stopped));
        }
    }
    finish(t, hooks)
}

/// One inner step, and the sync if it ends a cycle. `Break` if the run is asked to stop, which may leave
/// the step's sync and evaluations pending: the next call, or a resumed run, does only those.
///
/// # Errors
/// If the step fails.
pub fn step(t: &mut Training, hooks: &mut Hooks) -> anyhow::Result<ControlFlow<()>> {
    if hooks.commands(t)?.is_break() {
        return Ok(Break(()));
    }
    if !t.has_pending_work() {
        hooks.before_step(t);
        let learning_rate = t.learning_rate();
        t.optimizer.set_learning_rate(learning_rate)?;
        hooks.events.timer.begin();
        let batch = t.current_batch();
        hooks.events.timer.end(Phase::Data);
        hooks.before_loss(t)?;
        let loss = t.model.loss(&batch, true);
        let value = hooks.events.read_now(&loss)?;

        // A loss that is NaN or infinity ends the run, or is skipped if the config says so.
        let mut skipped = hooks.after_loss(t, value)?;
        if skipped.is_none() {
            t.optimizer.backward(&loss)?;
            hooks.events.timer.end(Phase::ForwardBackward);
            t.average_gradients()?; // over data-parallel workers
            let taken = t.optimizer.inner_step()?; // θ ← θ + A(L, θ, d)
            hooks.events.timer.end(Phase::InnerStep);
            skipped = hooks.after_gradients(t, taken)?;
        }
        t.state.step += 1;
        hooks.after_inner_step(t, InnerStep { loss, value, learning_rate, skipped })?;
    }

    // θ is evaluated before the sync and φ after it: a sync makes them equal.
    if hooks.before_sync(t)?.is_break() {
        return Ok(Break(()));
    }
    if t.optimizer.sync_is_due() {
        hooks.probe_before_sync(t)?;
        let synced = t.optimizer.sync_if_due(); // after k inner steps: φ ← φ + α(θ − φ); θ ← φ
        hooks.after_sync(t, synced)?;
    }
    hooks.after_step(t)
}
