//! Golden trajectories: Lookahead around every inner optimizer, with every policy, compared with an independent
//! reference in Python on torch's own optimizers (`golden/reference.py`).

use std::collections::BTreeMap;

use crate::common::devices;
use lookahead_core::optimizers::RAdam;
use lookahead_core::{
    InnerOptimizer, Lookahead, MomentumPolicy, RuleOptimizer, State, SyncPath, TchOptimizer, fused,
};
use serde::Deserialize;
use tch::nn::{self, OptimizerConfig};
use tch::{Device, Kind, Tensor};

#[derive(Debug, Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

/// A case: see `golden/README.md`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    optimizer: String,
    k: u64,
    alpha: [f64; 2],
    policy: String,
    outer: Option<Outer>,
    nested: Option<Nested>,
    steps: i64,
    theta: Vec<Vec<f64>>,
    slow: Vec<f64>,
    moments: BTreeMap<String, Vec<f64>>,
    step_counts: BTreeMap<String, i64>,
    nested_slow: Option<Vec<f64>>,
    velocity: Option<Vec<f64>>,
}

#[derive(Debug, Deserialize)]
struct Outer {
    momentum: f64,
    nesterov: bool,
}

#[derive(Debug, Deserialize)]
struct Nested {
    k: u64,
    alpha: f64,
}

fn cases() -> Vec<Case> {
    let text = include_str!("../golden/trajectories.json");
    let golden: Golden = serde_json::from_str(text).unwrap();
    assert!(golden.cases.len() >= 99);
    golden.cases
}

/// tch's own optimizers, or the fused ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Code {
    Tch,
    Fused,
}

/// The optimizers of the reference. Group 1 has half the learning rate.
pub(super) fn inner_optimizer(
    name: &str,
    code: Code,
    vs: &nn::VarStore,
) -> Box<dyn InnerOptimizer> {
    fn boxed<A: OptimizerConfig, B: OptimizerConfig>(
        code: Code,
        vs: &nn::VarStore,
        (tch, fused): (A, B),
        lr: f64,
    ) -> Box<dyn InnerOptimizer> {
        Box::new(match code {
            Code::Tch => TchOptimizer::new(tch, vs, lr).unwrap(),
            Code::Fused => TchOptimizer::new(fused, vs, lr).unwrap(),
        })
    }
    fn sgd(momentum: f64, dampening: f64, wd: f64, nesterov: bool) -> (nn::Sgd, fused::Sgd) {
        (nn::sgd(momentum, dampening, wd, nesterov), fused::sgd(momentum, dampening, wd, nesterov))
    }
    fn rms_prop(wd: f64, momentum: f64, centered: bool) -> (nn::RmsProp, fused::RmsProp) {
        (
            nn::rms_prop(0.95, 1e-8, wd, momentum, centered),
            fused::rms_prop(0.95, 1e-8, wd, momentum, centered),
        )
    }
    let adam = |amsgrad| {
        (nn::adam(0.9, 0.99, 1e-3).amsgrad(amsgrad), fused::adam(0.9, 0.99, 1e-3).amsgrad(amsgrad))
    };
    let (mut built, lr) = match name {
        "sgd_plain" => (boxed(code, vs, sgd(0.0, 0.0, 0.0, false), 0.1), 0.1),
        "sgd" => (boxed(code, vs, sgd(0.9, 0.0, 1e-3, false), 0.1), 0.1),
        "nesterov" => (boxed(code, vs, sgd(0.9, 0.0, 0.0, true), 0.05), 0.05),
        "dampened" => (boxed(code, vs, sgd(0.8, 0.3, 0.0, false), 0.1), 0.1),
        "adam" => (boxed(code, vs, adam(false), 0.05), 0.05),
        "amsgrad" => (boxed(code, vs, adam(true), 0.05), 0.05),
        "adamw" => {
            let configs = (nn::adamw(0.9, 0.99, 0.02), fused::adamw(0.9, 0.99, 0.02));
            (boxed(code, vs, configs, 0.05), 0.05)
        }
        "adamw_without_decay" => {
            let configs = (nn::adamw(0.9, 0.99, 0.0), fused::adamw(0.9, 0.99, 0.0));
            (boxed(code, vs, configs, 0.05), 0.05)
        }
        "rmsprop" => (boxed(code, vs, rms_prop(0.0, 0.0, false), 0.02), 0.02),
        "rmsprop_momentum" => (boxed(code, vs, rms_prop(1e-3, 0.8, false), 0.02), 0.02),
        "centered" => (boxed(code, vs, rms_prop(0.0, 0.8, true), 0.02), 0.02),
        "radam" => {
            let radam = RuleOptimizer::new(RAdam::default().beta2(0.99), vs, 0.05).unwrap();
            (Box::new(radam) as Box<dyn InnerOptimizer>, 0.05)
        }
        other => panic!("no optimizer {other}"),
    };
    built.set_learning_rate_group(1, lr / 2.0).unwrap();
    built
}

