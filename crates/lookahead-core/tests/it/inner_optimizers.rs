//! Each inner optimizer alone, over 200 steps, compared with PyTorch's or, for those that it lacks, with timm's
//! (`golden/inner_optimizers.py`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use lookahead_core::optimizers::muon::{Precision, ScaleLearningRate};
use lookahead_core::optimizers::{Adagrad, Adan, CautiousAdam, Lion, Muon, NAdam, RAdam};
use lookahead_core::{InnerOptimizer, Result, RuleOptimizer, TchOptimizer, fused};
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
    matrices: bool,
    theta: BTreeMap<i64, Vec<f64>>,
    single: Vec<f64>,
}

static GOLDEN: LazyLock<Golden> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../golden/inner_optimizers.json")).unwrap()
});

/// Name, group, shape, phase of the starting values, curvature s, target y.
type Spec = (&'static str, usize, &'static [i64], f64, f64, f64);
const PARAMETERS: [Spec; 6] = [
    ("number", 0, &[], 1.0, 1.0, 0.2),
    ("matrix", 0, &[3, 2], 2.0, 0.5, -0.3),
    ("vector", 1, &[5], 3.0, 2.0, 0.1),
    ("empty", 1, &[0, 3], 0.0, 1.0, 0.0),
    ("kernel", 1, &[2, 3, 2, 2], 4.0, 1.5, -0.4),
    ("late", 0, &[2, 2], 5.0, 1.0, 0.3),
];
const STEPS: i64 = 200;
const LATE: i64 = 50;

/// The reference's problem.
struct Problem {
    vs: nn::VarStore,
    kind: Kind,
    specs: Vec<Spec>,
    weights: Vec<Tensor>,
}

impl Problem {
    fn new(kind: Kind, matrices: bool) -> Problem {
        let is_in = |spec: &&Spec| !matrices || (spec.2.len() >= 2 && spec.0 != "empty");
        let specs = PARAMETERS.iter().filter(is_in).copied().collect();
        let vs = nn::VarStore::new(Device::Cpu);
        let mut problem = Problem { vs, kind, specs, weights: Vec::new() };
        for i in 0..problem.specs.len() - 1 {
            problem.add(i);
        }
        problem
    }

    fn add(&mut self, i: usize) {
        let (name, group, shape, phase, ..) = self.specs[i];
        let count: i64 = shape.iter().product();
        let values: Vec<f64> = (0..count).map(|i| (1.3 * i as f64 + phase).sin()).collect();
        let values = Tensor::from_slice(&values).reshape(shape).to_kind(self.kind);
        self.weights.push(self.vs.root().set_group(group).add(name, values, true));
    }

    fn loss(&self, t: i64) -> Tensor {
        let zero = || Tensor::zeros([], (self.kind, Device::Cpu));
        let (mut total, mut elements) = (zero(), zero());
        for ((name, _, _, _, s, y), weight) in self.specs.iter().zip(&self.weights) {
            if (*name == "vector" && t % 4 == 0) || (*name == "number" && t < 3) {
                continue; // no gradient
            }
            let x = weight.flatten(0, -1);
            let count = x.size()[0];
            let factors: Vec<f64> =
                (0..count).map(|i| s * (1.0 + 0.3 * ((t + i) as f64).cos())).collect();
            let factors = Tensor::from_slice(&factors).to_kind(self.kind);
            total += ((&x - *y).square() * factors).sum(self.kind) * 0.5;
            elements += x.sum(self.kind);
        }
        total + elements.square() * 0.05
    }

    fn flat(&self) -> Vec<f64> {
        let values = |weight: &Tensor| -> Vec<f64> {
            Vec::try_from(weight.detach().to_kind(Kind::Double).contiguous().view([-1])).unwrap()
        };
        self.weights.iter().flat_map(values).collect()
    }
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let close = (a - b).abs() <= tolerance * (1.0 + b.abs());
        assert!(close, "{what}: element {i} is {a}, not {b}");
    }
}

fn follow<O: InnerOptimizer>(case: &Case, kind: Kind, build: impl Fn(&nn::VarStore) -> Result<O>) {
    let mut problem = Problem::new(kind, case.matrices);
    let mut opt = build(&problem.vs).unwrap();
    let rate = opt.learning_rates().unwrap()[0];
    opt.set_learning_rate_group(1, rate / 2.0).unwrap();
    for t in 1..=STEPS {
        if t == LATE + 1 {
            problem.add(problem.specs.len() - 1);
        }
        opt.zero_grad().unwrap();
        problem.loss(t).backward();
        opt.step().unwrap();
        let what = format!("{}, {kind:?}, step {t}", case.name);
        match (kind, case.theta.get(&t)) {
            (Kind::Double, Some(expected)) => {
                // Before it joins, the late variable has its starting values.
                let found = problem.flat();
                assert_close(&found, &expected[..found.len()], 1e-10, &what);
            }
            (_, Some(_)) if t == STEPS => assert_close(&problem.flat(), &case.single, 5e-5, &what),
            _ => {}
        }
    }
}

