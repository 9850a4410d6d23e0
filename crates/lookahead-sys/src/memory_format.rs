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
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn random(shape: &[i64]) -> Tensor {
        Tensor::randn(shape, (Kind::Float, Device::Cpu))
    }

    #[test]
    fn values_stay_in_their_places() {
        for shape in [[2, 3, 4, 5], [2, 1, 4, 5], [4, 3, 1, 1], [0, 3, 4, 5]] {
            let usual = random(&shape);
            let moved = channels_last(&usual).unwrap();
            assert_eq!(moved.size(), shape);
            assert!(is_channels_last(&moved), "{shape:?}");
            assert_eq!(moved, usual);
            assert_eq!(moved.contiguous().view([-1]), usual.view([-1]), "{shape:?}");
            assert_eq!(channels_last(&moved).unwrap().data_ptr(), moved.data_ptr(), "{shape:?}");
        }
    }

    #[test]
    fn other_numbers_of_dimensions_are_refused() {
        for shape in [&[][..], &[3], &[3, 4], &[1, 2, 3, 4, 5]] {
            let error = channels_last(&random(shape)).unwrap_err().to_string();
            assert!(error.contains("rank 4"), "{error}");
            assert!(!is_channels_last(&random(shape)));
        }
        assert!(channels_last(&Tensor::new()).is_err());
    }

    /// Both in the order of their weights, though the image has one channel only.
    #[test]
    fn a_convolution_keeps_the_order_and_its_gradient_has_it() {
        tch::manual_seed(1);
        let image = channels_last(&random(&[2, 1, 6, 6])).unwrap();
        let weight = channels_last(&random(&[4, 1, 3, 3])).unwrap().set_requires_grad(true);
        let second = channels_last(&random(&[5, 4, 3, 3])).unwrap().set_requires_grad(true);
        let convolved = |x: &Tensor, w: &Tensor| x.conv2d(w, None::<&Tensor>, 1, 0, 1, 1);
        let first = convolved(&image, &weight);
        assert!(is_channels_last(&first) && !first.is_contiguous(), "{:?}", first.stride());
        convolved(&first, &second).square().sum(Kind::Float).backward();
        assert_eq!(second.grad().stride(), second.stride());
    }

    /// Strides that mean either order are the usual one, unless they were made so.
    #[test]
    fn a_convolution_computes_channels_last_if_input_or_weight_does() {
        for (inputs, kernel) in [(3, 1), (3, 3), (1, 3), (1, 1)] {
            let image = random(&[2, inputs, 6, 6]);
            let weight = random(&[4, inputs, kernel, kernel]);
            let (image_last, weight_last) =
                (channels_last(&image).unwrap(), channels_last(&weight).unwrap());
            let shape = (inputs, kernel);
            assert!(!computes_channels_last(&image, &weight), "{shape:?}");
            assert!(computes_channels_last(&image_last, &weight), "{shape:?}");
            // One number has no order.
            assert_eq!(computes_channels_last(&image, &weight_last), shape != (1, 1), "{shape:?}");
            let none = None::<&Tensor>;
            for (x, w) in [(&image, &weight), (&image_last, &weight), (&image, &weight_last)] {
                let convolved = x.conv2d(w, none, 1, 0, 1, 1);
                let found = is_channels_last(&convolved) && !convolved.is_contiguous();
                assert_eq!(found, computes_channels_last(x, w), "{shape:?}");
            }
        }
    }
}
