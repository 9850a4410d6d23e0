//! The order of a tensor's elements in memory.
//!
//! A tensor of images has the shape (n, channels, height, width) whatever that order is: it is in the
//! strides alone. Saving one in another order than the usual takes a `contiguous()` before.

use tch::Tensor;

use crate::Result;
use crate::ffi::bridge;

/// The same tensor, of four dimensions, with all channels of a pixel side by side in memory: PyTorch's
/// `channels_last`. Convolutions whose weights and inputs lie so compute so, and their outputs do too;
/// on many processors and GPUs that is faster, and the same up to rounding.
///
/// # A fault of libtorch 2.13
///
/// On processors with AVX2 and without AVX-512, the gradient of the weight of a convolution that computes so,
/// with a kernel of one pixel, a stride, no padding, and at most 7 input channels, is written outside its
/// memory: the program crashes, or continues with wrong numbers elsewhere. Don't let a
/// convolution with a kernel of one pixel and a stride compute channels last below 16 input channels: take every
/// second pixel by `slice`, and convolve those with stride 1, which gives the same. `just scan-kernels` looks
/// for such faults, and `docs/processors.md` has what it found.
///
/// A tensor that lies so already is returned as it is, on the same memory; else it is a copy, through
/// which gradients flow.
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
///
/// # Errors
/// Where the tensor has not four dimensions.
pub fn channels_last(tensor: &Tensor) -> Result<Tensor> {
    // SAFETY: the pointer is a live at::Tensor for the length of the call. The shim allocates the
    // result with `new` for us alone; tch's Tensor frees it.
    unsafe { Ok(Tensor::from_ptr(bridge::to_channels_last(tensor.as_ptr().cast())?.cast())) }
}

/// Whether a tensor has four dimensions and lies as [`channels_last`] makes it. One with a single
/// channel, or with a single pixel, does so in the usual order too.
pub fn is_channels_last(tensor: &Tensor) -> bool {
    // SAFETY: the pointer is a live at::Tensor for the length of the call.
    unsafe { bridge::is_channels_last(tensor.as_ptr().cast()) }
}

/// Whether a convolution of this input with this weight computes channels last, as libtorch reads their
/// strides. It does if one of them lies so; strides that mean either order are the usual one.
///
/// A weight with a kernel of one pixel is contiguous and [`is_channels_last`] at once, and after
/// [`channels_last`] it has strides by which the convolution computes channels last, whatever the input's are.
pub fn computes_channels_last(input: &Tensor, weight: &Tensor) -> bool {
    // SAFETY: the pointers are live at::Tensors for the length of the calls.
    [input, weight]
        .iter()
        .any(|tensor| unsafe { bridge::suggests_channels_last(tensor.as_ptr().cast()) })
}

#[cfg(test)]
mod tests;
