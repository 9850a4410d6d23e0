//! Bugs that other implementations of Lookahead have or had, one test each, named for the bug. Found by reading the
//! authors' code, timm, pytorch_optimizer, optax, TensorFlow Addons, Paddle, LAGAN, jettify, nested_lookahead,
//! yscv and optirs.

use crate::common::{
    INNERS, Inner, Net, POLICIES, assert_same_bits, bits, descend, one_weight, ones, sgd, train,
};
use lookahead_core::{Error, InnerOptimizer, Lookahead, MomentumPolicy, State, fused};
use tch::nn::{self, ModuleT};
use tch::{Device, Kind, Tensor};

fn value(w: &Tensor) -> f64 {
    (w.double_value(&[0]) * 1e6).round() / 1e6
}

/// If φ is copied at the first sync, it is θ, and the sync does nothing; at the first step it is θ₁.
#[test]
fn slow_weights_made_too_late() {
    let (_vs, w, mut opt) = one_weight(2, 0.5);
    descend(&mut opt, &w, 2);
    assert_eq!(value(&w), 0.9, "half the way back to the start; 0.8 or 0.85 would be wrong");
}

/// `if t % k == 0` with t from 0 syncs after the first step.
#[test]
fn a_sync_after_the_first_step() {
    let (_vs, w, mut opt) = one_weight(3, 0.5);
    let synced: Vec<bool> =
        (0..6).map(|_| opt.backward_step(&w.sum(Kind::Float)).unwrap()).collect();
    assert_eq!(synced, [false, false, true, false, false, true]);
}

/// Slow weights of zeros halved the weights in steps without gradients.
#[test]
fn steps_without_gradients_that_change_the_weights() {
    let (_vs, w, mut opt) = one_weight(2, 0.5);
    for _ in 0..6 {
        opt.step().unwrap();
    }
    assert_eq!(value(&w), 1.0);
}

/// The copy of the pulled-back momentum was the momentum itself, so the factor is wrong from the second sync on.
#[test]
fn a_pulled_back_momentum_that_shares_memory_with_its_cache() {
    let (vs, w) = ones(1);
    let sgd = fused::sgd(0.5, 0.0, 0.0, false);
    let pull = MomentumPolicy::Pullback;
    let mut opt =
        Lookahead::builder(sgd).k(1).alpha(0.5).momentum_policy(pull).build(&vs, 0.1).unwrap();
    let (mut slow, mut expected) = (0.0, Vec::new());
    let mut seen = Vec::new();
    for _ in 0..4 {
        opt.backward_step(&w.sum(Kind::Float)).unwrap();
        seen.push(opt.inner_mut().moments(0).unwrap()[0].tensor.double_value(&[0]));
        // m ← ½ m + 1, then half the way from the last pulled-back value.
        slow += 0.5 * (0.5 * slow + 1.0 - slow);
        expected.push(slow);
    }
    assert_eq!(seen, expected);
}

#[test]
fn reset_and_pullback_that_do_nothing_for_adam() {
    let weights = |policy| {
        let net = Net::new(1, Device::Cpu);
        let mut opt = Lookahead::builder(fused::Adam::default())
            .k(2)
            .momentum_policy(policy)
            .build(&net.vs, 0.01)
            .unwrap();
        train(&net, &mut opt, 0..6);
        bits(&net.weights()[0].1)
    };
    let [maintained, reset, pulled] = POLICIES.map(weights);
    assert!(maintained != reset && maintained != pulled && reset != pulled);
}

#[test]
fn slow_weights_or_phase_missing_from_the_saved_state() {
    for inner in INNERS {
        let net = Net::new(1, Device::Cpu);
        let mut opt = net.lookahead(inner, 3, 0.5);
        opt.backward_step(&net.loss(0, true)).unwrap();
        let state = opt.state().unwrap();
        assert_eq!(state.integers["phase"], 1);
        for (name, fast) in net.weights() {
            let slow = &state.tensors[&format!("slow/{name}")];
            assert!(bits(slow) != bits(&fast), "{name}: φ, not θ");
        }
    }
}

