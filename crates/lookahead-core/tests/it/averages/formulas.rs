//! The first steps by hand, and the identities.

use lookahead_core::{
    AveragedOptimizer, AveragingRule, EmaNesterov, Extrapolation, InnerOptimizer, Primal,
    PrimalAveraging, PrimalMean, Result, TchOptimizer, fused,
};
use tch::{Device, Kind, Tensor, nn};

use crate::common::{Net, assert_same_bits, bits};

fn one(kind: Kind) -> (nn::VarStore, Tensor) {
    let mut vs = nn::VarStore::new(Device::Cpu);
    vs.set_kind(kind);
    let w = vs.root().ones("w", &[1]);
    (vs, w)
}

fn sgd(vs: &nn::VarStore, learning_rate: f64) -> TchOptimizer {
    TchOptimizer::new(fused::Sgd::default(), vs, learning_rate).unwrap()
}

/// (y, result) after each step on x²/2 from 1.
fn half_squares<O: InnerOptimizer, R: AveragingRule>(
    w: &Tensor,
    opt: &mut AveragedOptimizer<O, R>,
    steps: usize,
) -> Vec<(f64, f64)> {
    let mut found = Vec::new();
    for _ in 0..steps {
        opt.backward_step(&(w.square().sum(w.kind()) * 0.5)).unwrap();
        let result = opt.with_result(|| w.double_value(&[0])).unwrap();
        found.push((w.double_value(&[0]), result));
    }
    found
}

fn assert_close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found}, not {expected}");
}

fn iterate(opt: &mut impl InnerOptimizer, slot: &str) -> f64 {
    opt.state().unwrap().tensors[&format!("{slot}/w")].double_value(&[0])
}

/// SGD with learning rate 0.5, μ_x 0.9, μ_y 0.7.
#[test]
fn primal_averaging_of_sgd() {
    let (vs, w) = one(Kind::Double);
    let mut opt = PrimalAveraging::new(sgd(&vs, 0.5), Primal::exponential(0.9, 0.7)).unwrap();
    let expected = [
        (0.95, 0.815),
        (0.86425, 0.632725),
        (0.75543875, 0.461648375),
        (0.6344262063, 0.3076923381),
        (0.5101303, 0.174531353),
    ];
    let found = half_squares(&w, &mut opt, expected.len());
    for ((y, x), (x_expected, y_expected)) in found.into_iter().zip(expected) {
        assert_close(y, y_expected, 1e-9);
        assert_close(x, x_expected, 1e-9);
    }
    assert_close(iterate(&mut opt, "iterate"), -0.6085328566, 1e-9);
}

/// The numbers of the authors' `GPAAdamW`, in single precision, with learning rate 0.1.
#[test]
fn primal_averaging_of_adamw() {
    let (vs, w) = one(Kind::Float);
    let adamw = TchOptimizer::new(fused::AdamW::default().wd(0.0), &vs, 0.1).unwrap();
    let mut opt = PrimalAveraging::new(adamw, Primal::exponential(0.9, 0.7)).unwrap();
    let expected = [
        (0.99000001, 0.963),
        (0.97101154, 0.91974288),
        (0.94395681, 0.87090909),
        (0.90968049, 0.8171345),
        (0.86896125, 0.75901914),
    ];
    let found = half_squares(&w, &mut opt, expected.len());
    for ((y, x), (x_expected, y_expected)) in found.into_iter().zip(expected) {
        assert_close(y, y_expected, 1e-6);
        assert_close(x, x_expected, 1e-6);
    }
    assert_close(iterate(&mut opt, "iterate"), 0.50248754, 1e-6);
}

/// The numbers of the authors' `SGDScheduleFree`.
#[test]
fn schedule_free_sgd() {
    let (vs, w) = one(Kind::Double);
    let mut opt = PrimalAveraging::new(sgd(&vs, 0.5), Primal::schedule_free(0.9)).unwrap();
    let expected = [
        (0.5, 0.5),
        (0.375, 0.3625),
        (0.2729166667, 0.2525),
        (0.1903125, 0.16553125),
        (0.124196875, 0.097750625),
        (0.0719739063, 0.0458624219),
    ];
    let found = half_squares(&w, &mut opt, expected.len());
    for ((y, x), (x_expected, y_expected)) in found.into_iter().zip(expected) {
        assert_close(y, y_expected, 1e-9);
        assert_close(x, x_expected, 1e-9);
    }
    assert_close(iterate(&mut opt, "iterate"), -0.1891409375, 1e-9);
}

/// SGD with learning rate 0.1, γ 0.9, β 0.5.
#[test]
fn ema_nesterov_of_sgd() {
    let (vs, w) = one(Kind::Double);
    let settings = Extrapolation { beta: 0.5, gamma: 0.9, ..Default::default() };
    let mut opt = EmaNesterov::new(sgd(&vs, 0.1), settings).unwrap();
    let m = [-0.01, -0.01845, -0.02549025, -0.0312547612, -0.0358708708];
    let theta = [0.9, 0.8055, 0.7166475, 0.6335121375, 0.5560962812];
    let found = half_squares(&w, &mut opt, m.len());
    for ((y, at_theta), (theta, m)) in found.into_iter().zip(theta.into_iter().zip(m)) {
        assert_close(at_theta, theta, 1e-9);
        assert_close(y, theta + 0.5 * m, 1e-9);
    }
    assert_close(iterate(&mut opt, "movement"), m[4], 1e-9);
}

