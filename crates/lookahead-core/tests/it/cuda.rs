//! What only a GPU can show: there the optimizer computes what it does on the CPU, in as few
//! operations as it says.
//!
//! Where there is no GPU these tests pass with a message; with `LOOKAHEAD_REQUIRE_CUDA=1`, which
//! `just test-cuda` sets, they fail. The tests of the other files that loop over `devices()` take
//! the GPU in as well.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use crate::common::{AnyConfig, INNERS, Inner, bits};
use lookahead_core::{
    Error, InnerOptimizer, Lookahead, MomentumPolicy, NonFinite, State, SyncPath, TchOptimizer,
    fused, recalibrate, tch_ext::generator,
};
use lookahead_sys::distributed;
use lookahead_sys::ops::{self, Op};
use lookahead_sys::sync::{Pair, Rule, Term, adaptive_slow_step_size, sync};
use lookahead_sys::tensor::fingerprints;
use tch::nn::{self, ModuleT, OptimizerConfig};
use tch::utils::has_cudart;
use tch::{Cuda, Device, Kind, Tensor};

/// The GPU; `None` where there is none and none is required.
fn gpu() -> Option<Device> {
    if Cuda::is_available() {
        return Some(Device::Cuda(0));
    }
    let why = match has_cudart() {
        true => "libtorch has CUDA and finds no GPU that it can use; `nvidia-smi` may tell why",
        false => {
            "this libtorch has no CUDA; where there is an NVIDIA GPU `just setup` gets the one that \
             has, and with LOOKAHEAD_LIBTORCH=cuda in any case"
        }
    };
    let required = std::env::var_os("LOOKAHEAD_REQUIRE_CUDA").is_some_and(|value| value == "1");
    assert!(!required, "LOOKAHEAD_REQUIRE_CUDA is 1, so this test must run on a GPU: {why}.");
    eprintln!("skipped, for it needs a GPU: {why}.");
    None
}

/// Values of `readelf`'s entries of one tag: what stands in its brackets.
fn entries(dynamic: &str, tag: &str) -> Vec<String> {
    let of_tag = dynamic.lines().filter(|line| line.contains(tag));
    let value = |line: &str| Some(line.split_once('[')?.1.rsplit_once(']')?.0.to_owned());
    of_tag.filter_map(value).collect()
}

/// The linker drops libtorch_cuda, since no Rust program names a symbol of it: this one names the
/// library exactly where it lies beside the libtorch that it was linked with. Needs no GPU.
#[test]
fn cuda_is_reached_where_libtorch_has_it() {
    let program = std::env::current_exe().unwrap();
    let mut readelf = Command::new("readelf");
    // Its words are translated elsewhere.
    readelf.args(["--wide", "--dynamic"]).arg(&program).env("LC_ALL", "C");
    let dynamic = match readelf.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("skipped: there is no `readelf` here; it is in the package binutils.");
            return;
        }
        output => String::from_utf8(output.unwrap().stdout).unwrap(),
    };
    let run_path = [entries(&dynamic, "(RUNPATH)"), entries(&dynamic, "(RPATH)")].concat();
    let mut folders = run_path.iter().flat_map(|path| path.split(':')).map(Path::new);
    let folder = folders.find(|folder| folder.join("libtorch_cpu.so").exists());
    let folder = folder.unwrap_or_else(|| panic!("no libtorch on the run path {run_path:?}"));

    let has_it = folder.join("libtorch_cuda.so").exists();
    let names_it = entries(&dynamic, "(NEEDED)").contains(&"libtorch_cuda.so".to_owned());
    let program = program.display();
    assert_eq!(names_it, has_it, "{program} names libtorch_cuda.so; it is in {folder:?}");
    assert_eq!(has_cudart(), has_it, "CUDA's runtime is known; it is in {folder:?}");
    // Read by check_cuda.py.
    println!("has_cudart() is {has_it}, has_nccl() is {}", distributed::has_nccl());
    assert!(has_it || !distributed::has_nccl());
}

