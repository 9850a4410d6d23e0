//! Whole trainings.

use super::{KINDS, Problem, assert_close, gpu, on, wide};
use crate::common::{AnyConfig, INNERS, Inner, POLICIES, bits};
use lookahead_core::tch_ext::generator;
use lookahead_core::{Error, Lookahead, MomentumPolicy, NonFinite, State, fused, recalibrate};
use tch::nn::{self, ModuleT};
use tch::{Cuda, Device, Kind, Tensor};

/// φ, velocities, moments and their slow copies, and the counts.
fn assert_states_close(found: &State, expected: &State, tolerance: f64, what: &str) {
    assert!(found.tensors.keys().eq(expected.tensors.keys()), "{what}");
    for (key, tensor) in &found.tensors {
        let tolerance = (tolerance, tolerance);
        assert_close(tensor, &expected.tensors[key], tolerance, &format!("{what}: {key}"));
    }
    assert_eq!(found.integers, expected.integers, "{what}");
    assert_eq!(found.numbers, expected.numbers, "{what}");
}

/// θ and the state after three syncs and a part of a cycle.
fn trained(
    device: Device,
    kind: Kind,
    inner: Inner,
    policy: MomentumPolicy,
    outer_momentum: f64,
) -> (Vec<Tensor>, State) {
    let problem = Problem::new(device, kind);
    let mut opt = Lookahead::builder(AnyConfig(inner))
        .k(3)
        .alpha(0.5)
        .momentum_policy(policy)
        .outer_momentum(outer_momentum)
        .outer_nesterov(true)
        .build(&problem.vs, 0.01)
        .unwrap();
    for step in 0..11 {
        opt.backward_step(&problem.loss(step)).unwrap();
    }
    assert_eq!(opt.syncs(), 3);
    (problem.weights, opt.state().unwrap())
}

#[test]
fn momentum_policies_are_the_cpus() {
    let Some(gpu) = gpu() else { return };
    for inner in INNERS {
        for policy in POLICIES {
            let settings = [(Kind::Float, 0.0, 1e-4), (Kind::Double, 0.6, 1e-11)];
            for (kind, momentum, tolerance) in settings {
                let what = format!("{inner:?}, {policy:?}, {momentum}, {kind:?}");
                let (fast, state) = trained(gpu, kind, inner, policy, momentum);
                let (cpu_fast, cpu_state) = trained(Device::Cpu, kind, inner, policy, momentum);
                for (i, (found, expected)) in fast.iter().zip(&cpu_fast).enumerate() {
                    let what = format!("{what}: θ, tensor {i}");
                    assert_close(found, expected, (tolerance, tolerance), &what);
                }
                assert_states_close(&state, &cpu_state, tolerance, &what);
            }
        }
    }
}

#[test]
fn one_bad_value_among_many_is_found() {
    let Some(gpu) = gpu() else { return };
    for (kind, ..) in KINDS {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let what = format!("{kind:?}, {value}");
            let mut vs = nn::VarStore::new(gpu);
            vs.set_kind(kind);
            let _ = vs.root().ones("first", &[3]);
            let w = vs.root().ones("second", &[70_000]);
            let _ = vs.root().ones("third", &[0]);
            let sgd = fused::sgd(0.9, 0.0, 0.0, false);
            let builder = Lookahead::builder(sgd).k(1).alpha(0.5).non_finite(NonFinite::Error);
            let mut opt = builder.build(&vs, 0.5).unwrap();
            let gradient = Tensor::zeros([70_000], (kind, gpu));
            let _ = gradient.get(65_000).fill_(value);
            let refused = opt.backward_step(&(&w * gradient).sum(kind)).unwrap_err();
            let named = matches!(&refused, Error::NonFinite { name } if name == "second");
            assert!(named, "{what}: {refused}");
            let ones = Tensor::ones([70_000], (kind, gpu));
            assert_eq!(opt.with_slow_weights(|| w.copy()).unwrap(), ones, "{what}: φ is intact");
            opt.roll_back().unwrap();
            assert_eq!(w, ones, "{what}: θ is back at φ");
            assert!(opt.backward_step(&w.sum(kind)).unwrap(), "{what}: and it continues");
        }
    }
}

