//! The averages that primal averaging, EMA-Nesterov and a tail average keep beside an inner optimizer, over all tensors at
//! once.

use tch::Tensor;

use crate::Result;
use crate::ffi::bridge;
use crate::sync::Path;

/// What a step of the inner optimizer is averaged into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// x ← x + c (z − x), then y ← z + μ (x − z): the mean is x, the point z, the model y. At c = 1 all three are z,
    /// at μ = 0 the model is z, and at μ = 1 it is x, to the bit.
    Primal,
    /// m ← m + c ((y − θ) − m), then θ ← y and y ← y + β m: the mean is m, the point θ, the model y. At β = 0 the
    /// model is not written.
    Nesterov,
    /// m ← m + c (y − m): the mean is m, the model y, which is not written. The point is the model too. At c = 1 the mean is
    /// the model, to the bit.
    Mean,
}

/// The tensors of a parameter, all of one shape.
#[derive(Debug, Clone, Copy)]
pub struct Averaged<'a> {
    /// The mean, in the type of the computation.
    pub mean: &'a Tensor,
    /// The point, in the model's type. Without one, the model again.
    pub point: &'a Tensor,
    /// The model's variable.
    pub model: &'a Tensor,
    /// The weight c of the newest value in the mean.
    pub weight: f64,
    /// μ or β of the [`Rule`].
    pub ahead: f64,
}

/// Averages in one pass over all parameters, and returns whether all weights that the inner optimizer has left, the
/// point or the model, are finite. Those that are not reach no mean; others may have.
///
/// Parameters that overlap in memory must come in separate calls.
pub fn average<'a>(
    all: impl IntoIterator<Item = Averaged<'a>>,
    rule: Rule,
    path: Path,
) -> Result<bool> {
    let tensors = all.into_iter().map(|each| bridge::AveragedTensor {
        mean: each.mean.as_ptr().cast(),
        point: each.point.as_ptr().cast(),
        model: each.model.as_ptr().cast(),
        weight: each.weight,
        ahead: each.ahead,
    });
    let tensors: Vec<_> = tensors.collect();
    let rule = match rule {
        Rule::Primal => bridge::AverageRule::Primal,
        Rule::Nesterov => bridge::AverageRule::Nesterov,
        Rule::Mean => bridge::AverageRule::Mean,
    };
    Ok(bridge::average(&tensors, rule, path.is_foreach())?)
}

#[cfg(test)]
mod tests;
