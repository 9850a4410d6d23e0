//! Batch normalization's statistics for φ: computed on request, and removed with φ.

use crate::common::bits;
use lookahead_core::tch_ext::generator;
use lookahead_core::{Error, Lookahead, fused, recalibrate};
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
fn theta_s_statistics_and_the_generator_are_restored() {
    for device in crate::common::devices() {
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
        // A second time changes nothing.
        at_phi.recalibrate(&net.vs, &batches, forward).unwrap();
        assert!(net.buffers() == once);
        drop(at_phi);
        assert!(net.buffers() == before);
        assert!(bits(&generator::state(device).unwrap()) == bits(&random));
        // The next call restores a leaked guard's too.
        let mut leaked = opt.slow_weights().unwrap();
        leaked.recalibrate(&net.vs, &batches, forward).unwrap();
        std::mem::forget(leaked);
        opt.zero_grad().unwrap();
        assert!(net.buffers() == before);
    }
}

/// The result is the plain mean over the batches, like a PyTorch layer without momentum.
#[test]
fn the_layers_momentum_does_not_matter() {
    let vs = nn::VarStore::new(Device::Cpu);
    let (mut norms, root) = (Vec::new(), vs.root());
    for (i, momentum) in [0.01, 0.1, 0.9, 1.0].into_iter().enumerate() {
        let config = nn::BatchNormConfig { momentum, ..Default::default() };
        norms.push(nn::batch_norm1d(&root / i, 2, config));
    }
    // Large values, which would hide the momentum.
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
fn without_batches_or_after_a_panic_nothing_has_changed() {
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

    // A panic in the middle.
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

/// Each store gets its own statistics back.
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

#[test]
fn statistics_that_are_too_coarse_are_refused() {
    let mut net = Net::new(Device::Cpu);
    net.vs.bfloat16();
    let refused = recalibrate(&net.vs, batches(Device::Cpu), |_| ()).unwrap_err().to_string();
    assert!(refused.contains("running_") && refused.contains("BFloat16"), "{refused}");
}

#[test]
fn a_layer_that_did_not_run_keeps_its_statistics() {
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

fn close(found: &Tensor, expected: &Tensor, tolerance: f64) {
    let (found, expected) = (found.to_kind(Kind::Double), expected.to_kind(Kind::Double));
    assert!(found.allclose(&expected, tolerance, 0.0, false), "{found:?}, not {expected:?}");
}

/// The last batch of an epoch may be smaller: all rows count equally.
#[test]
fn batches_count_by_their_rows() {
    tch::manual_seed(6);
    let vs = nn::VarStore::new(Device::Cpu);
    let norm = nn::batch_norm1d(vs.root(), 2, Default::default());
    let sizes = [200, 2, 50];
    let batches: Vec<Tensor> = (0..3)
        .map(|i| {
            Tensor::randn([sizes[i], 2], (Kind::Double, Device::Cpu)) * (i as f64 + 1.0) + i as f64
        })
        .collect();
    let forward = |x: &&Tensor| drop(norm.forward_t(&x.to_kind(Kind::Float), true));
    recalibrate(&vs, &batches, forward).unwrap();
    let weighted = |of: &dyn Fn(&Tensor) -> Tensor| {
        let sum: Tensor = batches.iter().map(|x| of(x) * x.size()[0] as f64).sum();
        sum / 252.0
    };
    let mean = weighted(&|x| x.mean_dim(0, false, Kind::Double));
    let variance = weighted(&|x| x.var_dim(0, true, false));
    close(&norm.running_mean, &mean, 1e-6);
    close(&norm.running_var, &variance, 1e-6);
}

/// It has no variance, and would make the statistics NaN.
#[test]
fn a_batch_of_one_row_is_skipped() {
    let net = Net::new(Device::Cpu);
    let batches = batches(Device::Cpu);
    let forward = |x: &Tensor| drop(net.layers.forward_t(x, true));
    recalibrate(&net.vs, batches.iter().map(Tensor::shallow_clone), forward).unwrap();
    let without = net.buffers();
    // The first layer still has its pixels; the last one has only one value.
    let one = || batches[1].narrow(0, 3, 1);
    for at in [0, 2, 4] {
        let mut all: Vec<Tensor> = batches.iter().map(Tensor::shallow_clone).collect();
        all.insert(at, one());
        recalibrate(&net.vs, all, forward).unwrap();
        let finite =
            net.vs.variables().into_values().all(|t| bool::try_from(t.isfinite().all()).unwrap());
        assert!(finite, "at {at}");
        if at == 4 {
            // Before the others it would change dropout's numbers.
            assert!(net.buffers() == without);
        }
    }
    let before = net.buffers();
    let refused = recalibrate(&net.vs, [one(), one()], forward);
    assert!(matches!(refused, Err(Error::OneValuePerChannel { batches: 2 })), "{refused:?}");
    assert!(net.buffers() == before);
}

/// Even with a mean that is larger still.
#[test]
fn inputs_far_from_unit_scale_have_the_right_variance() {
    tch::manual_seed(7);
    for momentum in [0.01, 0.1] {
        for (deviation, centre) in [(1.0, 0.0), (1e6, 0.0), (1e7, 3e7), (1e12, 0.0), (1e-6, 0.0)] {
            let vs = nn::VarStore::new(Device::Cpu);
            let config = nn::BatchNormConfig { momentum, ..Default::default() };
            let norm = nn::batch_norm1d(vs.root(), 3, config);
            let draw = || Tensor::randn([64, 3], (Kind::Double, Device::Cpu)) * deviation + centre;
            let batches: Vec<Tensor> = (0..4).map(|_| draw().to_kind(Kind::Float)).collect();
            recalibrate(&vs, &batches, |x| drop(norm.forward_t(x, true))).unwrap();
            let mean = |of: &dyn Fn(Tensor) -> Tensor| {
                let all: Vec<Tensor> =
                    batches.iter().map(|x| of(x.to_kind(Kind::Double))).collect();
                Tensor::stack(&all, 0).mean_dim(0, false, Kind::Double)
            };
            close(&norm.running_var, &mean(&|x| x.var_dim(0, true, false)), 1e-6);
            let means = mean(&|x| x.mean_dim(0, false, Kind::Double));
            let apart = (norm.running_mean.to_kind(Kind::Double) - &means).abs().max();
            let apart = apart.double_value(&[]) / (deviation + centre);
            assert!(apart < 1e-6, "{deviation}: {apart}");
        }
    }
}

/// They are reported and not written.
#[test]
fn nan_and_overflowing_statistics_are_refused() {
    let vs = nn::VarStore::new(Device::Cpu);
    let norm = nn::batch_norm1d(&vs.root() / "norm", 1, Default::default());
    for value in [f32::NAN, f32::INFINITY, 1e25] {
        let batch = [Tensor::from_slice(&[value, 1.0, -value, 2.0]).view([4, 1])];
        let refused = recalibrate(&vs, &batch, |x| drop(norm.forward_t(x, true))).unwrap_err();
        let Error::NonFiniteStatistics { name } = &refused else { panic!("{refused}") };
        assert!(name.starts_with("norm.running_"), "{name}");
        assert_eq!(
            (norm.running_mean.double_value(&[0]), norm.running_var.double_value(&[0])),
            (0.0, 1.0)
        );
    }
}

/// A handwritten normalization can't be observed.
#[test]
fn a_layer_other_than_libtorch_s_is_refused_by_name() {
    let vs = nn::VarStore::new(Device::Cpu);
    let mine = (&vs.root() / "mine").zeros_no_train("running_mean", &[1]);
    let forward = |x: &Tensor| {
        let mean = x.mean_dim(0, false, Kind::Float);
        let _ = mine.shallow_clone().lerp_(&mean, 0.1);
    };
    let refused = recalibrate(&vs, [Tensor::ones([3, 1], (Kind::Float, Device::Cpu))], forward);
    assert!(
        matches!(&refused, Err(Error::UnseenStatistics { name }) if name == "mine.running_mean")
    );
    assert_eq!(mine.double_value(&[0]), 0.0, "unchanged");
}

/// As PyTorch's `num_batches_tracked`: a buffer that each forward pass in training mode changes.
#[test]
fn other_buffers_are_restored() {
    let net = Net::new(Device::Cpu);
    let count = net.vs.root().add("count", Tensor::from(0i64), false);
    let forward = |x: &&Tensor| {
        let _ = count.shallow_clone().f_add_scalar_(1).unwrap();
        drop(net.layers.forward_t(x, true));
    };
    let batches = batches(Device::Cpu);
    assert_eq!(recalibrate(&net.vs, &batches, forward).unwrap(), 4);
    assert_eq!(count.int64_value(&[]), 0);
    let mut opt = Lookahead::builder(fused::Sgd::default()).build(&net.vs, 0.1).unwrap();
    let mut at_phi = opt.slow_weights().unwrap();
    at_phi.recalibrate(&net.vs, &batches, forward).unwrap();
    assert_eq!(count.int64_value(&[]), 0);
    at_phi.end().unwrap();
    assert_eq!(count.int64_value(&[]), 0);
}
