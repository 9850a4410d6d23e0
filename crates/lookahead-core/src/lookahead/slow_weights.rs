//! Looking at the model at φ: the slow weights stand in for the fast ones for a while.

use tch::nn;

use super::Lookahead;
use crate::running_statistics::Buffers;
use crate::swapped_weights::SwappedWeights;
use crate::{Error, InnerOptimizer, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    /// Runs `f` with the slow weights in the model, and puts the fast ones back, also if `f`
    /// panics. Nothing is copied where φ has the model's element type: the model's variables stand
    /// on φ's memory meanwhile. Otherwise φ is cast once.
    ///
    /// Frozen variables stay as they are: their φ is θ. The borrow checker keeps `f` from stepping the
    /// optimizer. Views of variables that were made
    /// before, such as a `narrow` of a weight, still show θ. A view made inside shows φ's own
    /// memory, and still does afterwards: take a `copy()` of what leaves `f`. Within one region of CUDA's
    /// autocast the cast weights are cached, and those of θ would be used: let `f` open its own.
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
    /// [`FastWeightsChanged`](crate::Error::FastWeightsChanged) if other code wrote to θ
    /// before, [`SlowWeightsChanged`](crate::Error::SlowWeightsChanged) where `f` wrote to the
    /// model's trainable variables, which are φ's own memory then,
    /// [`ReplacedInEvaluation`](crate::Error::ReplacedInEvaluation) where it cast or replaced them.
    pub fn with_slow_weights<T>(&mut self, f: impl FnOnce() -> T) -> Result<T> {
        let guard = self.slow_weights()?;
        let value = f();
        guard.end()?;
        Ok(value)
    }

    /// As [`with_slow_weights`](Self::with_slow_weights), for as long as the guard lives.
    ///
    /// ```compile_fail
    /// # use lookahead_core::Lookahead;
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let mut opt = Lookahead::builder(tch::nn::Sgd::default()).build(&vs, 0.1).unwrap();
    /// let guard = opt.slow_weights().unwrap();
    /// opt.step().unwrap(); // refused: the guard borrows the optimizer
    /// drop(guard);
    /// ```
    ///
    /// # Errors
    /// As [`with_slow_weights`](Self::with_slow_weights); what was written to φ meanwhile is
    /// reported by the optimizer's next call.
    pub fn slow_weights(&mut self) -> Result<SlowWeights<'_, O>> {
        self.swap_in_slow_weights()?;
        Ok(SlowWeights { optimizer: self })
    }
}

impl<O: InnerOptimizer> Lookahead<O> {
    /// Puts φ in θ's place, until [`restore_fast_weights`](Self::restore_fast_weights).
    pub(super) fn swap_in_slow_weights(&mut self) -> Result<()> {
        self.check_invariants()?;
        let places: Vec<usize> = self.trained().collect();
        let parameters = self.inner.parameters();
        let swapped = SwappedWeights::begin(parameters, places, &self.slow, self.slow_version)?;
        self.swapped = Some(swapped);
        Ok(())
    }

    /// Puts θ back if φ is in the model.
    ///
    /// Fails if a variable was written to or replaced meanwhile. θ is back then too.
    pub(super) fn restore_fast_weights(&mut self) -> Result<()> {
        let Some(swapped) = self.swapped.take() else { return Ok(()) };
        let outcome = swapped.end(self.inner.parameters());
        if let Err(Error::SlowWeightsChanged { name }) = &outcome {
            self.corrupted = Some(name.clone());
        }
        outcome
    }
}

/// While this lives, the model's variables hold the slow weights. Leaking it is harmless: the
/// optimizer's next call puts the fast weights back.
#[derive(Debug)]
#[must_use = "the fast weights return when this is dropped"]
pub struct SlowWeights<'a, O: InnerOptimizer> {
    optimizer: &'a mut Lookahead<O>,
}

impl<O: InnerOptimizer> SlowWeights<'_, O> {
    /// Computes the running mean and variance of every batch normalization of `vs` for φ, as
    /// [`recalibrate`](crate::recalibrate) does. θ's own return with θ, when the guard ends.
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
        let buffers = Buffers::of(vs)?;
        let count = buffers.recalibrate(vs.device(), batches, forward)?;
        if let Some(swapped) = &mut self.optimizer.swapped {
            swapped.buffers.push(buffers);
        }
        Ok(count)
    }

    /// Puts the fast weights back, and fails if the slow ones were written to.
    ///
    /// # Errors
    /// [`SlowWeightsChanged`](crate::Error::SlowWeightsChanged).
    pub fn end(self) -> Result<()> {
        self.optimizer.restore_fast_weights()
    }
}

impl<O: InnerOptimizer> Drop for SlowWeights<'_, O> {
    fn drop(&mut self) {
        // After `end` there is nothing left to put back. Slow weights that were written to are
        // reported by the next call.
        let _ = self.optimizer.restore_fast_weights();
    }
}
