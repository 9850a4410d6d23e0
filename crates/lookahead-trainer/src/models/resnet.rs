//! Residual networks of basic blocks, in the form for small images.
//!
//! K. He, X. Zhang, S. Ren, J. Sun, *Deep Residual Learning for Image Recognition*, 2016. The first
//! convolution is 3×3 and there is no pooling before the end, since the images are small. With the defaults it
//! is the ResNet-18 of Lookahead's paper.

use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};
use tch::nn::{self, ModuleT};
use tch::{Tensor, nn::Module};

use super::network::{Network, WIDEST};
use super::pointwise::Pointwise;
use crate::config::key::Key;
use crate::config::kinds::KindOptions;
use crate::data::spec::DataSpec;
use crate::usage::UsageError;

/// The keys of `[model]` for this model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResnetOptions {
    /// Channels of the first stage. Each further stage doubles them.
    pub width: i64,
    /// Basic blocks of each stage.
    pub blocks: Vec<i64>,
}

impl Default for ResnetOptions {
    fn default() -> Self {
        ResnetOptions { width: 64, blocks: vec![2, 2, 2, 2] }
    }
}

impl KindOptions for ResnetOptions {
    const KEYS: &'static [Key] = &[
        Key::whole("width", "channels of the first stage, doubled in each further stage")
            .at_least(1.0)
            .at_most(WIDEST),
        Key::wholes("blocks", "basic blocks of each stage; the default is ResNet-18")
            .at_least(1.0)
            .at_most(1000.0)
            .values(1, 8),
    ];
    const TASKS: &'static [Task] = &[Task::Classification, Task::Regression, Task::Multilabel];

    fn about(_kind: &str) -> &'static str {
        "a residual network: for images"
    }
}

/// The model.
#[derive(Debug)]
pub struct ResNet {
    conv1: nn::Conv2D,
    bn1: nn::BatchNorm,
    blocks: Vec<Block>,
    fc: nn::Linear,
    widest: usize,
}

/// Two convolutions and a shortcut around them.
#[derive(Debug)]
struct Block {
    conv1: nn::Conv2D,
    bn1: nn::BatchNorm,
    conv2: nn::Conv2D,
    bn2: nn::BatchNorm,
    /// The 1×1 convolution in the shortcut, if the shape changes.
    downsample: Option<(Pointwise, nn::BatchNorm)>,
}

/// Builds the stages, each with fewer pixels and more channels. Variables have torchvision's names.
pub fn build(
    options: ResnetOptions,
    path: &nn::Path<'_>,
    spec: &DataSpec,
) -> Result<ResNet, UsageError> {
    let ([channels, mut height, mut width], classes) = spec.images()?;
    let mut inputs = options.width;
    let widest = (inputs * height * width) as usize;
    let conv1 = convolution(path / "conv1", channels, inputs, 1);
    let bn1 = normalization(path / "bn1", inputs);
    let stages = &options.blocks;
    let mut blocks = Vec::new();
    for (stage, &count) in stages.iter().enumerate() {
        let stride = if stage == 0 { 1 } else { 2 };
        let outputs = if stage == 0 { inputs } else { 2 * inputs };
        let halved = [height, width].map(|n: i64| (n + stride - 1) / stride);
        // Batch normalization of a single pixel would count only the samples of a batch.
        if stage > 0 && halved == [1, 1] {
            return Err(UsageError::new(format!(
                "`model.blocks` has {} stages, each of which after the first halves the image, and after {stage} \
                 it is only {height}×{width}. Use fewer.",
                stages.len()
            )));
        }
        [height, width] = halved;
        let stage = path / format!("layer{}", stage + 1);
        for i in 0..count {
            let (inputs, stride) = if i == 0 { (inputs, stride) } else { (outputs, 1) };
            blocks.push(Block::new(&(&stage / i), inputs, outputs, stride));
        }
        inputs = outputs;
    }
    let fc = nn::linear(path / "fc", inputs, classes, Default::default());
    Ok(ResNet { conv1, bn1, blocks, fc, widest })
}

/// A 3×3 convolution.
fn convolution(path: nn::Path<'_>, inputs: i64, outputs: i64, stride: i64) -> nn::Conv2D {
    // The normalization after it has a bias.
    let config = nn::ConvConfig { stride, padding: 1, bias: false, ..Default::default() };
    nn::conv2d(path, inputs, outputs, 3, config)
}

fn normalization(path: nn::Path<'_>, channels: i64) -> nn::BatchNorm {
    // tch would draw scales between 0 and 1, which shrink the signal over many layers.
    let config = nn::BatchNormConfig { ws_init: nn::Init::Const(1.0), ..Default::default() };
    nn::batch_norm2d(path, channels, config)
}

impl Block {
    fn new(path: &nn::Path<'_>, inputs: i64, outputs: i64, stride: i64) -> Self {
        let shortcut = path / "downsample";
        Block {
            conv1: convolution(path / "conv1", inputs, outputs, stride),
            bn1: normalization(path / "bn1", outputs),
            conv2: convolution(path / "conv2", outputs, outputs, 1),
            bn2: normalization(path / "bn2", outputs),
            downsample: (stride != 1 || inputs != outputs).then(|| {
                let convolution = Pointwise::new(&shortcut / 0, inputs, outputs, stride);
                (convolution, normalization(&shortcut / 1, outputs))
            }),
        }
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let inner = x.apply(&self.conv1).apply_t(&self.bn1, train).relu();
        let inner = inner.apply(&self.conv2).apply_t(&self.bn2, train);
        let shortcut = match &self.downsample {
            Some((convolution, normalization)) => {
                normalization.forward_t(&convolution.forward(x), train)
            }
            None => x.shallow_clone(),
        };
        (inner + shortcut).relu()
    }
}

impl Network for ResNet {
    fn outputs(&self, inputs: &Tensor, train: bool) -> Tensor {
        let stem = inputs.apply(&self.conv1).apply_t(&self.bn1, train).relu();
        let features = self.blocks.iter().fold(stem, |x, block| block.forward(&x, train));
        let pooled = features.mean_dim(&[2i64, 3][..], false, features.kind());
        self.fc.forward(&pooled)
    }

    fn widest(&self) -> usize {
        self.widest
    }
}

#[cfg(test)]
mod tests;
