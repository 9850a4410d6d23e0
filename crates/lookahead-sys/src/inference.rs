//! Inference mode: computation that never needs a gradient.

use std::marker::PhantomData;

use tch::Tensor;

use crate::ffi::bridge;
use crate::handle::cpp;

/// Keeps its thread in inference mode.
#[derive(Debug)]
#[must_use = "inference mode ends when this is dropped"]
pub struct Guard {
    /// The mode belongs to one thread, so the guard must end where it began.
    thread: PhantomData<*const ()>,
}

/// Puts this thread into libtorch's inference mode until the guard is dropped, also by a panic. Results
/// have no version counter and can't become views for autograd, so each operation is cheaper than under
/// `tch::no_grad_guard()`. Values are identical to the bit.
///
/// Use a tensor made inside only inside: outside, autograd refuses to save it and libtorch to write to it.
/// Older tensors can be read and written as usual, and their version counters move.
///
/// Guards may be nested. Other guards made inside, for example `tch::no_grad_guard()`, must end inside.
///
/// ```
/// use lookahead_sys::inference;
/// use tch::{Device, Kind, Tensor};
///
/// let x = Tensor::ones([2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
/// let sum = {
///     let _guard = inference::guard();
///     (&x * 2.0).sum(Kind::Float)
/// };
/// assert!(!sum.requires_grad() && inference::is_inference(&sum));
/// assert_eq!(sum.double_value(&[]), 4.0);
/// ```
///
/// It can't move to another thread:
///
/// ```compile_fail
/// let guard = lookahead_sys::inference::guard();
/// std::thread::spawn(move || drop(guard));
/// ```
pub fn guard() -> Guard {
    bridge::begin_inference();
    Guard { thread: PhantomData }
}

impl Drop for Guard {
    fn drop(&mut self) {
        bridge::end_inference();
    }
}

/// Whether this thread is in inference mode.
pub fn is_enabled() -> bool {
    bridge::inference_is_on()
}

/// Whether a tensor was made in inference mode.
pub fn is_inference(tensor: &Tensor) -> bool {
    bridge::is_inference(cpp(tensor))
}

#[cfg(test)]
mod tests;
