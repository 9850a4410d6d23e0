//! 3×3 convolutions with pooling, then fully connected layers.

use lookahead_run::event::Task;
use tch::{Tensor, nn};

use super::{Entry, ModelConfig, Network, head};
use crate::data::Problem;
use crate::usage::UsageError;

/// The model.
pub const ENTRY: Entry = Entry {
    task: Task::Classification,
    keys: &["model.channels", "model.hidden", "model.dropout", "model.batch_norm"],
    resolve: |config| {
        config.channels.get_or_insert_with(|| vec![16, 32]);
        config.hidden.get_or_insert_with(|| vec![128]);
        Ok(())
    },
    widest,
    build,
};

/// A convolution's output, before it is pooled.
fn widest(config: &ModelConfig, problem: &Problem) -> usize {
    let ([channels, height, width], _) = problem.images().unwrap_or_default();
    let outputs = config.channels.iter().flatten().enumerate().map(|(i, next)| {
        let halved = |n: i64| n >> i.min(62);
        next * halved(height) * halved(width)
    });
    let largest =
        outputs.chain([channels * height * width]).chain(config.hidden.iter().flatten().copied());
    largest.max().unwrap_or(1) as usize
}

/// Convolution, (batch norm,) ReLU and 2×2 max pooling for each of `model.channels`, then the head.
fn build(
    path: &nn::Path<'_>,
    config: &ModelConfig,
    problem: &Problem,
) -> Result<Box<dyn Network>, UsageError> {
    let ([mut channels, mut height, mut width], classes) = problem.images()?;
    let mut layers = nn::seq_t();
    for (i, &next) in config.channels.iter().flatten().enumerate() {
        if height < 2 || width < 2 {
            return Err(UsageError::new(format!(
                "`model.channels` has {} convolutions, and after {i} the image is only \
                 {height}×{width}: each halves it, so take fewer.",
                config.channels.as_ref().map_or(0, Vec::len)
            )));
        }
        let padded = nn::ConvConfig { padding: 1, ..Default::default() };
        layers = layers.add(nn::conv2d(path / format!("conv{}", i + 1), channels, next, 3, padded));
        if config.batch_norm {
            layers = layers.add(nn::batch_norm2d(
                path / format!("conv_bn{}", i + 1),
                next,
                Default::default(),
            ));
        }
        layers = layers.add_fn(Tensor::relu).add_fn(|x| x.max_pool2d_default(2));
        (channels, height, width) = (next, height / 2, width / 2);
    }
    // Channels last there is no view of them in this order, and this copies.
    let layers = layers.add_fn(|images| images.flatten(1, -1));
    Ok(Box::new(head(layers, path, config, channels * height * width, classes)))
}
