//! Models: `[model]`.
//!
//! | module | what is in it |
//! |---|---|
//! | [`mlp`] | fully connected layers |
//! | [`cnn`] | 3×3 convolutions with pooling, then fully connected layers |
//! | [`resnet`] | residual networks of basic blocks |
//! | `pointwise` | convolutions whose kernel is one pixel, with a stride |
//! | [`lstm`] | long short-term memory on symbols |
//! | [`transformer`] | a decoder-only transformer on symbols |
//! | [`quadratic`] | a point that looks for the minimum of a quadratic function |
//!
//! To add a model: a file beside these with an [`Entry`], whose `build` returns a [`Network`], and a
//! line in the table of [`Kind`].

pub mod cnn;
pub mod lstm;
pub mod mlp;
mod pointwise;
pub mod quadratic;
pub mod resnet;
pub mod transformer;

use std::collections::BTreeMap;
use std::fmt;

use lookahead_core::autocast::Autocast;
use lookahead_core::fewest_values_per_channel;
use lookahead_core::memory_format::channels_last;
use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};
use tch::nn::{self, ModuleT};
use tch::{Device, Kind as Element, Tensor};

use crate::config::check::{ConfigIssue, format_number, require};
use crate::config::train::{self, TrainConfig};
use crate::data::batches::Batches;
use crate::data::{Batch, Dataset, Problem};
use crate::kinds;
use crate::usage::UsageError;

kinds::kinds! {
    /// The models.
    #[derive(Default)]
    pub enum Kind: Entry {
        /// A convolutional net.
        #[default]
        Cnn = "cnn" in cnn,
        /// A multi-layer perceptron.
        Mlp = "mlp" in mlp,
        /// A residual network of basic blocks.
        Resnet = "resnet" in resnet,
        /// Long short-term memory on symbols.
        Lstm = "lstm" in lstm,
        /// A decoder-only transformer on symbols.
        Transformer = "transformer" in transformer,
        /// A point on a quadratic function.
        Quadratic = "quadratic" in quadratic,
    }
}

/// What makes a model's variables under a path, and the model of them.
pub type Build = fn(&nn::Path<'_>, &ModelConfig, &Problem) -> Result<Box<dyn Network>, UsageError>;

/// What a model's file says of it.
#[derive(Debug)]
pub struct Entry {
    /// What it can learn.
    pub task: Task,
    /// Those of the section's keys, dotted, that not all models have, and it has.
    pub keys: &'static [&'static str],
    /// Fills in the defaults of its keys, and checks them.
    pub resolve: fn(&mut ModelConfig) -> Result<(), ConfigIssue>,
    /// Numbers in the largest result between two layers for one sample, about.
    pub widest: fn(&ModelConfig, &Problem) -> usize,
    /// Makes its variables, drawn from libtorch's generator, under a path.
    pub build: Build,
}

/// `[model]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Which model.
    pub kind: Kind,
    /// cnn: output channels of each convolution, which each halve height and width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<i64>>,
    /// cnn, mlp: widths of the hidden fully connected layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Vec<i64>>,
    /// resnet: channels of the first stage, doubled in each further one; lstm, transformer: width of
    /// each layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<i64>,
    /// resnet: basic blocks of each stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<Vec<i64>>,
    /// lstm: numbers that stand for a symbol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding: Option<i64>,
    /// lstm, transformer: how many layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<i64>,
    /// transformer: heads of attention in each layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<i64>,
    /// Fraction of hidden activations that are dropped in training.
    pub dropout: f64,
    /// cnn, mlp: batch normalization after each hidden layer.
    pub batch_norm: bool,
}

/// Keys that the kind of a name does not have.
pub(crate) fn foreign_keys(kind: &str) -> Option<Vec<&'static str>> {
    kinds::foreign::<Kind>(kind, ModelConfig::default().owned().map(|(key, _)| key))
}

/// A bound far above what is of use, and far below where sizes overflow.
const WIDEST: i64 = 1 << 20;

/// An error unless so many layers can be meant.
fn check_layers(layers: i64) -> Result<(), ConfigIssue> {
    require((1..=1000).contains(&layers), "model.layers", layers, "from 1 to 1000")
}

