//! 3×3 convolutions with pooling, then fully connected layers.

use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};
use tch::{Tensor, nn};

use super::network::{BATCH_NORM, DROPOUT, HIDDEN, Head, Sequential, WIDEST, add_head};
use crate::config::key::Key;
use crate::config::kinds::KindOptions;
use crate::data::spec::DataSpec;
use crate::usage::UsageError;

/// The keys of `[model]` for this model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CnnOptions {
    /// Output channels of each convolution. Each one halves height and width.
    pub channels: Vec<i64>,
    /// Widths of the hidden fully connected layers.
    pub hidden: Vec<i64>,
    /// The fraction of hidden activations that are dropped in training.
    pub dropout: f64,
    /// Whether batch normalization follows each hidden layer.
    pub batch_norm: bool,
}

impl Default for CnnOptions {
    fn default() -> Self {
        let (channels, hidden) = (vec![16, 32], vec![128]);
        CnnOptions { channels, hidden, dropout: 0.0, batch_norm: false }
    }
}

impl KindOptions for CnnOptions {
    const KEYS: &'static [Key] = &[
        Key::wholes(
            "channels",
            "output channels of each 3×3 convolution; each is followed by 2×2 pooling",
        )
        .at_least(1.0)
        .at_most(WIDEST),
        HIDDEN,
        DROPOUT,
        BATCH_NORM,
    ];
    const TASKS: &'static [Task] = &[Task::Classification, Task::Regression, Task::Multilabel];

    fn about(_kind: &str) -> &'static str {
        "convolutions, then fully connected layers: for images"
    }
}

/// The size of the largest activation: usually the output of a convolution before pooling.
fn widest(options: &CnnOptions, [channels, height, width]: [i64; 3]) -> usize {
    let outputs = options.channels.iter().enumerate().map(|(i, next)| {
        let halved = |n: i64| n >> i.min(62);
        next * halved(height) * halved(width)
    });
    let largest = outputs.chain([channels * height * width]).chain(options.hidden.iter().copied());
    largest.max().unwrap_or(1) as usize
}

/// Convolution, (batch norm,) ReLU and 2×2 max pooling for each of `model.channels`, then the head.
pub fn build(
    options: CnnOptions,
    path: &nn::Path<'_>,
    spec: &DataSpec,
) -> Result<Sequential, UsageError> {
    let (shape, classes) = spec.images()?;
    let widest = widest(&options, shape);
    let [mut channels, mut height, mut width] = shape;
    let mut layers = nn::seq_t();
    for (i, &next) in options.channels.iter().enumerate() {
        if height < 2 || width < 2 {
            return Err(UsageError::new(format!(
                "`model.channels` has {} convolutions, each of which halves the image, and after {i} it is \
                 only {height}×{width}. Use fewer.",
                options.channels.len()
            )));
        }
        let padded = nn::ConvConfig { padding: 1, ..Default::default() };
        layers = layers.add(nn::conv2d(path / format!("conv{}", i + 1), channels, next, 3, padded));
        if options.batch_norm {
            layers = layers.add(nn::batch_norm2d(
                path / format!("conv_bn{}", i + 1),
                next,
                Default::default(),
            ));
        }
        layers = layers.add_fn(Tensor::relu).add_fn(|x| x.max_pool2d_default(2));
        (channels, height, width) = (next, height / 2, width / 2);
    }
    // Not a view, since channels-last images must be copied for this order.
    let layers = layers.add_fn(|images| images.flatten(1, -1));
    let CnnOptions { hidden, dropout, batch_norm, .. } = &options;
    let head = Head { hidden, dropout: *dropout, batch_norm: *batch_norm };
    Ok(Sequential {
        layers: add_head(layers, path, &head, channels * height * width, classes),
        widest,
    })
}
