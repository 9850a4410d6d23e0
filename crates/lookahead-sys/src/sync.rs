//! The sync of slow and fast weights, over all tensors at once.

use tch::Tensor;

use crate::Result;
use crate::ffi::bridge;

/// Which operations do the work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Path {
    /// One parallel pass where the tensors are dense and on the CPU, else ATen's foreach operations.
    #[default]
    Auto,
    /// ATen's foreach operations everywhere, as on a GPU: for comparisons and tests.
    Foreach,
}

impl Path {
    pub(crate) fn is_foreach(self) -> bool {
        self == Path::Foreach
    }
}

/// A parameter's two sets of weights.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// φ, in the type that is computed in.
    pub slow: &'a Tensor,
    /// θ, of the same shape.
    pub fast: &'a Tensor,
    /// The outer optimizer's momentum buffer v, like φ; `None` for plain interpolation.
    pub velocity: Option<&'a Tensor>,
    /// What replaces θ if several processes train together: the mean of their θ, or that
    /// of their differences θ − φ, in φ's type or in bfloat16. `None` for θ itself.
    pub mean: Option<&'a Tensor>,
    /// The slow step size α.
    pub alpha: f64,
}

/// How a sync goes, for all pairs alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// The outer optimizer's momentum μ; used where a pair has a velocity.
    pub momentum: f64,
    /// Nesterov's form of it.
    pub nesterov: bool,
    /// Whether θ ← φ follows at once. It must not where tensors share memory with others of the
    /// same call: the first would change what the second still has to read.
    pub restart: bool,
    /// Whether the means are those of differences θ − φ.
    pub differences: bool,
    /// Which operations do it.
    pub path: Path,
}

/// Moves φ towards θ, φ ← φ + α (θ − φ), then sets θ ← φ, for all pairs.
///
/// Computed in φ's element type in the form of `lerp`, which is exact at θ = φ. At α = 1, where
/// `lerp` flips the sign of −0 and makes NaN of infinity, φ becomes a copy of θ, and θ is not written.
///
/// With a velocity it is a step of SGD with momentum on the difference d = φ − θ:
/// v ← μ v + d, then φ ← φ − α v, or φ − α (d + μ v) in Nesterov's form.
///
/// A pair's mean, if it has one, replaces θ in all of this, and θ ← φ follows at α = 1 too.
/// Returned is the squared distance of the θ from their means, before; 0 without any.
///
/// # Errors
/// What libtorch says, such as of shapes that differ; part of the pairs may have been synced.
pub fn sync<'a>(pairs: impl IntoIterator<Item = Pair<'a>>, rule: Rule) -> Result<f64> {
    let pairs: Vec<bridge::SyncPair> = pairs
        .into_iter()
        .map(|pair| bridge::SyncPair {
            slow: pair.slow.as_ptr().cast(),
            fast: pair.fast.as_ptr().cast(),
            velocity: or_null(pair.velocity),
            mean: or_null(pair.mean),
            alpha: pair.alpha,
        })
        .collect();
    let Rule { momentum, nesterov, restart, differences, path } = rule;
    let foreach = path.is_foreach();
    let rule = bridge::SyncRule { momentum, nesterov, restart, differences, foreach };
    Ok(bridge::sync(&pairs, rule)?)
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
    /// What the second moment is multiplied by, such as Adam's bias correction.
    pub scale: f64,
}

/// The α that minimizes a quadratic model of the loss between φ and θ: 1 + gᵀd / dᵀA d, where d is
/// φ − θ, or φ less the mean where there is one, g the gradient at θ and A the diagonal of second
/// moments. `differences` says whether means are those of differences θ − φ. Not clipped, and NaN where
/// d is 0 or there is no gradient. Reads one value back from the device.
///
/// # Errors
/// What libtorch says.
pub fn adaptive_slow_step_size<'a>(
    terms: impl IntoIterator<Item = Term<'a>>,
    differences: bool,
) -> Result<f64> {
    let terms: Vec<bridge::CurvatureTerm> = terms
        .into_iter()
        .map(|term| bridge::CurvatureTerm {
            slow: term.slow.as_ptr().cast(),
            fast: term.fast.as_ptr().cast(),
            mean: or_null(term.mean),
            second_moment: term.second_moment.as_ptr().cast(),
            scale: term.scale,
        })
        .collect();
    Ok(bridge::adaptive_slow_step_size(&terms, differences)?)
}

#[cfg(test)]
mod tests;
