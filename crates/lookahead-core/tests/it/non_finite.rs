//! NaN and infinity in θ never reach φ.

use crate::common::{
    AnyConfig, INNERS, Inner, LEARNING_RATE, Net, assert_same_bits, descend, ones, train,
};
use lookahead_core::{
    Error, InnerOptimizer, Lookahead, MomentumPolicy, NonFinite, SyncPath, fused,
};
use tch::{Device, Kind, Tensor, nn};

fn built(policy: NonFinite) -> (nn::VarStore, Tensor, Lookahead) {
    let (vs, w) = ones(2);
    let _ = vs.root().ones("other", &[3]);
    let sgd = fused::sgd(0.9, 0.0, 0.0, false);
    let opt = Lookahead::builder(sgd).k(2).alpha(0.5).non_finite(policy).build(&vs, 0.1).unwrap();
    (vs, w, opt)
}

fn with_nan(w: &Tensor) -> Tensor {
    (w * Tensor::from_slice(&[f32::NAN, 1.0])).sum(Kind::Float)
}

#[test]
fn by_default_the_sync_is_an_error_that_changes_nothing() {
    for path in [SyncPath::Auto, SyncPath::Foreach] {
        let (_vs, w, mut opt) = built(NonFinite::Error);
        opt.set_sync_path(path);
        opt.backward_step(&w.sum(Kind::Float)).unwrap();
        let refused = opt.backward_step(&with_nan(&w)).unwrap_err();
        assert!(matches!(&refused, Error::NonFinite { name } if name == "w"), "{refused}");
        assert!(refused.to_string().contains("roll_back()"), "{refused}");
        assert!(opt.sync_is_due(), "still");
        assert!(opt.sync_if_due().is_err(), "still an error");
        let phi = opt.with_slow_weights(|| w.copy()).unwrap();
        assert_eq!(phi, Tensor::ones([2], (Kind::Float, Device::Cpu)), "φ is intact");

        opt.roll_back().unwrap();
        assert_eq!((opt.phase(), w.double_value(&[0])), (0, 1.0));
        opt.backward_step(&w.sum(Kind::Float)).unwrap();
        assert!((w.double_value(&[0]) - 0.9).abs() < 1e-6, "the momentum that was NaN is gone");
    }
}

/// In every element type, infinity too.
#[test]
fn one_bad_value_among_many_is_found() {
    for kind in [Kind::Float, Kind::Double, Kind::BFloat16, Kind::Half] {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut vs = nn::VarStore::new(Device::Cpu);
            vs.set_kind(kind);
            let w = vs.root().ones("w", &[70_000]);
            let mut opt = Lookahead::builder(fused::Sgd::default()).k(1).build(&vs, 1.0).unwrap();
            let gradient = Tensor::zeros([70_000], (kind, Device::Cpu));
            let _ = gradient.get(65_000).fill_(value);
            let outcome = opt.backward_step(&(&w * gradient).sum(kind));
            assert!(matches!(outcome, Err(Error::NonFinite { .. })), "{kind:?}, {value}");
        }
    }
}

/// The last step before a sync looks at θ while it writes it; what comes between the two is looked at, too.
#[test]
fn nan_between_the_last_step_and_the_sync_is_found() {
    let (_vs, w, mut opt) = built(NonFinite::Error);
    for _ in 0..2 {
        opt.zero_grad().unwrap();
        w.sum(Kind::Float).backward();
        opt.inner_step().unwrap();
    }
    tch::no_grad(|| drop(w.get(0).fill_(f64::NAN)));
    opt.accept_fast_weights().unwrap();
    let refused = opt.sync_if_due().unwrap_err();
    assert!(matches!(&refused, Error::NonFinite { name } if name == "w"), "{refused}");

    // A variable that joins there.
    let (vs, w, mut opt) = built(NonFinite::Error);
    for _ in 0..2 {
        opt.zero_grad().unwrap();
        w.sum(Kind::Float).backward();
        opt.inner_step().unwrap();
    }
    let _ = vs.root().var("late", &[1], nn::Init::Const(f64::INFINITY));
    let refused = opt.sync_if_due().unwrap_err();
    assert!(matches!(&refused, Error::NonFinite { name } if name == "late"), "{refused}");
}

