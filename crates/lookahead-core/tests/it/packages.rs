//! The wrappers of other packages, timm, pytorch_optimizer and Meta's GPA, over 200 steps (`golden/packages.py`).

use lookahead_core::{
    InnerOptimizer, Lookahead, MomentumPolicy, Primal, PrimalAveraging, PrimalMean,
};
use serde::Deserialize;
use tch::{Device, Kind};

use crate::averages::apart;
use crate::trajectories::{Code, Problem, inner_optimizer};

#[derive(Debug, Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    package: String,
    kind: String,
    inner: String,
    settings: Settings,
    every: i64,
    model: Vec<Vec<f64>>,
    /// The weights to evaluate.
    result: Vec<Vec<f64>>,
    /// The same at the end, in single precision.
    single: Vec<f64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Settings {
    Lookahead { k: u64, alpha: f64, policy: Option<MomentumPolicy> },
    Primal { mu_x: f64, mu_y: f64 },
    ScheduleFree { beta: f64, r: f64, weight_lr_power: f64 },
}

/// Takes the steps, and returns the largest difference from the reference. `result` is the weights to evaluate.
fn follow<O: InnerOptimizer>(
    case: &Case,
    problem: &Problem,
    opt: &mut O,
    result: impl Fn(&mut O) -> Vec<f64>,
) -> f64 {
    let is_double = problem.vs.kind() == Kind::Double;
    let mut largest: f64 = 0.0;
    for t in 1..=case.every * case.result.len() as i64 {
        opt.zero_grad().unwrap();
        // All parameters have gradients in these steps.
        problem.loss(4 * t + 1).backward();
        opt.step().unwrap();
        if is_double && t % case.every == 0 {
            let at = (t / case.every - 1) as usize;
            largest = largest.max(apart(&problem.flat(), &case.model[at]));
            largest = largest.max(apart(&result(opt), &case.result[at]));
        }
    }
    if is_double { largest } else { apart(&result(opt), &case.single) }
}

fn agrees(case: &Case, kind: Kind, tolerance: f64) {
    let problem = Problem::new(kind, Device::Cpu);
    let inner = inner_optimizer(&case.inner, Code::Fused, &problem.vs);
    let averaged = |inner, settings: Primal| {
        let mut opt = PrimalAveraging::new(inner, settings).unwrap();
        follow(case, &problem, &mut opt, |opt| opt.with_result(|| problem.flat()).unwrap())
    };
    let apart = match case.settings {
        Settings::Lookahead { k, alpha, policy } => {
            let builder = Lookahead::around(inner).k(k).alpha(alpha);
            let mut opt = builder.momentum_policy(policy.unwrap_or_default()).build().unwrap();
            follow(case, &problem, &mut opt, |opt| {
                opt.with_slow_weights(|| problem.flat()).unwrap()
            })
        }
        Settings::Primal { mu_x, mu_y } => averaged(inner, Primal::exponential(mu_x, mu_y)),
        Settings::ScheduleFree { beta, r, weight_lr_power } => {
            let mean = PrimalMean::ScheduleFree { r, weight_lr_power };
            averaged(inner, Primal::new(mean, beta))
        }
    };
    let Case { package, kind: wrapper, inner, settings, .. } = case;
    let what = format!("{package}'s {wrapper} around {inner}, {settings:?}, {kind:?}");
    assert!(apart <= tolerance, "{what}: {apart:e}");
}

#[test]
fn other_packages_take_the_same_steps() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/packages.json")).unwrap();
    for package in ["timm", "pytorch_optimizer", "gpa"] {
        assert!(golden.cases.iter().filter(|case| case.package == package).count() >= 3);
    }
    for case in &golden.cases {
        agrees(case, Kind::Double, 1e-10);
        agrees(case, Kind::Float, 5e-5);
    }
}
