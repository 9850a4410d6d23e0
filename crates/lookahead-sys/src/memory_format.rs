//! The memory order of a tensor's elements.
//!
//! A tensor of images has the shape (n, channels, height, width) in any order: only the strides differ.
//! To save one in another order than row-major, call `contiguous()` first.

use tch::Tensor;

use crate::Result;
use crate::ffi::bridge;
use crate::handle::{cpp, owned};

/// The same four-dimensional tensor with all channels of a pixel adjacent in memory, PyTorch's
/// `channels_last`. Convolutions whose weights or inputs have this order compute in it, and so do their
/// outputs. On many processors and GPUs that is faster, and equal up to rounding.
///
/// A tensor that already has this order is returned as it is, on the same memory. Otherwise it is a copy
/// through which gradients flow.
///
/// # A bug in libtorch 2.13
///
/// On processors with AVX2 but not AVX-512, a channels-last convolution with a 1×1 kernel, a stride, no
/// padding and at most 7 input channels writes its weight's gradient outside its memory: the program
/// crashes, or continues with wrong numbers elsewhere. Below 16 input channels, don't compute a strided
/// 1×1 convolution channels last: `slice` every second pixel and convolve with stride 1, which gives the
/// same. `just scan-kernels` searches for such bugs; `docs/processors.md` has the results.
///
/// ```
/// use lookahead_sys::memory_format::{channels_last, is_channels_last};
/// use tch::{Device, Kind, Tensor};
///
/// let images = Tensor::randn([2, 3, 4, 4], (Kind::Float, Device::Cpu));
/// let other = channels_last(&images).unwrap();
/// assert_eq!(other, images);
/// assert_eq!(other.stride(), [48, 1, 12, 3]);
/// assert!(is_channels_last(&other) && !is_channels_last(&images));
/// ```
pub fn channels_last(tensor: &Tensor) -> Result<Tensor> {
    Ok(owned(bridge::to_channels_last(cpp(tensor))?))
}

/// Whether a tensor has four dimensions and the order of [`channels_last`]. With one channel or one pixel
/// the row-major order qualifies too.
pub fn is_channels_last(tensor: &Tensor) -> bool {
    bridge::is_channels_last(cpp(tensor))
}

/// Whether a convolution of this input with this weight computes channels last, as libtorch reads their
/// strides: if either of them has that order. Strides that fit both orders count as row-major.
///
/// A 1×1 weight is contiguous and [`is_channels_last`] at once. After [`channels_last`] its strides make
/// the convolution compute channels last, whatever the input's are.
pub fn computes_channels_last(input: &Tensor, weight: &Tensor) -> bool {
    [input, weight].iter().any(|tensor| bridge::suggests_channels_last(cpp(tensor)))
}

#[cfg(test)]
mod tests;
