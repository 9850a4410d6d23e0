//! A network with its variables.

use std::collections::{BTreeMap, BTreeSet};

use lookahead_core::fewest_values_per_channel;
use lookahead_core::tch_ext::autocast::Autocast;
use lookahead_core::tch_ext::memory_format::channels_last;
use lookahead_run::event::Parameters;
use tch::nn;
use tch::{Device, Kind as Element, Tensor};

use super::network::Network;
use crate::config::train::{AutocastDtype, TrainConfig};
use crate::data::batches::Batches;
use crate::data::dataset::Dataset;
use crate::usage::UsageError;

/// A network and its variables.
#[derive(Debug)]
pub struct Model {
    /// The variables: parameters and buffers.
    pub vs: nn::VarStore,
    pub(super) network: Box<dyn Network>,
    /// Whether images and the weights of convolutions are channels-last.
    channels_last: bool,
    autocast: Option<Autocast>,
    /// The names of frozen parameters.
    pub(super) frozen: BTreeSet<String>,
    /// Their elements.
    pub(super) frozen_elements: u64,
}

impl Model {
    /// The model of a network that has its variables in `vs`.
    pub fn new(vs: nn::VarStore, network: Box<dyn Network>) -> Self {
        let frozen: BTreeSet<String> = network.frozen().into_iter().collect();
        let variables = vs.variables();
        let elements = frozen.iter().filter_map(|name| Some(variables.get(name)?.numel() as u64));
        let frozen_elements = elements.sum();
        Model { vs, network, channels_last: false, autocast: None, frozen, frozen_elements }
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
        let often = match batches.accumulate() {
            1 => String::new(),
            often => format!(" and `train.accumulate` {often}"),
        };
        Err(UsageError::new(format!(
            "`data.batch_size` is {batch_size}{often}. With {samples} training samples, the last batch of an epoch has \
             1 sample, which has no variance for batch normalization. Change `data.batch_size`, change \
             `data.validation` by 1, or set `model.batch_norm` to false if the model has that key."
        ))
        .into())
    }

    /// Where the first weights come from, as a sentence, if they were not drawn.
    pub(crate) fn origin(&self) -> Option<String> {
        self.network.origin()
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

    /// Runs `compute` with the autocast of the forward pass, if there is one: a loss is computed in it too.
    pub fn in_autocast<T>(&self, compute: impl FnOnce() -> T) -> T {
        let _region = self.autocast.map(Autocast::begin);
        compute()
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