/// Name, group, shape, start, curvature s, target y.
type Spec = (&'static str, usize, &'static [i64], &'static [f64], f64, f64);
const PARAMETERS: [Spec; 4] = [
    ("a", 0, &[3], &[1.0, -0.7, 0.4], 1.0, 0.2),
    ("b", 0, &[2, 2], &[0.3, -1.1, 0.8, 0.05], 0.5, -0.3),
    ("c", 1, &[2], &[-0.6, 1.3], 2.0, 0.1),
    ("d", 1, &[1], &[0.9], 1.5, -0.4),
];

/// The reference's problem.
pub(super) struct Problem {
    pub(super) vs: nn::VarStore,
    weights: Vec<Tensor>,
}

impl Problem {
    pub(super) fn new(kind: Kind, device: Device) -> Problem {
        let mut vs = nn::VarStore::new(device);
        vs.set_kind(kind);
        let variable = |&(name, group, shape, start, ..): &Spec| {
            let values = Tensor::from_slice(start).reshape(shape).to_device(device);
            let root = vs.root();
            let path = if group == 0 { root } else { root.set_group(group) };
            path.var_copy(name, &values)
        };
        let weights = PARAMETERS.iter().map(variable).collect();
        Problem { vs, weights }
    }

    pub(super) fn loss(&self, t: i64) -> Tensor {
        let options = (Kind::Double, self.vs.device());
        let (mut total, mut elements) = (Tensor::zeros([], options), Tensor::zeros([], options));
        for ((name, _, _, start, s, y), weight) in PARAMETERS.iter().zip(&self.weights) {
            if (*name == "c" && t % 4 == 0) || (*name == "d" && t < 3) {
                continue; // no gradient
            }
            let factors: Vec<f64> =
                (0..start.len()).map(|i| s * (1.0 + 0.3 * (t as f64 + i as f64).cos())).collect();
            let factors = Tensor::from_slice(&factors).to_device(self.vs.device());
            let x = weight.flatten(0, -1);
            total += ((&x - *y).square() * factors).sum(Kind::Double) * 0.5;
            elements += x.sum(x.kind());
        }
        total + elements.square() * 0.05
    }

    pub(super) fn flat(&self) -> Vec<f64> {
        self.weights.iter().flat_map(values).collect()
    }
}

fn values(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Double);
    Vec::try_from(tensor.contiguous().view([-1])).unwrap()
}

/// All four parameters' entries of one part of a state, in order.
fn part(state: &State, part: &str) -> Vec<f64> {
    let of = |(name, ..): &Spec| values(&state.tensors[&format!("{part}/{name}")]);
    PARAMETERS.iter().flat_map(of).collect()
}

/// Both sides compute in double precision, sometimes in another order of operations.
fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= 1e-12 * (1.0 + b.abs()), "{what}: element {i} is {a}, not {b}");
    }
}

fn policy(name: &str) -> MomentumPolicy {
    match name {
        "maintain" => MomentumPolicy::Maintain,
        "reset" => MomentumPolicy::Reset,
        "pullback" => MomentumPolicy::Pullback,
        other => panic!("no policy {other}"),
    }
}

