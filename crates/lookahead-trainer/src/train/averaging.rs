//! A mean of θ over steps, as a baseline to compare φ with: `[averaging]`.
//!
//! Without Lookahead, such a mean is the other simple way to a final model that varies less than θ.
//! Unlike φ, it never goes back into the training.

use std::collections::BTreeMap;

use lookahead_core::tch_ext::arithmetic;
use tch::{Tensor, nn};

use crate::config::averaging::{AveragingConfig, AveragingKind};

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
    /// That of no step: θ as it is. `None` where no mean is wanted.
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

    /// Takes θ after step `step`, counted from 1, in.
    pub(crate) fn update(&mut self, vs: &nn::VarStore, step: u64) -> anyhow::Result<()> {
        let _guard = tch::no_grad_guard();
        self.count += u64::from(step > self.start_step);
        let weight = match (self.kind, self.count) {
            // The first one is all that there is: θ at the start has no part in it.
            (_, 0 | 1) => 1.0,
            (AveragingKind::Polyak, count) => 1.0 / count as f64,
            _ => 1.0 - self.decay,
        };
        for (name, variable) in trainable(vs) {
            let Some(mean) = self.mean.get_mut(&name) else { continue };
            match weight < 1.0 {
                true => arithmetic::lerp(mean, &variable, weight)?,
                false => mean.f_copy_(&variable)?,
            }
        }
        Ok(())
    }

    /// Puts the mean into the model, does something, and puts θ back, also where that fails.
    ///
    /// # Errors
    /// What `work` or libtorch says.
    pub fn with<T>(
        &self,
        vs: &nn::VarStore,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let fast: BTreeMap<String, Tensor> = {
            let _guard = tch::no_grad_guard();
            trainable(vs).map(|(name, variable)| (name, variable.copy())).collect()
        };
        put(vs, &self.mean)?;
        let done = work();
        put(vs, &fast)?;
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

    /// Whether a saved one fits the model.
    ///
    /// # Errors
    /// Where a tensor is missing or of another shape.
    pub fn check(&self, saved: &BTreeMap<String, Tensor>) -> anyhow::Result<()> {
        for (name, mean) in &self.mean {
            let fits =
                saved.get(name).is_some_and(|t| t.size() == mean.size() && t.kind() == mean.kind());
            anyhow::ensure!(
                fits,
                "It holds no mean of `{name}` that fits: a run that averages goes on only from a \
                 checkpoint of one with the same model."
            );
        }
        Ok(())
    }

    /// Takes a saved one on.
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

fn put(vs: &nn::VarStore, values: &BTreeMap<String, Tensor>) -> anyhow::Result<()> {
    let _guard = tch::no_grad_guard();
    for (name, mut variable) in trainable(vs) {
        if let Some(value) = values.get(&name) {
            variable.f_copy_(value)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
