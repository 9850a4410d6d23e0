//! Fully connected layers on the flattened image.

use lookahead_run::event::Task;
use tch::nn;

use super::{Entry, ModelConfig, Network, head};
use crate::data::Problem;
use crate::usage::UsageError;

/// The model.
pub const ENTRY: Entry = Entry {
    task: Task::Classification,
    keys: &["model.hidden", "model.dropout", "model.batch_norm"],
    resolve: |config| {
        config.hidden.get_or_insert_with(|| vec![256, 128]);
        Ok(())
    },
    widest: |config, problem| {
        let (shape, _) = problem.images().unwrap_or_default();
        let hidden = config.hidden.iter().flatten().copied();
        hidden.chain([shape.iter().product()]).max().unwrap_or(1) as usize
    },
    build,
};

/// Linear, (batch norm,) ReLU, (dropout) for each hidden width, then the output layer.
fn build(
    path: &nn::Path<'_>,
    config: &ModelConfig,
    problem: &Problem,
) -> Result<Box<dyn Network>, UsageError> {
    let (shape, classes) = problem.images()?;
    let flat = nn::seq_t().add_fn(|images| images.flat_view());
    Ok(Box::new(head(flat, path, config, shape.iter().product(), classes)))
}