/// μ_x = μ_y = μ is Nesterov's momentum, and μ_y = 1 heavy-ball momentum, with learning rate (1 − μ) γ.
#[test]
fn is_momentum_around_sgd() {
    let momentum = |nesterov: bool| -> Vec<f64> {
        let (vs, w) = one(Kind::Double);
        let mut opt = TchOptimizer::new(fused::sgd(0.9, 0.0, 0.0, nesterov), &vs, 0.05).unwrap();
        let step = |_| {
            opt.zero_grad().unwrap();
            (w.square().sum(Kind::Double) * 0.5).backward();
            opt.step().unwrap();
            w.double_value(&[0])
        };
        (0..5).map(step).collect()
    };
    let (vs, w) = one(Kind::Double);
    let mut opt = PrimalAveraging::new(sgd(&vs, 0.5), Primal::exponential(0.9, 0.9)).unwrap();
    for ((y, _), expected) in half_squares(&w, &mut opt, 5).into_iter().zip(momentum(true)) {
        assert_close(y, expected, 1e-12);
    }
    let (vs, w) = one(Kind::Double);
    let mut opt = PrimalAveraging::new(sgd(&vs, 0.5), Primal::exponential(0.9, 1.0)).unwrap();
    for ((y, x), expected) in half_squares(&w, &mut opt, 5).into_iter().zip(momentum(false)) {
        assert_close(x, expected, 1e-12);
        assert_eq!(x, y);
    }
}

/// A rate of 0 at the beginning of a warm-up weighs nothing, and divides by nothing.
#[test]
fn schedule_free_warms_up_from_zero() {
    let (vs, w) = one(Kind::Double);
    let mut opt = PrimalAveraging::new(sgd(&vs, 0.0), Primal::schedule_free(0.9)).unwrap();
    for rate in [0.0, 0.0, 0.5] {
        opt.set_learning_rate(rate).unwrap();
        opt.backward_step(&w.sum(Kind::Double)).unwrap();
    }
    assert_eq!(opt.with_result(|| w.double_value(&[0])).unwrap(), 0.5);
}

fn trained<O: InnerOptimizer>(build: impl Fn(TchOptimizer) -> Result<O>) -> Vec<(String, Tensor)> {
    let net = Net::new(3, Device::Cpu);
    let adamw = TchOptimizer::new(fused::AdamW::default(), &net.vs, 0.05).unwrap();
    let mut opt = build(adamw).unwrap();
    for i in 0..12 {
        opt.zero_grad().unwrap();
        net.loss(i, false).backward();
        opt.step().unwrap();
    }
    net.weights()
}

#[test]
fn is_the_inner_optimizer_to_the_bit() {
    let inner = trained(Ok);
    let primal = |settings: Primal| trained(|adamw| PrimalAveraging::new(adamw, settings.clone()));
    assert_same_bits(&primal(Primal::exponential(0.0, 0.7)), &inner, "μ_x = 0");
    assert_same_bits(&primal(Primal::exponential(0.9, 0.0)), &inner, "μ_y = 0");
    let no_beta = Extrapolation { beta: 0.0, ..Default::default() };
    assert_same_bits(&trained(|adamw| EmaNesterov::new(adamw, no_beta)), &inner, "β = 0");
    let later = Extrapolation { start_step: 12, ..Default::default() };
    let steps = trained(|adamw| EmaNesterov::new(adamw, later));
    assert!(steps.iter().zip(&inner).any(|(a, b)| bits(&a.1) != bits(&b.1)), "β from step 12");
    let never = Extrapolation { start_step: 13, ..Default::default() };
    assert_same_bits(&trained(|adamw| EmaNesterov::new(adamw, never)), &inner, "β from step 13");
}

#[test]
fn refuses_settings_out_of_range() {
    let (vs, _w) = one(Kind::Float);
    for (settings, key) in [
        (Primal::exponential(1.0, 0.5), "mu_x"),
        (Primal::exponential(0.5, 1.5), "mu_y"),
        (Primal::exponential(f64::NAN, 0.5), "mu_x"),
        (Primal::new(PrimalMean::ScheduleFree { r: -1.0, weight_lr_power: 2.0 }, 0.9), "r"),
    ] {
        let refused = PrimalAveraging::new(sgd(&vs, 0.1), settings).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("`{key}` is ")), "{refused}");
    }
    for (settings, key) in [
        (Extrapolation { beta: -0.1, ..Default::default() }, "beta"),
        (Extrapolation { gamma: 1.0, ..Default::default() }, "gamma"),
    ] {
        let refused = EmaNesterov::new(sgd(&vs, 0.1), settings).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("`{key}` is ")), "{refused}");
    }
}
