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

/// Clips the elements of every gradient to `-max..=max`. Parameters without one are passed over.
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

/// Whether all values of all tensors are finite numbers; undefined tensors are passed over. On a
/// GPU one value a device and element type is read back, so the program waits for the device.
///
/// # Errors
/// What libtorch says.
pub fn all_finite<'a>(tensors: impl IntoIterator<Item = &'a Tensor>, path: Path) -> Result<bool> {
    Ok(bridge::all_finite(&refs(tensors), path.is_foreach())?)
}

/// As [`all_finite`], of the parameters' gradients; those without one are passed over.
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
mod tests {
    use super::*;
    use tch::{Device, Kind};

    const PATHS: [Path; 2] = [Path::Auto, Path::Foreach];
    const KINDS: [Kind; 4] = [Kind::Float, Kind::Double, Kind::BFloat16, Kind::Half];

    #[test]
    fn one_value_that_is_no_number_is_found_wherever_it_lies() {
        let size = 100_003;
        for path in PATHS {
            for kind in KINDS {
                let small = Tensor::ones([3], (kind, Device::Cpu));
                let nothing = Tensor::zeros([0], (kind, Device::Cpu));
                let large = Tensor::full([size], -6e4, (kind, Device::Cpu));
                let all = [&small, &nothing, &large];
                assert!(all_finite(all, path).unwrap(), "{kind:?}, {path:?}");
                for (place, value) in
                    [(0, f64::NAN), (70_001, f64::INFINITY), (size - 1, f64::NEG_INFINITY)]
                {
                    let _ = large.get(place).fill_(value);
                    assert!(!all_finite(all, path).unwrap(), "{value} at {place}, {kind:?}");
                    let _ = large.get(place).fill_(1.0);
                }
                let strided = large.slice(0, 0, size, 2);
                let _ = large.get(1).fill_(f64::NAN);
                assert!(
                    all_finite([&strided], path).unwrap(),
                    "what lies between is not looked at"
                );
            }
        }
        assert!(all_finite([&Tensor::new()], Path::Auto).unwrap(), "undefined");
    }

    #[test]
    fn gradients_are_looked_at_where_there_are_any() {
        for path in PATHS {
            let a = Tensor::ones([2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
            let b = Tensor::ones([2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
            assert!(gradients_finite([&a, &b], path).unwrap());
            (&a * f64::INFINITY).sum(Kind::Float).backward();
            assert!(!gradients_finite([&b, &a], path).unwrap());
        }
    }

    #[test]
    fn a_refusal_is_an_error() {
        let mut whole = Tensor::zeros([2], (Kind::Float, Device::Cpu));
        let other = Tensor::zeros([3], (Kind::Float, Device::Cpu));
        assert!(lerp(&mut whole, &other, 0.5).is_err());
        let mut leaf = Tensor::from_slice(&[1i64, 2]);
        assert!(scale(&mut leaf, 0.5).is_err(), "whole numbers");
        assert!(fill(&mut Tensor::new(), 1.0).is_err(), "undefined");
        fill(&mut whole, 2.0).unwrap();
        scale(&mut whole, 1.5).unwrap();
        lerp(&mut whole, &Tensor::from_slice(&[5.0f32, 3.0]), 0.25).unwrap();
        assert_eq!(whole, Tensor::from_slice(&[3.5f32, 3.0]));
    }
}