#[test]
fn skip_step_leaves_theta_and_the_moments_and_does_not_count() {
    for inner in INNERS {
        let net = Net::new(2, Device::Cpu);
        let config = AnyConfig(inner);
        let builder = Lookahead::builder(config).k(3).non_finite(NonFinite::SkipStep);
        let mut opt = builder.build(&net.vs, LEARNING_RATE).unwrap();
        opt.backward_step(&net.loss(0, false)).unwrap();
        let (weights, state) = (net.weights(), format!("{:?}", opt.state().unwrap().integers));
        assert!(!opt.backward_step(&(net.loss(1, false) * f64::INFINITY)).unwrap());
        assert_same_bits(&net.weights(), &weights, "θ");
        assert_eq!((opt.phase(), opt.steps(), opt.non_finite()), (1, 1, 1));
        assert_eq!(
            format!("{:?}", opt.state().unwrap().integers),
            state.replace("\"non_finite\": 0", "\"non_finite\": 1")
        );
        opt.backward_step(&net.loss(1, false)).unwrap();
        assert!(opt.backward_step(&net.loss(2, false)).unwrap(), "three steps were taken");
    }
}

/// The training equals one without that batch.
#[test]
fn a_skipped_batch_leaves_no_trace() {
    let run = |bad: bool| {
        let net = Net::new(2, Device::Cpu);
        let builder = Lookahead::builder(fused::Adam::default()).k(2);
        let mut opt = builder.non_finite(NonFinite::SkipStep).build(&net.vs, 0.01).unwrap();
        for i in 0..7 {
            if bad && i == 3 {
                opt.backward_step(&(net.loss(i, false) * f64::NAN)).unwrap();
            }
            opt.backward_step(&net.loss(i, false)).unwrap();
        }
        net.weights()
    };
    assert_same_bits(&run(true), &run(false), "with and without");
}

#[test]
fn roll_back_replaces_the_sync_and_is_counted() {
    let (_vs, w, mut opt) = built(NonFinite::RollBack);
    descend(&mut opt, &w, 2);
    let phi = w.detach().copy();
    opt.backward_step(&with_nan(&w)).unwrap();
    assert!(w.double_value(&[0]).is_nan());
    assert!(!opt.backward_step(&w.sum(Kind::Float)).unwrap(), "no sync");
    assert_eq!(w, phi, "θ is back at φ");
    assert_eq!((opt.phase(), opt.syncs(), opt.non_finite()), (0, 1, 1));
    assert!(opt.inner_mut().moments(0).unwrap().is_empty(), "NaN, so it was reset");
    assert_eq!(opt.state().unwrap().integers["non_finite"], 1);
    descend(&mut opt, &w, 2);
    assert!(bool::try_from(w.isfinite().all()).unwrap());
    assert_eq!(opt.syncs(), 2);
}

/// Only the moments of the variable with NaN are reset.
#[test]
fn roll_back_keeps_finite_moments() {
    let vs = nn::VarStore::new(Device::Cpu);
    let (a, b) = (vs.root().ones("a", &[1]), vs.root().ones("b", &[1]));
    let mut opt = Lookahead::builder(fused::Adam::default()).k(3).build(&vs, 0.1).unwrap();
    opt.backward_step(&(&a * f64::NAN + &b).sum(Kind::Float)).unwrap();
    opt.roll_back().unwrap();
    assert!(opt.inner_mut().moments(0).unwrap().is_empty());
    assert_eq!(opt.inner_mut().moments(1).unwrap().len(), 2);
    assert_eq!((a.double_value(&[0]), b.double_value(&[0])), (1.0, 1.0));
}

