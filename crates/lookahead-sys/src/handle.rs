//! tch's tensors as the C++ side sees them.

use cxx::UniquePtr;
use tch::Tensor;

use crate::ffi::bridge;

/// The `at::Tensor` behind a tensor of tch.
pub(crate) fn cpp(tensor: &Tensor) -> &bridge::Tensor {
    // SAFETY: every `Tensor` owns a live at::Tensor, and this is its address.
    unsafe { &*tensor.as_ptr().cast() }
}

/// Many of them, for one call.
pub(crate) fn refs<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Vec<bridge::TensorRef> {
    tensors.into_iter().map(|t| bridge::TensorRef { tensor: t.as_ptr().cast() }).collect()
}

/// The tensor that C++ returned.
pub(crate) fn owned(tensor: UniquePtr<bridge::Tensor>) -> Tensor {
    assert!(!tensor.is_null(), "C++ returned no tensor");
    // SAFETY: an at::Tensor made with `new`, as tch's are; from here on the `Tensor` owns it.
    unsafe { Tensor::from_ptr(tensor.into_raw().cast()) }
}
