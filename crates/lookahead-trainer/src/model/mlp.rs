//! Fully connected layers on the flattened image.

use tch::nn;

use super::{ModelConfig, head};

/// Linear, (batch norm,) ReLU, (dropout) for each hidden width, then the output layer.
pub(super) fn layers(
    path: &nn::Path<'_>,
    config: &ModelConfig,
    shape: [i64; 3],
    classes: i64,
) -> nn::SequentialT {
    let flat = nn::seq_t().add_fn(|images| images.flat_view());
    head(flat, path, config, shape.iter().product(), classes)
}
