//! Arithmetic in place, without autograd.
//!
//! tch has these operations too, but those that take a number panic if libtorch refuses, even in their
//! fallible forms.

use tch::Tensor;

use crate::Result;
use crate::ffi::bridge;
use crate::handle::{cpp, refs};
use crate::sync::Path;

/// Copies the values of `source` into `target`, converting type and device as needed.
pub fn assign(target: &mut Tensor, source: &Tensor) -> Result<()> {
    Ok(bridge::assign(cpp(target), cpp(source))?)
}

/// Clips every element of every gradient to `-max..=max`. Skips parameters without one; refuses sparse
/// gradients.
pub fn clip_value<'a>(
    parameters: impl IntoIterator<Item = &'a Tensor>,
    max: f64,
    path: Path,
) -> Result<()> {
    Ok(bridge::clip_value(&refs(parameters), max, path.is_foreach())?)
}

/// Sets every element to `value`.
pub fn fill(target: &mut Tensor, value: f64) -> Result<()> {
    Ok(bridge::fill(cpp(target), value)?)
}

/// Multiplies every element by `factor`.
pub fn scale(target: &mut Tensor, factor: f64) -> Result<()> {
    Ok(bridge::scale(cpp(target), factor)?)
}

/// Moves `target` towards `end` by the fraction `weight`. Exact if the two are equal.
pub fn lerp(target: &mut Tensor, end: &Tensor, weight: f64) -> Result<()> {
    Ok(bridge::lerp(cpp(target), cpp(end), weight)?)
}

/// Whether all tensors are free of NaN and infinity. Skips undefined tensors. On a GPU it reads back one
/// value per device and element type, so the program waits for the device.
pub fn all_finite<'a>(tensors: impl IntoIterator<Item = &'a Tensor>, path: Path) -> Result<bool> {
    Ok(bridge::all_finite(&refs(tensors), path.is_foreach())?)
}

/// [`all_finite`] for the gradients of these parameters.
pub fn gradients_finite<'a>(
    parameters: impl IntoIterator<Item = &'a Tensor>,
    path: Path,
) -> Result<bool> {
    Ok(bridge::gradients_finite(&refs(parameters), path.is_foreach())?)
}

#[cfg(test)]
mod tests;
