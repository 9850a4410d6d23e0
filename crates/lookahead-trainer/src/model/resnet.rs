//! Residual networks of basic blocks, in the form for small images.
//!
//! K. He, X. Zhang, S. Ren, J. Sun, *Deep Residual Learning for Image Recognition*, 2016. The first
//! convolution is 3×3 and nothing is pooled before the end, since images of 32×32 have no pixels to
//! spare. With the defaults it is the ResNet-18 of Lookahead's paper.

use serde::{Deserialize, Serialize};
use tch::nn::{self, ModuleT};
use tch::{Tensor, nn::Module};

use super::network::{Network, WIDEST};
use super::pointwise::Pointwise;
use crate::config::check::{ConfigIssue, require};
use crate::config::kinds::Options;
use crate::data::dataset::Problem;
use crate::usage::UsageError;

/// Most stages: each doubles the channels.
const STAGES: usize = 8;
/// Most blocks in a stage.
const BLOCKS: i64 = 1000;

/// Options of the model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResnetOptions {
    /// Channels of the first stage, doubled in each further one.
    pub width: i64,
    /// Basic blocks of each stage.
    pub blocks: Vec<i64>,
}

impl Default for ResnetOptions {
    fn default() -> Self {
        ResnetOptions { width: 64, blocks: vec![2, 2, 2, 2] }
    }
}