/// θ's and φ's element types, and how far apart two devices may be in φ.
const KINDS: [(Kind, Kind, f64); 4] = [
    (Kind::Float, Kind::Float, 5e-6),
    (Kind::Double, Kind::Double, 1e-14),
    (Kind::BFloat16, Kind::Float, 5e-6),
    (Kind::Half, Kind::Float, 5e-6),
];

/// Large, small, scalar and empty ones.
const SHAPES: [&[i64]; 5] = [&[30, 20, 10], &[70_001], &[], &[0], &[7]];

const PLAIN: Rule = Rule {
    momentum: 0.0,
    nesterov: false,
    restart: true,
    differences: false,
    path: SyncPath::Auto,
};

fn random(kind: Kind) -> Vec<Tensor> {
    let draw = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu)).to_kind(kind);
    let mut all: Vec<Tensor> = SHAPES.into_iter().map(draw).collect();
    all.push(draw(&[40, 30]).transpose(0, 1));
    all
}

/// Copies that share no memory with the tensors, also where they are on that device already.
fn on(device: Device, tensors: &[Tensor]) -> Vec<Tensor> {
    tensors.iter().map(|tensor| tensor.to_device(device).copy()).collect()
}

/// In double precision on the CPU.
fn wide(tensor: &Tensor) -> Tensor {
    tensor.detach().to_device(Device::Cpu).to_kind(Kind::Double)
}

fn assert_close(found: &Tensor, expected: &Tensor, (relative, absolute): (f64, f64), what: &str) {
    let (found, expected) = (wide(found), wide(expected));
    let close = found.allclose(&expected, relative, absolute, false);
    assert!(close, "{what}: apart by {:?}", (found - expected).abs().max());
}

#[test]
fn a_sync_is_the_cpus() {
    let Some(gpu) = gpu() else { return };
    tch::manual_seed(1);
    let momentum = Rule { momentum: 0.9, ..PLAIN };
    let rules = [
        PLAIN,
        Rule { restart: false, ..PLAIN },
        momentum,
        Rule { restart: false, ..momentum },
        Rule { nesterov: true, ..momentum },
    ];
    let rules = rules
        .into_iter()
        .map(|rule| (rule, false))
        .chain([(PLAIN, true), (Rule { differences: true, ..momentum }, true)]);
    let rules: Vec<(Rule, bool)> = rules.collect();
    for (fast_kind, slow_kind, tolerance) in KINDS {
        for &(rule, by_mean) in &rules {
            for alpha in [0.1, 0.5, 0.8, 1.0] {
                let what = format!("{fast_kind:?}, {rule:?}, α {alpha}, by mean {by_mean}");
                let start = random(slow_kind);
                let zeros: Vec<Tensor> = start.iter().map(Tensor::zeros_like).collect();
                let devices = [Device::Cpu, gpu];
                let slow = devices.map(|device| on(device, &start));
                let velocity = devices.map(|device| on(device, &zeros));
                for _ in 0..2 {
                    let moved = random(fast_kind);
                    let fast = devices.map(|device| on(device, &moved));
                    let mean = devices.map(|device| on(device, &start));
                    let mut apart = [0.0; 2];
                    for side in 0..2 {
                        let pairs = (0..moved.len()).map(|i| Pair {
                            slow: &slow[side][i],
                            fast: &fast[side][i],
                            velocity: (rule.momentum > 0.0).then_some(&velocity[side][i]),
                            mean: by_mean.then_some(&mean[side][i]),
                            alpha,
                        });
                        apart[side] = sync(pairs, rule).unwrap();
                    }
                    assert!((apart[0] - apart[1]).abs() <= apart[0] * 1e-3, "{apart:?}: {what}");
                    assert_eq!(apart[0] > 0.0, by_mean, "{what}");
                    for (i, moved) in moved.iter().enumerate() {
                        let what = format!("{what}, tensor {i}");
                        let (of, like) = (&slow[1][i], &slow[0][i]);
                        assert_close(of, like, (tolerance, tolerance), &what);
                        let (of, like) = (&velocity[1][i], &velocity[0][i]);
                        assert_close(of, like, (tolerance, tolerance), &what);
                        // θ is φ, rounded; or, without a restart, as it was.
                        let expected = if rule.restart { &slow[1][i] } else { moved };
                        let same = bits(&fast[1][i]) == bits(&expected.to_kind(fast_kind));
                        assert!(same, "θ: {what}");
                    }
                }
            }
        }
    }
}

