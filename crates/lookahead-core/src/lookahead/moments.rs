//! What becomes of the inner optimizer's moments at a sync.

use std::collections::btree_map::Entry;

use tch::Tensor;

use super::Lookahead;
use crate::slow_moments::{MomentKey, wide_zeros};
use crate::{InnerOptimizer, MomentumPolicy, Result};

/// A moment that a sync pulls back.
pub(super) struct Pulled {
    pub(super) key: MomentKey,
    pub(super) moment: Tensor,
}

impl<O: InnerOptimizer> Lookahead<O> {
    /// The moments to pull back, each with its slow copy in place: 0 where it is new, as the moment
    /// was before its first step.
    pub(super) fn moments_to_pull(&mut self) -> Result<Vec<Pulled>> {
        let mut all = Vec::new();
        if self.settings.config.momentum_policy != MomentumPolicy::Pullback {
            return Ok(all);
        }
        self.complete_slow_moments()?;
        for parameter in 0..self.inner.parameters().len() {
            if !self.is_trained(parameter) {
                continue;
            }
            for moment in self.inner.moments(parameter)? {
                all.push(Pulled { key: (parameter, moment.name), moment: moment.tensor });
            }
        }
        Ok(all)
    }

    /// Gives every moment that there is its slow copy, 0 where it is new, so that a state holds one for
    /// each.
    pub(super) fn complete_slow_moments(&mut self) -> Result<()> {
        if self.settings.config.momentum_policy != MomentumPolicy::Pullback {
            return Ok(());
        }
        for parameter in 0..self.inner.parameters().len() {
            for moment in self.inner.moments(parameter)? {
                if let Entry::Vacant(place) = self.slow_moments.entry((parameter, moment.name)) {
                    place.insert(wide_zeros(&moment.tensor)?);
                }
            }
        }
        Ok(())
    }

    /// Forgets the moments of synced parameters, where that is the policy.
    pub(super) fn reset_moments_after_sync(&mut self) -> Result<()> {
        if self.settings.config.momentum_policy != MomentumPolicy::Reset {
            return Ok(());
        }
        for parameter in 0..self.inner.parameters().len() {
            if self.is_trained(parameter) {
                self.inner.reset_moments(parameter)?;
            }
        }
        Ok(())
    }

    /// Takes the moments as they are now for the slow ones, as φ is taken from θ.
    pub(super) fn restart_slow_moments(&mut self) -> Result<()> {
        self.slow_moments.clear();
        if self.settings.config.momentum_policy != MomentumPolicy::Pullback {
            return Ok(());
        }
        for parameter in 0..self.inner.parameters().len() {
            for moment in self.inner.moments(parameter)? {
                let mut slow = wide_zeros(&moment.tensor)?;
                lookahead_sys::arithmetic::assign(&mut slow, &moment.tensor)?;
                self.slow_moments.insert((parameter, moment.name), slow);
            }
        }
        Ok(())
    }
}