impl ModelConfig {
    /// The keys that not all kinds have, and whether they are given.
    fn owned(&self) -> [(&'static str, bool); 9] {
        [
            ("model.channels", self.channels.is_some()),
            ("model.hidden", self.hidden.is_some()),
            ("model.width", self.width.is_some()),
            ("model.blocks", self.blocks.is_some()),
            ("model.embedding", self.embedding.is_some()),
            ("model.layers", self.layers.is_some()),
            ("model.heads", self.heads.is_some()),
            ("model.dropout", self.dropout != 0.0),
            ("model.batch_norm", self.batch_norm),
        ]
    }

    pub(crate) fn resolve(&mut self, task: Task, data: &str) -> Result<(), ConfigIssue> {
        let entry = self.kind.entry();
        if entry.task != task {
            let fitting = Kind::ALL.iter().filter(|kind| kind.entry().task == task);
            let fitting: Vec<&str> = fitting.map(|kind| kind.name()).collect();
            return Err(ConfigIssue::new(
                "model.kind",
                format!(
                    "`model.kind` is {}, which can't learn from the data {data}: choose one of {}.",
                    self.kind.name(),
                    fitting.join(", ")
                ),
            ));
        }
        kinds::refuse_foreign(self.kind, &self.owned())?;
        (entry.resolve)(self)?;
        for (key, widths) in [("model.channels", &self.channels), ("model.hidden", &self.hidden)] {
            let widths = widths.as_deref().unwrap_or_default();
            let fits = widths.iter().all(|width| (1..=WIDEST).contains(width));
            let allowed = format!("a list of widths from 1 to {WIDEST}");
            require(fits, key, format!("{widths:?}"), &allowed)?;
        }
        let dropout = self.dropout;
        let allowed = "at least 0 and below 1";
        require((0.0..1.0).contains(&dropout), "model.dropout", format_number(dropout), allowed)
    }
}

impl Problem {
    /// What is learnt.
    pub fn task(&self) -> Task {
        match self {
            Problem::Images { .. } => Task::Classification,
            Problem::Text { .. } => Task::Language,
            Problem::Quadratic { .. } => Task::Quadratic,
        }
    }

    /// Channels, height and width of the images, and how many classes there are.
    ///
    /// # Errors
    /// A usage error where there are no images.
    pub fn images(&self) -> Result<([i64; 3], i64), UsageError> {
        match self {
            Problem::Images { shape, classes } => Ok((shape.map(|n| n as i64), *classes as i64)),
            _ => Err(UsageError::new("This model reads images, and the data has none.")),
        }
    }

    /// How many symbols there are, and how long a piece of text is.
    ///
    /// # Errors
    /// A usage error where there is no text.
    pub fn text(&self) -> Result<(i64, i64), UsageError> {
        match self {
            Problem::Text { symbols, length } => Ok((*symbols as i64, *length as i64)),
            _ => Err(UsageError::new("This model reads text, and the data has none.")),
        }
    }

    /// Of a quadratic function.
    ///
    /// # Errors
    /// A usage error where there is none.
    pub fn curvatures(&self) -> Result<&[f32], UsageError> {
        match self {
            Problem::Quadratic { curvatures } => Ok(curvatures),
            _ => {
                Err(UsageError::new("This model needs a quadratic problem, and the data is none."))
            }
        }
    }
}

/// A model's computation; its variables are in the store that it was built in.
pub trait Network: fmt::Debug {
    /// From inputs of shape (n, …): logits of shape (n, classes) for images, (n, length, symbols) for
    /// pieces of text; the loss of each, of shape (n), for a quadratic problem.
    fn forward(&self, inputs: &Tensor, train: bool) -> Tensor;
}

impl Network for nn::SequentialT {
    fn forward(&self, inputs: &Tensor, train: bool) -> Tensor {
        self.forward_t(inputs, train)
    }
}

/// A model and its variables.
#[derive(Debug)]
pub struct Model {
    /// The variables: parameters and buffers.
    pub vs: nn::VarStore,
    kind: Kind,
    network: Box<dyn Network>,
    task: Task,
    widest: usize,
    /// Whether images and the weights of convolutions lie channels last.
    channels_last: bool,
    autocast: Option<Autocast>,
}

/// What samples come to. The sums stay on the model's device until [`read`](Score::read), so that a GPU
/// is not waited for between batches.
#[derive(Debug)]
pub struct Score {
    /// Sum of the losses, in double precision.
    loss: Tensor,
    /// How many classes or symbols are right; nothing where nothing is classified.
    right: Option<Tensor>,
    /// Of how many.
    count: usize,
}

impl Score {
    /// Of these samples and of others.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn and(self, other: &Score) -> anyhow::Result<Score> {
        let right = match (self.right, &other.right) {
            (Some(right), Some(others)) => Some(right.f_add(others)?),
            _ => None,
        };
        let loss = self.loss.f_add(&other.loss)?;
        Ok(Score { loss, right, count: self.count + other.count })
    }