/// Operations that a sync of so many tensors asks of ATen, without those that only take memory.
fn ops_of_a_sync(device: Device, count: usize, (fast_kind, slow_kind): (Kind, Kind)) -> Vec<Op> {
    let make = |kind| -> Vec<Tensor> {
        (0..count).map(|i| Tensor::ones([1 + i as i64 % 7], (kind, device))).collect()
    };
    let (slow, fast) = (make(slow_kind), make(fast_kind));
    let pairs = || slow.iter().zip(&fast);
    let pairs =
        pairs().map(|(slow, fast)| Pair { slow, fast, velocity: None, mean: None, alpha: 0.5 });
    let (synced, ops) = ops::record(|| sync(pairs, PLAIN));
    synced.unwrap();
    let memory = ["aten::empty_like", "aten::empty_strided", "aten::empty"];
    ops.into_iter().filter(|op| !memory.contains(&op.name.as_str())).collect()
}

fn top(ops: &[Op]) -> Vec<&str> {
    ops.iter().filter(|op| op.depth == 0).map(|op| op.name.as_str()).collect()
}

#[test]
fn the_number_of_operations_is_that_of_one_tensor() {
    let Some(gpu) = gpu() else { return };
    let two = ["aten::_foreach_lerp_", "aten::_foreach_copy_"];
    // θ is cast first.
    let three = ["aten::_foreach_copy_", "aten::_foreach_lerp_", "aten::_foreach_copy_"];
    for (fast_kind, slow_kind, _) in KINDS {
        let expected = if fast_kind == slow_kind { &two[..] } else { &three[..] };
        for count in [1, 10, 1000] {
            let ops = ops_of_a_sync(gpu, count, (fast_kind, slow_kind));
            assert_eq!(top(&ops), expected, "{fast_kind:?}, {count} tensors");
            // None of the operations fell back to one call a tensor.
            let called: Vec<&Op> = ops.iter().filter(|op| op.depth > 0).collect();
            assert!(called.len() < 10, "{fast_kind:?}, {count} tensors: {called:?}");
        }
    }
}

/// Foreach and fused kernels write behind autograd's back; a graph of the values before must not
/// run on those after.
#[test]
fn writes_are_counted() {
    let Some(gpu) = gpu() else { return };
    for momentum in [0.0, 0.9] {
        let slow = Tensor::from_slice(&[1.0f32]).to_device(gpu);
        let fast = Tensor::from_slice(&[2.0f32]).to_device(gpu).set_requires_grad(true);
        let velocity = slow.zeros_like();
        let velocity = (momentum > 0.0).then_some(&velocity);
        let before = fingerprints([&slow, &fast]).unwrap();
        let loss = (&fast * &fast).sum(Kind::Float);
        let pair = Pair { slow: &slow, fast: &fast, velocity, mean: None, alpha: 0.5 };
        sync([pair], Rule { momentum, ..PLAIN }).unwrap();
        let after = fingerprints([&slow, &fast]).unwrap();
        assert_ne!(before[0], after[0], "φ, momentum {momentum}");
        assert_ne!(before[1], after[1], "θ, momentum {momentum}");
        assert!(loss.f_backward().is_err(), "θ, momentum {momentum}");
    }
    for (name, _, ours) in optimizers() {
        let problem = Problem::new(gpu, Kind::Float);
        let mut opt = ours(&problem.vs);
        problem.loss(2).backward();
        let stale = problem.weights[0].square().sum(Kind::Float);
        opt.step().unwrap();
        assert!(stale.f_backward().is_err(), "{name}");
    }
}

