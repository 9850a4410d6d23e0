//! The end of a run, in one order: θ is tested, the last sync takes the steps of an unfinished cycle to φ, φ
//! is evaluated, a checkpoint saved, and φ tested. In a run that averages, the mean is evaluated instead of φ.
//!
//! The training state that the last checkpoint holds is the one before the last sync: given more steps,
//! the run continues as a longer one would have. Its `model.safetensors` holds the result: φ after it, or the mean with it.

use std::ops::ControlFlow::{self, Break, Continue};

use lookahead_run::event::{RunEnded, Split, Status, Weights};

use super::diverged::refuse_loss;
use super::early_stopping;
use super::hooks::Hooks;
use super::hooks::checkpoints::Saving;
use super::setup::Training;

/// Ends a run that has taken its last step or no longer improves, and returns how it ended.
///
/// # Errors
/// If the last checkpoint can't be saved, an evaluation fails, or the result is NaN or infinity.
pub(super) fn finish(t: &mut Training, hooks: &mut Hooks) -> anyhow::Result<RunEnded> {
    hooks.events.step_clock.end();
    let flow = last_sync(t, hooks)?;
    hooks.save_and_wait(t)?;
    if flow.is_break() {
        return Ok(RunEnded::new(Status::Stopped));
    }
    if t.state.step < t.total_steps && t.is_out_of_patience() {
        return early_stopping::finish(t, hooks);
    }
    let last = t.config.final_weights();
    let both = [Weights::Fast, last];
    for &weights in if last == Weights::Fast { &both[..1] } else { &both[..] } {
        let loss = match hooks.fast_test_loss {
            Some(loss) if weights == Weights::Fast => Some(loss),
            _ => match hooks.evaluate(t, Split::Test, weights)? {
                Break(()) => return Ok(RunEnded::new(Status::Stopped)),
                Continue(found) => found.map(|found| found.loss),
            },
        };
        if let Some(loss) = loss {
            let what = "The loss on the test set";
            refuse_loss(what, loss, t.state.step, t.config.optimizer.lr)?;
        }
    }
    Ok(RunEnded::new(Status::Finished))
}

/// Makes the last sync if the run ends inside a cycle, and evaluates the final model after it on validation data if
/// the run evaluates at its end. A request to stop before the sync leaves it to the resumed run.
fn last_sync(t: &mut Training, hooks: &mut Hooks) -> anyhow::Result<ControlFlow<()>> {
    if !t.lacks_final_sync() {
        return Ok(Continue(()));
    }
    // θ is φ afterwards.
    if hooks.fast_test_loss.is_none() && hooks.test_fast(t)?.is_break() {
        return Ok(Break(()));
    }
    hooks.prepare_state(t, Saving::Requested)?;
    hooks.checkpoints.keep_state(t, &mut hooks.events)?;
    // That may have rolled the cycle back.
    if !t.lacks_final_sync() {
        return Ok(Continue(()));
    }
    hooks.before_sync(t)?;
    let synced = t.optimizer.finish(); // φ ← φ + α(θ − φ); θ ← φ
    hooks.after_sync(t, synced, true)?;
    t.state.final_sync = true;
    if t.config.train.evaluate_every_epochs == 0 {
        return Ok(Continue(()));
    }
    // It does not count for the best so far: a longer run would not have this model.
    let weights = t.config.final_weights();
    Ok(hooks.evaluate(t, Split::Validation, weights)?.map_continue(drop))
}
