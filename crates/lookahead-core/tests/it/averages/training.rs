//! NaN, changed weights, frozen variables, half precision, and a Lookahead around.

use lookahead_core::{
    EmaNesterov, Error, Extrapolation, InnerOptimizer, Lookahead, NonFinite, Primal,
    PrimalAveraging, TailAverage, TailMean, TchOptimizer, fused,
};
use tch::{Kind, Tensor, nn};

use crate::common::{Net, assert_resumes, assert_same_bits, close, ones, write};

fn sgd(vs: &nn::VarStore) -> TchOptimizer {
    TchOptimizer::new(fused::sgd(0.9, 0.0, 0.0, false), vs, 0.1).unwrap()
}

/// NaN in one variable reaches no average, and the training can continue from it.
#[test]
fn nan_reaches_no_average() {
    macro_rules! check {
        ($build:expr, $rolls_back:expr) => {
            let (vs, w) = ones(2);
            let v = vs.root().ones("v", &[2]);
            let mut opt = $build(&vs);
            opt.backward_step(&(&w + &v).sum(Kind::Float)).unwrap();
            let before = opt.with_result(|| v.copy()).unwrap();
            let refused = opt.backward_step(&(&w + &v * f64::NAN).sum(Kind::Float)).unwrap_err();
            assert!(matches!(&refused, Error::NonFiniteStep { name } if name == "v"), "{refused}");
            assert_eq!(opt.state().unwrap().tensors["average/v"].isfinite().all().int64_value(&[]), 1);
            if $rolls_back {
                opt.zero_grad().unwrap();
                assert!(matches!(opt.step(), Err(Error::NonFiniteStep { .. })));
                opt.roll_back().unwrap();
                assert_eq!(v.copy(), before);
                opt.backward_step(&(&w + &v).sum(Kind::Float)).unwrap();
                assert_eq!(v.isfinite().all().int64_value(&[]), 1);
            }
        };
    }
    check!(|vs| PrimalAveraging::new(sgd(vs), Primal::default()).unwrap(), true);
    check!(|vs| TailAverage::new(sgd(vs), TailMean::exponential(0.5)).unwrap(), true);
    let (vs, w) = ones(2);
    let mut opt = EmaNesterov::new(sgd(&vs), Extrapolation::default()).unwrap();
    opt.backward_step(&w.sum(Kind::Float)).unwrap();
    let theta = opt.with_result(|| w.copy()).unwrap();
    assert!(opt.backward_step(&(&w * f64::INFINITY).sum(Kind::Float)).is_err());
    opt.roll_back().unwrap();
    assert_eq!(w.copy(), theta);
    opt.backward_step(&w.sum(Kind::Float)).unwrap();
}

/// Weights that other code has changed are an error, until they are accepted or restarted from.
#[test]
fn changed_weights_are_noticed() {
    let (vs, w) = ones(1);
    let mut opt = PrimalAveraging::new(
        TchOptimizer::new(fused::Sgd::default(), &vs, 0.25).unwrap(),
        Primal::exponential(0.5, 0.5),
    )
    .unwrap();
    opt.backward_step(&w.sum(Kind::Float)).unwrap(); // z 0.75, x 0.875, y 0.8125
    write(&w, 0.5625);
    let refused = opt.step().unwrap_err();
    assert!(matches!(&refused, Error::WeightsChanged { name } if name == "w"), "{refused}");
    opt.accept_weights().unwrap();
    assert_eq!(opt.with_result(|| w.double_value(&[0])).unwrap(), 0.625);
    opt.backward_step(&w.sum(Kind::Float)).unwrap(); // z 0.25, x 0.4375
    assert_eq!(w.double_value(&[0]), 0.34375);
    write(&w, 2.0);
    opt.restart().unwrap();
    assert_eq!(opt.with_result(|| w.double_value(&[0])).unwrap(), 2.0);
}

