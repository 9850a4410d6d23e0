//! k, α and the counts: reading them, and setting them during training.

use lookahead_sys::sync::Path;

use super::Lookahead;
use crate::range::{check_period, check_slow_step_size};
use crate::{Error, InnerOptimizer, LookaheadConfig, Result, Schedule};

/// The present values, and what may change during training.
impl<O: InnerOptimizer> Lookahead<O> {
    /// The synchronization period of the present cycle: inner steps between syncs.
    pub fn k(&self) -> u64 {
        self.cycle.k
    }

    /// Sets the synchronization period, and ends its schedule. Inside a cycle it takes effect with the next
    /// cycle: see [`pending_k`](Self::pending_k).
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

    /// The synchronization period that was set inside the present cycle and takes effect with the next.
    pub fn pending_k(&self) -> Option<u64> {
        let set = self.settings.config.k;
        (self.settings.config.k_schedule == Schedule::Constant && set != self.cycle.k)
            .then_some(set)
    }

    /// Sets the schedule of k, counted from the first step; it takes effect with the next cycle.
    ///
    /// # Errors
    /// [`Schedule`](Error::Schedule) if it leads below 1.
    pub fn set_k_schedule(&mut self, schedule: Schedule) -> Result<()> {
        schedule.check_period()?;
        self.settings.config.k_schedule = schedule;
        if self.cycle.phase == 0 {
            self.cycle.k = self.settings.k_at(self.cycle.steps);
        }
        Ok(())
    }

    /// The slow step size that a sync would take now, for groups without their own. With adaptive α, the value
    /// without it: see [`alpha_used`](Self::alpha_used).
    pub fn alpha(&self) -> f64 {
        self.settings.scheduled_alpha(self.settings.config.alpha, self.cycle.steps)
    }

    /// The slow step size that a sync would take now for one parameter group.
    pub fn alpha_of_group(&self, group: usize) -> f64 {
        self.settings.scheduled_alpha(self.settings.base_alpha(group), self.cycle.steps)
    }

    /// The slow step size of the last sync, in the first parameter group; `None` before it. Adaptive α is the
    /// same for all groups.
    pub fn alpha_used(&self) -> Option<f64> {
        self.cycle.alpha_used
    }

    /// Sets the slow step size of all groups for later syncs, and ends its schedule.
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
    /// [`Setting`](Error::Setting) outside 0 < α ≤ 1, or 0 < α ≤ 100 with outer momentum or
    /// [`extrapolate`](crate::Builder::extrapolate), [`AdaptiveWith`](Error::AdaptiveWith) with adaptive α.
    pub fn set_alpha(&mut self, alpha: f64) -> Result<()> {
        check_slow_step_size(alpha, self.settings.config.largest_alpha())?;
        self.refuse_adaptive("an α that is set during training")?;
        self.settings.config.alpha = alpha;
        // Groups keep their entries, so that a state that lost one is detected.
        for (_, own) in &mut self.settings.alpha_of_groups {
            *own = alpha;
        }
        self.settings.config.alpha_schedule = Schedule::Constant;
        Ok(())
    }

    /// Sets the slow step size of one parameter group for later syncs. A schedule continues as if it had begun
    /// with this value.
    ///
    /// # Errors
    /// As [`set_alpha`](Self::set_alpha), and [`Group`](Error::Group) if there is no such group.
    pub fn set_alpha_of_group(&mut self, group: usize, alpha: f64) -> Result<()> {
        check_slow_step_size(alpha, self.settings.config.largest_alpha())?;
        let count = self.group_count();
        if group >= count {
            return Err(Error::Group { group, count });
        }
        self.refuse_adaptive("α per parameter group")?;
        self.settings.set_alpha_of_group(group, alpha);
        Ok(())
    }

    /// Sets the schedule of α, counted from the first step.
    ///
    /// # Errors
    /// [`Schedule`](Error::Schedule) or [`Setting`](Error::Setting) if it leads outside the range of
    /// [`set_alpha`](Self::set_alpha), [`AdaptiveWith`](Error::AdaptiveWith) with adaptive α.
    pub fn set_alpha_schedule(&mut self, schedule: Schedule) -> Result<()> {
        schedule.check_slow_step_size(self.settings.config.largest_alpha())?;
        if schedule != Schedule::Constant {
            self.refuse_adaptive("an α schedule")?;
        }
        self.settings.config.alpha_schedule = schedule;
        Ok(())
    }

    fn refuse_adaptive(&self, what: &'static str) -> Result<()> {
        match self.settings.config.adaptive_low() {
            Some(_) => Err(Error::AdaptiveWith { what }),
            None => Ok(()),
        }
    }

    pub(super) fn group_count(&self) -> usize {
        crate::inner::groups_of(&self.inner)
    }

    /// The settings as they are now; k and α are those at the beginning of their schedules.
    pub fn config(&self) -> &LookaheadConfig {
        &self.settings.config
    }

    /// Sets which operations do the sync. Only comparisons and tests need this.
    pub fn set_sync_path(&mut self, path: Path) {
        self.settings.path = path;
    }

    /// Inner steps since the last sync, 0 to k; k only between the last inner step and its sync.
    pub fn phase(&self) -> u64 {
        self.cycle.phase
    }

    /// Inner steps since the optimizer was built, by which schedules count.
    pub fn steps(&self) -> u64 {
        self.cycle.steps
    }

    /// Syncs so far.
    pub fn syncs(&self) -> u64 {
        self.cycle.syncs
    }

    /// How often the policy for NaN and infinity has skipped a step or rolled back.
    pub fn non_finite(&self) -> u64 {
        self.non_finite_count
    }

    /// The inner optimizer.
    pub fn inner(&self) -> &O {
        &self.inner
    }

    /// The inner optimizer, to change its settings. Its own steps are not counted, and the next step through
    /// Lookahead refuses their changes.
    pub fn inner_mut(&mut self) -> &mut O {
        &mut self.inner
    }
}
