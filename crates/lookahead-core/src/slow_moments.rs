//! Slow copies of the inner optimizer's moments.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use crate::Result;

/// A moment of a parameter: the parameter's index and the moment's name.
pub(crate) type MomentKey = (usize, &'static str);

/// Slow copies m̄ of moments, in their own memory. If they shared the optimizer's, its next step would change
/// them, and every later pull would use the wrong factor.
pub(crate) type SlowMoments = BTreeMap<MomentKey, Tensor>;

/// Zeros like a moment; like φ, at least in single precision.
pub(crate) fn wide_zeros(moment: &Tensor) -> Result<Tensor> {
    let _guard = tch::no_grad_guard();
    let zeros = moment.f_detach()?.f_zeros_like()?;
    match zeros.kind() {
        Kind::Half | Kind::BFloat16 => Ok(zeros.f_to_kind(Kind::Float)?),
        _ => Ok(zeros),
    }
}