/// Parameters of several shapes, whose gradients are nowhere near 0, where Adam's quotient would
/// magnify rounding. They start from values of bfloat16, which the other element types have too.
struct Problem {
    vs: nn::VarStore,
    weights: Vec<Tensor>,
}

impl Problem {
    fn new(device: Device, kind: Kind) -> Problem {
        tch::manual_seed(5);
        let mut vs = nn::VarStore::new(device);
        vs.set_kind(kind);
        let start = random(Kind::BFloat16);
        let named = |(i, values)| vs.root().var_copy(&format!("w{i}"), values);
        let weights = start.iter().enumerate().map(named).collect();
        Problem { vs, weights }
    }

    fn loss(&self, step: i64) -> Tensor {
        let mut total = Tensor::zeros([], (Kind::Float, self.vs.device()));
        for (i, weight) in self.weights.iter().enumerate() {
            // The gradient of one comes late, and not in every step.
            if i != 4 || step % 3 == 2 {
                let scale = 0.1 + 0.05 * (step as f64 + i as f64).cos();
                total += (weight + 6.0).square().sum(Kind::Float) * scale;
            }
        }
        total
    }
}

type Build = Box<dyn Fn(&nn::VarStore) -> TchOptimizer>;

fn build<C: OptimizerConfig + Copy + 'static>(config: C, learning_rate: f64) -> Build {
    Box::new(move |vs| TchOptimizer::new(config, vs, learning_rate).unwrap())
}

/// tch's optimizers, and the fused ones in their place.
fn optimizers() -> Vec<(&'static str, Build, Build)> {
    let sgd = |momentum, dampening, wd, nesterov| {
        let theirs = build(nn::sgd(momentum, dampening, wd, nesterov), 0.05);
        (theirs, build(fused::sgd(momentum, dampening, wd, nesterov), 0.05))
    };
    let adam = |amsgrad| {
        let theirs = build(nn::Adam::default().wd(0.01).amsgrad(amsgrad), 0.05);
        (theirs, build(fused::Adam::default().wd(0.01).amsgrad(amsgrad), 0.05))
    };
    let adamw = |amsgrad| {
        let theirs = build(nn::AdamW::default().amsgrad(amsgrad), 0.05);
        (theirs, build(fused::AdamW::default().amsgrad(amsgrad), 0.05))
    };
    let rms_prop = |momentum, centered| {
        let theirs = build(nn::rms_prop(0.95, 1e-8, 0.01, momentum, centered), 0.01);
        (theirs, build(fused::rms_prop(0.95, 1e-8, 0.01, momentum, centered), 0.01))
    };
    let all = [
        ("sgd", sgd(0.0, 0.0, 0.0, false)),
        ("momentum", sgd(0.9, 0.0, 0.01, false)),
        ("dampened", sgd(0.8, 0.3, 0.0, false)),
        ("nesterov", sgd(0.9, 0.0, 0.0, true)),
        ("adam", adam(false)),
        ("amsgrad", adam(true)),
        ("adamw", adamw(false)),
        ("adamw amsgrad", adamw(true)),
        ("rmsprop", rms_prop(0.0, false)),
        ("rmsprop momentum", rms_prop(0.9, false)),
        ("centered", rms_prop(0.9, true)),
    ];
    all.into_iter().map(|(name, (theirs, ours))| (name, theirs, ours)).collect()
}

fn take_steps(opt: &mut TchOptimizer, problem: &Problem, steps: std::ops::Range<i64>) {
    for step in steps {
        opt.zero_grad().unwrap();
        problem.loss(step).backward();
        opt.step().unwrap();
    }
}