/// A frozen variable may be written to, and its average follows it.
#[test]
fn frozen_variables_are_left_alone() {
    let (vs, w) = ones(1);
    let v = vs.root().ones("v", &[1]);
    let mut opt = PrimalAveraging::new(sgd(&vs), Primal::default()).unwrap();
    opt.backward_step(&(&w + &v).sum(Kind::Float)).unwrap();
    let _ = v.set_requires_grad(false);
    write(&v, 5.0);
    opt.backward_step(&w.sum(Kind::Float)).unwrap();
    assert_eq!(v.double_value(&[0]), 5.0);
    assert_eq!(opt.with_result(|| v.double_value(&[0])).unwrap(), 5.0);
    let _ = v.set_requires_grad(true);
    opt.backward_step(&(&w + &v).sum(Kind::Float)).unwrap();
    assert!(v.double_value(&[0]) < 5.0 && v.double_value(&[0]) > 4.5);
}

/// In bfloat16 the average still moves by less than the weights can.
#[test]
fn half_precision_has_a_wide_average() {
    let mut vs = nn::VarStore::new(tch::Device::Cpu);
    vs.set_kind(Kind::BFloat16);
    let w = vs.root().ones("w", &[1]);
    let inner = TchOptimizer::new(fused::Sgd::default(), &vs, 0.25).unwrap();
    let mut opt = PrimalAveraging::new(inner, Primal::exponential(0.999, 0.9)).unwrap();
    opt.backward_step(&w.sum(Kind::Float)).unwrap();
    let state = opt.state().unwrap();
    let x = &state.tensors["average/w"];
    assert_eq!((x.kind(), state.tensors["iterate/w"].kind()), (Kind::Float, Kind::BFloat16));
    assert!(close(x.double_value(&[0]), 0.99975));
    assert_eq!(opt.with_result(|| w.kind()).unwrap(), Kind::BFloat16);
}

/// A sync around an average sets the model, x and z; the training then continues from there.
#[test]
fn lookahead_around_it_restarts_it() {
    let (vs, w) = ones(1);
    let inner = TchOptimizer::new(fused::Sgd::default(), &vs, 0.5).unwrap();
    let inner = PrimalAveraging::new(inner, Primal::exponential(0.5, 0.5)).unwrap();
    let mut opt = Lookahead::around(inner).k(1).alpha(0.5).build().unwrap();
    opt.backward_step(&w.sum(Kind::Float)).unwrap(); // z 0.5, x 0.75, y 0.625, φ 0.8125
    assert_eq!(w.double_value(&[0]), 0.8125);
    assert_eq!(opt.inner_mut().with_result(|| w.double_value(&[0])).unwrap(), 0.8125);
    opt.backward_step(&w.sum(Kind::Float)).unwrap(); // y 0.4375, φ 0.625
    assert_eq!(w.double_value(&[0]), 0.625);
}

/// A sync of a Lookahead inside moves also a variable that has no gradient in that step, and its average follows.
#[test]
fn syncs_inside_are_averaged() {
    let sgd = |vs: &nn::VarStore| TchOptimizer::new(fused::Sgd::default(), vs, 0.5).unwrap();
    let (vs, w) = ones(1);
    let v = vs.root().ones("v", &[1]);
    let inner = Lookahead::around(sgd(&vs)).k(2).alpha(0.5).build().unwrap();
    let extrapolation = Extrapolation { beta: 0.5, gamma: 0.5, ..Default::default() };
    let mut opt = EmaNesterov::new(inner, extrapolation).unwrap();
    opt.backward_step(&(&w + &v).sum(Kind::Float)).unwrap(); // θ 0.5, m −0.25, y 0.375
    opt.backward_step(&w.sum(Kind::Float)).unwrap();
    let theta = opt.with_result(|| v.double_value(&[0])).unwrap();
    // v, at y, half the way to φ = 1: θ 0.6875, m −0.03125.
    assert_eq!((theta, v.double_value(&[0])), (0.6875, 0.671875));

    let (vs, w) = ones(1);
    let v = vs.root().ones("v", &[1]);
    let inner = Lookahead::around(sgd(&vs)).k(2).alpha(0.5).build().unwrap();
    let mut opt = PrimalAveraging::new(inner, Primal::exponential(0.5, 0.5)).unwrap();
    opt.backward_step(&(&w + &v).sum(Kind::Float)).unwrap(); // z 0.5, x 0.75
    opt.backward_step(&w.sum(Kind::Float)).unwrap(); // z 0.75, x 0.75
    let x = opt.with_result(|| v.double_value(&[0])).unwrap();
    assert_eq!((x, v.double_value(&[0])), (0.75, 0.75));
}

