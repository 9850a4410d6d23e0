//! How to notice that other code changed a tensor.

use tch::Tensor;

use crate::Result;
use crate::ffi::bridge;

/// What changes when a tensor's values or its storage are changed: its version counter, which
/// every in-place operation moves, and the storage, offset and element type that it uses,
/// which `set_data`, a move to another device and a cast replace.
///
/// A write through a second tensor on the same storage made by `Tensor::data` has a version
/// counter of its own and is not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fingerprint(bridge::Fingerprint);

impl Fingerprint {
    /// The version counter at the time of the fingerprint.
    pub fn version(&self) -> u32 {
        self.0.version
    }

    /// A number that two tensors share exactly when they stand on one storage.
    pub fn storage(&self) -> usize {
        self.0.storage
    }

    /// Whether both were taken on the same storage, offset and element type: then only values can
    /// differ. A storage's address is given again once the storage is gone, so this shows only
    /// while something keeps the earlier one alive.
    pub fn same_place(&self, other: &Fingerprint) -> bool {
        let place = |print: &Fingerprint| (print.0.storage, print.0.offset, print.0.dtype);
        place(self) == place(other)
    }
}

/// The fingerprints of many tensors at once, in their order. Reads no data and waits for no device.
///
/// # Errors
/// Where a tensor keeps no version counter, as one made in inference mode.
pub fn fingerprints<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Result<Vec<Fingerprint>> {
    let refs = crate::arithmetic::refs(tensors);
    let mut prints = vec![bridge::Fingerprint::default(); refs.len()];
    bridge::fingerprints(&refs, &mut prints)?;
    Ok(prints.into_iter().map(Fingerprint).collect())
}

/// Sets a tensor's version counter. Autograd compares it with the version that it saw when it
/// saved the tensor, and refuses a backward pass over values that have changed since.
///
/// # Errors
/// Where the tensor keeps no version counter, as one made in inference mode.
pub fn set_version(tensor: &Tensor, version: u32) -> Result<()> {
    // SAFETY: the pointer is a live at::Tensor for the length of the call. The counter is atomic,
    // and a wrong value can at most make autograd miss a stale graph: no memory depends on it.
    Ok(unsafe { bridge::set_version(tensor.as_ptr().cast(), version) }?)
}

/// Makes a tensor's gradient undefined, as before its first backward pass. Not the same as a
/// gradient of zeros: an optimizer skips a parameter without one.
///
/// # Errors
/// What libtorch says.
pub fn forget_gradient(tensor: &Tensor) -> Result<()> {
    // SAFETY: the pointer is a live at::Tensor for the length of the call.
    Ok(unsafe { bridge::forget_gradient(tensor.as_ptr().cast()) }?)
}

/// Gives a tensor a gradient, in the place of the one that it had.
///
/// # Errors
/// Where it has another shape, type or device than the tensor.
pub fn set_gradient(tensor: &Tensor, gradient: &Tensor) -> Result<()> {
    // SAFETY: both pointers are live at::Tensors for the length of the call, which makes a handle of
    // its own.
    Ok(unsafe { bridge::set_gradient(tensor.as_ptr().cast(), gradient.as_ptr().cast()) }?)
}

/// A number that two handles share exactly when they are the same tensor, with the same values,
/// gradient and optimizer state; two tensors on one storage differ. It may be given again once the
/// tensor is gone.
pub fn identity(tensor: &Tensor) -> usize {
    // SAFETY: the pointer is a live at::Tensor for the length of the call, which only reads an
    // address out of it.
    unsafe { bridge::identity(tensor.as_ptr().cast()) }
}

#[cfg(test)]
mod tests;
