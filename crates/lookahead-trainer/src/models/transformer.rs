//! A decoder-only transformer on characters: learned positions, normalization before each part, causal
//! attention, and an MLP with GELU that is four times as wide.
//!
//! A. Vaswani and others, *Attention Is All You Need*, 2017; in the form of A. Radford and others,
//! *Language Models are Unsupervised Multitask Learners*, 2019.

use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::{self, Module};

use super::network::{DROPOUT, LAYERS, Network, WIDTH};
use crate::config::issue::{ConfigIssue, require};
use crate::config::key::Key;
use crate::config::kinds::KindOptions;
use crate::data::spec::DataSpec;
use crate::usage::UsageError;

/// The keys of `[model]` for this model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransformerOptions {
    /// Width of each layer.
    pub width: i64,
    /// The number of layers.
    pub layers: i64,
    /// Attention heads in each layer.
    pub heads: i64,
    /// The fraction of hidden activations that are dropped in training.
    pub dropout: f64,
}

impl Default for TransformerOptions {
    fn default() -> Self {
        TransformerOptions { width: 128, layers: 2, heads: 4, dropout: 0.0 }
    }
}

impl KindOptions for TransformerOptions {
    const KEYS: &'static [Key] = &[
        WIDTH,
        LAYERS,
        Key::whole("heads", "attention heads in each layer")
            .at_least(1.0)
            .allowed("a divisor of `width`"),
        DROPOUT,
    ];
    const TASKS: &'static [Task] = &[Task::Language];

    fn about(_kind: &str) -> &'static str {
        "a decoder-only transformer: for texts"
    }

    fn check(&self) -> Result<(), ConfigIssue> {
        let TransformerOptions { width, heads, .. } = *self;
        let allowed = format!("a divisor of `model.width`, {width}, which the heads share equally");
        require(width % heads == 0, "model.heads", heads, &allowed)
    }
}

/// The standard deviation of the initial weights, as in GPT-2.
const STDEV: f64 = 0.02;

/// The model.
#[derive(Debug)]
pub struct Transformer {
    embedding: nn::Embedding,
    position: nn::Embedding,
    layers: Vec<Layer>,
    norm: nn::LayerNorm,
    out: nn::Linear,
    heads: i64,
    dropout: f64,
    widest: usize,
}

#[derive(Debug)]
struct Layer {
    norm1: nn::LayerNorm,
    /// Queries, keys and values in one.
    qkv: nn::Linear,
    projection: nn::Linear,
    norm2: nn::LayerNorm,
    fc1: nn::Linear,
    fc2: nn::Linear,
}

/// Builds the model.
pub fn build(
    options: TransformerOptions,
    path: &nn::Path<'_>,
    spec: &DataSpec,
) -> Result<Transformer, UsageError> {
    let TransformerOptions { width, layers: count, heads, dropout } = options;
    let (characters, length) = spec.text()?;
    // The wider activation inside the MLP is freed soon.
    let widest = (length * characters.max(width)) as usize;
    let embedding = |name, count| {
        let init = nn::Init::Randn { mean: 0.0, stdev: STDEV };
        let config = nn::EmbeddingConfig { ws_init: init, ..Default::default() };
        nn::embedding(path / name, count, width, config)
    };
    let norm = |path| nn::layer_norm(path, vec![width], Default::default());
    // The layers' outputs are summed, so with more layers each starts smaller.
    let added = STDEV / (2.0 * count as f64).sqrt();
    let layers = (0..count).map(|i| {
        let path = path / "layers" / i;
        Layer {
            norm1: norm(&path / "norm1"),
            qkv: linear(&path / "attention" / "qkv", width, 3 * width, STDEV),
            projection: linear(&path / "attention" / "out", width, width, added),
            norm2: norm(&path / "norm2"),
            fc1: linear(&path / "mlp" / "fc1", width, 4 * width, STDEV),
            fc2: linear(&path / "mlp" / "fc2", 4 * width, width, added),
        }
    });
    let layers = layers.collect();
    Ok(Transformer {
        embedding: embedding("embedding", characters),
        position: embedding("position", length),
        layers,
        norm: norm(path / "norm"),
        out: linear(path / "out", width, characters, STDEV),
        heads,
        dropout,
        widest,
    })
}

fn linear(path: nn::Path<'_>, inputs: i64, outputs: i64, stdev: f64) -> nn::Linear {
    let config = nn::LinearConfig {
        ws_init: nn::Init::Randn { mean: 0.0, stdev },
        bs_init: Some(nn::Init::Const(0.0)),
        bias: true,
    };
    nn::linear(path, inputs, outputs, config)
}

impl Layer {
    fn attend(&self, x: &Tensor, heads: i64, dropout: f64) -> Tensor {
        // No sizes of the batch, which an export would keep as constants.
        let parts = x.apply(&self.qkv).chunk(3, -1);
        let by_heads: Vec<Tensor> =
            parts.iter().map(|part| part.unflatten(-1, [heads, -1]).transpose(1, 2)).collect();
        let [queries, keys, values] = [0, 1, 2].map(|i| &by_heads[i]);
        let causal = true;
        let mixed = Tensor::scaled_dot_product_attention(
            queries,
            keys,
            values,
            None::<&Tensor>,
            dropout,
            causal,
            None,
            false,
        );
        mixed.transpose(1, 2).flatten(2, 3).apply(&self.projection)
    }
}

impl Network for Transformer {
    fn outputs(&self, inputs: &Tensor, train: bool) -> Tensor {
        let length = inputs.size()[1];
        let drop = |x: Tensor| if self.dropout > 0.0 { x.dropout(self.dropout, train) } else { x };
        let positions = self.position.ws.narrow(0, 0, length);
        let mut x = drop(self.embedding.forward(inputs) + positions);
        for layer in &self.layers {
            let dropout = if train { self.dropout } else { 0.0 };
            let attended = layer.attend(&x.apply(&layer.norm1), self.heads, dropout);
            // A new tensor each time, since the backward pass needs the old one.
            x = &x + drop(attended);
            let mlp = x.apply(&layer.norm2).apply(&layer.fc1).gelu("none").apply(&layer.fc2);
            x = &x + drop(mlp);
        }
        x.apply(&self.norm).apply(&self.out)
    }

    fn widest(&self) -> usize {
        self.widest
    }
}

#[cfg(test)]
mod tests;
