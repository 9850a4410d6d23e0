//! Shared by several tests: devices, small models, comparison to the bit.
#![allow(dead_code, unreachable_pub)] // each test file uses a part of it

use std::ops::Range;

use lookahead_core::{InnerOptimizer, Lookahead, MomentumPolicy, Result, TchOptimizer, fused};
use tch::nn::{self, ModuleT};
use tch::{Cuda, Device, Kind, Tensor};

/// The CPU, and a GPU if there is one.
pub fn devices() -> Vec<Device> {
    let mut devices = vec![Device::Cpu];
    if Cuda::is_available() {
        devices.push(Device::Cuda(0));
    }
    devices
}

pub fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

/// A store with the variable `w`, `size` ones.
pub fn ones(size: i64) -> (nn::VarStore, Tensor) {
    let vs = nn::VarStore::new(Device::Cpu);
    let w = vs.root().ones("w", &[size]);
    (vs, w)
}

/// One weight of 1, and Lookahead around SGD with learning rate 0.1.
pub fn one_weight(k: u64, alpha: f64) -> (nn::VarStore, Tensor, Lookahead) {
    let (vs, w) = ones(1);
    let opt = sgd(&vs, k, alpha);
    (vs, w, opt)
}

pub fn sgd(vs: &nn::VarStore, k: u64, alpha: f64) -> Lookahead {
    Lookahead::builder(fused::Sgd::default()).k(k).alpha(alpha).build(vs, 0.1).unwrap()
}

/// Takes steps with a gradient of 1: with a learning rate of 0.1 each subtracts 0.1.
pub fn descend<O: InnerOptimizer>(opt: &mut Lookahead<O>, w: &Tensor, steps: usize) {
    for _ in 0..steps {
        opt.backward_step(&w.sum(Kind::Float)).unwrap();
    }
}

#[track_caller]
pub fn assert_at(w: &Tensor, expected: f64) {
    let found = w.double_value(&[0]);
    assert!(close(found, expected), "{found}, not {expected}");
}

/// Writes to a variable as other code may.
pub fn write(w: &Tensor, value: f64) {
    let _ = tch::no_grad(|| w.shallow_clone().fill_(value));
}

/// An optimizer without settings or state: the methods that [`InnerOptimizer`] requires besides `step` and
/// `parameters`.
macro_rules! stateless {
    () => {
        fn learning_rates(&self) -> Result<Vec<f64>> {
            Ok(Vec::new())
        }
        fn set_learning_rate_group(&mut self, _: usize, _: f64) -> Result<()> {
            Ok(())
        }
        fn state(&mut self) -> Result<State> {
            Ok(State::default())
        }
        fn load_state(&mut self, _: &State) -> Result<()> {
            Ok(())
        }
    };
}

pub const POLICIES: [MomentumPolicy; 3] =
    [MomentumPolicy::Maintain, MomentumPolicy::Reset, MomentumPolicy::Pullback];

/// tch's optimizers, each with all of its state in use.
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

/// A net with dropout on ten inputs and three classes.
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

    /// The loss of batch `i`, which is the same for every net. Dropout draws from the process's generator.
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

/// Takes a step on each of these batches, without dropout.
pub fn train<O: InnerOptimizer>(net: &Net, opt: &mut Lookahead<O>, batches: Range<i64>) {
    for i in batches {
        opt.backward_step(&net.loss(i, false)).unwrap();
    }
}

/// A training of 14 steps that is saved after `stop` of them and continues in fresh objects is the one that is not
/// interrupted, to the bit, for each of `stops`.
pub fn assert_resumes<O: InnerOptimizer>(
    build: impl Fn(&Net) -> Lookahead<O>,
    stops: Range<i64>,
    what: &str,
) {
    let whole = Net::new(3, Device::Cpu);
    train(&whole, &mut build(&whole), 0..14);
    for stop in stops {
        let first = Net::new(3, Device::Cpu);
        let mut opt = build(&first);
        train(&first, &mut opt, 0..stop);
        let state = opt.state().unwrap();
        let mut second = Net::new(8, Device::Cpu);
        second.vs.copy(&first.vs).unwrap();
        let mut opt = build(&second);
        opt.load_state(&state).unwrap();
        train(&second, &mut opt, stop..14);
        assert_same_bits(&second.weights(), &whole.weights(), &format!("{what} from step {stop}"));
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
