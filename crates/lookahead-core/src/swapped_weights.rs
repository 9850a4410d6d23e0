//! φ temporarily in the model's variables instead of θ.

use lookahead_sys::tensor::{Fingerprint, fingerprints, set_version};
use tch::{Tensor, nn};

use crate::running_statistics::Buffers;
use crate::{Error, Parameter, Result};

/// The version counters of variables at φ have this bit; those at θ, which count steps, don't. So autograd
/// refuses to run a graph recorded at one set of weights on the values of the other.
const AT_SLOW_WEIGHTS: u32 = 1 << 31;

/// θ's values, set aside while φ is in the model.
#[derive(Debug)]
pub(crate) struct SwappedWeights {
    /// The swapped parameters: all but the frozen ones, which have the same values in both.
    indices: Vec<usize>,
    fast: Vec<Tensor>,
    versions: Vec<u32>,
    /// What the variables looked like at φ.
    at_slow: Vec<Fingerprint>,
    /// Whether each uses φ's own memory rather than a cast copy.
    shared: Vec<bool>,
    /// Buffers with φ's statistics, the latest last.
    pub(crate) buffers: Vec<Buffers>,
}

impl SwappedWeights {
    /// Recalibrates batch normalization for the weights that are in the model. The statistics before return when these
    /// weights end.
    pub(crate) fn recalibrate<B>(
        swapped: Option<&mut Self>,
        vs: &nn::VarStore,
        batches: impl IntoIterator<Item = B>,
        forward: impl FnMut(&B),
    ) -> Result<usize> {
        let buffers = Buffers::of(vs)?;
        let count = buffers.recalibrate(vs.device(), batches, forward)?;
        if let Some(swapped) = swapped {
            swapped.buffers.push(buffers);
        }
        Ok(count)
    }

    /// Points each of these parameters at its slow weights' memory. `slow_version` changes whenever φ does.
    pub(crate) fn begin(
        parameters: &[Parameter],
        indices: Vec<usize>,
        slow: &[Tensor],
        slow_version: u32,
    ) -> Result<Self> {
        let _guard = tch::no_grad_guard();
        let tensors: Vec<&Tensor> = indices.iter().map(|&i| &parameters[i].tensor).collect();
        let slow: Vec<&Tensor> = indices.iter().map(|&i| &slow[i]).collect();
        let pairs = || tensors.iter().zip(&slow);
        // All that allocates and may fail comes before the first change.
        let versions = fingerprints(tensors.iter().copied())?.iter().map(|p| p.version).collect();
        let fast = tensors.iter().map(|tensor| tensor.f_data()).collect::<Result<_, _>>()?;
        let shared = pairs().map(|(fast, slow)| fast.kind() == slow.kind()).collect();
        let values: Vec<Tensor> =
            pairs().map(|(fast, slow)| slow.f_to_kind(fast.kind())).collect::<Result<_, _>>()?;
        let (at_slow, buffers) = (Vec::new(), Vec::new());
        let mut swapped = SwappedWeights { indices, fast, versions, at_slow, shared, buffers };
        let swap = || -> Result<Vec<Fingerprint>> {
            for (tensor, value) in tensors.iter().zip(&values) {
                tensor.shallow_clone().f_set_data(value)?;
                set_version(tensor, AT_SLOW_WEIGHTS | slow_version)?;
            }
            Ok(fingerprints(tensors.iter().copied())?)
        };
        match swap() {
            Ok(at_slow) => swapped.at_slow = at_slow,
            Err(error) => {
                let _ = swapped.end(parameters);
                return Err(error);
            }
        }
        Ok(swapped)
    }

    /// Runs `f` with these weights in the model, then [`end`](Self::end)s, even if `f` panics.
    pub(crate) fn during<T>(self, parameters: &[Parameter], f: impl FnOnce() -> T) -> Result<T> {
        let mut restore = Restore { swapped: Some(self), parameters };
        let value = f();
        restore.end()?;
        Ok(value)
    }

    /// Restores the values of all parameters, then returns the first error: libtorch's, or that of a variable
    /// that was written to or replaced meanwhile.
    pub(crate) fn end(self, parameters: &[Parameter]) -> Result<()> {
        let mut outcome = self.untouched(parameters);
        let tensors = self.indices.iter().map(|&i| &parameters[i].tensor);
        for ((tensor, fast), version) in tensors.zip(&self.fast).zip(&self.versions) {
            let restored = tensor
                .shallow_clone()
                .f_set_data(fast)
                .map_err(Error::from)
                .and_then(|()| Ok(set_version(tensor, *version)?));
            outcome = outcome.and(restored);
        }
        for buffers in self.buffers.iter().rev() {
            outcome = outcome.and(buffers.restore());
        }
        outcome
    }

    fn untouched(&self, parameters: &[Parameter]) -> Result<()> {
        let indices = &self.indices[..self.at_slow.len()];
        let now = fingerprints(indices.iter().map(|&i| &parameters[i].tensor))?;
        for (i, (now, at_slow)) in now.iter().zip(&self.at_slow).enumerate() {
            if now == at_slow {
                continue;
            }
            let name = parameters[indices[i]].name.clone();
            let written = now.version != at_slow.version && self.shared[i];
            return Err(if written {
                Error::SlowWeightsChanged { name }
            } else {
                Error::ReplacedInEvaluation { name }
            });
        }
        Ok(())
    }
}

/// Restores the weights when it is dropped.
struct Restore<'a> {
    swapped: Option<SwappedWeights>,
    parameters: &'a [Parameter],
}

impl Restore<'_> {
    fn end(&mut self) -> Result<()> {
        self.swapped.take().map_or(Ok(()), |swapped| swapped.end(self.parameters))
    }
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        // Does nothing after `end`.
        let _ = self.end();
    }
}

/// What an error of swapped weights means if they are the result of an average.
pub(crate) fn of_result(error: Error) -> Error {
    match error {
        Error::SlowWeightsChanged { name } => Error::ResultChanged { name },
        Error::ReplacedInEvaluation { name } => Error::WeightsReplaced { name },
        other => other,
    }
}
