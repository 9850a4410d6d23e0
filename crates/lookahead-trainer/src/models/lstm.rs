//! Long short-term memory on characters: an embedding, layers of LSTM, and a linear output layer.
//!
//! S. Hochreiter, J. Schmidhuber, *Long Short-Term Memory*, 1997.

use lookahead_core::tch_ext::autocast::{self, Autocast};
use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::{self, Module};

use super::network::{DROPOUT, LAYERS, Network, WIDEST, WIDTH};
use crate::config::key::Key;
use crate::config::kinds::KindOptions;
use crate::data::spec::DataSpec;
use crate::usage::UsageError;

/// The keys of `[model]` for this model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LstmOptions {
    /// Embedding size.
    pub embedding: i64,
    /// Width of each layer.
    pub width: i64,
    /// The number of layers.
    pub layers: i64,
    /// The fraction of hidden activations that are dropped in training.
    pub dropout: f64,
}

impl Default for LstmOptions {
    fn default() -> Self {
        LstmOptions { embedding: 64, width: 256, layers: 1, dropout: 0.0 }
    }
}

impl KindOptions for LstmOptions {
    const KEYS: &'static [Key] = &[
        Key::whole("embedding", "embedding size").at_least(1.0).at_most(WIDEST),
        WIDTH,
        LAYERS,
        DROPOUT,
    ];
    const TASKS: &'static [Task] = &[Task::Language];

    fn about(_kind: &str) -> &'static str {
        "a recurrent network: for texts"
    }
}

/// The model.
#[derive(Debug)]
pub struct Lstm {
    embedding: nn::Embedding,
    layers: Vec<Layer>,
    out: nn::Linear,
    width: i64,
    dropout: f64,
    widest: usize,
}

/// The weights of the input and of the state, and their biases: the variables themselves, so that they always
/// have the variables' values.
#[derive(Debug)]
struct Layer([Tensor; 4]);

/// Builds the model. Every sequence begins with a state of zeros. Variables have PyTorch's names.
pub fn build(
    options: LstmOptions,
    path: &nn::Path<'_>,
    spec: &DataSpec,
) -> Result<Lstm, UsageError> {
    let LstmOptions { embedding: embedded, width, layers, dropout } = options;
    let (characters, length) = spec.text()?;
    // The gates of one position at a time, or the outputs of all positions.
    let widest = (length * characters).max(4 * width) as usize;
    let embedding = nn::embedding(path / "embedding", characters, embedded, Default::default());
    // PyTorch's initialization.
    let bound = 1.0 / (width as f64).sqrt();
    let init = nn::Init::Uniform { lo: -bound, up: bound };
    let lstm = path / "lstm";
    let layers = (0..layers).map(|i| {
        let inputs = if i == 0 { embedded } else { width };
        let gates = 4 * width;
        Layer([
            lstm.var(&format!("weight_ih_l{i}"), &[gates, inputs], init),
            lstm.var(&format!("weight_hh_l{i}"), &[gates, width], init),
            lstm.var(&format!("bias_ih_l{i}"), &[gates], init),
            lstm.var(&format!("bias_hh_l{i}"), &[gates], init),
        ])
    });
    let layers = layers.collect();
    let out = nn::linear(path / "out", width, characters, Default::default());
    Ok(Lstm { embedding, layers, out, width, dropout, widest })
}

impl Network for Lstm {
    fn outputs(&self, inputs: &Tensor, train: bool) -> Tensor {
        let mut x = self.embedding.forward(inputs);
        // A state of zeros for each sequence. An export would keep the batch size as a constant.
        let zeros = x.narrow(1, 0, 1).narrow(2, 0, 1).transpose(0, 1).zeros_like();
        let zeros = zeros.expand([1, -1, self.width], false).contiguous();
        // A processor that can't compute an LSTM in a narrow type computes it in f32.
        let narrow = autocast::current(x.device()).filter(|narrow| !narrow.computes_lstm());
        let suspended = narrow.map(Autocast::suspend);
        for Layer(weights) in &self.layers {
            // One call per layer, with libtorch's dropout in between: the dropout of a call with several layers
            // draws from cuDNN's generator on a GPU, which no checkpoint has.
            (x, _, _) =
                x.lstm(&[&zeros, &zeros], &weights.each_ref(), true, 1, 0.0, train, false, true);
            if self.dropout > 0.0 {
                x = x.dropout(self.dropout, train);
            }
        }
        drop(suspended);
        self.out.forward(&x)
    }

    fn widest(&self) -> usize {
        self.widest
    }

    fn note(&self, narrow: Autocast) -> Option<String> {
        (!narrow.computes_lstm()).then(|| {
            "`train.autocast` is bf16, but this processor can't compute an LSTM in bfloat16. Its layers compute \
             in f32, and only the output layer in bfloat16."
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests;