/// Takes the steps of a case and compares θ after each, and the state at the end.
fn follow(case: &Case, code: Code, path: SyncPath, device: Device) {
    let what = format!("{}, {code:?}, {path:?}, {device:?}", case.name);
    let problem = Problem::new(Kind::Double, device);
    let inner = inner_optimizer(&case.optimizer, code, &problem.vs);
    let mut builder = Lookahead::around(inner)
        .k(case.k)
        .alpha(case.alpha[0])
        .alpha_of_group(1, case.alpha[1])
        .momentum_policy(policy(&case.policy))
        .sync_path(path);
    if let Some(Outer { momentum, nesterov }) = case.outer {
        builder = builder.outer_momentum(momentum).outer_nesterov(nesterov);
    }
    let level = builder.build().unwrap();
    let mut opt: Box<dyn InnerOptimizer> = match case.nested {
        Some(Nested { k, alpha }) => {
            Box::new(Lookahead::around(level).k(k).alpha(alpha).sync_path(path).build().unwrap())
        }
        None => Box::new(level),
    };
    for t in 1..=case.steps {
        opt.zero_grad().unwrap();
        problem.loss(t).backward();
        opt.step().unwrap();
        let expected = &case.theta[t as usize - 1];
        assert_close(&problem.flat(), expected, &format!("{what}: θ after step {t}"));
    }
    let mut state = opt.state().unwrap();
    if let Some(slow) = &case.nested_slow {
        assert_close(&part(&state, "slow"), slow, &format!("{what}: the outer level's φ"));
        state = state.part("inner");
    }
    assert_close(&part(&state, "slow"), &case.slow, &format!("{what}: φ"));
    if let Some(velocity) =
        case.velocity.as_ref().filter(|_| case.outer.as_ref().unwrap().momentum > 0.0)
    {
        assert_close(&part(&state, "velocity"), velocity, &format!("{what}: velocity"));
    }

    let inner = state.part("inner");
    // Without the optimizer's name.
    let moment = |key: &String| key.split_once('/').unwrap().1.to_owned();
    let tensors = inner.tensors.iter();
    let kept: BTreeMap<String, Vec<f64>> =
        tensors.map(|(key, tensor)| (moment(key), values(tensor))).collect();
    assert_eq!(kept.keys().collect::<Vec<_>>(), case.moments.keys().collect::<Vec<_>>(), "{what}");
    for (moment, expected) in &case.moments {
        assert_close(&kept[moment], expected, &format!("{what}: {moment}"));
    }
    let counts: BTreeMap<String, i64> = inner
        .integers
        .iter()
        .filter_map(|(key, count)| Some((key.split_once("/step/")?.1.to_owned(), *count)))
        .collect();
    assert_eq!(counts, case.step_counts, "{what}");
}

#[test]
fn tchs_optimizers_follow_the_reference() {
    for case in &cases() {
        for device in devices() {
            follow(case, Code::Tch, SyncPath::Auto, device);
        }
    }
}

#[test]
fn fused_optimizers_follow_the_reference() {
    for case in &cases() {
        for device in devices() {
            follow(case, Code::Fused, SyncPath::Auto, device);
        }
    }
}

#[test]
fn synced_by_foreach_they_follow_the_reference() {
    for case in &cases() {
        follow(case, Code::Fused, SyncPath::Foreach, Device::Cpu);
    }
}

/// So that a truncated file is detected.
#[test]
fn the_reference_covers_every_optimizer_and_policy() {
    let cases = cases();
    let optimizers = [
        "sgd",
        "nesterov",
        "dampened",
        "adam",
        "amsgrad",
        "adamw",
        "rmsprop",
        "rmsprop_momentum",
        "centered",
        "radam",
    ];
    for optimizer in optimizers {
        for policy in ["maintain", "reset", "pullback"] {
            let of = cases.iter().filter(|c| c.optimizer == optimizer && c.policy == policy);
            let enough = of.clone().all(|case| case.steps >= 3 * case.k as i64);
            assert!(of.count() >= 1 && enough, "{optimizer}, {policy}: three syncs at least");
        }
    }
}
