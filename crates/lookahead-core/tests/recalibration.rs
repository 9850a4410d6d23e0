//! Batch normalization's statistics for φ: computed on request, and gone with φ.

mod common;

use common::bits;
use lookahead_core::{Error, Lookahead, fused, generator, recalibrate};
use tch::nn::{self, ModuleT};
use tch::{Device, Kind, Tensor};

struct Net {
    vs: nn::VarStore,
    layers: nn::SequentialT,
}

impl Net {
    fn new(device: Device) -> Net {
        tch::manual_seed(3);
        let vs = nn::VarStore::new(device);
        let root = vs.root();
        let momentum = |momentum| nn::BatchNormConfig { momentum, ..Default::default() };
        let layers = nn::seq_t()
            .add(nn::conv2d(&root / "conv", 1, 3, 3, Default::default()))
            .add(nn::batch_norm2d(&root / "norm", 3, momentum(0.1)))
            .add_fn_t(|x, train| x.relu().dropout(0.4, train).flatten(1, -1))
            .add(nn::linear(&root / "out", 3 * 16, 2, Default::default()))
            .add(nn::batch_norm1d(&root / "last", 2, momentum(0.7)));
        Net { vs, layers }
    }

    fn buffers(&self) -> Vec<(String, Vec<u8>)> {
        let mut all: Vec<_> = self
            .vs
            .variables()
            .into_iter()
            .filter(|(name, _)| name.contains("running"))
            .map(|(name, tensor)| (name, bits(&tensor)))
            .collect();
        all.sort();
        all
    }
}

fn batches(device: Device) -> Vec<Tensor> {
    (0..4).map(|i| Tensor::randn([8, 1, 6, 6], (Kind::Float, device)) + f64::from(i)).collect()
}

#[test]
fn theta_s_statistics_and_the_generator_are_as_before() {
    for device in common::devices() {
        let net = Net::new(device);
        let batches = batches(device);
        let mut opt = Lookahead::builder(fused::Sgd::default()).build(&net.vs, 0.1).unwrap();
        for x in &batches {
            opt.backward_step(&net.layers.forward_t(x, true).square().sum(Kind::Float)).unwrap();
        }
        let (before, random) = (net.buffers(), generator::state(device).unwrap());
        let mut at_phi = opt.slow_weights().unwrap();
        let forward = |x: &&Tensor| drop(net.layers.forward_t(x, true));
        assert_eq!(at_phi.recalibrate(&net.vs, &batches, forward).unwrap(), 4);
        assert!(net.buffers() != before);
        let once = net.buffers();
        // Twice is as once: θ's are kept from the first time.
        at_phi.recalibrate(&net.vs, &batches, forward).unwrap();
        assert!(net.buffers() == once);
        drop(at_phi);
        assert!(net.buffers() == before);
        assert!(bits(&generator::state(device).unwrap()) == bits(&random));
        // A leaked guard's are put back by the next call.
        let mut leaked = opt.slow_weights().unwrap();
        leaked.recalibrate(&net.vs, &batches, forward).unwrap();
        std::mem::forget(leaked);
        opt.zero_grad().unwrap();
        assert!(net.buffers() == before);
    }
}

/// Whatever a layer's momentum, the result is the plain mean over the batches, as by a layer
/// without momentum in PyTorch.
#[test]
fn the_layers_momentum_does_not_matter() {
    let vs = nn::VarStore::new(Device::Cpu);
    let (mut norms, root) = (Vec::new(), vs.root());
    for (i, momentum) in [0.01, 0.1, 0.9, 1.0].into_iter().enumerate() {
        let config = nn::BatchNormConfig { momentum, ..Default::default() };
        norms.push(nn::batch_norm1d(&root / i, 2, config));
    }
    // Large values, beside which the momentum would drown if it were measured at 0 and 1.
    let options = (Kind::Float, Device::Cpu);
    let batches: Vec<Tensor> =
        (0..3).map(|i| Tensor::randn([500, 2], options) * (1.0 + f64::from(i)) * 300.0).collect();
    let forward = |x: &&Tensor| norms.iter().for_each(|norm| drop(norm.forward_t(x, true)));
    recalibrate(&vs, &batches, forward).unwrap();
    let variances: Vec<Tensor> = batches.iter().map(|x| x.var_dim(0, true, false)).collect();
    let expected = Tensor::stack(&variances, 0).mean_dim(0, false, Kind::Float);
    for norm in &norms {
        assert!(norm.running_var.allclose(&expected, 1e-3, 1e-4, false), "{:?}", norm.running_var);
    }
}

