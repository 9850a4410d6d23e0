//! Batch normalization's running statistics, interpolated with the weights.

use crate::common::{assert_same_bits, bits};
use lookahead_core::{
    Builder, Error, FromConfig, Lookahead, LookaheadConfig, NonFinite, SyncPath, fused,
};
use tch::nn::{self, ModuleT};
use tch::{Device, Kind, Tensor};

/// A linear layer and batch normalization.
struct Net {
    vs: nn::VarStore,
    layers: nn::SequentialT,
}

impl Net {
    fn new() -> Net {
        tch::manual_seed(1);
        let vs = nn::VarStore::new(Device::Cpu);
        let root = vs.root();
        let layers = nn::seq_t()
            .add(nn::linear(&root / "linear", 3, 2, Default::default()))
            .add(nn::batch_norm1d(&root / "norm", 2, Default::default()))
            .add(nn::linear(&root / "last", 2, 1, Default::default()));
        Net { vs, layers }
    }

    fn loss(&self, i: i64) -> Tensor {
        let numbers = Tensor::arange(24, (Kind::Float, Device::Cpu)).reshape([8, 3]);
        let x = (numbers * (0.3 + 0.2 * i as f64)).sin() * (1.0 + i as f64);
        self.layers.forward_t(&x, true).square().mean(Kind::Float)
    }

