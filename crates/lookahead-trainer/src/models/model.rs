//! A network with its variables, its loss and its score.

use std::collections::{BTreeMap, BTreeSet};

use lookahead_core::fewest_values_per_channel;
use lookahead_core::tch_ext::autocast::Autocast;
use lookahead_core::tch_ext::memory_format::channels_last;
use lookahead_run::event::{Parameters, Task};
use tch::nn;
use tch::{Device, Kind as Element, Tensor};

use super::network::Network;
use crate::config::train::{AutocastDtype, TrainConfig};
use crate::data::batches::Batches;
use crate::data::dataset::{Batch, Dataset};
use crate::usage::UsageError;

/// A network and its variables.
#[derive(Debug)]
pub struct Model {
    /// The variables: parameters and buffers.
    pub vs: nn::VarStore,
    network: Box<dyn Network>,
    task: Task,
    /// Whether images and the weights of convolutions are channels-last.
    channels_last: bool,
    autocast: Option<Autocast>,
    /// The names of frozen parameters.
    pub(super) frozen: BTreeSet<String>,
    /// Their elements.
    pub(super) frozen_elements: u64,
}

/// The result of an evaluation. The sums stay on the model's device until [`read`](Score::read), so that
/// nothing waits for a GPU between batches.
#[derive(Debug)]
pub struct Score {
    /// The sum of the losses, in double precision.
    loss: Tensor,
    /// The number of correct classes or characters, if anything is classified.
    correct: Option<Tensor>,
    /// The number of losses.
    count: usize,
}

impl Score {
    /// The score of these samples and of others.
    pub fn and(self, other: &Score) -> anyhow::Result<Score> {
        let correct = match (self.correct, &other.correct) {
            (Some(correct), Some(others)) => Some(correct.f_add(others)?),
            _ => None,
        };
        let loss = self.loss.f_add(&other.loss)?;
        Ok(Score { loss, correct, count: self.count + other.count })
    }

    /// The sum of the losses, the number of correct classes or characters, and the number of losses.
    pub fn sums(&self) -> anyhow::Result<(f64, Option<f64>, usize)> {
        let correct = self.correct.as_ref().map(f64::try_from).transpose()?;
        Ok((f64::try_from(&self.loss)?, correct, self.count))
    }

    /// The mean loss, the accuracy, and the number of losses. The accuracy is NaN if nothing is classified.
    pub fn read(&self) -> anyhow::Result<(f64, f64, usize)> {
        let (loss, correct, count) = self.sums()?;
        let accuracy = correct.map_or(f64::NAN, |correct| correct / count as f64);
        Ok((loss / count as f64, accuracy, count))
    }
}

impl Model {
    /// The model of a network that has its variables in `vs`.
    pub fn new(vs: nn::VarStore, network: Box<dyn Network>, task: Task) -> Self {
        Model {
            vs,
            network,
            task,
            channels_last: false,
            autocast: None,
            frozen: BTreeSet::new(),
            frozen_elements: 0,
        }
    }

    /// The batch size of evaluations. On the CPU, activations should stay in the cache: of 1 to 32 MB,
    /// convolutions were fastest at 8 and attention at 2.
    pub fn evaluation_batch_size(&self) -> usize {
        let bytes = if self.vs.device().is_cuda() { 1 << 29 } else { 1 << 22 };
        (bytes / (4 * self.network.widest().max(1))).clamp(1, 4096)
    }

