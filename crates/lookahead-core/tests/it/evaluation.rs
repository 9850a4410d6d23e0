//! Evaluating at φ changes nothing, and misuse is detected.

use crate::common::{Inner, Net, assert_same_bits, bits, devices, ones, write};
use lookahead_core::{Error, Lookahead};
use tch::{Device, Kind, nn};

fn one_weight() -> (nn::VarStore, tch::Tensor, Lookahead) {
    let (vs, w) = ones(1);
    let opt = Lookahead::builder(nn::Sgd::default()).k(5).alpha(0.5).build(&vs, 0.25).unwrap();
    (vs, w, opt)
}

#[test]
fn phi_is_in_the_model_and_theta_returns() {
    for device in devices() {
        let net = Net::new(2, device);
        let mut opt = net.lookahead(Inner::Adam, 5, 0.5);
        let start = net.weights();
        for i in 0..3 {
            opt.backward_step(&net.loss(i, true)).unwrap();
        }
        let fast = net.weights();
        assert!(bits(&fast[0].1) != bits(&start[0].1));
        let seen = opt.with_slow_weights(|| net.weights()).unwrap();
        assert_same_bits(&seen, &start, "φ is the start before the first sync");
        assert_same_bits(&net.weights(), &fast, "θ is back");
    }
}

#[test]
fn evaluating_changes_no_bit_of_the_training() {
    let run = |look: bool| {
        let net = Net::new(2, Device::Cpu);
        let mut opt = net.lookahead(Inner::Adam, 3, 0.5);
        for i in 0..10 {
            opt.backward_step(&net.loss(i, true)).unwrap();
            if look {
                let _ = opt.with_slow_weights(|| net.loss(i, false)).unwrap();
            }
        }
        net.weights()
    };
    assert_same_bits(&run(true), &run(false), "evaluated or not");
}

#[test]
fn nothing_is_copied_where_the_types_are_equal() {
    let (_vs, w, mut opt) = one_weight();
    let own = w.data_ptr();
    let first = opt.with_slow_weights(|| w.data_ptr()).unwrap();
    let second = opt.with_slow_weights(|| w.data_ptr()).unwrap();
    assert_ne!(first, own);
    assert_eq!(first, second, "φ's own memory, both times");
    assert_eq!(w.data_ptr(), own);
}

#[test]
fn gradients_stay_with_the_variable() {
    let (_vs, w, mut opt) = one_weight();
    w.sum(Kind::Float).backward();
    opt.with_slow_weights(|| assert_eq!(w.grad().double_value(&[0]), 1.0)).unwrap();
    assert_eq!(w.grad().double_value(&[0]), 1.0);
    opt.step().unwrap();
    assert_eq!(w.double_value(&[0]), 0.75);
}

#[test]
fn a_panic_restores_theta() {
    let (_vs, w, mut opt) = one_weight();
    opt.backward_step(&w.sum(Kind::Float)).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        opt.with_slow_weights(|| panic!("in the evaluation"))
    }));
    assert!(panicked.is_err());
    assert_eq!(w.double_value(&[0]), 0.75);
    opt.backward_step(&w.sum(Kind::Float)).unwrap();
    assert_eq!(w.double_value(&[0]), 0.5);
}

#[test]
fn a_leaked_guard_is_undone_at_the_next_call() {
    let (_vs, w, mut opt) = one_weight();
    opt.backward_step(&w.sum(Kind::Float)).unwrap();
    std::mem::forget(opt.slow_weights().unwrap());
    assert_eq!(w.double_value(&[0]), 1.0, "leaked: φ is still in the model");
    opt.zero_grad().unwrap();
    opt.step().unwrap();
    assert_eq!(w.double_value(&[0]), 0.75, "θ again, without a gradient");
}

#[test]
fn a_write_to_phi_is_reported() {
    let (_vs, w, mut opt) = one_weight();
    let error = opt.with_slow_weights(|| write(&w, 9.0)).unwrap_err();
    assert!(matches!(&error, Error::SlowWeightsChanged { name } if name == "w"), "{error}");
    assert!(opt.step().is_err(), "still");
    opt.reset_slow_weights().unwrap();
    opt.step().unwrap();
    assert_eq!(w.double_value(&[0]), 1.0, "θ was never touched");
}

#[test]
fn a_graph_of_one_set_of_weights_is_refused_on_the_other() {
    let (_vs, w, mut opt) = one_weight();
    let at_theta = (&w * &w).sum(Kind::Float);
    let refused = opt.with_slow_weights(|| at_theta.f_backward()).unwrap();
    assert!(refused.is_err(), "recorded at θ, run at φ");

    let at_theta = (&w * &w).sum(Kind::Float);
    let at_phi = opt.with_slow_weights(|| (&w * &w).sum(Kind::Float)).unwrap();
    assert!(at_phi.f_backward().is_err(), "recorded at φ, run at θ");
    at_theta.f_backward().expect("recorded and run at θ, with an evaluation in between");
}

#[test]
fn half_precision_is_cast_for_the_evaluation() {
    let (vs, w) = ones(1);
    w.shallow_clone().set_data(&w.to_kind(Kind::BFloat16));
    let mut opt = Lookahead::builder(nn::Sgd::default()).build(&vs, 0.25).unwrap();
    opt.backward_step(&w.sum(Kind::BFloat16)).unwrap();
    let seen = opt.with_slow_weights(|| (w.kind(), w.double_value(&[0]))).unwrap();
    assert_eq!(seen, (Kind::BFloat16, 1.0));
    assert_eq!(w.double_value(&[0]), 0.75);
}

#[test]
fn a_graph_of_an_earlier_phi_is_refused_at_a_later_one() {
    let (_vs, w, mut opt) = one_weight();
    let earlier = opt.with_slow_weights(|| (&w * &w).sum(Kind::Float)).unwrap();
    opt.backward_step(&w.sum(Kind::Float)).unwrap();
    opt.reset_slow_weights().unwrap();
    let refused = opt.with_slow_weights(|| earlier.f_backward()).unwrap();
    assert!(refused.is_err());
}

#[test]
fn a_leaked_guard_cannot_apply_a_gradient_of_phi_to_theta() {
    let (_vs, w, mut opt) = one_weight();
    opt.backward_step(&w.sum(Kind::Float)).unwrap();
    std::mem::forget(opt.slow_weights().unwrap());
    let at_phi = (&w * &w).sum(Kind::Float);
    assert!(opt.backward_step(&at_phi).is_err());
    assert_eq!(w.double_value(&[0]), 0.75);
}

#[test]
fn replacing_a_variable_inside_is_reported_and_leaves_phi_intact() {
    let (mut vs, w, mut opt) = one_weight();
    opt.backward_step(&w.sum(Kind::Float)).unwrap();
    let error = opt.with_slow_weights(|| vs.double()).unwrap_err();
    assert!(matches!(&error, Error::ReplacedInEvaluation { name } if name == "w"), "{error}");
    assert_eq!((w.kind(), w.double_value(&[0])), (Kind::Float, 0.75));
    assert_eq!(opt.with_slow_weights(|| w.double_value(&[0])).unwrap(), 1.0);
}
