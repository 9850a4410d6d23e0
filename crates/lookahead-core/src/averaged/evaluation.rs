//! Using the model at the result of the training.

use tch::{Tensor, nn};

use super::AveragedOptimizer;
use crate::averaging_rule::AveragingRule;
use crate::swapped_weights::{SwappedWeights, of_result};
use crate::{Error, InnerOptimizer, Result};

impl<O: InnerOptimizer, R: AveragingRule> AveragedOptimizer<O, R> {
    /// Runs `f` with the result of the training in the model, then restores the model's own weights, even if `f`
    /// panics. The result is x for primal averaging, θ for EMA-Nesterov, and the mean for a tail average. Nothing
    /// is computed, so evaluating changes no bit of the training; if the result has the model's element type,
    /// nothing is copied either. What [`with_slow_weights`](crate::Lookahead::with_slow_weights) says of views and
    /// autocast holds here too.
    ///
    /// ```
    /// use lookahead_core::{Primal, PrimalAveraging, TchOptimizer, fused};
    /// use tch::{Kind, nn};
    ///
    /// let vs = nn::VarStore::new(tch::Device::Cpu);
    /// let w = vs.root().ones("w", &[1]);
    /// let sgd = TchOptimizer::new(fused::Sgd::default(), &vs, 0.5)?;
    /// let mut opt = PrimalAveraging::new(sgd, Primal::exponential(0.75, 0.5))?;
    /// opt.backward_step(&w.sum(Kind::Float))?;
    /// // z = 0.5, x = 0.75 + 0.25 z, y = (x + z) / 2
    /// assert_eq!(opt.with_result(|| w.double_value(&[0]))?, 0.875);
    /// assert_eq!(w.double_value(&[0]), 0.6875);
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`WeightsChanged`](Error::WeightsChanged) if other code wrote to the weights before,
    /// [`ResultChanged`](Error::ResultChanged) if `f` wrote to the model's trainable variables, which are the
    /// result's memory then, [`WeightsReplaced`](Error::WeightsReplaced) if it cast or replaced them.
    pub fn with_result<T>(&mut self, f: impl FnOnce() -> T) -> Result<T> {
        let guard = self.result_weights()?;
        let value = f();
        guard.end()?;
        Ok(value)
    }

    /// [`with_result`](Self::with_result) as a guard, which borrows the optimizer: no step is taken meanwhile.
    ///
    /// # Errors
    /// As [`with_result`](Self::with_result). The optimizer's next call reports writes to the result.
    pub fn result_weights(&mut self) -> Result<ResultWeights<'_, O, R>> {
        let (indices, results, version) = self.result_for_model()?;
        let swapped = SwappedWeights::begin(self.inner.parameters(), indices, &results, version)?;
        self.swapped = Some(swapped);
        Ok(ResultWeights { optimizer: self })
    }

    /// The trained parameters, the result of each parameter, and a number that changes with it.
    pub(crate) fn result_for_model(&mut self) -> Result<(Vec<usize>, Vec<Tensor>, u32)> {
        self.check_invariants()?;
        let indices = self.trained().filter(|i| *i < self.kept.len()).collect();
        let results = self.kept.iter().map(|slots| slots[R::RESULT].shallow_clone()).collect();
        Ok((indices, results, self.result_version))
    }

    /// What an error of the swapped weights means here. A result that was written to stays refused.
    pub(crate) fn swap_failed(&mut self, error: Error) -> Error {
        if let Error::SlowWeightsChanged { name } = &error {
            self.corrupted = Some(name.clone());
        }
        of_result(error)
    }

    /// Puts the model's own weights back if the result is in it.
    pub(super) fn restore_weights(&mut self) -> Result<()> {
        let Some(swapped) = self.swapped.take() else { return Ok(()) };
        let ended = swapped.end(self.inner.parameters());
        ended.map_err(|error| self.swap_failed(error))
    }
}

/// Keeps the result of the training in the model. Leaking it is harmless: the optimizer's next call restores the
/// model's own weights.
#[derive(Debug)]
#[must_use = "the model's own weights return when this is dropped"]
pub struct ResultWeights<'a, O: InnerOptimizer, R: AveragingRule> {
    optimizer: &'a mut AveragedOptimizer<O, R>,
}

impl<O: InnerOptimizer, R: AveragingRule> ResultWeights<'_, O, R> {
    /// Recomputes the running statistics of every batch normalization in `vs` for the result: see
    /// [`recalibrate`](crate::recalibrate). Those of the model's own weights return with them.
    ///
    /// # Errors
    /// As [`recalibrate`](crate::recalibrate).
    pub fn recalibrate<B>(
        &mut self,
        vs: &nn::VarStore,
        batches: impl IntoIterator<Item = B>,
        forward: impl FnMut(&B),
    ) -> Result<usize> {
        SwappedWeights::recalibrate(self.optimizer.swapped.as_mut(), vs, batches, forward)
    }

    /// Restores the model's own weights.
    ///
    /// # Errors
    /// As [`with_result`](AveragedOptimizer::with_result).
    pub fn end(self) -> Result<()> {
        self.optimizer.restore_weights()
    }
}

impl<O: InnerOptimizer, R: AveragingRule> Drop for ResultWeights<'_, O, R> {
    fn drop(&mut self) {
        // Does nothing after `end`. The optimizer's next call reports writes to the result.
        let _ = self.optimizer.restore_weights();
    }
}