/// Accepting weights that no code has written to changes no bit.
#[test]
fn accepting_unchanged_weights_changes_no_bit() {
    macro_rules! check {
        ($build:expr) => {
            let train = |accepts: bool| {
                let net = Net::new(3, tch::Device::Cpu);
                let adamw = TchOptimizer::new(fused::AdamW::default(), &net.vs, 0.05).unwrap();
                let mut opt = $build(adamw);
                for i in 0..12 {
                    opt.backward_step(&net.loss(i, false)).unwrap();
                    if accepts {
                        opt.accept_weights().unwrap();
                    }
                }
                net.weights()
            };
            assert_same_bits(&train(true), &train(false), "accepted");
        };
    }
    check!(|inner| PrimalAveraging::new(inner, Primal::exponential(0.9, 0.7)).unwrap());
    check!(
        |inner| EmaNesterov::new(inner, Extrapolation { beta: 0.7, ..Default::default() }).unwrap()
    );
}

/// A step that a level inside has skipped is not averaged.
#[test]
fn skipped_steps_are_not_averaged() {
    let (vs, w) = ones(1);
    let inner = Lookahead::around(sgd(&vs)).k(2).non_finite(NonFinite::SkipStep).build().unwrap();
    let mut opt = PrimalAveraging::new(inner, Primal::schedule_free(0.9)).unwrap();
    opt.backward_step(&w.sum(Kind::Float)).unwrap();
    let before = w.copy();
    opt.backward_step(&(&w * f64::NAN).sum(Kind::Float)).unwrap();
    assert_eq!((opt.steps(), w.copy()), (1, before));
}

/// Tied weights are one parameter, and a late variable joins with its own values.
#[test]
fn late_variables_join_with_their_values() {
    let (vs, w) = ones(1);
    let mut opt = PrimalAveraging::new(sgd(&vs), Primal::exponential(0.5, 0.5)).unwrap();
    opt.backward_step(&w.sum(Kind::Float)).unwrap();
    let late = vs.root().ones("late", &[1]);
    let tied = vs.root().add("tied", late.shallow_clone(), true);
    opt.backward_step(&(&w + &tied).sum(Kind::Float)).unwrap(); // z 0.9, x 0.95, y 0.925
    assert!(close(late.double_value(&[0]), 0.925));
    assert_eq!(opt.parameters().len(), 2);
    let x = opt.with_result(|| late.double_value(&[0])).unwrap();
    assert!(close(x, 0.95));
}

/// Variables that are views of one memory each keep their own average.
#[test]
fn views_of_one_memory() {
    let vs = nn::VarStore::new(tch::Device::Cpu);
    let both = Tensor::ones([2], (Kind::Float, tch::Device::Cpu));
    let (a, b) = (both.narrow(0, 0, 1), both.narrow(0, 1, 1));
    let a = vs.root().add("a", a.detach(), true);
    let b = vs.root().add("b", b.detach(), true);
    let inner = TchOptimizer::new(fused::Sgd::default(), &vs, 0.5).unwrap();
    let mut opt = PrimalAveraging::new(inner, Primal::exponential(0.5, 0.5)).unwrap();
    opt.backward_step(&(&a + &b * 2.0).sum(Kind::Float)).unwrap();
    assert_eq!((both.double_value(&[0]), both.double_value(&[1])), (0.625, 0.25));
}

/// A training that is saved at any phase of a Lookahead around an average around a Lookahead continues to the bit.
#[test]
fn resumes_between_two_lookaheads() {
    let adamw = |net: &Net| TchOptimizer::new(fused::AdamW::default(), &net.vs, 0.05).unwrap();
    let inside = |net: &Net| Lookahead::around(adamw(net)).k(3).build().unwrap();
    let primal = |net: &Net| {
        let average = PrimalAveraging::new(inside(net), Primal::schedule_free(0.9)).unwrap();
        Lookahead::around(average).k(4).build().unwrap()
    };
    assert_resumes(primal, 0..14, "primal averaging");
    let settings = Extrapolation { beta: 0.5, gamma: 0.8, start_step: 2, end_step: Some(9) };
    let nesterov = |net: &Net| {
        let average = EmaNesterov::new(inside(net), settings).unwrap();
        Lookahead::around(average).k(4).build().unwrap()
    };
    assert_resumes(nesterov, 0..14, "EMA-Nesterov");
}
