//! Golden trajectories: 200 steps of every average around PyTorch's optimizers, and of the `schedulefree` package
//! (`golden/averages.py`).

use lookahead_core::{
    AveragedOptimizer, AveragingRule, EmaNesterov, Extrapolation, InnerOptimizer, Primal,
    PrimalAveraging, PrimalMean, SyncPath,
};
use serde::Deserialize;
use tch::Device;

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

/// Takes the steps, and returns the largest relative difference from the reference.
fn follow<O: InnerOptimizer, R: AveragingRule>(
    case: &Case,
    problem: &Problem,
    opt: &mut AveragedOptimizer<O, R>,
) -> f64 {
    let mut largest: f64 = 0.0;
    for t in 1..=case.every * case.x.len() as i64 {
        if let Settings::ScheduleFree { lr, .. } = case.settings {
            let warmup = case.warmup.unwrap_or(0);
            let factor = if t < warmup { t as f64 / warmup as f64 } else { 1.0 };
            opt.set_learning_rate(lr * factor).unwrap();
            opt.set_learning_rate_group(1, lr / 2.0 * factor).unwrap();
        }
        opt.backward_step(&problem.loss(t)).unwrap();
        if t % case.every == 0 {
            let at = (t / case.every - 1) as usize;
            let result = opt.with_result(|| problem.flat()).unwrap();
            for (found, expected) in [(problem.flat(), &case.y[at]), (result, &case.x[at])] {
                assert_eq!(found.len(), expected.len());
                let pairs = found.iter().zip(expected);
                let apart = pairs.map(|(a, b)| (a - b).abs() / (1.0 + b.abs()));
                largest = apart.fold(largest, f64::max);
            }
        }
    }
    largest
}

fn agrees(case: &Case, code: Code, path: SyncPath) {
    let problem = Problem::new(Device::Cpu);
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
    assert!(apart <= 1e-10, "{}, {code:?}, {path:?}: {apart:e}", case.name);
}

#[test]
fn of_every_inner_optimizer() {
    let golden: Golden = serde_json::from_str(include_str!("../../golden/averages.json")).unwrap();
    assert!(golden.cases.len() >= 23);
    for case in &golden.cases {
        for (code, path) in [(Code::Tch, SyncPath::Foreach), (Code::Fused, SyncPath::Auto)] {
            agrees(case, code, path);
        }
    }
}
