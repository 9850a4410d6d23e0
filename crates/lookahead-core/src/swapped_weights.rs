//! φ in the model's variables in θ's place, for a while.

use lookahead_sys::tensor::{Fingerprint, fingerprints, set_version};
use tch::Tensor;

use crate::running_statistics::Buffers;
use crate::{Error, Parameter, Result};

/// The version counters of variables at φ have this bit, and those at θ, which count steps, do
/// not: autograd then refuses to run a graph recorded at one set of weights on the other's values.
const AT_SLOW_WEIGHTS: u32 = 1 << 31;

/// θ's values, put aside while φ is in the model.
#[derive(Debug)]
pub(crate) struct SwappedWeights {
    /// Which of the parameters: a frozen one has the same values in both.
    places: Vec<usize>,
    fast: Vec<Tensor>,
    versions: Vec<u32>,
    /// What the variables looked like at φ.
    at_slow: Vec<Fingerprint>,
    /// Whether each uses φ's own memory, or a cast copy.
    shared: Vec<bool>,
    /// Buffers that were recalibrated for φ, the latest last.
    pub(crate) buffers: Vec<Buffers>,
}

impl SwappedWeights {
    /// Lets each parameter in these places stand on its slow weights' memory. `slow_version` is another
    /// one whenever φ is.
    pub(crate) fn begin(
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
        let swapped =
            SwappedWeights { places, fast, versions, at_slow, shared, buffers: Vec::new() };
        match failed {
            None => Ok(swapped),
            Some(error) => {
                let _ = swapped.end(parameters);
                Err(error)
            }
        }
    }

    /// Gives each parameter its own values back, all of them, and returns the first error: libtorch's
    /// or that of a variable which was written to or replaced meanwhile.
    pub(crate) fn end(self, parameters: &[Parameter]) -> Result<()> {
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
            outcome = outcome.and(buffers.restore());
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
