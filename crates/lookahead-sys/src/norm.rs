//! L2 norms over many tensors together, and clipping by them.
//!
//! The norm of finite values is finite if f64 can hold it, whatever the tensors' type: squares that
//! overflow or underflow in that type are taken in f64. Complex numbers count by their magnitude, and an
//! element that a sparse tensor lists several times by the sum of its entries.

use tch::Tensor;

use crate::Result;
use crate::ffi::bridge;
use crate::handle::refs;
use crate::sync::Path;

/// The L2 norm of all tensors together: 0 for none, NaN or infinity if a value is. Reads one number per
/// tensor back from the device. Refuses undefined tensors.
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

/// The L2 norm of the differences of all pairs together; 0 for none. Refuses different shapes.
pub fn distance<'a>(pairs: impl IntoIterator<Item = (&'a Tensor, &'a Tensor)>) -> Result<f64> {
    let (tensors, from): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    Ok(bridge::norm(&refs(tensors), &refs(from))?)
}

/// The L2 norm of each tensor by itself, in their order, as [`norm`] takes it. Reads the numbers back from the
/// device at once, and once more for each tensor whose squares overflow or underflow in its type, or that is zero.
pub fn norms<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Result<Vec<f64>> {
    Ok(bridge::norms(&refs(tensors), &[])?)
}

/// The L2 norm of the difference of each pair by itself; as [`norms`]. Refuses different shapes.
pub fn distances<'a>(
    pairs: impl IntoIterator<Item = (&'a Tensor, &'a Tensor)>,
) -> Result<Vec<f64>> {
    let (tensors, from): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    Ok(bridge::norms(&refs(tensors), &refs(from))?)
}

/// The joint L2 norm of all gradients, as [`clip_norm`] finds it: 0 without gradients.
pub fn gradient_norm<'a>(parameters: impl IntoIterator<Item = &'a Tensor>) -> Result<f64> {
    clip_norm(parameters, f64::INFINITY, Path::Auto)
}

/// Scales all gradients by one factor so that their joint L2 norm is at most `max`, and returns the norm
/// before: 0 without gradients. If it is NaN or infinite because a gradient is, the gradients stay as
/// they are.
pub fn clip_norm<'a>(
    parameters: impl IntoIterator<Item = &'a Tensor>,
    max: f64,
    path: Path,
) -> Result<f64> {
    Ok(bridge::clip_norm(&refs(parameters), max, path.is_foreach())?)
}

#[cfg(test)]
mod tests;
