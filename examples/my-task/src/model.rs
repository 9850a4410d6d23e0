//! The model: one hidden layer.

use lookahead_trainer::{ConfigIssue, DataSpec, Key, KindOptions, require};
use serde::{Deserialize, Serialize};
use tch::nn;

/// The keys of `[model]` for this model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelOptions {
    /// The width of the hidden layer.
    pub width: i64,
}

impl Default for ModelOptions {
    fn default() -> Self {
        ModelOptions { width: 32 }
    }
}

impl KindOptions for ModelOptions {
    const KEYS: &'static [Key] =
        &[Key::whole("width", "width of the hidden layer").allowed("1 to 4096")];

    fn check(&self) -> Result<(), ConfigIssue> {
        require((1..=4096).contains(&self.width), "model.width", self.width, "1 to 4096")
    }
}

/// Makes the layers.
pub fn build(
    options: ModelOptions,
    path: &nn::Path<'_>,
    spec: &DataSpec,
) -> anyhow::Result<nn::Sequential> {
    let inputs = spec.inputs.shape.iter().product::<usize>() as i64;
    let outputs = spec.outputs.unwrap_or(1) as i64;
    let layers = nn::seq().add_fn(|inputs| inputs.flatten(1, -1));
    let layers = layers.add(nn::linear(path / "hidden", inputs, options.width, Default::default()));
    let layers = layers.add_fn(|inputs| inputs.tanh());
    Ok(layers.add(nn::linear(path / "out", options.width, outputs, Default::default())))
}
