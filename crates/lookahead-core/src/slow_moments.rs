//! Slow copies of the inner optimizer's moments.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use crate::Result;

/// A moment of a parameter: the parameter's place, and the moment's name.
pub(crate) type MomentKey = (usize, &'static str);

/// Slow copies of moments, m̄: own memory, never the optimizer's tensor itself. Were it that, the
/// inner optimizer's next step would change it, and the pull go by the wrong factor from then on.
pub(crate) type SlowMoments = BTreeMap<MomentKey, Tensor>;

/// Zeros like a moment, in single precision at least, as φ is.
pub(crate) fn wide_zeros(moment: &Tensor) -> Result<Tensor> {
    let _guard = tch::no_grad_guard();
    let zeros = moment.f_detach()?.f_zeros_like()?;
    match zeros.kind() {
        Kind::Half | Kind::BFloat16 => Ok(zeros.f_to_kind(Kind::Float)?),
        _ => Ok(zeros),
    }
}
