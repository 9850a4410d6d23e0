//! Recording the calls of ATen's dispatcher.
//!
//! This replaces a GPU: count the operations of a step or a sync, and run them on tensors of the *meta* device,
//! which have shapes but no memory, so that reading a value back to the host or mixing devices fails.

use tch::Tensor;

use crate::Result;
use crate::ffi::bridge;
use crate::handle::{cpp, owned};

pub use crate::ffi::bridge::RecordedOp as Op;

/// Runs `f`, and returns its value with the operations that it called in this thread, in order.
///
/// # Panics
/// If this thread is already recording.
///
/// ```
/// use tch::{Device, Kind, Tensor};
/// let x = Tensor::ones([2], (Kind::Float, Device::Cpu));
/// let (sum, ops) = lookahead_sys::ops::record(|| &x + &x);
/// assert_eq!(ops[0].name, "aten::add");
/// # drop(sum);
/// ```
pub fn record<T>(f: impl FnOnce() -> T) -> (T, Vec<Op>) {
    /// Stops recording even if `f` panics.
    struct Recording;
    impl Drop for Recording {
        fn drop(&mut self) {
            bridge::stop_recording();
        }
    }
    bridge::start_recording().expect("one recording at a time in a thread");
    let _recording = Recording;
    let value = f();
    (value, bridge::stop_recording())
}

/// A tensor of the same shape, element type and gradient on the meta device. tch doesn't know this device:
/// `device()` panics.
pub fn to_meta(tensor: &Tensor) -> Result<Tensor> {
    Ok(owned(bridge::to_meta(cpp(tensor))?))
}

#[cfg(test)]
mod tests;
