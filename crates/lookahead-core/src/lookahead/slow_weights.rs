//! Looking at the model at φ: the slow weights stand in for the fast ones for a while.

use lookahead_sys::tensor::{Fingerprint, fingerprints, set_version};
use tch::Tensor;

use super::Lookahead;
use super::recalibration::Buffers;
use crate::{Error, InnerOptimizer, Parameter, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    /// Runs `f` with the slow weights in the model, and puts the fast ones back, also if `f`
    /// panics. Nothing is copied where φ has the model's element type: the model's variables stand
    /// on φ's memory meanwhile. Otherwise φ is cast once.
    ///
    /// Frozen variables stay as they are: their φ is θ. The borrow checker keeps `f` from stepping the
    /// optimizer. Views of variables that were made
    /// before, such as a `narrow` of a weight, go on showing θ. A view made inside shows φ's own
    /// memory and goes on to: take a `copy()` of what is to leave `f`. Within one region of CUDA's
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
    /// [`FastWeightsChanged`](crate::Error::FastWeightsChanged) where somebody else wrote to θ
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
        self.put_slow_weights_in()?;
        Ok(SlowWeights { optimizer: self })
    }
}

impl<O: InnerOptimizer> Lookahead<O> {
    /// Puts φ in θ's place, until [`put_fast_weights_back`](Self::put_fast_weights_back).
    pub(super) fn put_slow_weights_in(&mut self) -> Result<()> {
        self.ready()?;
        let places: Vec<usize> = self.trained().collect();
        let parameters = self.inner.parameters();
        let stand_in = StandIn::begin(parameters, places, &self.slow, self.slow_version)?;
        self.stand_in = Some(stand_in);
        Ok(())
    }

    /// Puts θ back where φ stands in for it.
    ///
    /// An error tells of a variable that was written to or replaced meanwhile. θ is back then too.
    pub(super) fn put_fast_weights_back(&mut self) -> Result<()> {
        let Some(stand_in) = self.stand_in.take() else { return Ok(()) };
        let told = stand_in.end(self.inner.parameters());
        if let Err(Error::SlowWeightsChanged { name }) = &told {
            self.spoiled = Some(name.clone());
        }
        told
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
    /// Buffers to put back when the fast weights return, the latest first: of several for one store
    /// the first has θ's.
    pub(super) fn keep_for_later(&mut self, buffers: Buffers) {
        if let Some(stand_in) = &mut self.optimizer.stand_in {
            stand_in.buffers.push(buffers);
        }
    }

    /// Puts the fast weights back, and tells if the slow ones were written to.
    ///
    /// # Errors
    /// [`SlowWeightsChanged`](crate::Error::SlowWeightsChanged).
    pub fn end(self) -> Result<()> {
        self.optimizer.put_fast_weights_back()
    }
}

impl<O: InnerOptimizer> Drop for SlowWeights<'_, O> {
    fn drop(&mut self) {
        // After `end` there is nothing left to put back. Slow weights that were written to are
        // told by the next call.
        let _ = self.optimizer.put_fast_weights_back();
    }
}

/// The version counters of variables at φ have this bit, and those at θ, which count steps, do
/// not: autograd then refuses to run a graph recorded at one set of weights on the other's values.
const AT_SLOW_WEIGHTS: u32 = 1 << 31;

/// θ's values, put aside while φ stands in for them.
#[derive(Debug)]
pub(super) struct StandIn {
    /// Which of the parameters: a frozen one has the same values in both.
    places: Vec<usize>,
    fast: Vec<Tensor>,
    versions: Vec<u32>,
    /// What the variables looked like at φ.
    at_slow: Vec<Fingerprint>,
    /// Whether each stands on φ's own memory, or on a cast copy.
    shared: Vec<bool>,
    /// Buffers that were recalibrated for φ.
    buffers: Vec<Buffers>,
}

impl StandIn {
    /// Lets each parameter in these places stand on its slow weights' memory. `slow_version` is another
    /// one whenever φ is.
    pub(super) fn begin(
        parameters: &[Parameter],
        places: Vec<usize>,
        slow: &[Tensor],
        slow_version: u32,
    ) -> Result<Self> {
        let _guard = tch::no_grad_guard();
        let tensors = || places.iter().map(|&i| &parameters[i].tensor);
        let slow: Vec<&Tensor> = places.iter().map(|&i| &slow[i]).collect();
        let versions = fingerprints(tensors())?.iter().map(Fingerprint::version).collect();
        // All that allocates and may fail comes before the first change.
        let fast = tensors().map(Tensor::f_data).collect::<Result<Vec<_>, _>>()?;
        let shared = tensors().zip(&slow).map(|(fast, slow)| fast.kind() == slow.kind()).collect();
        let values = tensors()
            .zip(&slow)
            .map(|(fast, slow)| slow.f_to_kind(fast.kind()))
            .collect::<Result<Vec<_>, _>>()?;

        let swap = || -> Result<Vec<Fingerprint>> {
            for (tensor, value) in tensors().zip(&values) {
                tensor.shallow_clone().f_set_data(value)?;
                set_version(tensor, AT_SLOW_WEIGHTS | slow_version)?;
            }
            Ok(fingerprints(tensors())?)
        };
        let (at_slow, failed) = match swap() {
            Ok(at_slow) => (at_slow, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let stand_in = StandIn { places, fast, versions, at_slow, shared, buffers: Vec::new() };
        match failed {
            None => Ok(stand_in),
            Some(error) => {
                let _ = stand_in.end(parameters);
                Err(error)
            }
        }
    }

    /// Gives each parameter its own values back, all of them, and returns the first error: libtorch's
    /// or that of a variable which was written to or replaced meanwhile.
    pub(super) fn end(self, parameters: &[Parameter]) -> Result<()> {
        let mut outcome = self.untouched(parameters);
        let tensors = self.places.iter().map(|&i| &parameters[i].tensor);
        for ((tensor, fast), version) in tensors.zip(&self.fast).zip(&self.versions) {
            let restored = tensor
                .shallow_clone()
                .f_set_data(fast)
                .map_err(Error::from)
                .and_then(|()| Ok(set_version(tensor, *version)?));
            outcome = outcome.and(restored);
        }
        for buffers in self.buffers.iter().rev() {
            outcome = outcome.and(buffers.put_back());
        }
        outcome
    }

    fn untouched(&self, parameters: &[Parameter]) -> Result<()> {
        let places = &self.places[..self.at_slow.len()];
        let now = fingerprints(places.iter().map(|&i| &parameters[i].tensor))?;
        for (i, (now, at_slow)) in now.iter().zip(&self.at_slow).enumerate() {
            if now == at_slow {
                continue;
            }
            let name = parameters[places[i]].name.clone();
            let written = now.version() != at_slow.version() && self.shared[i];
            return Err(match written {
                true => Error::SlowWeightsChanged { name },
                false => Error::ReplacedInEvaluation { name },
            });
        }
        Ok(())
    }
}