/// A state keyed by the tensor is lost in a new process, which a round trip through the same object does not show.
/// So: through files, into fresh objects, at every phase of two cycles.
#[test]
fn a_state_that_only_its_own_object_can_load() {
    const K: u64 = 3;
    let build = |net: &Net| net.lookahead(Inner::Adam, K, 0.5);
    let whole = Net::new(1, Device::Cpu);
    let mut opt = build(&whole);
    train(&whole, &mut opt, 0..10);
    for stop in 1..=2 * K as i64 {
        let folder = tempfile::tempdir().unwrap();
        let (theta, state) =
            (folder.path().join("theta.safetensors"), folder.path().join("s.safetensors"));
        let counts = {
            let net = Net::new(1, Device::Cpu);
            let mut opt = build(&net);
            train(&net, &mut opt, 0..stop);
            net.vs.save(&theta).unwrap();
            let saved = opt.state().unwrap();
            let tensors: Vec<(&String, &Tensor)> = saved.tensors.iter().collect();
            Tensor::write_safetensors(&tensors, &state).unwrap();
            (saved.integers, saved.numbers)
        };
        let mut net = Net::new(77, Device::Cpu);
        net.vs.load(&theta).unwrap();
        let mut opt = build(&net);
        let tensors = Tensor::read_safetensors(&state).unwrap().into_iter().collect();
        let (integers, numbers) = counts;
        opt.load_state(&State { tensors, integers, numbers }).unwrap();
        train(&net, &mut opt, stop..10);
        assert_same_bits(&net.weights(), &whole.weights(), &format!("from step {stop}"));
    }
}

/// Multiplied by a mask, φ + 0 · (NaN − φ) is NaN, even between syncs.
#[test]
fn nan_that_reaches_the_slow_weights_between_syncs() {
    let (_vs, w, mut opt) = one_weight(3, 0.5);
    for _ in 0..2 {
        opt.backward_step(&(&w * f64::NAN).sum(Kind::Float)).unwrap();
        assert_eq!(opt.with_slow_weights(|| value(&w)).unwrap(), 1.0);
    }
}

/// Backing up θ twice, the second time with φ in the model, loses θ.
#[test]
fn two_evaluations_in_a_row_that_lose_theta() {
    let (_vs, w, mut opt) = one_weight(5, 0.5);
    opt.backward_step(&w.sum(Kind::Float)).unwrap();
    std::mem::forget(opt.slow_weights().unwrap());
    std::mem::forget(opt.slow_weights().unwrap());
    assert_eq!(opt.with_slow_weights(|| value(&w)).unwrap(), 1.0);
    assert_eq!(value(&w), 0.9);
}

/// The borrow checker refuses a step under the guard (a doc test that must not compile); a step undoes a leaked
/// guard.
#[test]
fn a_step_at_the_slow_weights() {
    let (_vs, w, mut opt) = one_weight(5, 0.5);
    opt.backward_step(&w.sum(Kind::Float)).unwrap();
    std::mem::forget(opt.slow_weights().unwrap());
    opt.zero_grad().unwrap();
    w.sum(Kind::Float).backward();
    opt.step().unwrap();
    assert_eq!(value(&w), 0.8, "from θ, not from φ");
}

#[test]
fn a_parameter_without_gradient_at_the_sync_that_is_left_out() {
    let vs = nn::VarStore::new(Device::Cpu);
    let (a, b) = (vs.root().ones("a", &[1]), vs.root().ones("b", &[1]));
    let mut opt = sgd(&vs, 2, 0.5);
    opt.backward_step(&(&a + &b).sum(Kind::Float)).unwrap();
    opt.backward_step(&a.sum(Kind::Float)).unwrap();
    assert_eq!((value(&a), value(&b)), (0.9, 0.95));
}

/// Both levels count the innermost steps, and an outer sync begins a new inner cycle.
#[test]
fn nested_periods_that_are_off_by_one() {
    let (_vs, w, inner) = one_weight(3, 0.5);
    let mut outer = Lookahead::around(inner).k(7).alpha(0.5).build().unwrap();
    let (mut inner_syncs, mut outer_syncs) = (Vec::new(), Vec::new());
    for step in 1..=21 {
        let before = outer.inner().syncs();
        if outer.backward_step(&w.sum(Kind::Float)).unwrap() {
            outer_syncs.push(step);
            let state = outer.state().unwrap();
            let levels = ["slow/w", "inner/slow/w"].map(|key| bits(&state.tensors[key]));
            assert!(levels[0] == levels[1] && levels[0] == bits(&w), "all levels are equal");
            assert_eq!(outer.inner().phase(), 0);
        }
        if outer.inner().syncs() > before {
            inner_syncs.push(step);
        }
    }
    assert_eq!(inner_syncs, [3, 6, 10, 13, 17, 20]);
    assert_eq!(outer_syncs, [7, 14, 21]);
}

/// In bfloat16 a slow step is often below the resolution, and φ stays at 1.
#[test]
fn slow_weights_in_half_precision_that_stall() {
    for kind in [Kind::BFloat16, Kind::Half] {
        let mut vs = nn::VarStore::new(Device::Cpu);
        vs.set_kind(kind);
        let w = vs.root().ones("w", &[1]);
        let sgd = fused::Sgd::default();
        let mut opt = Lookahead::builder(sgd).k(1).alpha(0.1).build(&vs, 0.01).unwrap();
        for _ in 0..400 {
            opt.backward_step(&w.sum(kind)).unwrap();
        }
        let state = opt.state().unwrap();
        let slow = &state.tensors["slow/w"];
        assert_eq!(slow.kind(), Kind::Float);
        assert!(slow.double_value(&[0]) < 0.75, "{kind:?}: {}", slow.double_value(&[0]));
    }
}

