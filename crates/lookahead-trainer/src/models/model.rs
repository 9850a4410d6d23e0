//! A network and its variables, and what its results come to: losses and right answers.

use std::collections::BTreeMap;

use lookahead_core::fewest_values_per_channel;
use lookahead_core::tch_ext::autocast::Autocast;
use lookahead_core::tch_ext::memory_format::channels_last;
use lookahead_run::event::Task;
use tch::nn;
use tch::{Device, Kind as Element, Tensor};

use super::network::Network;
use super::registry;
use crate::config::model::ModelConfig;
use crate::config::train::{AutocastDtype, TrainConfig};
use crate::data::batches::Batches;
use crate::data::dataset::{Batch, Dataset};
use crate::usage::UsageError;

/// A model and its variables.
#[derive(Debug)]
pub struct Model {
    /// The variables: parameters and buffers.
    pub vs: nn::VarStore,
    network: Box<dyn Network>,
    task: Task,
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
        let network = registry::build(config, &vs.root(), &data.problem)?;
        let task = data.problem.task();
        Ok(Model { vs, network, task, channels_last: false, autocast: None })
    }

    /// Samples for one forward pass of an evaluation. On the CPU they are so few that what goes from layer to
    /// layer stays in the cache, and so many that a pass is no small change: of 1 to 32 MB, convolutions
    /// were quickest at 8 and attention at 2. On a GPU there is room.
    pub fn at_once(&self) -> usize {
        let bytes = if self.vs.device().is_cuda() { 1 << 29 } else { 1 << 22 };
        (bytes / (4 * self.network.widest().max(1))).clamp(1, 4096)
    }

    /// Lets it compute as `train.channels_last` and `train.autocast` ask for. The variables keep their
    /// values.
    ///
    /// # Errors
    /// A usage error where a model without convolutions is to have them channels last.
    pub fn computing_as(mut self, config: &TrainConfig) -> anyhow::Result<Self> {
        self.autocast = match config.autocast {
            AutocastDtype::None => None,
            AutocastDtype::Bf16 => Some(Autocast::new(self.vs.device(), Element::BFloat16)?),
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
        if batches.smallest_batch() != 1 {
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
        self.network.note(self.autocast?)
    }

    /// One of a network without variables.
    #[cfg(test)]
    pub(crate) fn around(network: Box<dyn Network>, task: Task) -> Self {
        let vs = nn::VarStore::new(Device::Cpu);
        Model { vs, network, task, channels_last: false, autocast: None }
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
