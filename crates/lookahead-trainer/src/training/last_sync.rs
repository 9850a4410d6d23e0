//! The last sync of a run that ends inside a cycle, so that none of its steps is thrown away.
//!
//! The model, its evaluations and `model.safetensors` are those after it. The training state that the
//! last checkpoint holds is the one before: given more steps, the run continues as a longer one would
//! have.

use lookahead_run::event::{Event, Note, Split, Weights};

use super::{Flow, Measured, Outside, Training, measure, metrics, saving, sync, test_fast};
use crate::usage::UsageError;

/// Where a manifest says that the model is the one after the last sync, and the state the one before.
pub(super) const FINAL_SYNC: &str = "train/final_sync";

/// Whether the run ends with a last sync, where it ended now.
pub(super) fn is_missing(t: &Training) -> bool {
    let asked = t.config.lookahead.as_ref().is_some_and(|lookahead| lookahead.final_sync);
    asked && t.optimizer.phase() > 0
}

/// Makes the last sync where one is missing, and evaluates φ after it on validation data if the run
/// evaluates at its end. A request to stop that comes before the sync leaves it for after the resume.
pub(super) fn take(t: &mut Training, outside: &mut Outside) -> anyhow::Result<Flow> {
    if !is_missing(t) {
        return Ok(Flow::GoOn);
    }
    // θ is φ afterwards.
    if t.tested_fast.is_none() {
        let Flow::GoOn = test_fast(t, outside)? else { return Ok(Flow::Stop) };
    }
    saving::keep_state(t, outside)?;
    // A roll-back may have taken its place.
    if !is_missing(t) {
        return Ok(Flow::GoOn);
    }
    sync(t, outside, true)?;
    t.has_ended = true;
    if t.config.train.evaluate_every_epochs == 0 {
        return Ok(Flow::GoOn);
    }
    Ok(match measure(t, Split::Validation, Weights::Slow, outside)? {
        Measured::Interrupted => Flow::Stop,
        Measured::Done(found) => {
            // The best so far is not told of it: a longer run would not have this model.
            if let Some(found) = found {
                t.measured = Some((t.step, metrics(&found)));
            }
            Flow::GoOn
        }
    })
}

impl Training {
    /// Refuses a new run in which no sync can ever happen; a sentence where only the last one can.
    ///
    /// # Errors
    /// A usage error.
    pub fn check_syncs(&self) -> Result<Option<String>, UsageError> {
        let Some(lookahead) = &self.config.lookahead else { return Ok(None) };
        let (k, steps) = (lookahead.k, self.total_steps);
        if k <= steps {
            return Ok(None);
        }
        let key = self.config.train.deciding_key();
        let fact = format!("`lookahead.k` is {k}, and the run takes {steps} steps (`{key}`)");
        match lookahead.final_sync {
            true => Ok(Some(format!(
                "{fact}: the slow weights move only once, in the last sync at its end. Use a k of at most \
                 {steps}, or more steps, for more than that."
            ))),
            false => Err(UsageError::new(format!(
                "{fact}, and `lookahead.final_sync` is false: no sync would ever happen, and the slow \
                 weights, the result, would stay where they began. Use a k of at most {steps}, more steps, \
                 or `lookahead.final_sync=true`."
            ))),
        }
    }

    /// A sentence where no cycle of `k` ends in the steps that are left after the present one.
    pub fn syncs_to_come(&self) -> Option<String> {
        let lookahead = self.config.lookahead.as_ref()?;
        let mut left = self.total_steps.saturating_sub(self.step);
        let phase = self.optimizer.phase();
        let k = lookahead.k;
        left += phase;
        let what = match self.optimizer.k() {
            (Some(now), Some(_)) => {
                left = left.checked_sub(now)?;
                "the next cycle's"
            }
            _ => "the",
        };
        if left == 0 || k <= left {
            return None;
        }
        let fact = format!(
            "No cycle of {k} steps (`lookahead.k`) ends in {what} {left} steps that are left"
        );
        Some(match lookahead.final_sync {
            true => format!(
                "{fact}: they reach the slow weights only in the last sync at the run's end."
            ),
            false => format!(
                "{fact}, and `lookahead.final_sync` is false: they never reach the slow weights, which are \
                 the result. Use a smaller k, more steps, or `lookahead.final_sync=true`."
            ),
        })
    }
}

/// Notes what a `k` that was set means for the syncs to come.
pub(super) fn note_syncs_to_come(t: &Training, outside: &mut Outside) {
    if let Some(message) = t.syncs_to_come() {
        outside.observer.record(t.step, Event::Note(Note { message }));
    }
}
