//! Sentences about syncs that a configuration does not reach.

use super::setup::Training;
use crate::config::mutable_keys::{ALPHA_SCHEDULE, PERIOD, PERIOD_SCHEDULE, SLOW_STEP_SIZE};
use crate::usage::UsageError;

impl Training {
    /// A warning if the only sync of a new run is the last one, and a usage error if it has none at all.
    pub(crate) fn check_syncs(&self) -> Result<Option<String>, UsageError> {
        let Some(lookahead) = &self.config.lookahead else { return Ok(None) };
        let (k, steps) = (lookahead.k, self.total_steps);
        if k <= steps {
            return Ok(None);
        }
        let key = self.config.train.deciding_key();
        let fact = format!("`lookahead.k` is {k}, and the run takes {steps} steps (`{key}`)");
        if lookahead.final_sync {
            return Ok(Some(format!(
                "{fact}: the slow weights move only once, in the last sync at its end. For more syncs, use a k of \
                 at most {steps}, or more steps."
            )));
        }
        Err(UsageError::new(format!(
            "{fact}, and `lookahead.final_sync` is false: without a sync the slow weights, the result, would never \
             move. Use a k of at most {steps}, more steps, or `lookahead.final_sync=true`."
        )))
    }

    /// A warning if no cycle of `k` ends in the steps that are left after the current one.
    pub(crate) fn syncs_to_come(&self) -> Option<String> {
        let lookahead = self.config.lookahead.as_ref()?;
        let k = lookahead.k;
        let mut left = self.total_steps.saturating_sub(self.state.step) + self.optimizer.phase();
        let mut what = "the";
        if let (Some(now), Some(_)) = self.optimizer.k() {
            left = left.checked_sub(now)?;
            what = "the next cycle's";
        }
        if left == 0 || k <= left {
            return None;
        }
        let fact =
            format!("No cycle of {k} steps (`lookahead.k`) ends in {what} {left} remaining steps");
        Some(if lookahead.final_sync {
            format!("{fact}: they reach the slow weights only in the last sync at the run's end.")
        } else {
            format!(
                "{fact}, and `lookahead.final_sync` is false: they never reach the slow weights, the result. Use a \
                 smaller k, more steps, or `lookahead.final_sync=true`."
            )
        })
    }

    /// A sentence if a schedule of α or k follows the length of the run, which has changed.
    pub(crate) fn other_outer_curve(&self) -> Option<String> {
        let lookahead = self.config.lookahead.as_ref()?;
        let (alpha, k) = (lookahead.alpha_schedule, lookahead.k_schedule);
        let key = [(ALPHA_SCHEDULE, alpha), (PERIOD_SCHEDULE, k)]
            .into_iter()
            .find_map(|(key, curve)| (curve.over(1) != curve).then_some(key))?;
        Some(format!(
            "The number of steps changed, and with it `{key}`: from here on it follows the new curve, which the steps \
             so far did not. Give it `steps` to keep its curve."
        ))
    }

    /// A sentence if the syncs extrapolate.
    pub(crate) fn extrapolation(&self) -> Option<String> {
        let lookahead = self.config.lookahead.as_ref()?;
        let plain = lookahead.outer_momentum == 0.0 && lookahead.adaptive_alpha == 0.0;
        let last = lookahead.alpha_schedule.at(lookahead.alpha, u64::MAX);
        let is = if last > lookahead.alpha { "grows to" } else { "is" };
        let own = (SLOW_STEP_SIZE, is, lookahead.alpha.max(last));
        let groups = self.config.optimizer.alphas(self.registry.kinds());
        let of_groups = groups.into_iter().map(|(_, alpha)| ("optimizer.group.alpha", "is", alpha));
        let mut all = std::iter::once(own).chain(of_groups);
        let (key, is, alpha) = all.find(|(_, _, alpha)| plain && *alpha > 1.0)?;
        Some(format!(
            "`{key}` {is} {alpha}: above 1 a sync extrapolates, which moves the slow weights beyond the fast ones."
        ))
    }

    /// A sentence if a k was set that the current cycle does not have yet.
    pub(crate) fn pending_k(&self) -> Option<String> {
        let (Some(now), Some(next)) = self.optimizer.k() else { return None };
        let left = now.saturating_sub(self.optimizer.phase());
        let step = self.state.step + left;
        Some(format!(
            "`{PERIOD}` becomes {next} after the next sync, in {left} steps, at step {step}."
        ))
    }
}
