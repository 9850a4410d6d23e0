//! Golden trajectories: 200 steps of every average around PyTorch's optimizers, and of the `schedulefree` package
//! (`golden/averages.py`).

use lookahead_core::{
    AveragedOptimizer, AveragingRule, EmaNesterov, Extrapolation, InnerOptimizer, Primal,
    PrimalAveraging, PrimalMean, SyncPath,
};
use serde::Deserialize;
use tch::{Device, Kind};

use crate::trajectories::{Code, Problem, inner_optimizer};

#[derive(Debug, Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    inner: String,
    settings: Settings,
    every: i64,
    /// The model's weights.
    y: Vec<Vec<f64>>,
    /// The result.
    x: Vec<Vec<f64>>,
    /// The result at the end, in single precision.
    single: Vec<f64>,
    /// Steps at the start over which the learning rate rises.
    warmup: Option<i64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Settings {
    Primal { mu_x: f64, mu_y: f64 },
    Extrapolation { beta: f64, gamma: f64, start_step: u64, end_step: u64 },
    ScheduleFree { lr: f64, beta: f64, r: f64, weight_lr_power: f64 },
}

/// The largest relative difference.
pub(crate) fn apart(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected);
    pairs.map(|(a, b)| (a - b).abs() / (1.0 + b.abs())).fold(0.0, f64::max)
}

/// Takes the steps, and returns the largest difference from the reference.
fn follow<O: InnerOptimizer, R: AveragingRule>(
    case: &Case,
    problem: &Problem,
    opt: &mut AveragedOptimizer<O, R>,
) -> f64 {
    let is_double = problem.vs.kind() == Kind::Double;
    let mut largest: f64 = 0.0;
    for t in 1..=case.every * case.x.len() as i64 {
        if let Settings::ScheduleFree { lr, .. } = case.settings {
            let warmup = case.warmup.unwrap_or(0);
            let factor = if t < warmup { t as f64 / warmup as f64 } else { 1.0 };
            opt.set_learning_rate(lr * factor).unwrap();
            opt.set_learning_rate_group(1, lr / 2.0 * factor).unwrap();
        }
        opt.backward_step(&problem.loss(t)).unwrap();
        if is_double && t % case.every == 0 {
            let at = (t / case.every - 1) as usize;
            let result = opt.with_result(|| problem.flat()).unwrap();
            largest = largest.max(apart(&problem.flat(), &case.y[at]));
            largest = largest.max(apart(&result, &case.x[at]));
        }
    }
    if is_double {
        largest
    } else {
        apart(&opt.with_result(|| problem.flat()).unwrap(), &case.single)
    }
}

fn agrees(case: &Case, code: Code, path: SyncPath, (kind, tolerance): (Kind, f64)) {
    let problem = Problem::new(kind, Device::Cpu);
    let inner = inner_optimizer(&case.inner, code, &problem.vs);
    let apart = match case.settings {
        Settings::Primal { mu_x, mu_y } => {
            let mut opt = PrimalAveraging::new(inner, Primal::exponential(mu_x, mu_y)).unwrap();
            opt.set_path(path);
            follow(case, &problem, &mut opt)
        }
        Settings::ScheduleFree { beta, r, weight_lr_power, .. } => {
            let mean = PrimalMean::ScheduleFree { r, weight_lr_power };
            let mut opt = PrimalAveraging::new(inner, Primal::new(mean, beta)).unwrap();
            opt.set_path(path);
            follow(case, &problem, &mut opt)
        }
        Settings::Extrapolation { beta, gamma, start_step, end_step } => {
            let settings = Extrapolation { beta, gamma, start_step, end_step: Some(end_step) };
            let mut opt = EmaNesterov::new(inner, settings).unwrap();
            opt.set_path(path);
            follow(case, &problem, &mut opt)
        }
    };
    assert!(apart <= tolerance, "{}, {code:?}, {path:?}, {kind:?}: {apart:e}", case.name);
}

#[test]
fn of_every_inner_optimizer() {
    let golden: Golden = serde_json::from_str(include_str!("../../golden/averages.json")).unwrap();
    assert!(golden.cases.len() >= 23);
    for case in &golden.cases {
        for (code, path) in [(Code::Tch, SyncPath::Foreach), (Code::Fused, SyncPath::Auto)] {
            for precision in [(Kind::Double, 1e-10), (Kind::Float, 5e-5)] {
                agrees(case, code, path, precision);
            }
        }
    }
}