#[test]
fn without_batches_or_when_the_model_fails_nothing_has_changed() {
    let net = Net::new(Device::Cpu);
    let before = net.buffers();
    let none: [Tensor; 0] = [];
    let refused = recalibrate(&net.vs, &none, |x| drop(net.layers.forward_t(x, true)));
    assert!(matches!(refused, Err(Error::NoBatches)));
    assert!(net.buffers() == before);

    let mut opt = Lookahead::builder(fused::Sgd::default()).build(&net.vs, 0.1).unwrap();
    let mut at_phi = opt.slow_weights().unwrap();
    assert!(at_phi.recalibrate(&net.vs, &none, |_| ()).is_err());
    at_phi.end().unwrap();
    assert!(net.buffers() == before);

    // A panic in the middle of it, too.
    let batches = batches(Device::Cpu);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut at_phi = opt.slow_weights().unwrap();
        let mut count = 0;
        let forward = |x: &&Tensor| {
            count += 1;
            assert!(count < 4, "enough");
            drop(net.layers.forward_t(x, true));
        };
        let _ = at_phi.recalibrate(&net.vs, &batches, forward);
    }));
    assert!(panicked.is_err());
    assert!(net.buffers() == before, "θ's statistics return on a panic");
}

/// Statistics of two stores return each to its own.
#[test]
fn two_stores_in_one_evaluation() {
    let (one, two) = (Net::new(Device::Cpu), Net::new(Device::Cpu));
    let before = (one.buffers(), two.buffers());
    let mut opt = Lookahead::builder(fused::Sgd::default()).build(&one.vs, 0.1).unwrap();
    let mut at_phi = opt.slow_weights().unwrap();
    for net in [&one, &two] {
        let forward = |x: &Tensor| drop(net.layers.forward_t(x, true));
        at_phi.recalibrate(&net.vs, batches(Device::Cpu), forward).unwrap();
    }
    at_phi.end().unwrap();
    assert!((one.buffers(), two.buffers()) == before);
}

/// In half precision a layer's momentum can't be told.
#[test]
fn statistics_that_are_too_coarse_are_refused() {
    let mut net = Net::new(Device::Cpu);
    net.vs.bfloat16();
    let refused = recalibrate(&net.vs, batches(Device::Cpu), |_| ()).unwrap_err().to_string();
    assert!(refused.contains("running_") && refused.contains("BFloat16"), "{refused}");
}

/// A buffer that the layers do not move keeps its value: one that was not run, or of another kind.
#[test]
fn what_did_not_run_keeps_its_value() {
    let vs = nn::VarStore::new(Device::Cpu);
    let root = vs.root();
    let used = nn::batch_norm1d(&root / "used", 1, Default::default());
    let unused = nn::batch_norm1d(&root / "unused", 1, Default::default());
    let _ = tch::no_grad(|| unused.running_var.shallow_clone().fill_(7.0));
    let batch = [Tensor::full([4, 1], 3.0, (Kind::Float, Device::Cpu))];
    recalibrate(&vs, &batch, |x| drop(used.forward_t(x, true))).unwrap();
    assert!((used.running_mean.double_value(&[0]) - 3.0).abs() < 1e-5);
    assert_eq!(unused.running_var.double_value(&[0]), 7.0);
}
