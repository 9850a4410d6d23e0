//! Each optimizer's own steps. The numbers are those of this script, with torch 2.13.0 and timm 1.0.31:
//!
//! ```python
//! torch.set_default_dtype(torch.float64)
//! x = torch.tensor([1.0, -0.5, 0.25], requires_grad=True)
//! opt = OPTIMIZER([x], weight_decay=0.1, foreach=False, **OPTIONS)
//! for t in range(1, 9):
//!     x.grad = torch.cos(torch.tensor([t + 0.0, t + 1, t + 2])) + 0.5 * x.detach()
//!     opt.step()
//! ```

use super::*;
use crate::{Error, InnerOptimizer, StepRule};
use tch::{Device, Kind, Tensor};

/// The problem's weights in a store, of this type.
fn start(kind: Kind) -> (nn::VarStore, Tensor) {
    let vs = nn::VarStore::new(Device::Cpu);
    let x = Tensor::from_slice(&[1.0, -0.5, 0.25]).to_kind(kind);
    let x = vs.root().add("x", x, true);
    (vs, x)
}

fn take_steps<R: StepRule>(opt: &mut RuleOptimizer<R>, x: &Tensor, steps: std::ops::Range<i64>) {
    for t in steps {
        opt.zero_grad().unwrap();
        let along = (Tensor::arange(3, (x.kind(), x.device())) + t).cos();
        let loss = (x * along).sum(x.kind()) + x.square().sum(x.kind()) * 0.25;
        loss.backward();
        opt.step().unwrap();
    }
}

fn decayed<R: StepRule>(rule: R, vs: &nn::VarStore, learning_rate: f64) -> RuleOptimizer<R> {
    let mut opt = RuleOptimizer::new(rule, vs, learning_rate).unwrap();
    opt.set_weight_decay(0.1).unwrap();
    opt
}

fn assert_near(x: &Tensor, expected: [f64; 3], tolerance: f64) {
    let found = Vec::<f64>::try_from(x.to_kind(Kind::Double)).unwrap();
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < tolerance, "{found} for {expected}");
    }
}

/// In f64; in f32 and, within what they resolve, in half precision too.
fn assert_ends_at<R: StepRule + Copy>(rule: R, learning_rate: f64, expected: [f64; 3]) {
    let tolerances =
        [(Kind::Double, 1e-14), (Kind::Float, 1e-6), (Kind::Half, 5e-3), (Kind::BFloat16, 3e-2)];
    for (kind, tolerance) in tolerances {
        let (vs, x) = start(kind);
        take_steps(&mut decayed(rule, &vs, learning_rate), &x, 1..9);
        assert_near(&x, expected, tolerance);
    }
}

/// timm's Lion, lr 0.01.
#[test]
fn lion() {
    assert_ends_at(
        Lion::default(),
        0.01,
        [0.952127704489504, -0.456193492714412, 0.248007145617926],
    );
}

/// torch's NAdam, lr 0.1, momentum_decay 0.1; the second with decoupled_weight_decay.
#[test]
fn nadam() {
    let nadam = NAdam::default().momentum_decay(0.1);
    assert_ends_at(nadam, 0.1, [0.612547956824452, -0.207642117845868, 0.303594439112255]);
    let decoupled = nadam.decoupled_weight_decay(true);
    assert_ends_at(decoupled, 0.1, [0.592364716410846, -0.197799019154750, 0.300933917503227]);
}

/// torch's RAdam, lr 0.1, betas (0.9, 0.9): rectified from the seventh step on; the second with decoupled_weight_decay.
#[test]
fn radam() {
    let radam = RAdam::default().beta2(0.9);
    assert_ends_at(radam, 0.1, [0.708352401750011, -0.126095486343379, 0.342359326510349]);
    let decoupled = radam.decoupled_weight_decay(true);
    assert_ends_at(decoupled, 0.1, [0.693911312112359, -0.128311832217481, 0.334615786698638]);
}

/// torch's Adagrad, lr 0.1; the second with lr_decay 0.1 and initial_accumulator_value 0.5.
#[test]
fn adagrad() {
    let adagrad = Adagrad::default();
    assert_ends_at(adagrad, 0.1, [0.744232333351909, -0.275864165879484, 0.296926446884061]);
    let other = adagrad.lr_decay(0.1).initial_accumulator_value(0.5);
    assert_ends_at(other, 0.1, [0.817308156348032, -0.328718589929836, 0.284991807744499]);
}

/// timm's Adan, lr 0.1; the second with no_prox.
#[test]
fn adan() {
    let adan = Adan::default();
    assert_ends_at(adan, 0.1, [0.739932512959743, -0.137998328979956, 0.262304520676120]);
    let other = adan.proximal(false);
    assert_ends_at(other, 0.1, [0.737717829383103, -0.135089512987287, 0.262118465074316]);
}

