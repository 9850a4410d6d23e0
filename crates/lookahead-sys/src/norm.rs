//! L2 norms of many tensors taken together, and clipping by them.
//!
//! Norms of finite values are finite wherever f64 can hold them, whatever the tensors' own type: squares that
//! overflow or vanish in that type are taken in f64. Complex numbers count by their magnitude, and an element
//! that a sparse tensor lists several times by the sum of its entries.

use tch::Tensor;

use crate::Result;
use crate::arithmetic::refs;
use crate::ffi::bridge;

/// The L2 norm of all tensors together; 0 of none, NaN or infinity if a value is. One number per tensor is
/// read back from the device.
///
/// # Errors
/// What libtorch says, such as of an undefined tensor.
///
/// ```
/// use lookahead_sys::norm::norm;
/// use tch::Tensor;
/// // In single precision the sum of squares would be infinite.
/// let huge = Tensor::from_slice(&[3e30f32, 4e30]);
/// assert!((norm([&huge])? / 5e30 - 1.0).abs() < 1e-6);
/// # Ok::<(), lookahead_sys::Error>(())
/// ```
pub fn norm<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Result<f64> {
    Ok(bridge::norm(&refs(tensors), &[])?)
}

/// The L2 norm of the differences of all pairs together; 0 of none.
///
/// # Errors
/// As [`norm`], and for shapes that differ.
pub fn distance<'a>(pairs: impl IntoIterator<Item = (&'a Tensor, &'a Tensor)>) -> Result<f64> {
    let (tensors, from): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    Ok(bridge::norm(&refs(tensors), &refs(from))?)
}

/// Scales all gradients by one factor so that their L2 norm together is at most `max`, and returns the
/// norm before: 0 if there is no gradient. If a gradient holds NaN or infinity, so is the norm, and the
/// gradients are left as they are.
///
/// # Errors
/// What libtorch says.
pub fn clip_norm<'a>(parameters: impl IntoIterator<Item = &'a Tensor>, max: f64) -> Result<f64> {
    Ok(bridge::clip_norm(&refs(parameters), max)?)
}

#[cfg(test)]
mod tests;