    /// The sum of the losses, how many classes or symbols are right, and of how many.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn sums(&self) -> anyhow::Result<(f64, Option<f64>, usize)> {
        let right = self.right.as_ref().map(f64::try_from).transpose()?;
        Ok((f64::try_from(&self.loss)?, right, self.count))
    }

    /// Mean loss, accuracy, and over how many classes or symbols the means are taken. The accuracy is NaN
    /// where nothing is classified.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn read(&self) -> anyhow::Result<(f64, f64, usize)> {
        let (loss, right, count) = self.sums()?;
        let accuracy = right.map_or(f64::NAN, |right| right / count as f64);
        Ok((loss / count as f64, accuracy, count))
    }
}

impl Model {
    /// Builds the model for what `data` asks. The weights are drawn from libtorch's generator: seed it
    /// before.
    ///
    /// # Errors
    /// Where model and data don't fit each other.
    pub fn new(config: &ModelConfig, data: &Dataset, device: Device) -> anyhow::Result<Self> {
        let vs = nn::VarStore::new(device);
        let entry = config.kind.entry();
        let network = (entry.build)(&vs.root(), config, &data.problem)?;
        let widest = (entry.widest)(config, &data.problem);
        Ok(Model {
            vs,
            kind: config.kind,
            network,
            task: data.problem.task(),
            widest,
            channels_last: false,
            autocast: None,
        })
    }

    /// Samples for one forward pass of an evaluation. On the CPU they are so few that what goes from layer to
    /// layer stays in the cache, and so many that a pass is no small change: of 1 to 32 MB, convolutions
    /// were quickest at 8 and attention at 2. On a GPU there is room.
    pub fn at_once(&self) -> usize {
        let bytes = if self.vs.device().is_cuda() { 1 << 29 } else { 1 << 22 };
        (bytes / (4 * self.widest.max(1))).clamp(1, 4096)
    }

    /// Lets it compute as `train.channels_last` and `train.autocast` ask for. The variables keep their
    /// values.
    ///
    /// # Errors
    /// A usage error where a model without convolutions is to have them channels last.
    pub fn computing_as(mut self, config: &TrainConfig) -> anyhow::Result<Self> {
        self.autocast = match config.autocast {
            train::Autocast::None => None,
            train::Autocast::Bf16 => Some(Autocast::new(self.vs.device(), Element::BFloat16)?),
        };
        if config.channels_last {
            let weights = self.vs.variables().into_values().filter(|weight| weight.dim() == 4);
            let mut weights = weights.peekable();
            if weights.peek().is_none() {
                return Err(UsageError::new(
                    "`train.channels_last` is true, and this model has no convolutions, which \
                     alone compute so: set it to false, or choose a model that has some, such as \
                     cnn or resnet.",
                )
                .into());
            }
            for mut weight in weights {
                // The network's handles are of the same tensors, and see it.
                weight.f_set_data(&channels_last(&weight.f_data()?)?)?;
            }
            self.channels_last = true;
        }
        Ok(self)
    }

