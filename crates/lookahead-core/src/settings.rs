//! What a builder collects, and what the inner optimizer must support for it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

#[cfg(feature = "distributed")]
use lookahead_sys::distributed::ProcessGroup;
use lookahead_sys::sync::Path;
use tch::nn;

use crate::config::{LookaheadConfig, MomentumPolicy, NonFinite};
use crate::inner::groups_of;
use crate::range::check_slow_step_size;
use crate::schedule::Schedule;
use crate::{Error, InnerOptimizer, Replaced, Result};

/// The processes that train together, and the type in which they exchange θ.
#[cfg(feature = "distributed")]
#[derive(Debug, Clone)]
pub(crate) struct Workers {
    pub(crate) group: Arc<ProcessGroup>,
    pub(crate) dtype: crate::TransferDtype,
}

/// All that a builder collects.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) config: LookaheadConfig,
    pub(crate) alpha_of_groups: Vec<(usize, f64)>,
    pub(crate) path: Path,
    /// The store with the statistics to interpolate.
    pub(crate) statistics: Option<Arc<Mutex<nn::Variables>>>,
    #[cfg(feature = "distributed")]
    pub(crate) workers: Option<Workers>,
}

impl Settings {
    pub(crate) fn check(&self) -> Result<()> {
        self.config.check()?;
        let most = self.config.largest_alpha();
        self.alpha_of_groups
            .iter()
            .try_for_each(|(_, alpha)| check_slow_step_size(*alpha, most))?;
        if self.config.interpolate_statistics && self.statistics.is_none() {
            return Err(Error::NoStatistics);
        }
        match self.config.adaptive_low() {
            Some(_) if !self.alpha_of_groups.is_empty() => {
                Err(Error::AdaptiveWith { what: "α per parameter group" })
            }
            _ => Ok(()),
        }
    }

    /// Checks that the inner optimizer supports the settings.
    pub(crate) fn check_inner(&self, inner: &impl InnerOptimizer) -> Result<()> {
        let moments = inner.moment_names();
        let policy = self.config.momentum_policy;
        if policy != MomentumPolicy::Maintain {
            match &moments {
                None => return Err(Error::NoMoments { policy: policy.name() }),
                Some(names) if names.is_empty() => {
                    return Err(Error::NothingToPull { policy: policy.name() });
                }
                Some(_) => {}
            }
        }
        if self.config.non_finite == NonFinite::RollBack && moments.is_none() {
            return Err(Error::NoMoments { policy: "roll back" });
        }
        if self.config.adaptive_low().is_some() && !inner.has_curvature() {
            return Err(Error::NoCurvature);
        }
        let count = groups_of(inner);
        match self.alpha_of_groups.iter().find(|(group, _)| *group >= count) {
            Some(&(group, _)) => Err(Error::Group { group, count }),
            None => Ok(()),
        }
    }

    pub(crate) fn set_alpha_of_group(&mut self, group: usize, alpha: f64) {
        self.alpha_of_groups.retain(|(of, _)| *of != group);
        self.alpha_of_groups.push((group, alpha));
    }

    /// α of a group before any schedule.
    pub(crate) fn base_alpha(&self, group: usize) -> f64 {
        let own = self.alpha_of_groups.iter().find(|(of, _)| *of == group);
        own.map_or(self.config.alpha, |(_, alpha)| *alpha)
    }

    /// The schedule's α after `steps` inner steps, beginning with `base`.
    pub(crate) fn scheduled_alpha(&self, base: f64, steps: u64) -> f64 {
        // Underflow to 0 would silently end the training.
        self.config
            .alpha_schedule
            .at(base, steps)
            .clamp(f64::MIN_POSITIVE, self.config.largest_alpha())
    }

    /// k of a cycle that begins after `steps` inner steps.
    pub(crate) fn k_at(&self, steps: u64) -> u64 {
        match self.config.k_schedule {
            Schedule::Constant => self.config.k,
            // A cast from float to integer saturates.
            schedule => (schedule.at(self.config.k as f64, steps).round() as u64).max(1),
        }
    }
}

/// The settings that differ, and the learning rates of the parameter groups.
pub(crate) fn replaced(
    (before, rates_before): (&Settings, &[f64]),
    (after, rates_after): (&Settings, &[f64]),
) -> Vec<Replaced> {
    let groups = [before, after].into_iter().flat_map(|settings| &settings.alpha_of_groups);
    let groups: BTreeSet<usize> = groups.map(|(group, _)| *group).collect();
    let [before, after] = [(before, rates_before), (after, rates_after)]
        .map(|(settings, rates)| values(settings, rates, &groups));
    let pairs = before.into_iter().zip(after).filter(|(before, after)| before != after);
    pairs.map(|((setting, before), (_, after))| Replaced { setting, before, after }).collect()
}

/// The settings as text, in the same order for the same groups.
fn values(settings: &Settings, rates: &[f64], groups: &BTreeSet<usize>) -> Vec<(String, String)> {
    let mut values = vec![
        ("k".to_owned(), settings.config.k.to_string()),
        ("k schedule".to_owned(), format!("{:?}", settings.config.k_schedule)),
        ("alpha".to_owned(), settings.config.alpha.to_string()),
        ("alpha schedule".to_owned(), format!("{:?}", settings.config.alpha_schedule)),
    ];
    let first = rates.first().copied().unwrap_or(f64::NAN);
    let rates = if rates.iter().all(|rate| *rate == first) {
        first.to_string()
    } else {
        format!("{rates:?}")
    };
    values.push(("learning rate".to_owned(), rates));
    values.extend(
        groups.iter().map(|group| {
            (format!("alpha of group {group}"), settings.base_alpha(*group).to_string())
        }),
    );
    values
}
