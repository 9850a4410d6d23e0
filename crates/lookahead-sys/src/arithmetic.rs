//! Arithmetic on values in place, without autograd.
//!
//! tch has these operations too, but panics in them where libtorch throws.

use tch::Tensor;

use crate::Result;
use crate::ffi::bridge;

/// φ ← φ + α (θ − φ), in φ's element type.
///
/// `lerp` is exact at θ = φ, where the formula as written is not always. At α = 1, where `lerp`
/// flips the sign of −0 and makes NaN of infinity, φ becomes a copy of θ.
///
/// # Errors
/// What libtorch says, such as of an element type that it can't compute with.
pub fn interpolate(slow: &mut Tensor, fast: &Tensor, alpha: f64) -> Result<()> {
    let (slow, fast) = (slow.as_ptr().cast(), fast.as_ptr().cast());
    // SAFETY: both pointers are live at::Tensors for the length of the call.
    Ok(unsafe { bridge::interpolate(slow, fast, alpha) }?)
}

/// Copies the values of `source` into `target`, cast and moved as that needs.
///
/// # Errors
/// What libtorch says, such as of shapes that differ.
pub fn assign(target: &mut Tensor, source: &Tensor) -> Result<()> {
    // SAFETY: both pointers are live at::Tensors for the length of the call.
    Ok(unsafe { bridge::assign(target.as_ptr().cast(), source.as_ptr().cast()) }?)
}

/// Clips the elements of every gradient to `-max..=max`. Parameters without one are passed over.
///
/// # Errors
/// What libtorch says, such as of a sparse gradient.
pub fn clip_value<'a>(parameters: impl IntoIterator<Item = &'a Tensor>, max: f64) -> Result<()> {
    Ok(bridge::clip_value(&refs(parameters), max)?)
}

/// Scales all gradients by one factor so that their L2 norm together is at most `max`, and returns
/// the norm before: 0 where there is no gradient. A norm that is not finite is returned and the
/// gradients are left as they are.
///
/// # Errors
/// What libtorch says, such as of a sparse gradient.
pub fn clip_norm<'a>(parameters: impl IntoIterator<Item = &'a Tensor>, max: f64) -> Result<f64> {
    Ok(bridge::clip_norm(&refs(parameters), max)?)
}

pub(crate) fn refs<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Vec<bridge::TensorRef> {
    tensors.into_iter().map(|t| bridge::TensorRef { tensor: t.as_ptr().cast() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn halfway_in_the_wider_type() {
        let mut slow = Tensor::from_slice(&[1.0f32, 2.0]);
        let fast = Tensor::from_slice(&[2.0f32, 4.0]).to_kind(Kind::BFloat16);
        interpolate(&mut slow, &fast, 0.25).unwrap();
        assert_eq!(slow, Tensor::from_slice(&[1.25f32, 2.5]));
    }

    #[test]
    fn norms_are_taken_in_single_precision_at_least() {
        let a = Tensor::from_slice(&[0.0f32]).to_kind(Kind::Half).set_requires_grad(true);
        let b = Tensor::from_slice(&[0.0f32]).to_kind(Kind::Half).set_requires_grad(true);
        ((&a + &b) * 60000.0).sum(Kind::Float).backward();
        let norm = clip_norm([&a, &b], 1.0).unwrap();
        assert!((norm - 60000.0 * 2f64.sqrt()).abs() < 50.0, "{norm}");
        assert!(a.grad().double_value(&[0]) < 0.71);
    }
}