    /// Refuses a batch of one sample if it gives a batch normalization only one value per channel, which
    /// has no variance: after a convolution that leaves several pixels it does not, elsewhere it does.
    ///
    /// # Errors
    /// A usage error, or what libtorch says.
    pub(crate) fn check_batches(&self, batches: &Batches, data: &Dataset) -> anyhow::Result<()> {
        if batches.smallest() != 1 {
            return Ok(());
        }
        let one = data.train.slice(0..1, self.vs.device()).inputs;
        let _guard = tch::no_grad_guard();
        if fewest_values_per_channel(|| drop(self.forward(&one, false)))? != Some(1) {
            return Ok(());
        }
        let (batch_size, samples) = (batches.batch_size(), batches.samples());
        Err(UsageError::new(format!(
            "`data.batch_size` is {batch_size}, and with {samples} training samples the last batch \
             of an epoch has 1 sample, from which batch normalization can take no variance: choose \
             another `data.batch_size`, hold out 1 sample more or less with `data.validation`, or \
             set `model.batch_norm` to false if the model has it."
        ))
        .into())
    }

    /// What of it this machine can't compute as `train.autocast` asks for, as a sentence.
    pub fn note(&self) -> Option<String> {
        let wide =
            self.kind == Kind::Lstm && self.autocast.is_some_and(|narrow| !narrow.computes_lstm());
        wide.then(|| {
            "`train.autocast` is bf16, and this processor has no instructions to compute an LSTM in \
             bfloat16: its layers compute in f32, and only the output layer in bfloat16."
                .to_owned()
        })
    }

    /// One of a network without variables.
    #[cfg(test)]
    pub(crate) fn around(network: Box<dyn Network>, task: Task, widest: usize) -> Self {
        let vs = nn::VarStore::new(Device::Cpu);
        Model {
            vs,
            kind: Kind::default(),
            network,
            task,
            widest,
            channels_last: false,
            autocast: None,
        }
    }

    /// What the network makes of inputs.
    pub fn forward(&self, inputs: &Tensor, train: bool) -> Tensor {
        let _region = self.autocast.map(Autocast::begin);
        if !self.channels_last {
            return self.network.forward(inputs, train);
        }
        match channels_last(inputs) {
            Ok(images) => self.network.forward(&images, train),
            // As an operation of the network itself would.
            Err(refused) => panic!("{refused}"),
        }
    }

    /// The mean loss of a batch, in `f32`.
    pub fn loss(&self, batch: &Batch, train: bool) -> Tensor {
        // One region for each forward pass, which ends before the backward pass.
        let _region = self.autocast.map(Autocast::begin);
        let outputs = self.forward(&batch.inputs, train);
        match self.task {
            Task::Quadratic => outputs.mean(Element::Float),
            _ => {
                let (logits, targets) = places(&outputs, &batch.targets);
                logits.cross_entropy_for_logits(&targets)
            }
        }
    }

    /// Loss and right answers of a batch, in evaluation mode.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn score(&self, batch: &Batch) -> anyhow::Result<Score> {
        let _region = self.autocast.map(Autocast::begin);
        let outputs = self.forward(&batch.inputs, false);
        let sum = |mean: Tensor, count: usize| {
            mean.f_to_kind(Element::Double)?.f_mul(&Tensor::from(count as f64))
        };
        if self.task == Task::Quadratic {
            let count = outputs.numel();
            return Ok(Score { loss: sum(outputs.f_mean(None)?, count)?, right: None, count });
        }
        let (logits, targets) = places(&outputs, &batch.targets);
        let count = targets.numel();
        let right = logits.f_argmax(-1, false)?.f_eq_tensor(&targets)?.f_sum(Element::Int64)?;
        let loss = sum(logits.cross_entropy_for_logits(&targets), count)?;
        Ok(Score { loss, right: Some(right), count })
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

/// Logits of shape (places, classes) and targets of shape (places), where a sample may have many.
fn places(logits: &Tensor, targets: &Tensor) -> (Tensor, Tensor) {
    match targets.dim() {
        1 => (logits.shallow_clone(), targets.shallow_clone()),
        _ => (logits.flatten(0, -2), targets.flatten(0, -1)),
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
