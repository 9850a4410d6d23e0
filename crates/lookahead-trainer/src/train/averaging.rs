//! A mean of θ over steps, as a baseline to compare φ with: `[averaging]`.
//!
//! Without Lookahead, such a mean is the other simple way to a final model that varies less than θ.
//! Unlike φ, it never goes back into the training.

use std::collections::BTreeMap;

use lookahead_core::tch_ext::arithmetic;
use tch::{Tensor, nn};

use crate::config::averaging::{AveragingConfig, AveragingKind};
use crate::weights::copy_into;

/// The mean so far.
#[derive(Debug)]
pub struct Average {
    kind: AveragingKind,
    decay: f64,
    start_step: u64,
    /// Steps that are in it.
    count: u64,
    /// Of each trainable variable.
    mean: BTreeMap<String, Tensor>,
}

impl Average {
    /// The mean of no step, which is θ; `None` if the config wants no mean.
    pub fn new(config: &AveragingConfig, vs: &nn::VarStore) -> Option<Self> {
        if config.kind == AveragingKind::None {
            return None;
        }
        let _guard = tch::no_grad_guard();
        let mean = trainable(vs).map(|(name, variable)| (name, variable.copy())).collect();
        Some(Average {
            kind: config.kind,
            decay: config.decay.unwrap_or(0.0),
            start_step: config.start_step.unwrap_or(0),
            count: 0,
            mean,
        })
    }

    /// Adds θ after step `step`, counted from 1.
    pub(crate) fn update(&mut self, vs: &nn::VarStore, step: u64) -> anyhow::Result<()> {
        let _guard = tch::no_grad_guard();
        self.count += u64::from(step > self.start_step);
        let weight = match (self.kind, self.count) {
            // The first one is the mean: θ at the start is not in it.
            (_, 0 | 1) => 1.0,
            (AveragingKind::Polyak, count) => 1.0 / count as f64,
            _ => 1.0 - self.decay,
        };
        for (name, variable) in trainable(vs) {
            let Some(mean) = self.mean.get_mut(&name) else { continue };
            if weight < 1.0 {
                arithmetic::lerp(mean, &variable, weight)?;
            } else {
                mean.f_copy_(&variable)?;
            }
        }
        Ok(())
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
        copy_into(vs, &self.mean)?;
        let done = work();
        copy_into(vs, &fast)?;
        done
    }

    /// Steps that are in it.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Its tensors by the names of the variables.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.mean
    }

    /// Refuses a saved mean that does not fit the model.
    pub fn check(&self, saved: &BTreeMap<String, Tensor>) -> anyhow::Result<()> {
        for (name, mean) in &self.mean {
            let fits =
                saved.get(name).is_some_and(|t| t.size() == mean.size() && t.kind() == mean.kind());
            anyhow::ensure!(
                fits,
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
        let _guard = tch::no_grad_guard();
        for (name, mean) in &mut self.mean {
            mean.f_copy_(&saved[name])?;
        }
        self.count = count;
        Ok(())
    }
}

fn trainable(vs: &nn::VarStore) -> impl Iterator<Item = (String, Tensor)> {
    vs.variables().into_iter().filter(|(_, variable)| variable.requires_grad())
}

#[cfg(test)]
mod tests;
