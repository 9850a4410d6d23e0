//! Clipping by the norm of all gradients: at every magnitude, and without a norm to clip by.

use lookahead_core::{Error, Lookahead, NonFinite, fused};
use tch::{Device, Kind, Tensor, nn};

fn built(size: i64, policy: NonFinite) -> (nn::VarStore, Tensor, Lookahead) {
    let vs = nn::VarStore::new(Device::Cpu);
    let w = vs.root().zeros("w", &[size]);
    let sgd = fused::sgd(0.9, 0.0, 0.0, false);
    let opt = Lookahead::builder(sgd).k(5).non_finite(policy).build(&vs, 0.1).unwrap();
    (vs, w, opt)
}

/// Every gradient is finite, but the sum of their squares overflows single precision.
#[test]
fn a_norm_that_overflows_single_precision_is_clipped() {
    for (size, slope) in [(100, 1e19), (1_000_000, 1e18), (3, 3e38)] {
        let (_vs, w, mut opt) = built(size, NonFinite::Error);
        opt.backward_step_clip_norm(&(&w * slope).sum(Kind::Float), 1.0).unwrap();
        // The step has length 0.1 along the gradient, which is equal in all elements.
        let moved = 0.1 / (size as f64).sqrt();
        let found = -w.double_value(&[size - 1]);
        assert!((found / moved - 1.0).abs() < 1e-5, "{size} of {slope}: {found}, not {moved}");

        opt.zero_grad().unwrap();
        (&w * slope).sum(Kind::Float).backward();
        let expected = slope * (size as f64).sqrt();
        for norm in [opt.gradient_norm().unwrap().unwrap(), opt.clip_grad_norm(1.0).unwrap()] {
            assert!((norm / expected - 1.0).abs() < 1e-6, "{norm}, not {expected}");
        }
    }
}

/// At both ends of single precision.
#[test]
fn a_distance_that_overflows_single_precision_is_measured() {
    let vs = nn::VarStore::new(Device::Cpu);
    let w = vs.root().var("w", &[1_000_000], nn::Init::Const(-2e38));
    let mut opt = Lookahead::builder(fused::Sgd::default()).build(&vs, 1.0).unwrap();
    for _ in 0..2 {
        opt.backward_step(&(&w * -2e38).sum(Kind::Float)).unwrap();
    }
    // Each element has gone from -2e38 to 2e38.
    assert!((opt.distance().unwrap() / 4e41 - 1.0).abs() < 1e-6, "more than f32 holds");
    // The squares underflow.
    let (_vs, w, mut opt) = built(4, NonFinite::Error);
    opt.backward_step(&(&w * 1e-24).sum(Kind::Float)).unwrap();
    assert!((opt.distance().unwrap() / 2e-25 - 1.0).abs() < 1e-6);
    assert!((opt.gradient_norm().unwrap().unwrap() / 2e-24 - 1.0).abs() < 1e-6);
}

fn with_bad_gradient(w: &Tensor, value: f32) -> Tensor {
    (w * Tensor::from_slice(&[value, 1e30])).sum(Kind::Float)
}

/// After NaN or infinity the policy applies.
#[test]
fn no_step_uses_gradients_without_a_norm() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for policy in [NonFinite::Error, NonFinite::Unchecked] {
            let (_vs, w, mut opt) = built(2, policy);
            opt.backward_step_clip_norm(&w.sum(Kind::Float), 1.0).unwrap();
            let before = w.detach().copy();
            let refused =
                opt.backward_step_clip_norm(&with_bad_gradient(&w, value), 1.0).unwrap_err();
            assert!(matches!(&refused, Error::NonFiniteGradient { name, .. } if name == "w"));
            assert!(opt.step().is_err(), "still an error");
            assert_eq!((w.detach(), opt.phase(), opt.steps()), (before, 1, 1), "{policy:?}");
            opt.backward_step_clip_norm(&w.sum(Kind::Float), 1.0).unwrap();
            assert_eq!(opt.phase(), 2, "another batch");
        }

        let (_vs, w, mut opt) = built(2, NonFinite::SkipStep);
        opt.backward_step_clip_norm(&with_bad_gradient(&w, value), 1.0).unwrap();
        assert_eq!((w.double_value(&[1]), opt.steps(), opt.non_finite()), (0.0, 0, 1));

        let (_vs, w, mut opt) = built(2, NonFinite::RollBack);
        opt.backward_step_clip_norm(&w.sum(Kind::Float), 1.0).unwrap();
        assert!(!opt.backward_step_clip_norm(&with_bad_gradient(&w, value), 1.0).unwrap());
        assert_eq!((w.double_value(&[0]), opt.phase(), opt.non_finite()), (0.0, 0, 1), "θ is φ");
        opt.backward_step_clip_norm(&w.sum(Kind::Float), 1.0).unwrap();
        assert_eq!(opt.phase(), 1);
    }
}

/// In whatever way they became finite.
#[test]
fn a_step_uses_gradients_that_became_finite() {
    let (_vs, w, mut opt) = built(2, NonFinite::Error);
    with_bad_gradient(&w, f32::INFINITY).backward();
    assert_eq!(opt.clip_grad_norm(1.0).unwrap(), f64::INFINITY);
    opt.clip_grad_value(2.0).unwrap();
    opt.step().unwrap();
    assert!((w.double_value(&[1]) + 0.2).abs() < 1e-6);
}

#[test]
fn a_frozen_variables_gradient_does_not_count_in_the_norm() {
    let vs = nn::VarStore::new(Device::Cpu);
    let (a, b) = (vs.root().zeros("a", &[1]), vs.root().zeros("b", &[1]));
    let mut opt = Lookahead::builder(fused::Sgd::default()).build(&vs, 0.1).unwrap();
    (&a * 3.0 + &b * f64::NAN).sum(Kind::Float).backward();
    let _ = b.set_requires_grad(false);
    assert_eq!(opt.clip_grad_norm(1.0).unwrap(), 3.0);
    opt.inner_step().unwrap();
    assert!((a.double_value(&[0]) + 0.1).abs() < 1e-6);
}

#[test]
fn the_norm_is_clipped_through_a_nested_lookahead() {
    let vs = nn::VarStore::new(Device::Cpu);
    let w = vs.root().zeros("w", &[100]);
    let inner = Lookahead::builder(fused::Sgd::default()).k(2).build(&vs, 0.1).unwrap();
    let mut opt = Lookahead::around(inner).k(4).outer_momentum(0.5).build().unwrap();
    opt.backward_step_clip_norm(&(&w * 1e19).sum(Kind::Float), 1.0).unwrap();
    assert!((w.double_value(&[0]) + 0.01).abs() < 1e-6);
    let refused = opt.backward_step_clip_norm(&(&w * f64::NAN).sum(Kind::Float), 1.0);
    assert!(matches!(refused, Err(Error::NonFiniteGradient { .. })));
}