fn check<O: InnerOptimizer>(name: &str, build: impl Fn(&nn::VarStore) -> Result<O>) {
    let case = GOLDEN.cases.iter().find(|case| case.name == name);
    let case = case.unwrap_or_else(|| panic!("no case {name}"));
    assert!(case.theta.contains_key(&STEPS), "{name}");
    follow(case, Kind::Double, &build);
    follow(case, Kind::Float, &build);
}

/// tch's own, and the fused one.
fn both<A: OptimizerConfig + Copy, B: OptimizerConfig + Copy>(
    name: &str,
    tch: A,
    fused: B,
    lr: f64,
) {
    check(name, |vs| TchOptimizer::new(tch, vs, lr));
    check(name, |vs| TchOptimizer::new(fused, vs, lr));
}

fn decayed<R: lookahead_core::StepRule>(
    rule: R,
    vs: &nn::VarStore,
    lr: f64,
    weight_decay: f64,
) -> Result<RuleOptimizer<R>> {
    let mut opt = RuleOptimizer::new(rule, vs, lr)?;
    opt.set_weight_decay(weight_decay)?;
    Ok(opt)
}

fn muons_rule() -> Muon {
    Muon::default().precision(Precision::Full)
}

/// One test for each case of the reference.
macro_rules! follow_the_reference {
    ($($name:ident: $build:expr,)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name), $build);
        })*
    };
}

follow_the_reference! {
    adagrad:
        |vs| decayed(Adagrad::default().lr_decay(0.01).initial_accumulator_value(0.1), vs, 0.1, 0.01),
    adan: |vs| decayed(Adan::default(), vs, 0.02, 0.1),
    adan_decoupled: |vs| decayed(Adan::default().proximal(false), vs, 0.02, 0.1),
    adamw_cautious: |vs| decayed(CautiousAdam::default().beta2(0.99), vs, 0.02, 0.1),
    lion_cautious: |vs| decayed(Lion::default().cautious(true), vs, 0.01, 0.1),
    lion: |vs| decayed(Lion::default(), vs, 0.01, 0.1),
    nadam: |vs| decayed(NAdam::default().beta2(0.99), vs, 0.02, 0.01),
    nadam_decoupled:
        |vs| decayed(NAdam::default().beta2(0.99).decoupled_weight_decay(true), vs, 0.02, 0.1),
    radam: |vs| decayed(RAdam::default().beta2(0.99), vs, 0.02, 0.01),
    radam_decoupled:
        |vs| decayed(RAdam::default().beta2(0.99).decoupled_weight_decay(true), vs, 0.02, 0.1),
    muon: |vs| decayed(muons_rule(), vs, 0.003, 0.1),
    muon_heavy_ball: |vs| decayed(muons_rule().momentum(0.8).nesterov(false), vs, 0.003, 0.1),
    muon_as_adamw:
        |vs| decayed(muons_rule().scale_learning_rate(ScaleLearningRate::MatchRmsAdamw), vs, 0.02, 0.1),
}

/// One test for each case of an optimizer that tch has too.
macro_rules! both_follow_the_reference {
    ($($name:ident: $lr:literal, $config:ident($($setting:expr),*) $(. $method:ident($value:expr))*;)*) => {
        $(#[test]
        fn $name() {
            let tch = nn::$config($($setting),*) $(.$method($value))*;
            let fused = fused::$config($($setting),*) $(.$method($value))*;
            both(stringify!($name), tch, fused, $lr);
        })*
    };
}

both_follow_the_reference! {
    sgd_plain: 0.05, sgd(0.0, 0.0, 0.01, false);
    sgd: 0.05, sgd(0.9, 0.0, 0.01, false);
    sgd_nesterov: 0.02, sgd(0.9, 0.0, 0.01, true);
    sgd_dampened: 0.05, sgd(0.8, 0.3, 0.01, false);
    adam: 0.02, adam(0.9, 0.99, 0.01);
    adam_amsgrad: 0.02, adam(0.9, 0.99, 0.01).amsgrad(true);
    adamw: 0.02, adamw(0.9, 0.99, 0.1);
    adamw_amsgrad: 0.02, adamw(0.9, 0.99, 0.1).amsgrad(true);
    rmsprop: 0.01, rms_prop(0.95, 1e-8, 0.01, 0.0, false);
    rmsprop_centered: 0.01, rms_prop(0.95, 1e-8, 0.01, 0.8, true);
}
