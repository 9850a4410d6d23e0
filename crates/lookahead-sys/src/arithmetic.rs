//! Arithmetic on values in place, without autograd.
//!
//! tch has these operations too, but those that take a number panic if libtorch refuses, the fallible
//! ones included.

use tch::Tensor;

use crate::Result;
use crate::ffi::bridge;
use crate::sync::Path;

/// Copies the values of `source` into `target`, cast and moved as that needs.
///
/// # Errors
/// What libtorch says, such as of shapes that differ.
pub fn assign(target: &mut Tensor, source: &Tensor) -> Result<()> {
    // SAFETY: both pointers are live at::Tensors for the length of the call.
    Ok(unsafe { bridge::assign(target.as_ptr().cast(), source.as_ptr().cast()) }?)
}

/// Clips the elements of every gradient to `-max..=max`. Parameters without one are skipped.
///
/// # Errors
/// What libtorch says, such as of a sparse gradient.
pub fn clip_value<'a>(parameters: impl IntoIterator<Item = &'a Tensor>, max: f64) -> Result<()> {
    Ok(bridge::clip_value(&refs(parameters), max)?)
}

/// Sets every element to `value`.
///
/// # Errors
/// What libtorch says.
pub fn fill(target: &mut Tensor, value: f64) -> Result<()> {
    // SAFETY: the pointer is a live at::Tensor for the length of the call.
    Ok(unsafe { bridge::fill(target.as_ptr().cast(), value) }?)
}

/// Multiplies every element by `factor`.
///
/// # Errors
/// What libtorch says.
pub fn scale(target: &mut Tensor, factor: f64) -> Result<()> {
    // SAFETY: the pointer is a live at::Tensor for the length of the call.
    Ok(unsafe { bridge::scale(target.as_ptr().cast(), factor) }?)
}

/// Moves `target` towards `end` by the part `weight` of the way: exact at `end` = `target`.
///
/// # Errors
/// What libtorch says, such as of shapes that differ.
pub fn lerp(target: &mut Tensor, end: &Tensor, weight: f64) -> Result<()> {
    // SAFETY: both pointers are live at::Tensors for the length of the call.
    Ok(unsafe { bridge::lerp(target.as_ptr().cast(), end.as_ptr().cast(), weight) }?)
}

/// Whether all values of all tensors are finite numbers; undefined tensors are skipped. On a
/// GPU one value a device and element type is read back, so the program waits for the device.
///
/// # Errors
/// What libtorch says.
pub fn all_finite<'a>(tensors: impl IntoIterator<Item = &'a Tensor>, path: Path) -> Result<bool> {
    Ok(bridge::all_finite(&refs(tensors), path.is_foreach())?)
}

/// As [`all_finite`], of the parameters' gradients; those without one are skipped.
///
/// # Errors
/// What libtorch says.
pub fn gradients_finite<'a>(
    parameters: impl IntoIterator<Item = &'a Tensor>,
    path: Path,
) -> Result<bool> {
    Ok(bridge::gradients_finite(&refs(parameters), path.is_foreach())?)
}

pub(crate) fn refs<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Vec<bridge::TensorRef> {
    tensors.into_iter().map(|t| bridge::TensorRef { tensor: t.as_ptr().cast() }).collect()
}

#[cfg(test)]
mod tests;
