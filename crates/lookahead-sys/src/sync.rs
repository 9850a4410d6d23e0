//! The sync of slow and fast weights, over all tensors at once.

use tch::Tensor;

use crate::Result;
use crate::ffi::bridge;

pub use crate::ffi::bridge::SyncRule as Rule;

/// Which operations do the sync.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Path {
    /// One parallel pass for dense tensors on the CPU, otherwise ATen's foreach operations.
    #[default]
    Auto,
    /// ATen's foreach operations everywhere, as on a GPU: for comparisons and tests.
    Foreach,
}

impl Path {
    /// Whether it is [`Path::Foreach`].
    pub fn is_foreach(self) -> bool {
        self == Path::Foreach
    }
}

/// A parameter's two sets of weights.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// φ, in the type of the computation.
    pub slow: &'a Tensor,
    /// θ, of the same shape.
    pub fast: &'a Tensor,
    /// The outer optimizer's momentum buffer v, like φ; `None` for plain interpolation.
    pub velocity: Option<&'a Tensor>,
    /// What replaces θ if several processes train together: the mean of their θ, or of their differences
    /// θ − φ, in φ's type or in bfloat16.
    pub mean: Option<&'a Tensor>,
    /// The slow step size α.
    pub alpha: f64,
}

/// Moves φ towards θ, φ ← φ + α (θ − φ), then sets θ ← φ, for all pairs.
///
/// Computes in φ's element type, in the form of `lerp`, which is exact at θ = φ. At α = 1, where `lerp`
/// flips the sign of −0 and turns infinity into NaN, φ becomes a copy of θ, and θ is not written.
///
/// With a velocity it is a step of SGD with momentum on the difference d = φ − θ:
/// v ← μ v + d, then φ ← φ − α v, or φ − α (d + μ v) in Nesterov's form. With `alpha_inside`, α is a factor of d
/// instead of the step.
///
/// A pair's mean replaces θ in all of this, and θ ← φ follows even at α = 1. Returns the squared distance
/// of the θ from their means before the sync; 0 without means.
///
/// Refuses different shapes. After an error some pairs may have been synced.
pub fn sync<'a>(pairs: impl IntoIterator<Item = Pair<'a>>, rule: Rule) -> Result<f64> {
    let pairs = pairs.into_iter().map(|pair| bridge::SyncPair {
        slow: pair.slow.as_ptr().cast(),
        fast: pair.fast.as_ptr().cast(),
        velocity: or_null(pair.velocity),
        mean: or_null(pair.mean),
        alpha: pair.alpha,
    });
    Ok(bridge::sync(&pairs.collect::<Vec<_>>(), rule)?)
}

fn or_null(tensor: Option<&Tensor>) -> *const bridge::Tensor {
    tensor.map_or(std::ptr::null(), |tensor| tensor.as_ptr().cast())
}

/// What a parameter contributes to the adaptive slow step size.
#[derive(Debug, Clone, Copy)]
pub struct Term<'a> {
    /// φ.
    pub slow: &'a Tensor,
    /// θ, with the gradient of the loss there.
    pub fast: &'a Tensor,
    /// The mean over several processes, as in [`Pair`].
    pub mean: Option<&'a Tensor>,
    /// The mean squared gradient of each element, which estimates the curvature.
    pub second_moment: &'a Tensor,
    /// The factor of the second moment, for example Adam's bias correction.
    pub scale: f64,
}

/// The α that minimizes a quadratic model of the loss between φ and θ: 1 + gᵀd / dᵀA d, where d is φ − θ
/// (or φ minus the mean), g the gradient at θ and A the diagonal of second moments. `differences`: means
/// are those of θ − φ. Not clipped, and NaN if d is 0 or there is no gradient. Reads one value back from
/// the device.
pub fn adaptive_slow_step_size<'a>(
    terms: impl IntoIterator<Item = Term<'a>>,
    differences: bool,
) -> Result<f64> {
    let terms = terms.into_iter().map(|term| bridge::CurvatureTerm {
        slow: term.slow.as_ptr().cast(),
        fast: term.fast.as_ptr().cast(),
        mean: or_null(term.mean),
        second_moment: term.second_moment.as_ptr().cast(),
        scale: term.scale,
    });
    Ok(bridge::adaptive_slow_step_size(&terms.collect::<Vec<_>>(), differences)?)
}

#[cfg(test)]
mod tests;