/// In every element type the weights and the moments are near those of tch's own in double
/// precision: as near as the type allows.
#[test]
fn fused_steps_are_those_of_tchs_own() {
    let Some(gpu) = gpu() else { return };
    let tolerances = [
        (Kind::Double, 1e-12),
        (Kind::Float, 1e-5),
        (Kind::Half, 1e-2),
        // Eight binary digits: each step rounds a weight by up to 0.4 %.
        (Kind::BFloat16, 5e-2),
    ];
    for (name, theirs, ours) in optimizers() {
        let expected = Problem::new(gpu, Kind::Double);
        let mut reference = theirs(&expected.vs);
        take_steps(&mut reference, &expected, 0..6);
        for (kind, tolerance) in tolerances {
            let found = Problem::new(gpu, kind);
            let mut opt = ours(&found.vs);
            take_steps(&mut opt, &found, 0..6);
            for (i, (found, expected)) in found.weights.iter().zip(&expected.weights).enumerate() {
                let what = format!("{name}, {kind:?}, tensor {i}");
                assert_close(found, expected, (tolerance, tolerance), &what);
                let (a, b) = (opt.moments(i).unwrap(), reference.moments(i).unwrap());
                assert_eq!(a.len(), b.len(), "{what}");
                for (a, b) in a.iter().zip(&b) {
                    assert_eq!(a.name, b.name, "{what}");
                    let what = format!("{what}: {}", a.name);
                    // The kernel takes 1 − β₂ = 0.001 in single precision as 1 less a number near 1, whose
                    // last bit is 6e-8: seen on an H200, 1.5e-5 of the second moment.
                    let squares = kind == Kind::Float && a.name.contains("exp_avg_sq");
                    let tolerance = if squares { 6e-5 } else { tolerance };
                    assert_close(&a.tensor, &b.tensor, (tolerance, 0.0), &what);
                }
            }
        }
    }
}

/// A step is one kernel call a group, or the foreach calls of one tensor, for any number of them.
#[test]
fn fused_steps_ask_no_more_for_many_tensors() {
    let Some(gpu) = gpu() else { return };
    let ops_of_a_step = |ours: &Build, count: i64| {
        let vs = nn::VarStore::new(gpu);
        let weights: Vec<Tensor> =
            (0..count).map(|i| vs.root().ones(&format!("w{i}"), &[1 + i % 7])).collect();
        let mut opt = ours(&vs);
        let mut recorded = Vec::new();
        // The first step makes the moments.
        for _ in 0..2 {
            opt.zero_grad().unwrap();
            let sums: Vec<Tensor> = weights.iter().map(|w| w.square().sum(Kind::Float)).collect();
            Tensor::stack(&sums, 0).sum(Kind::Float).backward();
            let (stepped, ops) = ops::record(|| opt.step());
            stepped.unwrap();
            recorded = ops;
        }
        recorded
    };
    for (name, _, ours) in optimizers() {
        let few = ops_of_a_step(&ours, 3);
        let many = ops_of_a_step(&ours, 300);
        assert_eq!(top(&many), top(&few), "{name}");
        let kernel = match name {
            "sgd" | "momentum" | "dampened" | "nesterov" => "aten::_fused_sgd_",
            "adam" | "amsgrad" => "aten::_fused_adam_",
            "adamw" | "adamw amsgrad" => "aten::_fused_adamw_",
            _ => "aten::_foreach_addcmul_",
        };
        assert!(top(&many).contains(&kernel), "{name}: {:?}", top(&many));
    }
}

/// All of a state: φ, velocities, moments and their slow copies, and the counts.
fn assert_states_close(found: &State, expected: &State, tolerance: f64, what: &str) {
    assert!(found.tensors.keys().eq(expected.tensors.keys()), "{what}");
    for (key, tensor) in &found.tensors {
        let tolerance = (tolerance, tolerance);
        assert_close(tensor, &expected.tensors[key], tolerance, &format!("{what}: {key}"));
    }
    assert_eq!(found.integers, expected.integers, "{what}");
    assert_eq!(found.numbers, expected.numbers, "{what}");
}

