//! Convolutions whose kernel is one pixel, with a stride.

use lookahead_core::tch_ext::memory_format::computes_channels_last;
use tch::Tensor;
use tch::nn::{self, Module};

/// Below this many input channels, channels last, the convolution is computed without its stride. libtorch's
/// kernel for AVX2 writes outside its memory below 8, the width of its vectors; 16 is that of AVX-512's. All
/// processors do as that one must, so that results don't depend on it. See docs/processors.md.
const LEAST_CHANNELS: i64 = 16;

/// Such a convolution, without a bias.
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
        // The kernel sees every stride-th pixel and no other.
        let every = |dim, x: &Tensor| x.slice(dim, None, None, self.stride);
        every(3, &every(2, x)).conv2d(weight, None::<&Tensor>, 1, 0, 1, 1)
    }
}

#[cfg(test)]
mod tests;
