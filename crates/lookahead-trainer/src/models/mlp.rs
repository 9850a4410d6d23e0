//! Fully connected layers on samples of any shape.

use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};
use tch::nn;

use super::network::{BATCH_NORM, DROPOUT, HIDDEN, Head, Sequential, add_head};
use crate::config::key::Key;
use crate::config::kinds::KindOptions;
use crate::data::spec::DataSpec;
use crate::usage::UsageError;

/// The keys of `[model]` for this model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MlpOptions {
    /// Widths of the hidden layers.
    pub hidden: Vec<i64>,
    /// The fraction of hidden activations that are dropped in training.
    pub dropout: f64,
    /// Whether batch normalization follows each hidden layer.
    pub batch_norm: bool,
}

impl Default for MlpOptions {
    fn default() -> Self {
        MlpOptions { hidden: vec![256, 128], dropout: 0.0, batch_norm: false }
    }
}

impl KindOptions for MlpOptions {
    const KEYS: &'static [Key] = &[HIDDEN, DROPOUT, BATCH_NORM];
    const TASKS: &'static [Task] = &[Task::Classification, Task::Regression, Task::Multilabel];

    fn about(_kind: &str) -> &'static str {
        "fully connected layers: for images, tables and arrays"
    }
}

/// Linear, (batch norm,) ReLU, (dropout) for each hidden width, then the output layer.
pub fn build(
    options: MlpOptions,
    path: &nn::Path<'_>,
    spec: &DataSpec,
) -> Result<Sequential, UsageError> {
    let MlpOptions { hidden, dropout, batch_norm } = &options;
    let (inputs, outputs) = spec.values()?;
    let widest = hidden.iter().copied().chain([inputs]).max().unwrap_or(1) as usize;
    let head = Head { hidden, dropout: *dropout, batch_norm: *batch_norm };
    // Without the batch size, which an export would keep as a constant.
    let flat = nn::seq_t().add_fn(move |samples| samples.reshape([-1, inputs]));
    Ok(Sequential { layers: add_head(flat, path, &head, inputs, outputs), widest })
}
