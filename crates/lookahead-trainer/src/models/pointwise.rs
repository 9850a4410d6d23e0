//! 1×1 convolutions with a stride.

use lookahead_core::tch_ext::memory_format::computes_channels_last;
use tch::Tensor;
use tch::nn::{self, Module};

/// With fewer input channels, a channels-last convolution is computed without its stride. libtorch's kernel
/// writes outside its memory below the width of its vectors, which is 8 for AVX2 and 16 for AVX-512. All
/// processors use the same limit, so that results don't depend on the processor. See docs/processors.md.
const LEAST_CHANNELS: i64 = 16;

/// A 1×1 convolution without a bias.
#[derive(Debug)]
pub(super) struct Pointwise {
    convolution: nn::Conv2D,
    stride: i64,
}

impl Pointwise {
    pub(super) fn new(path: nn::Path<'_>, inputs: i64, outputs: i64, stride: i64) -> Self {
        let config = nn::ConvConfig { stride, bias: false, ..Default::default() };
        Pointwise { convolution: nn::conv2d(path, inputs, outputs, 1, config), stride }
    }

    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        let weight = &self.convolution.ws;
        let [_, inputs, ..] = weight.size()[..] else { unreachable!("it has four dimensions") };
        if self.stride == 1 || inputs >= LEAST_CHANNELS || !computes_channels_last(x, weight) {
            return self.convolution.forward(x);
        }
        // The kernel only reads every stride-th pixel.
        let every = |dim, x: &Tensor| x.slice(dim, None, None, self.stride);
        every(3, &every(2, x)).conv2d(weight, None::<&Tensor>, 1, 0, 1, 1)
    }
}

#[cfg(test)]
mod tests;
