//! Fully connected layers with sines between them.

use lookahead_trainer::{ConfigIssue, DataSpec, KindOptions, Task, require};
use serde::{Deserialize, Serialize};
use tch::nn;

/// The keys of `[model]` for this model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SinesOptions {
    /// Widths of the hidden layers.
    pub hidden: Vec<i64>,
}

impl Default for SinesOptions {
    fn default() -> Self {
        SinesOptions { hidden: vec![64, 64] }
    }
}

impl KindOptions for SinesOptions {
    const TASKS: &'static [Task] = &[Task::Classification];

    fn check(&self) -> Result<(), ConfigIssue> {
        let fits = self.hidden.iter().all(|width| (1..=4096).contains(width));
        let found = format!("{:?}", self.hidden);
        require(fits, "model.hidden", found, "a list of widths from 1 to 4096")
    }
}

/// Linear and sine for each hidden width, then the output layer.
pub fn build(
    options: SinesOptions,
    path: &nn::Path<'_>,
    spec: &DataSpec,
) -> anyhow::Result<nn::SequentialT> {
    let mut width = spec.inputs.shape.iter().product::<usize>() as i64;
    let outputs = spec.outputs.unwrap_or(1) as i64;
    let mut layers = nn::seq_t().add_fn(|inputs| inputs.flatten(1, -1));
    for (i, &next) in options.hidden.iter().enumerate() {
        let linear = nn::linear(path / format!("fc{}", i + 1), width, next, Default::default());
        layers = layers.add(linear).add_fn(|x| (x * 2.0).sin());
        width = next;
    }
    Ok(layers.add(nn::linear(path / "out", width, outputs, Default::default())))
}
