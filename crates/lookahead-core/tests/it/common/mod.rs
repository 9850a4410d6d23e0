//! What several tests need: devices, a small net with dropout, comparison to the bit.
#![allow(dead_code, unreachable_pub)] // each test file uses a part of it

use lookahead_core::{Lookahead, Result, TchOptimizer};
use tch::nn::{self, ModuleT};
use tch::{Cuda, Device, Kind, Tensor};

/// The CPU, and a GPU where there is one.
pub fn devices() -> Vec<Device> {
    let mut devices = vec![Device::Cpu];
    if Cuda::is_available() {
        devices.push(Device::Cuda(0));
    }
    devices
}

/// The inner optimizers that tch has, each with all of its state in use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Inner {
    Sgd,
    Adam,
    AdamW,
    RmsProp,
}

pub const INNERS: [Inner; 4] = [Inner::Sgd, Inner::Adam, Inner::AdamW, Inner::RmsProp];

/// One config for all four, so that tests can loop over them.
#[derive(Debug, Clone, Copy)]
pub struct AnyConfig(pub Inner);

impl nn::OptimizerConfig for AnyConfig {
    fn build_copt(&self, lr: f64) -> Result<tch::COptimizer, tch::TchError> {
        match self.0 {
            Inner::Sgd => nn::sgd(0.9, 0.0, 1e-4, true).build_copt(lr),
            Inner::Adam => nn::Adam::default().amsgrad(true).build_copt(lr),
            Inner::AdamW => nn::AdamW::default().amsgrad(true).build_copt(lr),
            Inner::RmsProp => nn::rms_prop(0.99, 1e-8, 0.0, 0.9, true).build_copt(lr),
        }
    }
}

pub const LEARNING_RATE: f64 = 0.01;

/// A net with dropout on ten inputs and three classes, in a store of its own.
pub struct Net {
    pub vs: nn::VarStore,
    layers: nn::SequentialT,
}

impl Net {
    pub fn new(seed: i64, device: Device) -> Net {
        tch::manual_seed(seed);
        let vs = nn::VarStore::new(device);
        let root = vs.root();
        let layers = nn::seq_t()
            .add(nn::linear(&root / "first", 10, 16, Default::default()))
            .add_fn(|x| x.relu())
            .add_fn_t(|x, train| x.dropout(0.3, train))
            .add(nn::linear(&root / "second", 16, 3, Default::default()));
        Net { vs, layers }
    }

    /// The loss of batch `i`, which is the same batch for every net; dropout draws from the
    /// process's generator.
    pub fn loss(&self, i: i64, train: bool) -> Tensor {
        let x = (Tensor::arange(80, (Kind::Float, self.vs.device())).reshape([8, 10])
            * (0.37 + 0.11 * i as f64))
            .sin();
        let y = Tensor::arange(8, (Kind::Int64, self.vs.device())).g_add_scalar(i).remainder(3);
        self.layers.forward_t(&x, train).cross_entropy_for_logits(&y)
    }

    pub fn lookahead(&self, inner: Inner, k: u64, alpha: f64) -> Lookahead<TchOptimizer> {
        Lookahead::builder(AnyConfig(inner))
            .k(k)
            .alpha(alpha)
            .build(&self.vs, LEARNING_RATE)
            .unwrap()
    }

    /// All variables by name, copied.
    pub fn weights(&self) -> Vec<(String, Tensor)> {
        let mut all: Vec<_> =
            self.vs.variables().into_iter().map(|(name, t)| (name, t.detach().copy())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

/// The bytes of a tensor: NaN equals itself and −0.0 differs from 0.0.
pub fn bits(tensor: &Tensor) -> Vec<u8> {
    let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.copy_data_u8(&mut bytes, tensor.numel());
    bytes
}

pub fn assert_same_bits(a: &[(String, Tensor)], b: &[(String, Tensor)], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    for ((name, x), (other, y)) in a.iter().zip(b) {
        assert_eq!(name, other, "{what}");
        assert!(bits(x) == bits(y), "{what}: `{name}` differs");
    }
}