/// φ + α (θ − φ) at α = 1 is θ for fewer than half of all values.
#[test]
fn an_interpolation_that_is_not_exact_at_its_ends() {
    let values: Vec<f32> = (1..2000).map(|i| (i as f32 * 0.377).sin() * 3.0).collect();
    for alpha in [1.0, 0.5, 0.3] {
        let vs = nn::VarStore::new(Device::Cpu);
        let w = vs.root().var_copy("w", &Tensor::from_slice(&values));
        let sgd = fused::Sgd::default();
        let mut opt = Lookahead::builder(sgd).k(1).alpha(alpha).build(&vs, 1.0).unwrap();
        let before = bits(&w);
        opt.step().unwrap();
        assert!(bits(&w) == before, "θ = φ stays, at α {alpha}");
    }
    let vs = nn::VarStore::new(Device::Cpu);
    let w = vs.root().var_copy("w", &Tensor::from_slice(&values));
    let mut opt = sgd(&vs, 1, 1.0);
    let alone = nn::VarStore::new(Device::Cpu);
    let v = alone.root().var_copy("w", &Tensor::from_slice(&values));
    let mut bare = lookahead_core::TchOptimizer::new(fused::Sgd::default(), &alone, 0.1).unwrap();
    for w in [&w, &v] {
        w.square().sum(Kind::Float).backward();
    }
    opt.step().unwrap();
    bare.step().unwrap();
    assert!(bits(&w) == bits(&v), "α = 1 is the inner optimizer");
    assert!(bits(&opt.state().unwrap().tensors["slow/w"]) == bits(&v), "and φ is θ");
}

/// A counter that every parameter increments divides k by the number of parameters.
#[test]
fn a_step_counter_that_counts_parameters() {
    let net = Net::new(1, Device::Cpu);
    assert!(net.vs.trainable_variables().len() > 1);
    let mut opt = net.lookahead(Inner::Sgd, 5, 0.5);
    let syncs: Vec<i64> =
        (1..=11).filter(|&i| opt.backward_step(&net.loss(i, true)).unwrap()).collect();
    assert_eq!(syncs, [5, 10]);
}

#[test]
fn a_period_of_zero() {
    let vs = nn::VarStore::new(Device::Cpu);
    let refused = Lookahead::builder(fused::Sgd::default()).k(0).build(&vs, 0.1);
    assert!(matches!(refused, Err(Error::Setting { key: "k", .. })));
}

/// The running statistics in the model belong to θ, and no other implementation computes those of φ.
#[test]
fn batch_norm_statistics_of_the_wrong_weights() {
    tch::manual_seed(2);
    let vs = nn::VarStore::new(Device::Cpu);
    let root = vs.root();
    let layer = nn::linear(&root / "layer", 3, 4, Default::default());
    let norm = nn::batch_norm1d(&root / "norm", 4, Default::default());
    let hidden = |x: &Tensor| x.apply(&layer);
    let batches: Vec<Tensor> =
        (0..5).map(|_| Tensor::randn([64, 3], (Kind::Float, Device::Cpu)) + 1.0).collect();
    let mut opt = Lookahead::builder(fused::Sgd::default()).k(100).build(&vs, 0.5).unwrap();
    for x in &batches {
        opt.backward_step(&(norm.forward_t(&hidden(x), true) - 3.0).square().mean(Kind::Float))
            .unwrap();
    }
    let of_theta = (norm.running_mean.copy(), norm.running_var.copy());
    let mut at_phi = opt.slow_weights().unwrap();
    at_phi.recalibrate(&vs, &batches, |x| drop(norm.forward_t(&hidden(x), true))).unwrap();
    let mean = |of: &dyn Fn(&Tensor) -> Tensor| {
        let all: Vec<Tensor> = batches.iter().map(|x| of(&hidden(x))).collect();
        Tensor::stack(&all, 0).mean_dim(0, false, Kind::Float)
    };
    let expected_mean = mean(&|h| h.mean_dim(0, false, Kind::Float));
    let expected_var = mean(&|h| h.var_dim(0, true, false));
    assert!(norm.running_mean.allclose(&expected_mean, 1e-4, 1e-5, false));
    assert!(norm.running_var.allclose(&expected_var, 1e-4, 1e-5, false));
    assert!(!norm.running_mean.allclose(&of_theta.0, 1e-2, 1e-2, false), "not θ's");
    at_phi.end().unwrap();
    assert_eq!((norm.running_mean, norm.running_var), of_theta, "θ's are back");
}
