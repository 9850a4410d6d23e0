//! Slow copies of batch normalization's running statistics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use lookahead_sys::arithmetic::{all_finite, assign};
use lookahead_sys::sync::{self, Pair, Path, Rule};
use tch::{Tensor, nn};

use crate::Result;
use crate::running_statistics::{Buffers, is_statistic, refuse_coarse};

/// A running mean or variance of the model, and its slow copy.
#[derive(Debug)]
struct Statistic {
    fast: Tensor,
    slow: Tensor,
}

/// The statistics of a store by name, as it grows; none unless they are interpolated.
#[derive(Debug, Default)]
pub(crate) struct SlowStatistics {
    store: Option<Arc<Mutex<nn::Variables>>>,
    /// How many variables the store had when it was read.
    seen: usize,
    all: BTreeMap<String, Statistic>,
}

impl SlowStatistics {
    pub(crate) fn of(store: Option<Arc<Mutex<nn::Variables>>>) -> Result<Self> {
        let mut new = SlowStatistics { store, ..SlowStatistics::default() };
        new.join_new()?;
        Ok(new)
    }

    /// Adds slow copies of statistics that were added to the store. Cheap if there are none.
    pub(crate) fn join_new(&mut self) -> Result<()> {
        let Some(store) = &self.store else { return Ok(()) };
        let store = store.lock().unwrap_or_else(PoisonError::into_inner);
        if store.named_variables.len() == self.seen {
            return Ok(());
        }
        for (name, tensor) in &store.named_variables {
            let is_new = !tensor.requires_grad() && !self.all.contains_key(name);
            if is_new && is_statistic(name) {
                refuse_coarse(name, tensor)?;
                let fast = tensor.shallow_clone();
                self.all.insert(name.clone(), Statistic { slow: copy(&fast)?, fast });
            }
        }
        self.seen = store.named_variables.len();
        Ok(())
    }

    /// Moves the slow copies by `alpha`, and the model's statistics to them.
    pub(crate) fn sync(&mut self, alpha: f64, foreach: bool) -> Result<()> {
        let pairs = self.all.values().map(|Statistic { fast, slow }| Pair {
            slow,
            fast,
            velocity: None,
            mean: None,
            alpha,
        });
        let rule = Rule {
            momentum: 0.0,
            nesterov: false,
            alpha_inside: false,
            restart: true,
            differences: false,
            foreach,
        };
        sync::sync(pairs, rule)?;
        Ok(())
    }

    /// The name of the first statistic in the model that holds NaN or infinity.
    pub(crate) fn find_non_finite(&self, path: Path) -> Result<Option<String>> {
        if all_finite(self.all.values().map(|statistic| &statistic.fast), path)? {
            return Ok(None);
        }
        for (name, statistic) in &self.all {
            if !all_finite([&statistic.fast], path)? {
                return Ok(Some(name.clone()));
            }
        }
        Ok(None)
    }

    /// The model's statistics ← the slow ones.
    pub(crate) fn restart_from_slow(&self) -> Result<()> {
        self.all.values().try_for_each(|Statistic { fast, slow }| {
            assign(&mut fast.shallow_clone(), slow)?;
            Ok(())
        })
    }

    /// The slow statistics ← the model's, which may have been moved or cast.
    pub(crate) fn restart_from_fast(&mut self) -> Result<()> {
        for (name, statistic) in &mut self.all {
            refuse_coarse(name, &statistic.fast)?;
            statistic.slow = copy(&statistic.fast)?;
        }
        Ok(())
    }

    /// The model's statistics with their present values, to be restored; none if they are not interpolated.
    pub(crate) fn buffers(&self) -> Result<Option<Buffers>> {
        if self.all.is_empty() {
            return Ok(None);
        }
        let named = self.all.iter().map(|(name, statistic)| (name.clone(), &statistic.fast));
        Buffers::statistics(named).map(Some)
    }

    /// The slow statistics by name.
    pub(crate) fn slow(&self) -> impl Iterator<Item = (&String, &Tensor)> {
        self.all.iter().map(|(name, statistic)| (name, &statistic.slow))
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    /// Replaces the slow statistics, which are in the order of [`slow`](Self::slow).
    pub(crate) fn set_slow(&mut self, slow: Vec<Tensor>) {
        for (statistic, slow) in self.all.values_mut().zip(slow) {
            statistic.slow = slow;
        }
    }
}

fn copy(tensor: &Tensor) -> Result<Tensor> {
    let _guard = tch::no_grad_guard();
    let mut copy = tensor.f_empty_like()?;
    assign(&mut copy, tensor)?;
    Ok(copy)
}
