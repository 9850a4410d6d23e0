//! A mean of θ over steps, or of φ over syncs: `[averaging]`.
//!
//! Without Lookahead, a mean of θ is the other simple way to a final model that varies less than θ: a baseline for φ.
//! Unlike φ, it never goes back into the training.

use std::collections::BTreeMap;

use lookahead_core::{TailMean, WeightAverage};
use tch::{Tensor, nn};

use crate::config::averaging::{AveragedWeights, AveragingConfig, AveragingKind};

/// The mean so far.
#[derive(Debug)]
pub struct Average {
    mean: WeightAverage,
    of: AveragedWeights,
}

impl Average {
    /// The mean of none, which is θ; `None` if the config wants no mean.
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
        let of = config.of.unwrap_or_default();
        Ok(Some(Average { mean: WeightAverage::new(mean, trainable(vs))?, of }))
    }

    /// Adds the weights in the model, after step `step`, counted from 1, if the mean is of these: θ after each step, or
    /// φ after each sync.
    pub(crate) fn update(
        &mut self,
        vs: &nn::VarStore,
        step: u64,
        weights: AveragedWeights,
    ) -> anyhow::Result<()> {
        if weights == self.of {
            self.mean.update(step, trainable(vs))?;
        }
        Ok(())
    }

    /// Calls `work` with the mean in the model, and restores θ, even if it fails. The optimizer notices nothing.
    ///
    /// # Errors
    /// Those of `work` and libtorch, and if `work` wrote to the weights.
    pub fn with<T>(
        &self,
        vs: &nn::VarStore,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.mean.with_mean(trainable(vs), work)?
    }

    /// Steps, or syncs, that are in it.
    pub fn count(&self) -> u64 {
        self.mean.count()
    }

    /// Its tensors by the names of the variables.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        self.mean.tensors()
    }

    /// Refuses a saved mean that does not fit the model.
    pub fn check(&self, saved: &BTreeMap<String, Tensor>) -> anyhow::Result<()> {
        if let Some(name) = self.mean.first_misfit(saved) {
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
        Ok(self.mean.load(count, saved)?)
    }
}

fn trainable(vs: &nn::VarStore) -> impl Iterator<Item = (String, Tensor)> {
    vs.variables().into_iter().filter(|(_, variable)| variable.requires_grad())
}

#[cfg(test)]
mod tests;
