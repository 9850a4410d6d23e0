//! Detecting that other code changed a tensor.

use tch::Tensor;

use crate::Result;
use crate::ffi::bridge;
use crate::handle::{cpp, refs};

pub use crate::ffi::bridge::Fingerprint;

impl Fingerprint {
    /// Whether both have the same storage, offset and element type, so that only values can differ. The
    /// address of a storage is reused once it is freed: compare only while something keeps the earlier one
    /// alive.
    pub fn same_place(&self, other: &Fingerprint) -> bool {
        let place = |print: &Fingerprint| (print.storage, print.offset, print.dtype);
        place(self) == place(other)
    }
}

/// The fingerprints of many tensors, in order. Reads no data and waits for no device. Refuses tensors
/// without a version counter, as inference mode makes them.
pub fn fingerprints<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Result<Vec<Fingerprint>> {
    let refs = refs(tensors);
    let mut prints = vec![Fingerprint::default(); refs.len()];
    bridge::fingerprints(&refs, &mut prints)?;
    Ok(prints)
}

/// Sets a tensor's version counter. Autograd compares it with the version at which it saved the tensor,
/// and refuses a backward pass over values that have changed since. A wrong value can make autograd miss a
/// stale graph; no memory depends on it.
pub fn set_version(tensor: &Tensor, version: u32) -> Result<()> {
    Ok(bridge::set_version(cpp(tensor), version)?)
}

/// Makes a tensor's gradient undefined, as before its first backward pass. Unlike a gradient of zeros: an
/// optimizer skips a parameter without one.
pub fn forget_gradient(tensor: &Tensor) -> Result<()> {
    Ok(bridge::forget_gradient(cpp(tensor))?)
}

/// Replaces a tensor's gradient with one of the same shape, type and device.
pub fn set_gradient(tensor: &Tensor, gradient: &Tensor) -> Result<()> {
    Ok(bridge::set_gradient(cpp(tensor), cpp(gradient))?)
}

/// A number that two handles share exactly if they are the same tensor, with the same values, gradient and
/// optimizer state. Two tensors on one storage differ. It may be reused once the tensor is freed.
pub fn identity(tensor: &Tensor) -> usize {
    bridge::identity(cpp(tensor))
}

#[cfg(test)]
mod tests;
