//! Long short-term memory on symbols: an embedding, layers of LSTM, and a linear layer to the symbols.
//!
//! S. Hochreiter, J. Schmidhuber, *Long Short-Term Memory*, 1997.

use lookahead_core::autocast::{self, Autocast};
use lookahead_run::event::Task;
use tch::nn::{self, Module};
use tch::{Kind as Element, Tensor};

use super::{Entry, ModelConfig, Network, WIDEST, check_layers};
use crate::config::check::{ConfigIssue, require};
use crate::data::Problem;
use crate::usage::UsageError;

/// The model.
pub const ENTRY: Entry = Entry {
    task: Task::Language,
    keys: &["model.embedding", "model.width", "model.layers", "model.dropout"],
    resolve,
    widest: |config, problem| {
        let (symbols, length) = problem.text().unwrap_or_default();
        // The gates of one place, which come one after the other, or the outputs of all.
        (length * symbols).max(4 * config.width.unwrap_or(256)) as usize
    },
    build,
};

fn resolve(config: &mut ModelConfig) -> Result<(), ConfigIssue> {
    let width = *config.width.get_or_insert(256);
    let allowed = format!("from 1 to {WIDEST}");
    require((1..=WIDEST).contains(&width), "model.width", width, &allowed)?;
    let embedding = *config.embedding.get_or_insert(64);
    require((1..=WIDEST).contains(&embedding), "model.embedding", embedding, &allowed)?;
    check_layers(*config.layers.get_or_insert(1))
}

#[derive(Debug)]
struct Lstm {
    embedding: nn::Embedding,
    layers: Vec<Layer>,
    out: nn::Linear,
    width: i64,
    dropout: f64,
}

/// Weights of the input and of the state, and their biases. These are the variables themselves, so
/// that they are always what the variables are; nothing is made of them before it is needed.
#[derive(Debug)]
struct Layer([Tensor; 4]);

/// Every piece begins with a state of zeros. Variables are named as PyTorch names them.
fn build(
    path: &nn::Path<'_>,
    config: &ModelConfig,
    problem: &Problem,
) -> Result<Box<dyn Network>, UsageError> {
    let (symbols, _) = problem.text()?;
    let (width, embedded) = (config.width.unwrap_or(256), config.embedding.unwrap_or(64));
    let embedding = nn::embedding(path / "embedding", symbols, embedded, Default::default());
    // As PyTorch draws them.
    let bound = 1.0 / (width as f64).sqrt();
    let init = nn::Init::Uniform { lo: -bound, up: bound };
    let lstm = path / "lstm";
    let layers = (0..config.layers.unwrap_or(1)).map(|i| {
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
    let out = nn::linear(path / "out", width, symbols, Default::default());
    Ok(Box::new(Lstm { embedding, layers, out, width, dropout: config.dropout }))
}

impl Network for Lstm {
    fn forward(&self, inputs: &Tensor, train: bool) -> Tensor {
        let mut x = self.embedding.forward(inputs);
        let zeros = Tensor::zeros([1, inputs.size()[0], self.width], (Element::Float, x.device()));
        // What the processor can't compute in a narrow type is computed in f32.
        let narrow = autocast::current(x.device()).filter(|narrow| !narrow.computes_lstm());
        let suspended = narrow.map(Autocast::suspend);
        for Layer(weights) in &self.layers {
            // Layer by layer, with the dropout of libtorch between: that of several layers in one
            // call draws from a generator of cuDNN's on a GPU, which no checkpoint has.
            (x, _, _) =
                x.lstm(&[&zeros, &zeros], &weights.each_ref(), true, 1, 0.0, train, false, true);
            if self.dropout > 0.0 {
                x = x.dropout(self.dropout, train);
            }
        }
        drop(suspended);
        self.out.forward(&x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use tch::Device;

    fn built(layers: i64, dropout: f64) -> (nn::VarStore, Box<dyn Network>) {
        let vs = nn::VarStore::new(Device::Cpu);
        let mut config = ModelConfig {
            kind: Kind::Lstm,
            width: Some(6),
            embedding: Some(3),
            layers: Some(layers),
            dropout,
            ..ModelConfig::default()
        };
        resolve(&mut config).unwrap();
        let network = build(&vs.root(), &config, &Problem::Text { symbols: 5, length: 4 }).unwrap();
        (vs, network)
    }

    #[test]
    fn a_symbol_is_told_only_from_those_before() {
        let (vs, network) = built(2, 0.0);
        let names = vs.variables();
        assert_eq!(names["lstm.weight_ih_l0"].size(), [24, 3]);
        assert_eq!(names["lstm.weight_ih_l1"].size(), [24, 6]);
        let pieces = Tensor::from_slice(&[1i64, 2, 3, 4, 1, 2, 0, 0]).reshape([2, 4]);
        let logits = network.forward(&pieces, true);
        assert_eq!(logits.size(), [2, 4, 5]);
        let row = |i: i64, from, count| logits.get(i).narrow(0, from, count);
        assert!(row(0, 0, 2).allclose(&row(1, 0, 2), 1e-5, 1e-6, false));
        assert!(!row(0, 2, 1).allclose(&row(1, 2, 1), 1e-5, 1e-6, false));
    }

    #[test]
    fn dropout_is_of_the_training() {
        let (_vs, network) = built(1, 0.5);
        let piece = Tensor::from_slice(&[1i64, 2, 3, 4]).reshape([1, 4]);
        assert_eq!(network.forward(&piece, false), network.forward(&piece, false));
        assert_ne!(network.forward(&piece, true), network.forward(&piece, true));
    }
}