#[test]
fn phi_is_in_the_model_and_theta_returns() {
    let Some(gpu) = gpu() else { return };
    for (kind, slow_kind, _) in KINDS {
        let problem = Problem::new(gpu, kind);
        let start = on(gpu, &problem.weights);
        let mut opt =
            Lookahead::builder(fused::Adam::default()).k(5).build(&problem.vs, 0.1).unwrap();
        for step in 0..3 {
            opt.backward_step(&problem.loss(step)).unwrap();
        }
        let fast = on(gpu, &problem.weights);
        let addresses = || -> Vec<_> { problem.weights.iter().map(Tensor::data_ptr).collect() };
        let own = addresses();
        let (seen, first) =
            opt.with_slow_weights(|| (on(gpu, &problem.weights), addresses())).unwrap();
        let second = opt.with_slow_weights(addresses).unwrap();
        for (i, ((seen, start), fast)) in seen.iter().zip(&start).zip(&fast).enumerate() {
            let what = format!("{kind:?}, tensor {i}");
            assert_eq!(seen.device(), gpu);
            assert!(bits(seen) == bits(start), "φ is the start before a sync: {what}");
            assert!(bits(&problem.weights[i]) == bits(fast), "θ is back: {what}");
            assert!(fast.numel() == 0 || fast != start, "it had moved: {what}");
        }
        assert!(addresses() == own, "{kind:?}: θ's own memory");
        if kind == slow_kind {
            assert!(first == second && first[0] != own[0], "{kind:?}: φ's own memory");
        }
        opt.discard_cycle().unwrap();
        assert!(bits(&problem.weights[0]) == bits(&start[0]), "{kind:?}: the result is φ");
    }
}

#[test]
fn recalibrated_statistics_are_the_cpus() {
    let Some(gpu) = gpu() else { return };
    tch::manual_seed(6);
    let batches: Vec<Tensor> = (0..3)
        .map(|i| Tensor::randn([200, 4], (Kind::Float, Device::Cpu)) * 2.0 + f64::from(i))
        .collect();
    let statistics = |device: Device| {
        let vs = nn::VarStore::new(device);
        let norm = nn::batch_norm1d(vs.root() / "norm", 4, Default::default());
        let forward = |batch: &Tensor| drop(norm.forward_t(batch, true));
        assert_eq!(recalibrate(&vs, on(device, &batches), forward).unwrap(), 2);
        (norm.running_mean, norm.running_var)
    };
    let (found, expected) = (statistics(gpu), statistics(Device::Cpu));
    assert_eq!((found.0.device(), found.1.device()), (gpu, gpu));
    assert_close(&found.0, &expected.0, (1e-4, 1e-4), "mean");
    assert_close(&found.1, &expected.1, (1e-4, 1e-4), "variance");
    let variances: Vec<Tensor> = batches.iter().map(|x| x.var_dim(0, true, false)).collect();
    let by_hand = Tensor::stack(&variances, 0).mean_dim(0, false, Kind::Float);
    assert_close(&found.1, &by_hand, (1e-3, 1e-3), "the mean over the batches");

    // At φ; then θ's own return.
    let vs = nn::VarStore::new(gpu);
    let net = nn::seq_t()
        .add(nn::linear(vs.root() / "in", 4, 4, Default::default()))
        .add(nn::batch_norm1d(vs.root() / "norm", 4, Default::default()));
    let batches = on(gpu, &batches);
    let mut opt = Lookahead::builder(fused::Sgd::default()).build(&vs, 0.1).unwrap();
    for x in &batches {
        opt.backward_step(&net.forward_t(x, true).square().sum(Kind::Float)).unwrap();
    }
    let mean = || bits(&vs.variables()["norm.running_mean"]);
    let before = mean();
    let mut at_phi = opt.slow_weights().unwrap();
    at_phi.recalibrate(&vs, &batches, |x| drop(net.forward_t(x, true))).unwrap();
    assert!(mean() != before);
    at_phi.end().unwrap();
    assert!(mean() == before);
}

/// θ and the state, through files into fresh objects on another device.
fn carried(
    problem: &Problem,
    opt: &mut Lookahead,
    to: Device,
    build: impl Fn(&Problem) -> Lookahead,
) -> (Problem, Lookahead) {
    let folder = tempfile::tempdir().unwrap();
    let [theta, training] =
        ["theta", "training"].map(|name| folder.path().join(name).with_extension("safetensors"));
    problem.vs.save(&theta).unwrap();
    let State { tensors, integers, numbers } = opt.state().unwrap();
    let named: Vec<(&String, &Tensor)> = tensors.iter().collect();
    Tensor::write_safetensors(&named, &training).unwrap();

    let mut fresh = Problem::new(to, Kind::Float);
    for weight in &fresh.weights {
        let _ = tch::no_grad(|| weight.shallow_clone().fill_(9.0)); // all must come from the disk
    }
    fresh.vs.load(&theta).unwrap();
    let mut other = build(&fresh);
    let tensors = Tensor::read_safetensors(&training).unwrap().into_iter().collect();
    other.load_state(&State { tensors, integers, numbers }).unwrap();
    (fresh, other)
}