impl Options for ResnetOptions {
    fn check(&self) -> Result<(), ConfigIssue> {
        let ResnetOptions { width, blocks } = self;
        let allowed = format!("from 1 to {WIDEST}: the channels of the first stage");
        require((1..=WIDEST).contains(width), "model.width", width, &allowed)?;
        let fits = (1..=STAGES).contains(&blocks.len());
        let fits = fits && blocks.iter().all(|count| (1..=BLOCKS).contains(count));
        let allowed =
            format!("a list of 1 to {STAGES} numbers from 1 to {BLOCKS}: blocks of each stage");
        require(fits, "model.blocks", format!("{blocks:?}"), &allowed)
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

/// Two convolutions and a way around them.
#[derive(Debug)]
struct Block {
    conv1: nn::Conv2D,
    bn1: nn::BatchNorm,
    conv2: nn::Conv2D,
    bn2: nn::BatchNorm,
    /// Where the shape changes on the way, a convolution of one pixel changes it beside too.
    downsample: Option<(Pointwise, nn::BatchNorm)>,
}

/// Stages of blocks on ever fewer pixels and ever more channels. Variables are named as PyTorch's
/// torchvision names them.
///
/// # Errors
/// A usage error if the data has no images, or they are too small.
pub fn build(
    options: ResnetOptions,
    path: &nn::Path<'_>,
    problem: &Problem,
) -> Result<ResNet, UsageError> {
    let ([channels, mut height, mut width], classes) = problem.images()?;
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
        // Batch normalization of a single pixel would have only the samples of a batch to count.
        if stage > 0 && halved == [1, 1] {
            return Err(UsageError::new(format!(
                "`model.blocks` has {} stages, and after {stage} the image is only \
                 {height}×{width}: each after the first halves it, so take fewer.",
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

/// Of 3×3 pixels.
fn convolution(path: nn::Path<'_>, inputs: i64, outputs: i64, stride: i64) -> nn::Conv2D {
    // The normalization after it has a bias already.
    let config = nn::ConvConfig { stride, padding: 1, bias: false, ..Default::default() };
    nn::conv2d(path, inputs, outputs, 3, config)
}

fn normalization(path: nn::Path<'_>, channels: i64) -> nn::BatchNorm {
    // tch would draw the scales between 0 and 1, and the signal would be lost over many layers.
    let config = nn::BatchNormConfig { ws_init: nn::Init::Const(1.0), ..Default::default() };
    nn::batch_norm2d(path, channels, config)
}

impl Block {
    fn new(path: &nn::Path<'_>, inputs: i64, outputs: i64, stride: i64) -> Self {
        let around = path / "downsample";
        Block {
            conv1: convolution(path / "conv1", inputs, outputs, stride),
            bn1: normalization(path / "bn1", outputs),
            conv2: convolution(path / "conv2", outputs, outputs, 1),
            bn2: normalization(path / "bn2", outputs),
            downsample: (stride != 1 || inputs != outputs).then(|| {
                let convolution = Pointwise::new(&around / 0, inputs, outputs, stride);
                (convolution, normalization(&around / 1, outputs))
            }),
        }
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let inner = x.apply(&self.conv1).apply_t(&self.bn1, train).relu();
        let inner = inner.apply(&self.conv2).apply_t(&self.bn2, train);
        let around = match &self.downsample {
            Some((convolution, normalization)) => {
                normalization.forward_t(&convolution.forward(x), train)
            }
            None => x.shallow_clone(),
        };
        (inner + around).relu()
    }
}

impl Network for ResNet {
    fn forward(&self, inputs: &Tensor, train: bool) -> Tensor {
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
mod tests {
    use super::*;
    use crate::config::model::ModelConfig;
    use crate::data::batches::Batches;
    use crate::data::dataset::{Dataset, LoadContext};
    use crate::data::images::{ImageOptions, Images};
    use crate::model::Model;
    use tch::{Device, Kind as Element};

    fn built(
        shape: [usize; 3],
        classes: usize,
        width: i64,
        blocks: &[i64],
    ) -> Result<(nn::VarStore, ResNet), UsageError> {
        let vs = nn::VarStore::new(Device::Cpu);
        let options = ResnetOptions { width, blocks: blocks.to_vec() };
        options.check().unwrap();
        let network = build(options, &vs.root(), &Problem::Images { shape, classes })?;
        Ok((vs, network))
    }

    fn parameters(vs: &nn::VarStore) -> usize {
        vs.trainable_variables().iter().map(Tensor::numel).sum()
    }

    #[test]
    fn resnet_18_has_its_parameters_under_their_names() {
        let (vs, _) = built([3, 32, 32], 10, 64, &[2, 2, 2, 2]).unwrap();
        assert_eq!(parameters(&vs), 11_173_962);
        let names = vs.variables();
        for name in
            ["conv1.weight", "bn1.running_var", "layer1.0.conv2.weight", "layer4.1.bn2.bias"]
        {
            assert!(names.contains_key(name), "{name}");
        }
        assert_eq!(names["layer2.0.downsample.0.weight"].size(), [128, 64, 1, 1]);
        assert!(!names.contains_key("layer1.0.downsample.0.weight"));
        assert_eq!(names["fc.weight"].size(), [10, 512]);
    }

    /// By hand: conv1 9·3·16, bn 2·16; per block 9·in·out + 9·out·out + 4·out, and around it
    /// in·out + 2·out.
    #[test]
    fn a_small_one_by_hand() {
        let (vs, network) = built([1, 28, 28], 10, 16, &[1, 1, 1]).unwrap();
        let first = 9 * 16 + 2 * 16 + 2 * 9 * 16 * 16 + 4 * 16;
        let second = 9 * 16 * 32 + 9 * 32 * 32 + 4 * 32 + 16 * 32 + 2 * 32;
        let third = 9 * 32 * 64 + 9 * 64 * 64 + 4 * 64 + 32 * 64 + 2 * 64;
        assert_eq!(parameters(&vs), first + second + third + 64 * 10 + 10);
        let images = Tensor::randn([2, 1, 28, 28], (Element::Float, Device::Cpu));
        assert_eq!(network.forward(&images, true).size(), [2, 10]);
        // What comes of an image in evaluation does not depend on those beside it.
        let (both, one) =
            (network.forward(&images, false), network.forward(&images.narrow(0, 1, 1), false));
        assert!(both.narrow(0, 1, 1).allclose(&one, 1e-5, 1e-6, false));
    }

    #[test]
    fn more_stages_than_an_image_has_pixels_for() {
        let said = built([1, 8, 8], 10, 4, &[1, 1, 1, 1]).unwrap_err().to_string();
        assert!(said.contains("`model.blocks` has 4 stages") && said.contains("2×2"), "{said}");
        built([1, 8, 8], 10, 4, &[1, 1, 1]).unwrap();
    }

    /// A sample of one pixel has one value for each channel.
    #[test]
    fn a_batch_of_one_pixel_is_refused() {
        let options = toml::toml! {
            width = 4
            blocks = [1]
        };
        let config = ModelConfig { kind: "resnet".into(), options };
        let check = |shape: [usize; 3], samples: usize| {
            let mut images = Images::none(shape, &[0.5], &[0.5]);
            images.pixels = vec![0; samples * shape.iter().product::<usize>()];
            images.labels = vec![0; samples];
            let none = Images::none(shape, &[0.5], &[0.5]);
            let context = LoadContext { name: "images", batch_size: 4, validation: 0 };
            let options = ImageOptions::default();
            let data = Dataset::of_images(&context, options, 10, images, none).unwrap();
            let model = Model::new(&config, &data, Device::Cpu).unwrap();
            model.check_batches(&Batches::new(samples, 4, 0, 0, 0), &data)
        };
        let refused = check([3, 1, 1], 9).unwrap_err().to_string();
        assert!(refused.contains("1 sample") && refused.contains("no variance"), "{refused}");
        check([3, 1, 1], 8).unwrap();
        check([3, 1, 2], 9).unwrap();
    }
}
