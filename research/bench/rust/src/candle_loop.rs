//! The loop in candle. Its `SGD` has no momentum, which is written here from its operations, as is max pooling.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;
use candle_core::{D, DType, Device, Tensor, Var};
use candle_nn::loss::cross_entropy;

use crate::{AT_ONCE, Batches, Contender, Job};

/// The tensors of a file.
pub(crate) fn load(path: &Path) -> anyhow::Result<HashMap<String, Tensor>> {
    let found = candle_core::safetensors::load(path, &Device::Cpu);
    found.with_context(|| format!("{} can't be read", path.display()))
}

/// One of them.
pub(crate) fn take(tensors: &mut HashMap<String, Tensor>, name: &str) -> anyhow::Result<Tensor> {
    tensors.remove(name).with_context(|| format!("There is no tensor {name}."))
}

/// The largest of each 2×2 pixels, of equal ones the first, as in libtorch. The backward pass of candle's `max_pool2d`
/// multiplies a gradient by the share of the window that equals its maximum: a quarter, if one pixel does. That of its
/// `max` gives all of them the whole gradient.
fn max_pool(x: &Tensor) -> candle_core::Result<Tensor> {
    let (count, channels, height, width) = x.dims4()?;
    let windows = x.reshape(&[count, channels, height / 2, 2, width / 2, 2])?;
    let windows = windows.permute([0, 1, 2, 4, 3, 5])?;
    let windows = windows.reshape((count, channels, height / 2, width / 2, 4))?;
    let largest = windows.argmax_keepdim(D::Minus1)?;
    windows.gather(&largest, D::Minus1)?.squeeze(D::Minus1)
}

struct Layer {
    weight: Var,
    bias: Var,
}

pub(crate) struct Training {
    convolutions: Vec<Layer>,
    layers: Vec<Layer>,
    velocities: Vec<Option<Tensor>>,
    lr: f64,
    momentum: f64,
    inputs: Tensor,
    targets: Tensor,
    test: (Tensor, Tensor),
    batches: Batches,
}

impl Training {
    pub(crate) fn new(job: &Job) -> anyhow::Result<Training> {
        let config = &job.work.config;
        let mut weights = load(&job.initial)?;
        let mut layer = |name: String| -> anyhow::Result<Layer> {
            let mut var = |part: &str| -> anyhow::Result<Var> {
                Ok(Var::from_tensor(&take(&mut weights, &format!("{name}.{part}"))?)?)
            };
            Ok(Layer { weight: var("weight")?, bias: var("bias")? })
        };
        let channels = if config.model.kind == "cnn" { config.model.channels.len() } else { 0 };
        let convolutions = (1..=channels).map(|i| layer(format!("conv{i}")));
        let convolutions = convolutions.collect::<anyhow::Result<Vec<_>>>()?;
        let names = (1..=config.model.hidden.len()).map(|i| format!("fc{i}"));
        let layers = names.chain(["out".to_owned()]).map(&mut layer);
        let layers = layers.collect::<anyhow::Result<Vec<_>>>()?;
        let mut samples = load(&job.samples)?;
        let mut part = |name| take(&mut samples, name);
        let test = (part("test_inputs")?, part("test_targets")?);
        let (inputs, targets) = (part("inputs")?, part("targets")?);
        let order = take(&mut load(&job.order)?, "order")?.to_vec1()?;
        Ok(Training {
            velocities: vec![None; 2 * (convolutions.len() + layers.len())],
            convolutions,
            layers,
            lr: config.optimizer.lr,
            momentum: config.optimizer.momentum,
            inputs,
            targets,
            test,
            batches: Batches { order, size: config.data.batch_size, at: 0 },
        })
    }

    fn logits(&self, inputs: &Tensor) -> candle_core::Result<Tensor> {
        let mut x = inputs.clone();
        for Layer { weight, bias } in &self.convolutions {
            let bias = bias.reshape((1, (), 1, 1))?;
            x = max_pool(&x.conv2d(weight, 1, 1, 1, 1)?.broadcast_add(&bias)?.relu()?)?;
        }
        x = x.flatten_from(1)?;
        for (i, Layer { weight, bias }) in self.layers.iter().enumerate() {
            x = x.matmul(&weight.t()?)?.broadcast_add(bias)?;
            if i + 1 < self.layers.len() {
                x = x.relu()?;
            }
        }
        Ok(x)
    }
}

impl Contender for Training {
    fn step(&mut self) -> anyhow::Result<f64> {
        let index = self.batches.next();
        let index = Tensor::from_slice(index, index.len(), &Device::Cpu)?;
        let targets = self.targets.index_select(&index, 0)?;
        let loss = cross_entropy(&self.logits(&self.inputs.index_select(&index, 0)?)?, &targets)?;
        let gradients = loss.backward()?;
        let variables = self.convolutions.iter().chain(&self.layers);
        let variables = variables.flat_map(|layer| [&layer.weight, &layer.bias]);
        for (variable, velocity) in variables.zip(&mut self.velocities) {
            let gradient = gradients.get(variable).context("A variable has no gradient.")?;
            let next = match velocity.take() {
                Some(velocity) => ((velocity * self.momentum)? + gradient)?,
                None => gradient.clone(),
            };
            variable.set(&(variable.as_tensor() - (&next * self.lr)?)?)?;
            *velocity = Some(next);
        }
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }

    fn evaluate(&self) -> anyhow::Result<f64> {
        let (inputs, targets) = &self.test;
        let (count, mut total) = (targets.dim(D::Minus1)?, 0.0);
        for from in (0..count).step_by(AT_ONCE) {
            let size = AT_ONCE.min(count - from);
            let logits = self.logits(&inputs.narrow(0, from, size)?)?.detach();
            let loss = cross_entropy(&logits, &targets.narrow(0, from, size)?)?;
            total += loss.to_dtype(DType::F64)?.to_scalar::<f64>()? * size as f64;
        }
        Ok(total / count as f64)
    }
}
