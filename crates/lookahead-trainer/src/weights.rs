//! Values of a model's variables.

use std::collections::BTreeMap;

use tch::{Tensor, nn};

/// Copies tensors into the variables of their names, which have the same shapes.
pub(crate) fn copy_into(
    vs: &nn::VarStore,
    tensors: &BTreeMap<String, Tensor>,
) -> anyhow::Result<()> {
    let _guard = tch::no_grad_guard();
    for (name, mut variable) in vs.variables() {
        if let Some(tensor) = tensors.get(&name) {
            variable.f_copy_(tensor)?;
        }
    }
    Ok(())
}

/// Whether all values of a tensor are finite.
pub(crate) fn all_finite(tensor: &Tensor) -> anyhow::Result<bool> {
    let _guard = tch::no_grad_guard();
    Ok(bool::try_from(tensor.f_isfinite()?.f_all()?)?)
}
