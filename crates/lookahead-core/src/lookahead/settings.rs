//! k, α and the rest, read and set while running.

use lookahead_sys::sync::Path;

use super::Lookahead;
use crate::range::{check_period, check_slow_step_size};
use crate::{Error, InnerOptimizer, LookaheadConfig, Result, Schedule};

/// The present values, and what may change while training.
impl<O: InnerOptimizer> Lookahead<O> {
    /// The synchronization period of the present cycle: inner steps between syncs.
    pub fn k(&self) -> u64 {
        self.cycle.k
    }

    /// Sets the synchronization period, and ends its schedule. Inside a cycle it holds from the next one
    /// on: see [`pending_k`](Self::pending_k).
    ///
    /// ```
    /// # use lookahead_core::Lookahead;
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let _ = vs.root().ones("w", &[1]);
    /// let mut opt = Lookahead::builder(tch::nn::Sgd::default()).k(3).build(&vs, 0.1)?;
    /// opt.step()?;
    /// opt.set_k(2)?;
    /// assert_eq!((opt.k(), opt.pending_k()), (3, Some(2)));
    /// let synced = [opt.step()?, opt.step()?, opt.step()?, opt.step()?];
    /// assert_eq!(synced, [false, true, false, true]);
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) for 0.
    pub fn set_k(&mut self, k: u64) -> Result<()> {
        check_period(k)?;
        self.settings.config.k = k;
        self.set_k_schedule(Schedule::Constant)
    }

    /// The synchronization period that was set inside the present cycle and holds from the next one on.
    pub fn pending_k(&self) -> Option<u64> {
        let set = self.settings.config.k;
        (self.settings.k_schedule == Schedule::Constant && set != self.cycle.k).then_some(set)
    }

    /// Lets k change from its first value, counted from the first step; from the next cycle on.
    ///
    /// # Errors
    /// [`Schedule`](Error::Schedule) where it would lead below 1.
    pub fn set_k_schedule(&mut self, schedule: Schedule) -> Result<()> {
        schedule.check_period()?;
        self.settings.k_schedule = schedule;
        if self.cycle.phase == 0 {
            self.cycle.k = self.settings.k_at(self.cycle.steps);
        }
        Ok(())
    }

    /// The slow step size that a sync would take now, of groups without one of their own. With the
    /// adaptive choice, what it would be without it: see [`alpha_used`](Self::alpha_used).
    pub fn alpha(&self) -> f64 {
        let schedule = self.settings.alpha_schedule;
        schedule.at(self.settings.config.alpha, self.cycle.steps).clamp(f64::MIN_POSITIVE, 1.0)
    }

    /// The slow step size that a sync would take now, of one parameter group.
    pub fn alpha_of_group(&self, group: usize) -> f64 {
        self.settings.alpha_at(group, self.cycle.steps)
    }

    /// The slow step size that the last sync took, of the first parameter group; `None` before it.
    /// The adaptive choice is one for all groups.
    pub fn alpha_used(&self) -> Option<f64> {
        self.alpha_used
    }

    /// Sets the slow step size of the syncs to come, of all groups, and ends its schedule.
    ///
    /// ```
    /// # use lookahead_core::{Lookahead, Schedule};
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let _ = (vs.root().ones("a", &[1]), vs.root().set_group(1).ones("b", &[1]));
    /// let schedule = Schedule::Linear { to: 1.0, steps: 100 };
    /// let builder = Lookahead::builder(tch::nn::Sgd::default()).alpha_of_group(1, 0.8);
    /// let mut opt = builder.alpha_schedule(schedule).build(&vs, 0.1)?;
    /// for _ in 0..50 {
    ///     opt.step()?;
    /// }
    /// assert_eq!((opt.alpha(), opt.alpha_of_group(1)), (0.75, 0.9));
    /// opt.set_alpha(0.5)?;
    /// assert_eq!((opt.alpha(), opt.alpha_of_group(1)), (0.5, 0.5));
    /// assert!(opt.set_alpha(0.0).is_err());
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) outside 0 < α ≤ 1,
    /// [`AdaptiveWith`](Error::AdaptiveWith) where α is chosen adaptively.
    pub fn set_alpha(&mut self, alpha: f64) -> Result<()> {
        check_slow_step_size(alpha)?;
        if self.settings.config.adaptive_low().is_some() {
            return Err(Error::AdaptiveWith { what: "an α set by hand" });
        }
        self.settings.config.alpha = alpha;
        // They stay named, so that a state which lost one is noticed.
        for (_, own) in &mut self.settings.alpha_of_groups {
            *own = alpha;
        }
        self.settings.alpha_schedule = Schedule::Constant;
        Ok(())
    }

    /// Sets the slow step size of the syncs to come, of one parameter group. A schedule continues
    /// from it as if it had begun there.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) outside 0 < α ≤ 1, [`Group`](Error::Group) where there
    /// is no such group, [`AdaptiveWith`](Error::AdaptiveWith) where α is chosen adaptively.
    pub fn set_alpha_of_group(&mut self, group: usize, alpha: f64) -> Result<()> {
        check_slow_step_size(alpha)?;
        let count = self.inner.parameters().iter().map(|p| p.group + 1).max().unwrap_or(1);
        if group >= count {
            return Err(Error::Group { group, count });
        }
        if self.settings.config.adaptive_low().is_some() {
            return Err(Error::AdaptiveWith { what: "α per parameter group" });
        }
        self.settings.alpha_of_groups.retain(|(of, _)| *of != group);
        self.settings.alpha_of_groups.push((group, alpha));
        Ok(())
    }

    /// Lets α change from its first value, counted from the first step; from the next sync on.
    ///
    /// # Errors
    /// [`Schedule`](Error::Schedule) or [`Setting`](Error::Setting) where it would lead
    /// outside 0 < α ≤ 1, [`AdaptiveWith`](Error::AdaptiveWith) where α is chosen adaptively.
    pub fn set_alpha_schedule(&mut self, schedule: Schedule) -> Result<()> {
        schedule.check_slow_step_size()?;
        if self.settings.config.adaptive_low().is_some() && schedule != Schedule::Constant {
            return Err(Error::AdaptiveWith { what: "an α schedule" });
        }
        self.settings.alpha_schedule = schedule;
        Ok(())
    }

    /// The settings as they are now, k and α as they are set for the first step of their schedules.
    pub fn config(&self) -> &LookaheadConfig {
        &self.settings.config
    }

    /// Sets which operations do the sync. Only comparisons and tests have a reason to.
    pub fn set_sync_path(&mut self, path: Path) {
        self.settings.path = path;
    }

    /// Inner steps since the last sync, 0 to k; k only between the last inner step and its sync.
    pub fn phase(&self) -> u64 {
        self.cycle.phase
    }

    /// Inner steps taken since the optimizer was built, which schedules go by.
    ///
    /// ```
    /// # use lookahead_core::Lookahead;
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let _ = vs.root().ones("a", &[1]);
    /// let mut opt = Lookahead::builder(tch::nn::Sgd::default()).k(3).build(&vs, 0.1)?;
    /// for _ in 0..7 {
    ///     opt.step()?;
    /// }
    /// assert_eq!((opt.steps(), opt.syncs(), opt.phase(), opt.k()), (7, 2, 1, 3));
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    pub fn steps(&self) -> u64 {
        self.cycle.steps
    }

    /// Syncs so far.
    pub fn syncs(&self) -> u64 {
        self.cycle.syncs
    }

    /// How often NaN or infinity was acted on: steps skipped, and roll-backs in
    /// the place of a sync.
    pub fn non_finite(&self) -> u64 {
        self.non_finite
    }

    /// The inner optimizer.
    pub fn inner(&self) -> &O {
        &self.inner
    }

    /// The inner optimizer, to change its settings. Steps that it takes by itself are not counted,
    /// and the next step through Lookahead refuses what they did.
    pub fn inner_mut(&mut self) -> &mut O {
        &mut self.inner
    }
}
