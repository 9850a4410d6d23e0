//! Using the model at φ: the slow weights temporarily in the model instead of the fast ones.

use tch::{Tensor, nn};

use super::Lookahead;
use crate::swapped_weights::SwappedWeights;
use crate::{Error, InnerOptimizer, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    /// Runs `f` with the slow weights in the model, then restores the fast ones, even if `f` panics. If φ has the
    /// model's element type, nothing is copied: the variables use φ's memory meanwhile. Otherwise φ is cast once.
    ///
    /// Frozen variables stay as they are: their φ is θ. The borrow checker keeps `f` from stepping the optimizer.
    /// Views made before, for example a `narrow` of a weight, still show θ. A view made inside shows φ's memory,
    /// even afterwards: `copy()` what leaves `f`. A region of CUDA's autocast caches cast weights, and would use
    /// those of θ: let `f` open its own.
    ///
    /// ```
    /// use lookahead_core::Lookahead;
    /// use tch::{Kind, nn};
    ///
    /// let vs = nn::VarStore::new(tch::Device::Cpu);
    /// let w = vs.root().ones("w", &[1]);
    /// let mut opt = Lookahead::builder(nn::Sgd::default()).build(&vs, 0.25)?;
    /// opt.backward_step(&w.sum(Kind::Float))?;
    /// assert_eq!(opt.with_slow_weights(|| w.double_value(&[0]))?, 1.0);
    /// assert_eq!(w.double_value(&[0]), 0.75);
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`FastWeightsChanged`](crate::Error::FastWeightsChanged) if other code wrote to θ before,
    /// [`SlowWeightsChanged`](crate::Error::SlowWeightsChanged) if `f` wrote to the model's trainable variables,
    /// which are φ's memory then, [`ReplacedInEvaluation`](crate::Error::ReplacedInEvaluation) if it cast or
    /// replaced them.
    pub fn with_slow_weights<T>(&mut self, f: impl FnOnce() -> T) -> Result<T> {
        let guard = self.slow_weights()?;
        let value = f();
        guard.end()?;
        Ok(value)
    }

    /// [`with_slow_weights`](Self::with_slow_weights) as a guard.
    ///
    /// ```compile_fail
    /// # use lookahead_core::Lookahead;
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let mut opt = Lookahead::builder(tch::nn::Sgd::default()).build(&vs, 0.1).unwrap();
    /// let guard = opt.slow_weights().unwrap();
    /// opt.step().unwrap(); // does not compile: the guard borrows the optimizer
    /// drop(guard);
    /// ```
    ///
    /// # Errors
    /// As [`with_slow_weights`](Self::with_slow_weights). The optimizer's next call reports writes to φ.
    pub fn slow_weights(&mut self) -> Result<SlowWeights<'_, O>> {
        self.swap_in_slow_weights()?;
        Ok(SlowWeights { optimizer: self })
    }

    /// Puts φ into the model, until [`restore_fast_weights`](Self::restore_fast_weights).
    pub(super) fn swap_in_slow_weights(&mut self) -> Result<()> {
        self.check_invariants()?;
        let indices: Vec<usize> = self.trained().collect();
        let parameters = self.inner.parameters();
        let statistics = self.slow_statistics.buffers()?;
        let mut swapped =
            SwappedWeights::begin(parameters, indices, &self.slow, self.slow_version)?;
        swapped.buffers.extend(statistics);
        self.swapped = Some(swapped);
        let outcome = self.slow_statistics.restart_from_slow();
        if outcome.is_err() {
            self.restore_fast_weights()?;
        }
        outcome
    }

    /// The indices of the parameters that a sync moves, φ, and how often it has changed: for a model whose weights are
    /// not the parameters themselves.
    pub(crate) fn slow_for_model(&mut self) -> Result<(Vec<usize>, &[Tensor], u32)> {
        self.check_invariants()?;
        Ok((self.trained().collect(), &self.slow, self.slow_version))
    }

    /// Notes that φ was written to while it was in the model.
    pub(crate) fn note_corrupted(&mut self, name: &str) {
        self.corrupted = Some(name.to_owned());
    }

    /// Puts θ back if φ is in the model. Fails, after that, if a variable was written to or replaced meanwhile.
    pub(super) fn restore_fast_weights(&mut self) -> Result<()> {
        let Some(swapped) = self.swapped.take() else { return Ok(()) };
        let outcome = swapped.end(self.inner.parameters());
        if let Err(Error::SlowWeightsChanged { name }) = &outcome {
            self.corrupted = Some(name.clone());
        }
        outcome
    }
}

/// Keeps the slow weights in the model. Leaking it is harmless: the optimizer's next call restores the fast ones.
#[derive(Debug)]
#[must_use = "the fast weights return when this is dropped"]
pub struct SlowWeights<'a, O: InnerOptimizer> {
    optimizer: &'a mut Lookahead<O>,
}

impl<O: InnerOptimizer> SlowWeights<'_, O> {
    /// Recomputes the running statistics of every batch normalization in `vs` for φ: see
    /// [`recalibrate`](crate::recalibrate). θ's own return with θ, when the guard ends.
    ///
    /// ```
    /// # use lookahead_core::Lookahead;
    /// # use tch::{Device, Kind, Tensor, nn, nn::ModuleT};
    /// # let vs = nn::VarStore::new(Device::Cpu);
    /// # let net = nn::seq_t().add(nn::linear(vs.root(), 2, 2, Default::default()))
    /// #     .add(nn::batch_norm1d(vs.root(), 2, Default::default()));
    /// # let batches = [Tensor::ones([4, 2], (Kind::Float, Device::Cpu))];
    /// # let mut opt = Lookahead::builder(nn::Sgd::default()).build(&vs, 0.1)?;
    /// let mut at_phi = opt.slow_weights()?;
    /// at_phi.recalibrate(&vs, &batches, |batch| drop(net.forward_t(batch, true)))?;
    /// // … evaluate `net` here, in evaluation mode …
    /// at_phi.end()?;
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
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

    /// Restores the fast weights.
    ///
    /// # Errors
    /// As [`with_slow_weights`](Lookahead::with_slow_weights).
    pub fn end(self) -> Result<()> {
        self.optimizer.restore_fast_weights()
    }
}

impl<O: InnerOptimizer> Drop for SlowWeights<'_, O> {
    fn drop(&mut self) {
        // Does nothing after `end`. The optimizer's next call reports writes to φ.
        let _ = self.optimizer.restore_fast_weights();
    }
}
