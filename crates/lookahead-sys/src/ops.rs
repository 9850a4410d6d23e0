//! What is asked of ATen's dispatcher.
//!
//! This replaces a GPU if there is none: the operations of a step or a sync are counted, and
//! run on tensors of the *meta* device, which have shapes and no memory, so that whatever would
//! read a value back to the host, or mix devices, raises there.

use tch::Tensor;

use crate::Result;
use crate::ffi::bridge;

/// One call of an operation of ATen's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// Its name, such as `aten::_foreach_lerp_`.
    pub name: String,
    /// 0 where it was called from outside ATen; more where another operation called it.
    pub depth: u32,
}

/// Runs `f` and returns, beside its value, the operations that it called in this thread, in their
/// order.
///
/// # Panics
/// Where this thread records already.
///
/// ```
/// use tch::{Device, Kind, Tensor};
/// let x = Tensor::ones([2], (Kind::Float, Device::Cpu));
/// let (sum, ops) = lookahead_sys::ops::record(|| &x + &x);
/// assert_eq!(ops[0].name, "aten::add");
/// # drop(sum);
/// ```
pub fn record<T>(f: impl FnOnce() -> T) -> (T, Vec<Op>) {
    /// Stops the recording also where `f` panics.
    struct Recording;
    impl Drop for Recording {
        fn drop(&mut self) {
            bridge::stop_recording();
        }
    }
    bridge::start_recording().expect("one recording at a time in a thread");
    let recording = Recording;
    let value = f();
    let ops = bridge::stop_recording();
    drop(recording);
    (value, ops.into_iter().map(|op| Op { name: op.name, depth: op.depth }).collect())
}

/// A tensor of the same shape, element type and gradient on the meta device. tch knows no such
/// device: asking the tensor for its `device()` panics.
///
/// # Errors
/// What libtorch says.
pub fn to_meta(tensor: &Tensor) -> Result<Tensor> {
    // SAFETY: the pointer is a live at::Tensor for the length of the call. The shim allocates the
    // result with `new` for us alone; tch's Tensor frees it.
    unsafe { Ok(Tensor::from_ptr(bridge::to_meta(tensor.as_ptr().cast())?.cast())) }
}

#[cfg(test)]
mod tests;
