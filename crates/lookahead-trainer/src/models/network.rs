//! The trait of all models, and parts that several share.

use std::fmt;

use lookahead_core::tch_ext::autocast::Autocast;
use lookahead_core::tch_ext::torchscript::Module;
use tch::Tensor;
use tch::nn::{self, ModuleT};

use crate::config::key::Key;

/// The forward pass of a model, whose variables are in the store in which it was built.
pub trait Network: fmt::Debug {
    /// The outputs for inputs of shape (n, …): logits of shape (n, classes) for images and (n, length,
    /// characters) for texts; the losses, of shape (n), for a quadratic problem.
    fn outputs(&self, inputs: &Tensor, train: bool) -> Tensor;

    /// The size of the largest activation of one sample. The batch size of evaluations follows from it.
    fn widest(&self) -> usize {
        4096
    }

    /// The TorchScript module that computes the outputs, if one does.
    fn module(&self) -> Option<&Module> {
        None
    }

    /// The names of parameters that are not to be trained.
    fn frozen(&self) -> Vec<String> {
        Vec::new()
    }

    /// Where the first weights come from, as a sentence, if they are not drawn from libtorch's generator.
    fn origin(&self) -> Option<String> {
        None
    }

    /// A sentence about the layers that this machine can't compute in a narrow type.
    fn note(&self, _narrow: Autocast) -> Option<String> {
        None
    }
}

/// Every module of tch is a network.
impl<M: ModuleT> Network for M {
    fn outputs(&self, inputs: &Tensor, train: bool) -> Tensor {
        self.forward_t(inputs, train)
    }
}

/// Layers in a row.
#[derive(Debug)]
pub struct Sequential {
    pub(super) layers: nn::SequentialT,
    pub(super) widest: usize,
}

impl Network for Sequential {
    fn outputs(&self, inputs: &Tensor, train: bool) -> Tensor {
        self.layers.forward_t(inputs, train)
    }

    fn widest(&self) -> usize {
        self.widest
    }
}

/// The largest width: far above useful ones, and far below the overflow of sizes.
pub(super) const WIDEST: f64 = 1048576.0;

/// The key of the hidden layers of a fully connected head.
pub(super) const HIDDEN: Key = Key::wholes("hidden", "widths of the hidden fully connected layers")
    .at_least(1.0)
    .at_most(WIDEST);

/// The key of the width of a model for texts.
pub(super) const WIDTH: Key =
    Key::whole("width", "width of each layer").at_least(1.0).at_most(WIDEST);

/// The key of the number of layers of a model for texts.
pub(super) const LAYERS: Key =
    Key::whole("layers", "number of layers").at_least(1.0).at_most(1000.0);

/// The key of the fraction of dropped activations.
pub(super) const DROPOUT: Key =
    Key::number("dropout", "fraction of hidden activations dropped in training")
        .at_least(0.0)
        .below(1.0)
        .example("0.1");

/// The key of batch normalization in a model that can do without.
pub(super) const BATCH_NORM: Key = Key::switch(
    "batch_norm",
    "batch normalization after each hidden layer. A resnet always has it. Its running statistics follow the fast \
     weights, see `lookahead.recalibrate`. A final batch of one sample is refused if it has no variance",
)
.example("true");

/// The fully connected layers at the end of a model.
pub(super) struct Head<'a> {
    /// Widths of the hidden layers.
    pub hidden: &'a [i64],
    /// The fraction of hidden activations that are dropped in training.
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
