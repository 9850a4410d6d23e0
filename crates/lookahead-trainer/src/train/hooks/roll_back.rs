//! θ ← φ on request, by the watchdog or by a hook; what every automatic roll-back does besides; and the end of a run that
//! a hook stops.

use lookahead_run::event::{Event, RollBackCause, RolledBack};
use lookahead_run::format;
use lookahead_run::status::State;

use super::Hooks;
use super::events::Events;
use crate::config::watchdog::RollBackMoments;
use crate::train::divergence::{ROLLED_BACK, check_divergence_limit};
use crate::train::hook::Request;
use crate::train::setup::Training;

/// Why nothing can be rolled back.
pub(super) const NO_SLOW_WEIGHTS: &str = "The run trains without Lookahead: there are no slow weights to roll back to. \
                                          Nothing was changed.";

/// The watchdog, or another hook, ended the run. It is saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: the run was stopped, and is saved.")]
pub struct StoppedByHook {
    reason: String,
    /// If it had too many roll-backs: a `watchdog.max_roll_backs` that allows as many again.
    pub(crate) max_roll_backs: Option<u64>,
}

impl Hooks {
    /// Does what a hook requested in this step.
    ///
    /// # Errors
    /// [`StoppedByHook`] if that is to end the run, or if the run had as many roll-backs as it may have.
    pub(super) fn carry_out_request(&mut self, t: &mut Training) -> anyhow::Result<()> {
        match t.request.take() {
            None => Ok(()),
            Some(Request::Stop { reason }) => self.stop_as_failed(t, reason, None),
            Some(Request::RollBack { cause, reason }) => {
                self.roll_back(t, cause, format!("{reason}: {ROLLED_BACK}"))?;
                self.check_roll_back_limit(t, &reason)
            }
        }
    }

    /// After the policy for NaN and infinity has dropped a step, or the cycle. `what` is a sentence.
    pub(super) fn after_non_finite(
        &mut self,
        t: &mut Training,
        what: String,
        rolled_back: bool,
    ) -> anyhow::Result<()> {
        let lr = t.config.optimizer.lr;
        check_divergence_limit(&mut t.state, &mut self.events, lr, what.clone())?;
        if !rolled_back {
            return Ok(());
        }
        let reason = what.trim_end_matches('.').to_owned();
        record_roll_back(t, &mut self.events, RollBackCause::NonFinite, what)?;
        self.check_roll_back_limit(t, &reason)
    }

    /// Rolls back by request.
    ///
    /// # Errors
    /// Those of the optimizer.
    pub(super) fn roll_back_as_requested(&mut self, t: &mut Training) -> anyhow::Result<()> {
        let steps = match t.optimizer.phase() {
            1 => "1 step".to_owned(),
            steps => format!("{} steps", format::count(steps)),
        };
        let message = format!("Rolled back to the slow weights, as requested; {steps} dropped.");
        self.roll_back(t, RollBackCause::Requested, message)
    }

    /// Sets θ back to φ, with the buffers of the start of the cycle if they are kept, and records that. Without Lookahead
    /// it only warns.
    pub(super) fn roll_back(
        &mut self,
        t: &mut Training,
        cause: RollBackCause,
        message: String,
    ) -> anyhow::Result<()> {
        let Some(lookahead) = t.optimizer.lookahead() else {
            self.events.warn(t.state.step, NO_SLOW_WEIGHTS.to_owned());
            return Ok(());
        };
        lookahead.roll_back()?;
        if t.config.watchdog.moments == RollBackMoments::Reset {
            t.optimizer.reset_moments()?;
        }
        t.guard.restore_cycle(&t.model)?;
        self.events.warn(t.state.step, message.clone());
        record_roll_back(t, &mut self.events, cause, message)?;
        self.events.show(&t.progress(), State::Training);
        Ok(())
    }

    /// Ends the run if it had more roll-backs than it may have.
    ///
    /// # Errors
    /// [`StoppedByHook`] then.
    pub(super) fn check_roll_back_limit(
        &mut self,
        t: &mut Training,
        reason: &str,
    ) -> anyhow::Result<()> {
        let Some(limit) = exceeded_limit(t) else { return Ok(()) };
        let count = t.state.roll_backs.count;
        let reason = format!(
            "{reason}. This is roll-back {}, and `watchdog.max_roll_backs` is {}",
            format::count(count),
            format::count(limit)
        );
        self.stop_as_failed(t, reason, Some(count + limit.max(1)))
    }

    /// Saves the run, and ends it with an error.
    fn stop_as_failed(
        &mut self,
        t: &mut Training,
        reason: String,
        max_roll_backs: Option<u64>,
    ) -> anyhow::Result<()> {
        self.save_and_wait(t)?;
        Err(StoppedByHook { reason, max_roll_backs }.into())
    }
}

/// `watchdog.max_roll_backs`, if the run has had more automatic roll-backs.
fn exceeded_limit(t: &Training) -> Option<u64> {
    let count = t.state.roll_backs.count;
    t.config.watchdog.roll_back_limit().filter(|limit| count > *limit)
}

/// After θ went back to φ: counts and records the roll-back, and cuts the learning rate, unless it was requested. One that ends
/// the run cuts nothing.
pub(super) fn record_roll_back(
    t: &mut Training,
    events: &mut Events,
    cause: RollBackCause,
    message: String,
) -> anyhow::Result<()> {
    let factor = t.config.watchdog.lr_factor;
    if cause != RollBackCause::Requested {
        t.state.roll_backs.count += 1;
        if factor != 1.0 && exceeded_limit(t).is_none() {
            t.state.roll_backs.lr_scale *= factor;
            let lr = format::significant(t.learning_rate(), 6);
            events.note(
                t.state.step,
                format!("The next learning rate is {lr} (`watchdog.lr_factor`)."),
            );
        }
    }
    let (count, lr_scale) = (t.state.roll_backs.count, t.state.roll_backs.lr_scale);
    events.record(t.state.step, Event::RolledBack(RolledBack { cause, message, count, lr_scale }));
    Ok(())
}
