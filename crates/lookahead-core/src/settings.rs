//! All that a builder collects, and what the inner optimizer must offer for it.

use std::sync::Arc;

use lookahead_sys::distributed::ProcessGroup;
use lookahead_sys::sync::Path;

use crate::config::{LookaheadConfig, MomentumPolicy, NonFinite, TransferDtype};
use crate::range::check_slow_step_size;
use crate::schedule::Schedule;
use crate::{Error, InnerOptimizer, Result};

/// The processes that train together, and how they exchange θ.
#[derive(Debug, Clone)]
pub(crate) struct Workers {
    pub(crate) group: Arc<ProcessGroup>,
    pub(crate) dtype: TransferDtype,
}

/// All that a builder collects.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) config: LookaheadConfig,
    pub(crate) k_schedule: Schedule,
    pub(crate) alpha_of_groups: Vec<(usize, f64)>,
    pub(crate) alpha_schedule: Schedule,
    pub(crate) path: Path,
    pub(crate) workers: Option<Workers>,
}

impl Settings {
    pub(crate) fn check(&self) -> Result<()> {
        self.config.check()?;
        self.alpha_of_groups.iter().try_for_each(|(_, alpha)| check_slow_step_size(*alpha))?;
        self.k_schedule.check_period()?;
        self.alpha_schedule.check_slow_step_size()?;
        if self.config.adaptive_low().is_none() {
            return Ok(());
        }
        if !self.alpha_of_groups.is_empty() {
            return Err(Error::AdaptiveWith { what: "α per parameter group" });
        }
        if self.alpha_schedule != Schedule::Constant {
            return Err(Error::AdaptiveWith { what: "an α schedule" });
        }
        Ok(())
    }

    /// An error where the inner optimizer can't do what is asked.
    pub(crate) fn check_inner(&self, inner: &impl InnerOptimizer) -> Result<()> {
        let moments = inner.moment_names();
        match (self.config.momentum_policy, &moments) {
            (MomentumPolicy::Maintain, _) => {}
            (policy, None) => return Err(Error::NoMoments { policy: policy.name() }),
            (policy, Some(names)) if names.is_empty() => {
                return Err(Error::NothingToPull { policy: policy.name() });
            }
            _ => {}
        }
        if self.config.non_finite == NonFinite::RollBack && moments.is_none() {
            return Err(Error::NoMoments { policy: "roll back" });
        }
        if self.config.adaptive_low().is_some() && !inner.has_curvature() {
            return Err(Error::NoCurvature);
        }
        let count = inner.parameters().iter().map(|p| p.group + 1).max().unwrap_or(1);
        match self.alpha_of_groups.iter().find(|(group, _)| *group >= count) {
            Some(&(group, _)) => Err(Error::Group { group, count }),
            None => Ok(()),
        }
    }

    /// α of a group before any schedule.
    pub(crate) fn base_alpha(&self, group: usize) -> f64 {
        let own = self.alpha_of_groups.iter().find(|(of, _)| *of == group);
        own.map_or(self.config.alpha, |(_, alpha)| *alpha)
    }

    /// α of a group after `steps` inner steps.
    pub(crate) fn alpha_at(&self, group: usize, steps: u64) -> f64 {
        // Underflow would end the training without a word.
        self.alpha_schedule.at(self.base_alpha(group), steps).clamp(f64::MIN_POSITIVE, 1.0)
    }

    /// k of a cycle that begins after `steps` inner steps.
    pub(crate) fn k_at(&self, steps: u64) -> u64 {
        match self.k_schedule {
            Schedule::Constant => self.config.k,
            // A float cast to an integer stops at the type's ends.
            schedule => (schedule.at(self.config.k as f64, steps).round() as u64).max(1),
        }
    }
}