/// A moment can overflow while θ stays finite; pulled back, it would ruin its slow copy.
#[test]
fn moments_that_overflow_do_not_reach_their_slow_copies() {
    let (vs, w) = ones(1);
    let mut opt = Lookahead::builder(fused::Adam::default())
        .k(1)
        .momentum_policy(MomentumPolicy::Pullback)
        .build(&vs, 0.1)
        .unwrap();
    // The gradient's square overflows single precision; the quotient is 0.
    let outcome = opt.backward_step(&(&w * 1e30).sum(Kind::Float));
    assert!(w.double_value(&[0]).is_finite());
    assert!(matches!(outcome, Err(Error::NonFinite { .. })));
}

#[test]
fn unchecked_lets_nan_reach_phi() {
    let (_vs, w, mut opt) = built(NonFinite::Unchecked);
    opt.backward_step(&w.sum(Kind::Float)).unwrap();
    opt.backward_step(&with_nan(&w)).unwrap();
    assert!(opt.with_slow_weights(|| w.double_value(&[0])).unwrap().is_nan());
}

#[test]
fn a_frozen_variable_may_hold_infinity() {
    let vs = nn::VarStore::new(Device::Cpu);
    let a = vs.root().ones("a", &[1]);
    let mask = vs.root().var_copy("mask", &Tensor::from_slice(&[f32::NEG_INFINITY]));
    let _ = mask.set_requires_grad(false);
    let mut opt = Lookahead::builder(fused::Sgd::default()).k(1).build(&vs, 0.1).unwrap();
    assert!(opt.backward_step(&a.sum(Kind::Float)).unwrap());
}

/// A step that an inner level skips does not count on the outer level either.
#[test]
fn a_skipped_step_counts_on_no_level() {
    let net = Net::new(2, Device::Cpu);
    let inner = Lookahead::builder(AnyConfig(Inner::Sgd)).k(2);
    let inner = inner.non_finite(NonFinite::SkipStep).build(&net.vs, 0.01).unwrap();
    let mut outer = Lookahead::around(inner).k(4).build().unwrap();
    outer.backward_step(&(net.loss(1, false) * f64::NAN)).unwrap();
    assert_eq!((outer.phase(), outer.steps(), outer.inner().phase()), (0, 0, 0));
    let synced: Vec<bool> =
        (0..4).map(|i| outer.backward_step(&net.loss(i, false)).unwrap()).collect();
    assert_eq!(synced, [false, false, false, true]);
}

#[test]
fn a_frozen_variables_gradient_skips_no_step() {
    let vs = nn::VarStore::new(Device::Cpu);
    let (a, b) = (vs.root().ones("a", &[1]), vs.root().ones("b", &[1]));
    let builder = Lookahead::builder(fused::Sgd::default()).non_finite(NonFinite::SkipStep);
    let mut opt = builder.build(&vs, 0.1).unwrap();
    (&a + &b * f64::NAN).sum(Kind::Float).backward();
    let _ = b.set_requires_grad(false);
    assert!(opt.inner_step().unwrap());
}

#[test]
fn in_a_nested_lookahead_the_level_that_finds_nan_acts() {
    let net = Net::new(2, Device::Cpu);
    let inner = Lookahead::builder(AnyConfig(Inner::Sgd)).k(2);
    let inner = inner.non_finite(NonFinite::RollBack).build(&net.vs, 0.01).unwrap();
    let mut outer = Lookahead::around(inner).k(4).build().unwrap();
    outer.backward_step(&net.loss(0, false)).unwrap();
    outer.backward_step(&(net.loss(1, false) * f64::NAN)).unwrap();
    assert_eq!((outer.inner().non_finite(), outer.non_finite()), (1, 0));
    train(&net, &mut outer, 2..4);
    assert_eq!(outer.syncs(), 1);
    assert!(net.weights().iter().all(|(_, w)| bool::try_from(w.isfinite().all()).unwrap()));
}