    /// Sets `train.channels_last` and `train.autocast`. The values of the variables don't change.
    ///
    /// # Errors
    /// A usage error if `train.channels_last` is set for a model without convolutions.
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
                    "`train.channels_last` is true, but this model has no convolutions. Set it to false, or \
                     choose a model with convolutions: cnn or resnet.",
                )
                .into());
            }
            for mut weight in weights {
                // The network has handles of the same tensors.
                weight.f_set_data(&channels_last(&weight.f_data()?)?)?;
            }
            self.channels_last = true;
        }
        Ok(self)
    }

    /// Refuses a last batch of one sample if batch normalization would see only one value per channel, which
    /// has no variance.
    pub(crate) fn check_batches(&self, batches: &Batches, data: &Dataset) -> anyhow::Result<()> {
        if batches.smallest_batch() != 1 {
            return Ok(());
        }
        let one = data.train.slice(0..1, self.vs.device())?.inputs;
        let _guard = tch::no_grad_guard();
        if fewest_values_per_channel(|| drop(self.forward(&one, false)))? != Some(1) {
            return Ok(());
        }
        let (batch_size, samples) = (batches.batch_size(), batches.samples());
        Err(UsageError::new(format!(
            "`data.batch_size` is {batch_size}. With {samples} training samples, the last batch of an epoch has \
             1 sample, which has no variance for batch normalization. Change `data.batch_size`, change \
             `data.validation` by 1, or set `model.batch_norm` to false if the model has that key."
        ))
        .into())
    }

    /// A sentence about the layers that this machine can't compute in the type of `train.autocast`.
    pub fn note(&self) -> Option<String> {
        self.network.note(self.autocast?)
    }

    /// The network's outputs.
    pub fn forward(&self, inputs: &Tensor, train: bool) -> Tensor {
        let _region = self.autocast.map(Autocast::begin);
        if !self.channels_last {
            return self.network.outputs(inputs, train);
        }
        match channels_last(inputs) {
            Ok(images) => self.network.outputs(&images, train),
            // As operations of the network do.
            Err(refused) => panic!("{refused}"),
        }
    }

    /// The mean loss of a batch, in `f32`.
    pub fn loss(&self, batch: &Batch, train: bool) -> Tensor {
        // The region ends before the backward pass.
        let _region = self.autocast.map(Autocast::begin);
        let outputs = self.forward(&batch.inputs, train);
        if self.task == Task::Quadratic {
            return outputs.mean(Element::Float);
        }
        let (logits, targets) = flattened(&outputs, &batch.targets);
        logits.cross_entropy_for_logits(&targets)
    }

    /// The score of a batch, in evaluation mode.
    pub fn score(&self, batch: &Batch) -> anyhow::Result<Score> {
        let _region = self.autocast.map(Autocast::begin);
        let outputs = self.forward(&batch.inputs, false);
        let sum = |mean: Tensor, count: usize| {
            mean.f_to_kind(Element::Double)?.f_mul(&Tensor::from(count as f64))
        };
        if self.task == Task::Quadratic {
            let count = outputs.numel();
            return Ok(Score { loss: sum(outputs.f_mean(None)?, count)?, correct: None, count });
        }
        let (logits, targets) = flattened(&outputs, &batch.targets);
        let count = targets.numel();
        let correct = logits.f_argmax(-1, false)?.f_eq_tensor(&targets)?.f_sum(Element::Int64)?;
        let loss = sum(logits.cross_entropy_for_logits(&targets), count)?;
        Ok(Score { loss, correct: Some(correct), count })
    }

    /// The variables that are not parameters, by name: the running statistics of batch normalization.
    pub fn buffers(&self) -> BTreeMap<String, Tensor> {
        let all = self.vs.variables().into_iter();
        all.filter(|(name, tensor)| !tensor.requires_grad() && !self.frozen.contains(name))
            .collect()
    }

    /// The bytes of the variables, in the order of their names.
    pub fn weights_as_bytes(&self) -> Vec<u8> {
        let variables: BTreeMap<String, Tensor> = self.vs.variables().into_iter().collect();
        let bytes = |tensor: Tensor| {
            let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
            let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
            tensor.copy_data_u8(&mut bytes, tensor.numel());
            bytes
        };
        variables.into_values().flat_map(bytes).collect()
    }

    /// The number of parameters.
    pub fn parameters(&self) -> Parameters {
        let trainable = self.vs.trainable_variables();
        let trainable = trainable.iter().map(|tensor| tensor.numel() as u64).sum();
        Parameters { trainable, frozen: self.frozen_elements }
    }
}

/// Logits of shape (n, classes) and targets of shape (n), with every position of a text in n.
fn flattened(logits: &Tensor, targets: &Tensor) -> (Tensor, Tensor) {
    (logits.flatten(0, -2), targets.flatten(0, -1))
}