#[test]
fn a_training_moves_from_the_gpu_to_the_cpu_and_back() {
    let Some(gpu) = gpu() else { return };
    let build = |problem: &Problem| {
        Lookahead::builder(fused::Adam::default())
            .k(3)
            .alpha(0.5)
            .momentum_policy(MomentumPolicy::Pullback)
            .outer_momentum(0.5)
            .build(&problem.vs, 0.05)
            .unwrap()
    };
    for (from, to) in [(gpu, Device::Cpu), (Device::Cpu, gpu)] {
        let what = format!("{from:?} to {to:?}");
        let problem = Problem::new(from, Kind::Float);
        let mut opt = build(&problem);
        for step in 0..5 {
            opt.backward_step(&problem.loss(step)).unwrap();
        }
        let (fresh, mut other) = carried(&problem, &mut opt, to, build);
        // Nothing was lost.
        let (before, after) = (opt.state().unwrap(), other.state().unwrap());
        assert_eq!(before.integers, after.integers, "{what}");
        for (key, tensor) in &after.tensors {
            assert_eq!(tensor.device(), to, "{what}: {key}");
            assert!(bits(tensor) == bits(&before.tensors[key]), "{what}: {key}");
        }
        for (i, (a, b)) in problem.weights.iter().zip(&fresh.weights).enumerate() {
            assert_eq!(b.device(), to, "{what}: θ, tensor {i}");
            assert!(bits(a) == bits(b), "{what}: θ, tensor {i}");
        }
        // Both continue identically.
        for step in 5..12 {
            opt.backward_step(&problem.loss(step)).unwrap();
            other.backward_step(&fresh.loss(step)).unwrap();
        }
        let (before, after) = (opt.state().unwrap(), other.state().unwrap());
        assert_states_close(&after, &before, 1e-4, &what);
    }
}

#[test]
fn gradients_are_clipped() {
    let Some(gpu) = gpu() else { return };
    for (kind, ..) in KINDS {
        let mut vs = nn::VarStore::new(gpu);
        vs.set_kind(kind);
        let (a, b) = (vs.root().zeros("a", &[2]), vs.root().zeros("b", &[1]));
        let _without = vs.root().zeros("c", &[2]);
        let mut opt = Lookahead::builder(fused::Sgd::default()).build(&vs, 1.0).unwrap();
        assert_eq!(opt.clip_grad_norm(1.0).unwrap(), 0.0, "no gradient");
        let factors = Tensor::from_slice(&[3.0f32, 0.0]).to_kind(kind).to_device(gpu);
        let backward = || ((&a * &factors).sum(kind) + (&b * 4.0).sum(kind)).backward();
        backward();
        let norm = opt.clip_grad_norm(1.0).unwrap();
        assert!((norm - 5.0).abs() < 1e-5, "{kind:?}: {norm}");
        let tolerance = if kind == Kind::BFloat16 { 5e-3 } else { 1e-3 };
        let expected = Tensor::from_slice(&[0.6, 0.0]);
        assert_close(&a.grad(), &expected, (tolerance, 0.0), &format!("{kind:?}"));
        let expected = Tensor::from_slice(&[0.8]);
        assert_close(&b.grad(), &expected, (tolerance, 0.0), &format!("{kind:?}"));

        opt.zero_grad().unwrap();
        backward();
        opt.clip_grad_value(2.0).unwrap();
        assert_eq!(wide(&a.grad()), Tensor::from_slice(&[2.0, 0.0]), "{kind:?}");
        // Infinity is reported, and the gradients are kept.
        let _ = a.grad().fill_(f64::INFINITY);
        assert_eq!(opt.clip_grad_norm(1.0).unwrap(), f64::INFINITY, "{kind:?}");
        assert_eq!(b.grad().double_value(&[0]), 2.0, "{kind:?}");
    }
}

#[test]
fn the_gpu_generators_state_is_restored() {
    let Some(gpu) = gpu() else { return };
    tch::manual_seed(3);
    let ones = Tensor::ones([1000], (Kind::Float, gpu));
    let _ = ones.dropout(0.5, true);
    let cpus = generator::state(Device::Cpu).unwrap();
    let saved = generator::state(gpu).unwrap();
    assert_eq!((saved.kind(), saved.device()), (Kind::Uint8, Device::Cpu));
    let first = ones.dropout(0.5, true);
    let second = ones.dropout(0.5, true);
    assert_ne!(first, second);
    generator::set_state(gpu, &saved).unwrap();
    assert_eq!(first, ones.dropout(0.5, true));
    assert_eq!(second, ones.dropout(0.5, true));
    assert!(bits(&generator::state(Device::Cpu).unwrap()) == bits(&cpus), "the CPU's is separate");

    assert!(generator::set_state(gpu, &Tensor::zeros([3], (Kind::Uint8, Device::Cpu))).is_err());
    assert!(generator::set_state(gpu, &cpus).is_err(), "the CPU's state");
    let behind = Device::Cuda(Cuda::device_count() as usize);
    assert!(generator::state(behind).is_err(), "a GPU that does not exist");
}
