//! The loop in burn, on one of its backends.

use std::collections::HashMap;

use anyhow::Context;
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig, momentum::MomentumConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::candle_loop::{load, take};
use crate::{AT_ONCE, Batches, Contender, Job};

#[derive(Module, Debug)]
struct Network {
    convolutions: Vec<Conv2d>,
    pool: MaxPool2d,
    hidden: Vec<Linear>,
    out: Linear,
}

impl Network {
    fn forward(&self, mut x: Tensor<4>) -> Tensor<2> {
        for convolution in &self.convolutions {
            x = self.pool.forward(relu(convolution.forward(x)));
        }
        let mut x: Tensor<2> = x.flatten(1, 3);
        for layer in &self.hidden {
            x = relu(layer.forward(x));
        }
        self.out.forward(x)
    }
}

type Tensors = HashMap<String, candle_core::Tensor>;

/// A tensor of a file for burn.
fn data(tensors: &mut Tensors, name: &str) -> anyhow::Result<TensorData> {
    let tensor = take(tensors, name)?;
    let shape = tensor.dims().to_vec();
    Ok(TensorData::new(tensor.flatten_all()?.to_vec1::<f32>()?, shape))
}

fn integers(tensors: &mut Tensors, name: &str) -> anyhow::Result<Vec<i64>> {
    Ok(take(tensors, name)?.to_vec1()?)
}

fn linear(tensors: &mut Tensors, name: &str, device: &Device) -> anyhow::Result<Linear> {
    // burn has one row for each input.
    let weight = take(tensors, &format!("{name}.weight"))?.t()?.contiguous()?;
    let (inputs, outputs) = weight.dims2()?;
    tensors.insert("transposed".to_owned(), weight);
    let mut layer = LinearConfig::new(inputs, outputs).init(device);
    layer.weight = Param::from_data(data(tensors, "transposed")?, device);
    layer.bias = Some(Param::from_data(data(tensors, &format!("{name}.bias"))?, device));
    Ok(layer)
}

fn convolution(tensors: &mut Tensors, name: &str, device: &Device) -> anyhow::Result<Conv2d> {
    let weight = data(tensors, &format!("{name}.weight"))?;
    let channels = [weight.shape()[1], weight.shape()[0]];
    let config = Conv2dConfig::new(channels, [3, 3]);
    let mut layer = config.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device);
    layer.weight = Param::from_data(weight, device);
    layer.bias = Some(Param::from_data(data(tensors, &format!("{name}.bias"))?, device));
    Ok(layer)
}

pub(crate) struct Training {
    /// `None` while the optimizer has it.
    model: Option<Network>,
    optimizer: ModuleOptimizer,
    loss: CrossEntropyLoss,
    lr: f64,
    device: Device,
    inputs: Tensor<4>,
    targets: Tensor<1, Int>,
    test: (Tensor<4>, Tensor<1, Int>),
    batches: Batches,
}

impl Training {
    pub(crate) fn new(job: &Job, device: Device) -> anyhow::Result<Training> {
        let config = &job.work.config;
        let learning = device.clone().autodiff();
        let mut weights = load(&job.initial)?;
        let channels = if config.model.kind == "cnn" { config.model.channels.len() } else { 0 };
        let model = Network {
            convolutions: (1..=channels)
                .map(|i| convolution(&mut weights, &format!("conv{i}"), &learning))
                .collect::<anyhow::Result<_>>()?,
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            hidden: (1..=config.model.hidden.len())
                .map(|i| linear(&mut weights, &format!("fc{i}"), &learning))
                .collect::<anyhow::Result<_>>()?,
            out: linear(&mut weights, "out", &learning)?,
        };
        let momentum =
            MomentumConfig::new().with_momentum(config.optimizer.momentum).with_dampening(0.0);
        let mut samples = load(&job.samples)?;
        let mut part = |inputs, targets| {
            let targets = integers(&mut samples, targets)?;
            let count = targets.len();
            let targets = Tensor::from_data(TensorData::new(targets, [count]), &device);
            anyhow::Ok((Tensor::from_data(data(&mut samples, inputs)?, &device), targets))
        };
        let test = part("test_inputs", "test_targets")?;
        let (inputs, targets) = part("inputs", "targets")?;
        let order = integers(&mut load(&job.order)?, "order")?;
        Ok(Training {
            model: Some(model),
            optimizer: SgdConfig::new().with_momentum(Some(momentum)).init(),
            loss: CrossEntropyLossConfig::new().init(&learning),
            lr: config.optimizer.lr,
            device,
            inputs,
            targets,
            test,
            batches: Batches { order, size: config.data.batch_size, at: 0 },
        })
    }
}

impl Contender for Training {
    fn step(&mut self) -> anyhow::Result<f64> {
        let index = self.batches.next();
        let index = TensorData::new(index.to_vec(), [index.len()]);
        let index: Tensor<1, Int> = Tensor::from_data(index, &self.device);
        let inputs = self.inputs.clone().select(0, index.clone());
        let targets = self.targets.clone().select(0, index);
        let model = self.model.take().context("An earlier step failed.")?;
        let loss = self.loss.forward(model.forward(inputs.autodiff()), targets.autodiff());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        self.model = Some(self.optimizer.step(self.lr, model, gradients));
        Ok(f64::from(loss.into_scalar::<f32>()))
    }

    fn evaluate(&self) -> anyhow::Result<f64> {
        let model = self.model.as_ref().context("An earlier step failed.")?.valid();
        let loss = CrossEntropyLossConfig::new().init(&self.device);
        let (inputs, targets) = &self.test;
        let ([count], mut total) = (targets.dims(), 0.0);
        for from in (0..count).step_by(AT_ONCE) {
            let to = count.min(from + AT_ONCE);
            let inputs = inputs.clone().slice([from..to]);
            let found = loss.forward(model.forward(inputs), targets.clone().slice([from..to]));
            total += f64::from(found.into_scalar::<f32>()) * (to - from) as f64;
        }
        Ok(total / count as f64)
    }
}