    /// All variables, the statistics among them.
    fn all(&self) -> Vec<(String, Tensor)> {
        let named = self.vs.variables().into_iter();
        let mut all: Vec<_> = named.map(|(name, t)| (name, t.detach().copy())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    fn mean(&self) -> Tensor {
        self.vs.variables()["norm.running_mean"].shallow_clone()
    }

    fn variance(&self) -> Tensor {
        self.vs.variables()["norm.running_var"].shallow_clone()
    }
}

fn builder(alpha: f64) -> Builder<FromConfig<fused::Sgd>> {
    Lookahead::builder(fused::sgd(0.9, 0.0, 0.0, false)).k(3).alpha(alpha)
}

fn train(net: &Net, opt: &mut Lookahead, batches: std::ops::Range<i64>) {
    for i in batches {
        opt.backward_step(&net.loss(i)).unwrap();
    }
}

/// s̄ ← s̄ + α (s − s̄), s ← s̄ after every third step, whatever the outer step of the weights is.
#[test]
fn statistics_are_interpolated_at_a_sync() {
    for path in [SyncPath::Auto, SyncPath::Foreach] {
        for (alpha, used) in [(0.5, 0.5), (0.8, 0.8), (1.5, 1.0)] {
            let net = Net::new();
            let builder = builder(alpha).extrapolate(true).sync_path(path);
            let mut opt = builder.interpolate_statistics(&net.vs).build(&net.vs, 0.02).unwrap();
            let mut slow = [net.mean().copy(), net.variance().copy()];
            for i in 0..9 {
                opt.zero_grad().unwrap();
                net.loss(i).backward();
                opt.inner_step().unwrap();
                let fast = [net.mean().copy(), net.variance().copy()];
                assert!(slow.iter().zip(&fast).all(|(slow, fast)| slow != fast), "they move");
                if opt.sync_if_due().unwrap() {
                    for (slow, fast) in slow.iter_mut().zip(&fast) {
                        *slow = &*slow + (fast - &*slow) * used;
                    }
                    for (slow, now) in slow.iter().zip([net.mean(), net.variance()]) {
                        assert!(now.allclose(slow, 1e-6, 1e-7, false), "α {alpha}, step {i}");
                    }
                }
            }
        }
    }
}

#[test]
fn at_alpha_one_nothing_differs_by_a_bit() {
    let run = |interpolates: bool| {
        let net = Net::new();
        let mut builder = builder(1.0);
        if interpolates {
            builder = builder.interpolate_statistics(&net.vs);
        }
        let mut opt = builder.build(&net.vs, 0.02).unwrap();
        train(&net, &mut opt, 0..8);
        opt.finish().unwrap();
        net.all()
    };
    assert_same_bits(&run(true), &run(false), "α 1");
}

#[test]
fn the_model_at_phi_has_its_own_and_theta_gets_its_back() {
    let net = Net::new();
    let builder = builder(0.5).interpolate_statistics(&net.vs);
    let mut opt = builder.build(&net.vs, 0.02).unwrap();
    train(&net, &mut opt, 0..3);
    let at_sync = (bits(&net.mean()), bits(&net.variance()));
    train(&net, &mut opt, 3..5);
    let before = net.all();
    let at_phi = opt.with_slow_weights(|| (bits(&net.mean()), bits(&net.variance()))).unwrap();
    assert!(at_phi == at_sync && at_phi.0 != bits(&net.mean()));
    assert_same_bits(&net.all(), &before, "θ's");
    // Recalibrated ones are in their place for as long.
    let forward = |i: &i64| drop(net.loss(*i));
    let mut guard = opt.slow_weights().unwrap();
    guard.recalibrate(&net.vs, [7, 8], forward).unwrap();
    assert!(bits(&net.mean()) != at_sync.0);
    guard.end().unwrap();
    assert_same_bits(&net.all(), &before, "θ's after a recalibration");
    opt.discard_cycle().unwrap();
    assert!((bits(&net.mean()), bits(&net.variance())) == at_sync);
}

#[test]
fn a_training_resumes_to_the_bit_at_every_phase() {
    let build = |net: &Net| {
        let builder = builder(0.5).interpolate_statistics(&net.vs);
        builder.build(&net.vs, 0.02).unwrap()
    };
    let whole = Net::new();
    train(&whole, &mut build(&whole), 0..10);
    for stop in 1..9 {
        let first = Net::new();
        let mut opt = build(&first);
        train(&first, &mut opt, 0..stop);
        let state = opt.state().unwrap();
        assert_eq!(
            state.tensors.keys().filter(|key| key.starts_with("slow_statistic/")).count(),
            2
        );
        let mut second = Net::new();
        second.vs.copy(&first.vs).unwrap();
        let mut opt = build(&second);
        opt.load_state(&state).unwrap();
        train(&second, &mut opt, stop..10);
        assert_same_bits(&second.all(), &whole.all(), &format!("from step {stop}"));
        // A state without them, or one with them where they are not known, does not fit.
        let mut plain = builder(0.5).build(&second.vs, 0.02).unwrap();
        assert!(matches!(plain.load_state(&state), Err(Error::StateUnexpected { .. })));
        let state = plain.state().unwrap();
        assert!(matches!(opt.load_state(&state), Err(Error::StateMissing { .. })));
    }
}

/// One row has no variance, which makes the running one NaN.
#[test]
fn nan_does_not_reach_the_slow_statistics() {
    for policy in [NonFinite::Error, NonFinite::RollBack] {
        let net = Net::new();
        let builder = builder(0.5).non_finite(policy).interpolate_statistics(&net.vs);
        let mut opt = builder.build(&net.vs, 0.0).unwrap();
        train(&net, &mut opt, 0..3);
        let sound = bits(&net.variance());
        train(&net, &mut opt, 3..5);
        let row = Tensor::ones([1, 3], (Kind::Float, Device::Cpu));
        tch::no_grad(|| drop(net.layers.forward_t(&row, true)));
        let synced = opt.backward_step(&net.loss(5));
        if policy == NonFinite::RollBack {
            assert!(!synced.unwrap());
        } else {
            assert!(matches!(synced, Err(Error::NonFinite { name }) if name == "norm.running_var"));
            opt.roll_back().unwrap();
        }
        assert!(bits(&net.variance()) == sound);
    }
}

#[test]
fn late_layers_join_and_what_is_missing_or_too_coarse_is_refused() {
    let mut net = Net::new();
    let config = LookaheadConfig { interpolate_statistics: true, ..Default::default() };
    let without = Lookahead::builder(fused::Sgd::default()).config(config).build(&net.vs, 0.1);
    assert!(matches!(without, Err(Error::NoStatistics)));

    let interpolating = builder(0.5).interpolate_statistics(&net.vs);
    let mut opt = interpolating.build(&net.vs, 0.02).unwrap();
    train(&net, &mut opt, 0..1);
    let late = nn::batch_norm1d(net.vs.root() / "late", 1, Default::default());
    train(&net, &mut opt, 1..2);
    let _ = tch::no_grad(|| late.running_mean.shallow_clone().fill_(4.0));
    train(&net, &mut opt, 2..3);
    assert_eq!(late.running_mean.double_value(&[0]), 2.0);

    net.vs.bfloat16();
    let coarse = builder(0.5).interpolate_statistics(&net.vs).build(&net.vs, 0.1);
    assert!(matches!(coarse, Err(Error::CoarseStatistics { .. })));
}