/// candle-optimisers' tests/nadam_tests.rs, whose numbers PyTorch confirms: a linear regression, 100 steps.
#[test]
fn nadam_as_in_candle() {
    let vs = nn::VarStore::new(Device::Cpu);
    let (w, b) = (vs.root().zeros("w", &[1, 2]), vs.root().zeros("b", &[1]));
    let x = Tensor::from_slice(&[2f32, 1., 7., 4., -4., 12., 5., 8.]).reshape([4, 2]);
    let y = x.matmul(&Tensor::from_slice(&[3f32, 1.]).reshape([2, 1])) - 2.0;
    let mut opt = RuleOptimizer::new(NAdam::default(), &vs, 2e-3).unwrap();
    for _ in 0..100 {
        opt.zero_grad().unwrap();
        x.linear(&w, Some(&b)).mse_loss(&y, tch::Reduction::Mean).backward();
        opt.step().unwrap();
    }
    let found = [w.double_value(&[0, 0]), w.double_value(&[0, 1]), b.double_value(&[0])];
    for (found, expected) in found.into_iter().zip([0.1897, 0.1837, 0.1864]) {
        assert!((found - expected).abs() < 5e-5, "{found} for {expected}");
    }
}

/// Mₜ tends to 0; where it is taken for 0, 1 − Mₜ is 1 to the bit.
#[test]
fn the_product_of_nadams_momenta() {
    let nadam = NAdam::default();
    assert_eq!(nadam.mu_product(1), nadam.mu(1));
    assert_eq!(nadam.mu_product(2), nadam.mu(1) * nadam.mu(2));
    let mut product = 1.0;
    for t in 1..500 {
        product *= nadam.mu(t);
        assert_eq!(1.0 - nadam.mu_product(t), 1.0 - product);
    }
    assert_eq!(nadam.mu_product(u64::MAX >> 1), 0.0);
}

/// The sign of NaN is a number, and NaN agrees with no gradient, but the step must not hide it.
#[test]
fn a_broken_gradient_shows() {
    for broken in [f64::NAN, f64::INFINITY] {
        assert!(after(Lion::default(), broken).is_nan());
        assert!(after(Lion::default().cautious(true), broken).is_nan());
        assert!(after(CautiousAdam::default(), broken).is_nan());
    }
}

/// The first weight after a step of these gradients.
fn after(rule: impl StepRule, gradient: f64) -> f64 {
    let (vs, x) = start(Kind::Float);
    let mut opt = RuleOptimizer::new(rule, &vs, 0.01).unwrap();
    (&x * gradient).sum(Kind::Float).backward();
    opt.step().unwrap();
    x.double_value(&[0])
}

/// If the gradient opposes everything, only the weight decay is left; a single element of 1,000 moves 1,000 times as far.
#[test]
fn cautious_masks() {
    fn moved(rule: impl StepRule, against: &Tensor) -> Tensor {
        let vs = nn::VarStore::new(Device::Cpu);
        let x = vs.root().zeros("x", &[1000]);
        let mut opt = RuleOptimizer::new(rule, &vs, 0.01).unwrap();
        let mut step = |along: &Tensor| {
            opt.zero_grad().unwrap();
            (&x * along).sum(Kind::Float).backward();
            opt.step().unwrap();
            x.detach().copy()
        };
        let before = step(&Tensor::ones([1000], (Kind::Float, Device::Cpu)));
        step(against) - before
    }
    let against = Tensor::full([1000], -1e-3, (Kind::Float, Device::Cpu));
    let but_one = against.copy();
    let _ = but_one.get(7).fill_(1e-3);
    let lion = Lion::default().cautious(true);
    for (some, one) in [
        (moved(lion, &against), moved(lion, &but_one)),
        (moved(CautiousAdam::default(), &against), moved(CautiousAdam::default(), &but_one)),
    ] {
        assert_eq!(some.abs().max().double_value(&[]), 0.0);
        assert_eq!(one.count_nonzero(None::<i64>).int64_value(&[]), 1);
        assert!((-20.0..-5.0).contains(&one.double_value(&[7])), "{}", one.double_value(&[7]));
    }
}

#[test]
fn adan_keeps_the_last_gradient_out_of_its_moments() {
    let (vs, x) = start(Kind::Double);
    let mut opt = RuleOptimizer::new(Adan::default(), &vs, 0.1).unwrap();
    take_steps(&mut opt, &x, 1..3);
    let moments = opt.moments(0).unwrap();
    let names: Vec<&str> = moments.iter().map(|moment| moment.name).collect();
    assert_eq!(names, ["exp_avg", "exp_avg_diff", "exp_avg_sq"]);
    let state = opt.state().unwrap();
    assert_eq!(state.tensors["adan/previous_gradient/x"], x.grad());
}

#[test]
fn options_out_of_range_are_refused() {
    let (vs, _) = start(Kind::Float);
    let refused = RuleOptimizer::new(Lion::default().beta1(1.0), &vs, 0.1).unwrap_err();
    assert!(matches!(refused, Error::Setting { key: "beta1", .. }), "{refused}");
    let refused = RuleOptimizer::new(NAdam::default().momentum_decay(-1.0), &vs, 0.1);
    assert!(matches!(refused, Err(Error::Setting { key: "momentum_decay", .. })));
    let refused = RuleOptimizer::new(RAdam::default().eps(f64::NAN), &vs, 0.1);
    assert!(matches!(refused, Err(Error::Setting { key: "eps", .. })));
    let refused = RuleOptimizer::new(Adagrad::default().lr_decay(f64::INFINITY), &vs, 0.1);
    assert!(matches!(refused, Err(Error::Setting { key: "lr_decay", .. })));
    let refused = RuleOptimizer::new(Adan::default().beta3(-0.1), &vs, 0.1);
    assert!(matches!(refused, Err(Error::Setting { key: "beta3", .. })));
}
