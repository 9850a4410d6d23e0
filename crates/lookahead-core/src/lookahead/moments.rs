//! What a sync does to the inner optimizer's moments.

use std::collections::btree_map::Entry;

use lookahead_sys::arithmetic::assign;
use tch::Tensor;

use super::Lookahead;
use crate::slow_moments::{MomentKey, wide_zeros};
use crate::{InnerOptimizer, MomentumPolicy, Result};

/// A moment that a sync pulls back.
pub(super) struct PulledMoment {
    pub(super) key: MomentKey,
    pub(super) tensor: Tensor,
}

impl<O: InnerOptimizer> Lookahead<O> {
    pub(super) fn pulls_back(&self) -> bool {
        self.settings.config.momentum_policy == MomentumPolicy::Pullback
    }

    /// The moments to pull back. Each has a slow copy afterwards: 0 for a new one, as the moment was before
    /// its first step.
    pub(super) fn moments_to_pull(&mut self) -> Result<Vec<PulledMoment>> {
        self.complete_slow_moments()?;
        let all = if self.pulls_back() { self.all_moments()? } else { Vec::new() };
        Ok(all.into_iter().filter(|moment| self.is_trained(moment.key.0)).collect())
    }

    fn all_moments(&mut self) -> Result<Vec<PulledMoment>> {
        let mut all = Vec::new();
        for parameter in 0..self.inner.parameters().len() {
            for moment in self.inner.moments(parameter)? {
                all.push(PulledMoment { key: (parameter, moment.name), tensor: moment.tensor });
            }
        }
        Ok(all)
    }

    /// Adds slow copies of 0 for new moments, so that a state contains one for each.
    pub(super) fn complete_slow_moments(&mut self) -> Result<()> {
        if self.pulls_back() {
            for moment in self.all_moments()? {
                if let Entry::Vacant(entry) = self.slow_moments.entry(moment.key) {
                    entry.insert(wide_zeros(&moment.tensor)?);
                }
            }
        }
        Ok(())
    }

    /// Resets the moments of synced parameters, if that is the policy.
    pub(super) fn reset_moments_after_sync(&mut self) -> Result<()> {
        if self.settings.config.momentum_policy == MomentumPolicy::Reset {
            for parameter in self.trained().collect::<Vec<_>>() {
                self.inner.reset_moments(parameter)?;
            }
        }
        Ok(())
    }

    /// Copies the present moments to the slow ones, as φ is copied from θ.
    pub(super) fn restart_slow_moments(&mut self) -> Result<()> {
        self.slow_moments.clear();
        if self.pulls_back() {
            for moment in self.all_moments()? {
                let mut slow = wide_zeros(&moment.tensor)?;
                assign(&mut slow, &moment.tensor)?;
                self.slow_moments.insert(moment.key, slow);
            }
        }
        Ok(())
    }
}
