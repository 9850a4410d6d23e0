//! A mean of θ over steps, as a baseline to compare φ with: `[averaging]`.
//!
//! Without Lookahead, such a mean is the other simple way to a final model that varies less than θ.
//! Unlike φ, it never goes back into the training.

use std::collections::BTreeMap;

use lookahead_core::{TailMean, WeightAverage};
use tch::{Tensor, nn};

use crate::config::averaging::{AveragingConfig, AveragingKind};
use crate::weights::copy_into;

/// The mean so far.
#[derive(Debug)]
pub struct Average(WeightAverage);

impl Average {
    /// The mean of no step, which is θ; `None` if the config wants no mean.
    ///
    /// # Errors
    /// Those of [`WeightAverage::new`].
    pub fn new(
        config: &AveragingConfig,
        vs: &nn::VarStore,
    ) -> lookahead_core::Result<Option<Self>> {
        let decay = match config.kind {
            AveragingKind::Polyak => None,
            AveragingKind::Ema => Some(config.decay.unwrap_or(0.0)),
            _ => return Ok(None),
        };
        let mean = TailMean { decay, start_step: config.start_step.unwrap_or(0) };
        Ok(Some(Average(WeightAverage::new(mean, trainable(vs))?)))
    }

    /// Adds θ after step `step`, counted from 1.
    pub(crate) fn update(&mut self, vs: &nn::VarStore, step: u64) -> anyhow::Result<()> {
        Ok(self.0.update(step, trainable(vs))?)
    }

    /// Calls `work` with the mean in the model, and restores θ, even if it fails.
    ///
    /// # Errors
    /// Those of `work` and libtorch.
    pub fn with<T>(
        &self,
        vs: &nn::VarStore,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let fast: BTreeMap<String, Tensor> = {
            let _guard = tch::no_grad_guard();
            trainable(vs).map(|(name, variable)| (name, variable.copy())).collect()
        };
        copy_into(vs, self.0.tensors())?;
        let done = work();
        copy_into(vs, &fast)?;
        done
    }

    /// Steps that are in it.
    pub fn count(&self) -> u64 {
        self.0.count()
    }

    /// Its tensors by the names of the variables.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        self.0.tensors()
    }

    /// Refuses a saved mean that does not fit the model.
    pub fn check(&self, saved: &BTreeMap<String, Tensor>) -> anyhow::Result<()> {
        if let Some(name) = self.0.first_misfit(saved) {
            anyhow::bail!(
                "It holds no mean of `{name}` that fits: a run that averages resumes only from a checkpoint of one \
                 with the same model."
            );
        }
        Ok(())
    }

    /// Loads a saved mean; nothing changes if it does not fit.
    ///
    /// # Errors
    /// As [`check`](Self::check); nothing has changed then.
    pub fn load(&mut self, count: u64, saved: &BTreeMap<String, Tensor>) -> anyhow::Result<()> {
        self.check(saved)?;
        Ok(self.0.load(count, saved)?)
    }
}

fn trainable(vs: &nn::VarStore) -> impl Iterator<Item = (String, Tensor)> {
    vs.variables().into_iter().filter(|(_, variable)| variable.requires_grad())
}

#[cfg(test)]
mod tests;
