//! What every model is, and parts that several have.

use std::fmt;

use lookahead_core::tch_ext::autocast::Autocast;
use tch::Tensor;
use tch::nn::{self, ModuleT};

use crate::config::check::{ConfigIssue, format_number, require};

/// A model's computation; its variables are in the store that it was built in.
pub trait Network: fmt::Debug {
    /// From inputs of shape (n, …): logits of shape (n, classes) for images, (n, length, symbols) for
    /// sequences of text; the loss of each, of shape (n), for a quadratic problem.
    fn forward(&self, inputs: &Tensor, train: bool) -> Tensor;

    /// Numbers in the largest result between two layers for one sample, about: it decides how many samples an
    /// evaluation takes together.
    fn widest(&self) -> usize {
        4096
    }

    /// What of it this machine can't compute in a narrow type, as a sentence.
    fn note(&self, _narrow: Autocast) -> Option<String> {
        None
    }
}

/// Layers one after the other.
#[derive(Debug)]
pub struct Sequential {
    pub(super) layers: nn::SequentialT,
    pub(super) widest: usize,
}

impl Network for Sequential {
    fn forward(&self, inputs: &Tensor, train: bool) -> Tensor {
        self.layers.forward_t(inputs, train)
    }

    fn widest(&self) -> usize {
        self.widest
    }
}

/// A bound far above what is of use, and far below where sizes overflow.
pub(super) const WIDEST: i64 = 1 << 20;

/// An error unless so many layers can be meant.
pub(super) fn check_layers(layers: i64) -> Result<(), ConfigIssue> {
    require((1..=1000).contains(&layers), "model.layers", layers, "from 1 to 1000")
}

/// An error unless all of a list are widths.
pub(super) fn check_widths(key: &'static str, widths: &[i64]) -> Result<(), ConfigIssue> {
    let fits = widths.iter().all(|width| (1..=WIDEST).contains(width));
    let allowed = format!("a list of widths from 1 to {WIDEST}");
    require(fits, key, format!("{widths:?}"), &allowed)
}

/// An error unless it is a fraction that leaves something.
pub(super) fn check_dropout(dropout: f64) -> Result<(), ConfigIssue> {
    let allowed = "at least 0 and below 1";
    require((0.0..1.0).contains(&dropout), "model.dropout", format_number(dropout), allowed)
}

/// The fully connected layers at the end of a model.
pub(super) struct Head<'a> {
    /// Widths of the hidden layers.
    pub hidden: &'a [i64],
    /// Fraction of hidden activations that are dropped in training.
    pub dropout: f64,
    /// Whether batch normalization follows each hidden layer.
    pub batch_norm: bool,
}

/// Appends the hidden layers and the output layer of a fully connected head.
pub(super) fn add_head(
    mut layers: nn::SequentialT,
    path: &nn::Path<'_>,
    head: &Head<'_>,
    inputs: i64,
    classes: i64,
) -> nn::SequentialT {
    let mut width = inputs;
    for (i, &next) in head.hidden.iter().enumerate() {
        layers =
            layers.add(nn::linear(path / format!("fc{}", i + 1), width, next, Default::default()));
        if head.batch_norm {
            layers = layers.add(nn::batch_norm1d(
                path / format!("fc_bn{}", i + 1),
                next,
                Default::default(),
            ));
        }
        layers = layers.add_fn(Tensor::relu);
        if head.dropout > 0.0 {
            let dropout = head.dropout;
            layers = layers.add_fn_t(move |x, train| x.dropout(dropout, train));
        }
        width = next;
    }
    layers.add(nn::linear(path / "out", width, classes, Default::default()))
}
