//! Looking at the model at φ: the slow weights stand in for the fast ones for a while.

use lookahead_sys::tensor::{fingerprints, set_version};
use tch::Tensor;

use crate::{InnerOptimizer, Lookahead, Parameter, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    /// Runs `f` with the slow weights in the model, and puts the fast ones back, also if `f`
    /// panics. Nothing is copied where φ has the model's element type: the model's variables stand
    /// on φ's memory meanwhile. Otherwise φ is cast once.
    ///
    /// The borrow checker keeps `f` from stepping the optimizer. Views of variables that were made
    /// before, such as a `narrow` of a weight, go on showing θ.
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
    /// [`FastWeightsChanged`](crate::Error::FastWeightsChanged) where somebody else wrote to θ
    /// before, [`SlowWeightsChanged`](crate::Error::SlowWeightsChanged) where `f` wrote to the
    /// model's trainable variables, which are φ's own memory then.
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
        self.put_slow_weights_in()?;
        Ok(SlowWeights { optimizer: self })
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
    /// Puts the fast weights back, and tells if the slow ones were written to.
    ///
    /// # Errors
    /// [`SlowWeightsChanged`](crate::Error::SlowWeightsChanged).
    pub fn end(self) -> Result<()> {
        self.optimizer.put_fast_weights_back()?;
        self.optimizer.spoiled()
    }
}

impl<O: InnerOptimizer> Drop for SlowWeights<'_, O> {
    fn drop(&mut self) {
        // The storages swapped in without an error, so they swap back; a drop can't tell anyway.
        let _ = self.optimizer.put_fast_weights_back();
    }
}

/// How far the version counters of θ are moved while φ stands in: autograd then refuses to run a
/// graph recorded at one set of weights on the values of the other. Half of the counter's range,
/// so that the two never meet.
const VERSION_OFFSET: u32 = 1 << 31;

/// θ's values, put aside while φ stands in for them.
#[derive(Debug)]
pub(crate) struct StandIn {
    fast: Vec<Tensor>,
    versions: Vec<u32>,
}

impl StandIn {
    /// Lets each parameter stand on its slow weights' memory.
    pub(crate) fn begin(parameters: &[Parameter], slow: &[Tensor]) -> Result<Self> {
        let _guard = tch::no_grad_guard();
        let versions: Vec<u32> = fingerprints(parameters.iter().map(|p| &p.tensor))?
            .iter()
            .map(|print| print.version())
            .collect();
        // All that allocates and can fail comes before the first change.
        let fast = parameters.iter().map(|p| p.tensor.f_data()).collect::<Result<Vec<_>, _>>()?;
        let values = parameters
            .iter()
            .zip(slow)
            .map(|(parameter, slow)| match parameter.tensor.requires_grad() {
                true => slow.f_to_kind(parameter.tensor.kind()),
                // A frozen variable has no other value than its own.
                false => parameter.tensor.f_data(),
            })
            .collect::<Result<Vec<_>, _>>()?;
        for ((parameter, value), version) in parameters.iter().zip(&values).zip(&versions) {
            parameter.tensor.shallow_clone().f_set_data(value)?;
            set_version(&parameter.tensor, version.wrapping_add(VERSION_OFFSET))?;
        }
        Ok(StandIn { fast, versions })
    }

    /// Gives each parameter its own values back. Returns the index of a parameter that was written
    /// to meanwhile.
    pub(crate) fn end(self, parameters: &[Parameter]) -> Result<Option<usize>> {
        let mut changed = None;
        let now = fingerprints(parameters.iter().take(self.fast.len()).map(|p| &p.tensor))?;
        for (i, (fast, version)) in self.fast.iter().zip(&self.versions).enumerate() {
            if now[i].version() != version.wrapping_add(VERSION_OFFSET) {
                changed.get_or_insert(i);
            }
            parameters[i].tensor.shallow_clone().f_set_data(fast)?;
            set_version(&parameters[i].tensor, *version)?;
        }
        Ok(changed)
    }
}
