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
mod tests {
    use super::*;
    use crate::tensor::fingerprints;
    use tch::{Device, Kind};

    fn variable() -> Tensor {
        Tensor::from_slice(&[1.0f32, 2.0]).set_requires_grad(true)
    }

    fn gradient_flows() -> bool {
        (variable() * 2.0).requires_grad()
    }

    #[test]
    fn it_lasts_as_long_as_the_guard() {
        assert!(!is_enabled() && gradient_flows());
        {
            let _guard = guard();
            assert!(is_enabled() && !gradient_flows());
            assert!(is_inference(&(variable() * 2.0)));
            // What needs its own guard inside leaves the mode as it is.
            drop(tch::no_grad_guard());
            assert!(is_enabled() && !gradient_flows());
        }
        assert!(!is_enabled() && gradient_flows());
        let _none = tch::no_grad_guard();
        drop(guard());
        assert!(!is_enabled() && !gradient_flows(), "what was on before is on again");
    }

    #[test]
    fn guards_end_in_any_order() {
        let (first, second) = (guard(), guard());
        drop(first);
        assert!(is_enabled());
        drop(second);
        assert!(!is_enabled() && gradient_flows());
    }

    #[test]
    fn a_panic_ends_it() {
        let outcome = std::panic::catch_unwind(|| {
            let _guard = guard();
            let _inner = guard();
            panic!("on purpose");
        });
        assert!(outcome.is_err());
        assert!(!is_enabled() && gradient_flows());
    }

    #[test]
    fn other_threads_are_not_in_it() {
        let _guard = guard();
        let elsewhere = std::thread::spawn(|| !is_enabled() && gradient_flows());
        assert!(elsewhere.join().unwrap());
    }

    /// Why a result must not stay behind for training, and why weights may be written to.
    #[test]
    fn what_is_made_inside_is_for_use_inside() {
        let weight = variable();
        let before = fingerprints([&weight]).unwrap();
        let mut made = {
            let _guard = guard();
            let _ = weight.shallow_clone().fill_(3.0);
            let mut made = Tensor::ones([2], (Kind::Float, Device::Cpu));
            let _ = made.f_add_(&made.copy()).unwrap();
            made
        };
        let after = fingerprints([&weight]).unwrap();
        assert_ne!(before, after, "a write to an older tensor is counted");
        assert!(fingerprints([&made]).is_err());
        assert!(weight.f_mul(&made).is_err(), "it can't be saved for a backward pass");
        assert!(made.f_add_(&variable().detach()).is_err(), "nor written to");
    }
}
