//! Inference mode: computing what no gradient will ever be asked of.

use std::marker::PhantomData;

use tch::Tensor;

use crate::ffi::bridge;

/// While this lives, its thread is in inference mode.
#[derive(Debug)]
#[must_use = "inference mode ends when this is dropped"]
pub struct Guard {
    /// The mode is one thread's: the guard must end where it began.
    thread: PhantomData<*const ()>,
}

/// Puts this thread into libtorch's inference mode until the guard is dropped, also by a panic. It is
/// `tch::no_grad_guard()` and more: what is computed keeps no version counter and is not prepared for
/// views, so that each operation costs less. Values are the same, to the bit.
///
/// A tensor made inside is for use inside: outside, autograd refuses to save it and libtorch to write
/// to it. Tensors made before may be read and written as ever, and their version counters move.
///
/// Guards may be nested. Guards of other kinds that are made inside, such as `tch::no_grad_guard()`,
/// must end inside.
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
/// It can't go to another thread:
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
    // SAFETY: the pointer is a live at::Tensor for the length of the call.
    unsafe { bridge::is_inference(tensor.as_ptr().cast()) }
}

#[cfg(test)]
mod tests;
