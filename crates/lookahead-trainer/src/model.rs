//! Models: `[model]`.
//!
//! | module | what is in it |
//! |---|---|
//! | [`mlp`] | fully connected layers |
//! | [`cnn`] | 3×3 convolutions with pooling, then fully connected layers |
//!
//! To add a model: a file beside these with a function that returns its layers, and a line in
//! [`Kind`] and [`Model::new`].

pub mod cnn;
pub mod mlp;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tch::nn::{self, ModuleT};
use tch::{Device, Tensor};

use crate::check::{Invalid, kind_key, require, shown};
use crate::data::Dataset;
use crate::usage::Usage;

/// `[model]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Which model.
    pub kind: Kind,
    /// cnn: output channels of each convolution, which each halve height and width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<i64>>,
    /// Widths of the hidden fully connected layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Vec<i64>>,
    /// Fraction of hidden activations that are dropped in training.
    pub dropout: f64,
    /// Batch normalization after each hidden layer.
    pub batch_norm: bool,
}

/// The models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A convolutional net.
    #[default]
    Cnn,
    /// A multi-layer perceptron.
    Mlp,
}

impl Kind {
    /// Its name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Cnn => "cnn",
            Kind::Mlp => "mlp",
        }
    }
}

/// Keys that `kind` does not have.
pub(crate) fn foreign_keys(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "mlp" => Some(&["channels"]),
        _ => None,
    }
}

/// A bound far above what is of use, and far below where sizes overflow.
const WIDEST: i64 = 1 << 20;

impl ModelConfig {
    pub(crate) fn resolve(&mut self) -> Result<(), Invalid> {
        let cnn = self.kind == Kind::Cnn;
        kind_key(&mut self.channels, cnn, vec![16, 32], "model.channels", "the cnn")?;
        let hidden = if cnn { vec![128] } else { vec![256, 128] };
        self.hidden.get_or_insert(hidden);
        for (key, widths) in [("model.channels", &self.channels), ("model.hidden", &self.hidden)] {
            let widths = widths.as_deref().unwrap_or_default();
            let fits = widths.iter().all(|width| (1..=WIDEST).contains(width));
            let allowed = format!("a list of widths from 1 to {WIDEST}");
            require(fits, key, format!("{widths:?}"), &allowed)?;
        }
        let dropout = self.dropout;
        let allowed = "at least 0 and below 1";
        require((0.0..1.0).contains(&dropout), "model.dropout", shown(dropout), allowed)
    }

    /// Refuses a batch of one sample where batch normalization would have a variance of nothing:
    /// after a convolution there are still its pixels, in the head only samples count.
    pub(crate) fn check_batches(&self, samples: usize, batch_size: usize) -> Result<(), Usage> {
        let normalized = self.batch_norm && !self.hidden.as_deref().unwrap_or_default().is_empty();
        if !normalized || (batch_size > 1 && samples % batch_size != 1) {
            return Ok(());
        }
        Err(Usage::new(format!(
            "`data.batch_size` is {batch_size}, and with {samples} training images the last batch \
             of an epoch has 1 sample, from which `model.batch_norm` can take no variance: choose \
             another `data.batch_size`, or hold out 1 image more or less with `data.validation`."
        )))
    }
}

/// A model and its variables.
#[derive(Debug)]
pub struct Model {
    /// The variables: parameters and buffers.
    pub vs: nn::VarStore,
    layers: nn::SequentialT,
}

impl Model {
    /// Builds the model for the images and classes of `data`. The weights are drawn from
    /// libtorch's generator: seed it before.
    ///
    /// # Errors
    /// Where the images are too small for the convolutions.
    pub fn new(config: &ModelConfig, data: &Dataset, device: Device) -> anyhow::Result<Self> {
        let vs = nn::VarStore::new(device);
        let shape = data.train.shape.map(|n| n as i64);
        let classes = data.classes as i64;
        let layers = match config.kind {
            Kind::Cnn => cnn::layers(&vs.root(), config, shape, classes)?,
            Kind::Mlp => mlp::layers(&vs.root(), config, shape, classes),
        };
        Ok(Model { vs, layers })
    }

    /// Logits of shape (n, classes) for images of shape (n, channels, height, width).
    pub fn forward(&self, images: &Tensor, train: bool) -> Tensor {
        self.layers.forward_t(images, train)
    }

    /// Variables that are not trained, by name: the running statistics of batch normalization.
    pub fn buffers(&self) -> BTreeMap<String, Tensor> {
        self.vs.variables().into_iter().filter(|(_, tensor)| !tensor.requires_grad()).collect()
    }

    /// Trainable parameters, counted in elements.
    pub fn parameters(&self) -> u64 {
        self.vs.trainable_variables().iter().map(|tensor| tensor.numel() as u64).sum()
    }
}

/// Appends the hidden layers and the output layer of a fully connected head.
fn head(
    mut layers: nn::SequentialT,
    path: &nn::Path<'_>,
    config: &ModelConfig,
    inputs: i64,
    classes: i64,
) -> nn::SequentialT {
    let mut width = inputs;
    for (i, &next) in config.hidden.iter().flatten().enumerate() {
        layers =
            layers.add(nn::linear(path / format!("fc{}", i + 1), width, next, Default::default()));
        if config.batch_norm {
            layers = layers.add(nn::batch_norm1d(
                path / format!("fc_bn{}", i + 1),
                next,
                Default::default(),
            ));
        }
        layers = layers.add_fn(Tensor::relu);
        if config.dropout > 0.0 {
            let dropout = config.dropout;
            layers = layers.add_fn_t(move |x, train| x.dropout(dropout, train));
        }
        width = next;
    }
    layers.add(nn::linear(path / "out", width, classes, Default::default()))
}