/// Trains over three syncs and a part of a cycle. Gives θ and the state.
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
        for policy in [MomentumPolicy::Maintain, MomentumPolicy::Reset, MomentumPolicy::Pullback] {
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
fn the_adaptive_step_is_the_cpus() {
    let Some(gpu) = gpu() else { return };
    for (fast_kind, slow_kind, tolerance) in KINDS {
        tch::manual_seed(4);
        let (slow, fast) = (random(slow_kind), random(fast_kind));
        let alpha_on = |device| {
            let slow = on(device, &slow);
            let fast: Vec<Tensor> =
                on(device, &fast).into_iter().map(|t| t.set_requires_grad(true)).collect();
            for fast in &fast {
                fast.square().sum(Kind::Float).backward();
            }
            let second: Vec<Tensor> = fast.iter().map(|t| t.detach().square() + 0.5).collect();
            let term = |i: usize| Term {
                slow: &slow[i],
                fast: &fast[i],
                mean: None,
                second_moment: &second[i],
                scale: 1.5,
            };
            adaptive_slow_step_size((0..slow.len()).map(term), false).unwrap()
        };
        let (found, expected) = (alpha_on(gpu), alpha_on(Device::Cpu));
        // Sums over all elements are taken in another order.
        let apart = (found - expected).abs();
        assert!(apart <= 100.0 * tolerance, "{fast_kind:?}: {found}, not {expected}");
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
            assert_eq!(opt.with_slow_weights(|| w.copy()).unwrap(), ones, "{what}: φ is whole");
            opt.roll_back().unwrap();
            assert_eq!(w, ones, "{what}: θ is back at φ");
            assert!(opt.backward_step(&w.sum(kind)).unwrap(), "{what}: and it goes on");
        }
    }
}

#[test]
fn phi_stands_in_and_theta_returns() {
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
        let places = || -> Vec<_> { problem.weights.iter().map(Tensor::data_ptr).collect() };
        let own = places();
        let (seen, first) =
            opt.with_slow_weights(|| (on(gpu, &problem.weights), places())).unwrap();
        let second = opt.with_slow_weights(places).unwrap();
        for (i, ((seen, start), fast)) in seen.iter().zip(&start).zip(&fast).enumerate() {
            let what = format!("{kind:?}, tensor {i}");
            assert_eq!(seen.device(), gpu);
            assert!(bits(seen) == bits(start), "φ is still the start before a sync: {what}");
            assert!(bits(&problem.weights[i]) == bits(fast), "θ is back: {what}");
            assert!(fast.numel() == 0 || fast != start, "it had moved: {what}");
        }
        assert!(places() == own, "{kind:?}: θ's own memory");
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
    // The two runs that tell a layer's momentum are a million apart.
    assert_close(&found.0, &expected.0, (1e-4, 1e-4), "mean");
    assert_close(&found.1, &expected.1, (1e-4, 1e-4), "variance");
    let variances: Vec<Tensor> = batches.iter().map(|x| x.var_dim(0, true, false)).collect();
    let by_hand = Tensor::stack(&variances, 0).mean_dim(0, false, Kind::Float);
    assert_close(&found.1, &by_hand, (1e-3, 1e-3), "the mean over the batches");

    // At φ, and θ's own return.
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

/// Writes θ and the state to files, and loads them into fresh objects on another device.
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
        // Nothing was lost on the way.
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
        // And both go the same way on.
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
        // One that is not finite is told, and left.
        let _ = a.grad().fill_(f64::INFINITY);
        assert_eq!(opt.clip_grad_norm(1.0).unwrap(), f64::INFINITY, "{kind:?}");
        assert_eq!(b.grad().double_value(&[0]), 2.0, "{kind:?}");
    }
}

#[test]
fn the_generator_of_the_gpu_goes_back_to_a_state() {
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
    assert!(bits(&generator::state(Device::Cpu).unwrap()) == bits(&cpus), "the CPU's is apart");

    assert!(generator::set_state(gpu, &Tensor::zeros([3], (Kind::Uint8, Device::Cpu))).is_err());
    assert!(generator::set_state(gpu, &cpus).is_err(), "a state of the CPU's");
    let behind = Device::Cuda(Cuda::device_count() as usize);
    assert!(generator::state(behind).is_err(), "a GPU that there is not");
}
