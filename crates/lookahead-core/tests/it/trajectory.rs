//! Lookahead follows Algorithm 1.

use crate::common::{
    AnyConfig, INNERS, Inner, LEARNING_RATE, Net, assert_same_bits, bits, close, devices,
    one_weight,
};
use lookahead_core::{InnerOptimizer, Lookahead, NonFinite, Parameter, Result, State};
use tch::nn::{self, OptimizerConfig};
use tch::{Device, Kind, Tensor};

/// With gradient 1 and learning rate 0.1 every inner step subtracts 0.1. Each sync goes half the way back to the
/// start of the cycle.
#[test]
fn by_hand() {
    for device in devices() {
        let vs = nn::VarStore::new(device);
        let w = vs.root().ones("w", &[1]);
        let mut opt =
            Lookahead::builder(nn::Sgd::default()).k(5).alpha(0.5).build(&vs, 0.1).unwrap();
        let expected = [
            (0.9, false),
            (0.8, false),
            (0.7, false),
            (0.6, false),
            (0.75, true), // θ reached 0.5, φ went from 1 to 0.75
            (0.65, false),
            (0.55, false),
            (0.45, false),
            (0.35, false),
            (0.5, true), // θ reached 0.25, φ went from 0.75 to 0.5
        ];
        for (i, (value, synced)) in expected.into_iter().enumerate() {
            assert_eq!(opt.backward_step(&w.sum(Kind::Float)).unwrap(), synced, "step {}", i + 1);
            assert!(close(w.double_value(&[0]), value), "step {}: {}", i + 1, w.double_value(&[0]));
            assert_eq!(opt.phase(), (i as u64 + 1) % 5);
        }
        assert_eq!(opt.syncs(), 2);
    }
}

#[test]
fn the_sync_comes_after_the_kth_step_whatever_k() {
    for k in 1..=7 {
        let net = Net::new(1, Device::Cpu);
        let mut opt = net.lookahead(Inner::Sgd, k, 0.5);
        let synced: Vec<bool> =
            (0..15).map(|i| opt.backward_step(&net.loss(i, true)).unwrap()).collect();
        let expected: Vec<bool> = (1..=15).map(|step| step % k == 0).collect();
        assert_eq!(synced, expected, "k {k}");
    }
}

/// Replays the definition, with tch's own optimizer as the inner one and φ in f64.
#[test]
fn every_inner_optimizer_follows_the_definition() {
    for inner in INNERS {
        for (k, alpha) in [(1, 0.5), (3, 0.8), (5, 0.2), (4, 1.0)] {
            let net = Net::new(7, Device::Cpu);
            let mut opt = net.lookahead(inner, k, alpha);
            let reference = Net::new(7, Device::Cpu);
            let mut plain = AnyConfig(inner).build(&reference.vs, LEARNING_RATE).unwrap();
            let variables = plain.trainable_variables();
            let mut slow: Vec<Tensor> =
                variables.iter().map(|w| w.detach().to_kind(Kind::Double).copy()).collect();
            for step in 1..=(3 * k as i64 + 2) {
                opt.backward_step(&net.loss(step, false)).unwrap();
                plain.backward_step(&reference.loss(step, false));
                if step % k as i64 == 0 {
                    tch::no_grad(|| {
                        for (w, slow) in variables.iter().zip(&mut slow) {
                            *slow = &*slow + (w.to_kind(Kind::Double) - &*slow) * alpha;
                            w.shallow_clone().copy_(slow);
                        }
                    });
                }
                for (ours, theirs) in opt.trainable_variables().iter().zip(&variables) {
                    assert!(
                        ours.allclose(theirs, 1e-4, 1e-6, false),
                        "{inner:?}, k {k}, α {alpha}, step {step}"
                    );
                }
            }
        }
    }
}

#[test]
fn at_alpha_one_it_is_the_inner_optimizer_to_the_bit() {
    for device in devices() {
        for inner in INNERS {
            for k in [1, 3] {
                let net = Net::new(5, device);
                let mut opt = net.lookahead(inner, k, 1.0);
                for i in 0..10 {
                    opt.backward_step(&net.loss(i, true)).unwrap();
                }
                let ours = net.weights();
                opt.finish().unwrap();

                let net = Net::new(5, device);
                let mut plain = AnyConfig(inner).build(&net.vs, LEARNING_RATE).unwrap();
                for i in 0..10 {
                    plain.backward_step(&net.loss(i, true));
                }
                assert_same_bits(&ours, &net.weights(), &format!("{inner:?}, k {k}, {device:?}"));
            }
        }
    }
}

/// An inner optimizer whose every step sets the weights to given values.
#[derive(Debug)]
struct Puppet {
    parameters: Vec<Parameter>,
    next: Tensor,
}

impl InnerOptimizer for Puppet {
    fn step(&mut self) -> Result<()> {
        tch::no_grad(|| self.parameters[0].tensor.copy_(&self.next));
        Ok(())
    }
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }
    stateless!();
}

/// `lerp` gets these wrong at α = 1, and so does φ + α (θ − φ).
#[test]
fn at_alpha_one_even_signed_zeros_and_infinities_survive() {
    let start = Tensor::from_slice(&[3.0f32, 5.0, 0.1, 0.0]);
    let target = Tensor::from_slice(&[-0.0f32, f32::INFINITY, 0.3, f32::NEG_INFINITY]);
    let w = start.set_requires_grad(true);
    let parameters = vec![Parameter { name: "w".to_owned(), group: 0, tensor: w.shallow_clone() }];
    let puppet = Puppet { parameters, next: target.copy() };
    let unchecked = Lookahead::around(puppet).non_finite(NonFinite::Unchecked);
    let mut opt = unchecked.k(1).alpha(1.0).build().unwrap();
    opt.step().unwrap();
    assert!(bits(&w) == bits(&target));
    let slow = &opt.state().unwrap().tensors["slow/w"];
    assert!(bits(slow) == bits(&target));
}

#[test]
fn if_theta_has_not_changed_the_sync_changes_no_bit() {
    let vs = nn::VarStore::new(Device::Cpu);
    let values = Tensor::from_slice(&[0.1f32, 1.0 / 3.0, 1e-30, -7.7e20, 3.0]);
    let w = vs.root().var_copy("w", &values);
    let mut opt = Lookahead::builder(nn::Sgd::default()).k(1).alpha(0.3).build(&vs, 0.1).unwrap();
    for _ in 0..50 {
        opt.step().unwrap(); // without gradients θ stays
    }
    assert!(bits(&w) == bits(&values));
}

#[test]
fn frozen_variables_are_left_alone() {
    let vs = nn::VarStore::new(Device::Cpu);
    let a = vs.root().ones("a", &[1]);
    let b = vs.root().ones("b", &[1]);
    let _ = b.set_requires_grad(false);
    let mut opt = Lookahead::builder(nn::Sgd::default()).k(1).alpha(0.5).build(&vs, 0.1).unwrap();
    opt.backward_step(&(&a + &b).sum(Kind::Float)).unwrap();
    assert!(close(a.double_value(&[0]), 0.95));
    assert_eq!(b.double_value(&[0]), 1.0);
}

#[test]
fn a_wrapped_optimizer_trains_as_a_built_one() {
    let net = Net::new(9, Device::Cpu);
    let mut built = net.lookahead(Inner::Adam, 3, 0.5);
    let other = Net::new(9, Device::Cpu);
    let adam = AnyConfig(Inner::Adam).build(&other.vs, LEARNING_RATE).unwrap();
    let mut wrapped = Lookahead::wrap(adam, &other.vs).unwrap().k(3).alpha(0.5).build().unwrap();
    for i in 0..8 {
        built.backward_step(&net.loss(i, false)).unwrap();
        wrapped.backward_step(&other.loss(i, false)).unwrap();
    }
    assert_same_bits(&net.weights(), &other.weights(), "wrapped");
}

#[test]
fn a_lookahead_around_a_lookahead_keeps_both_levels_together() {
    let (_vs, w, inner) = one_weight(2, 0.5);
    let mut outer = Lookahead::around(inner).k(4).alpha(0.5).build().unwrap();
    // By hand: .9, (.8→) .9, .8, (.7→) .8, then the outer sync half the way back to 1: .9.
    let mut expected = [0.9, 0.9, 0.8, 0.9, 0.8, 0.8].into_iter();
    for (step, value) in expected.by_ref().enumerate() {
        let synced = outer.backward_step(&w.sum(Kind::Float)).unwrap();
        assert_eq!(synced, step == 3);
        assert!(close(w.double_value(&[0]), value), "step {}: {}", step + 1, w.double_value(&[0]));
        if step == 3 {
            let state = outer.state().unwrap();
            for level in ["slow/w", "inner/slow/w"] {
                assert!(close(state.tensors[level].double_value(&[0]), 0.9), "{level}");
            }
        }
    }
}

#[test]
fn at_alpha_one_around_a_lookahead_it_is_that_lookahead() {
    let values = |nested: bool| -> Vec<f64> {
        let (_vs, w, inner) = one_weight(2, 0.5);
        let mut opt: Box<dyn InnerOptimizer> = if nested {
            Box::new(Lookahead::around(inner).k(3).alpha(1.0).build().unwrap())
        } else {
            Box::new(inner)
        };
        let mut step = || {
            opt.zero_grad().unwrap();
            w.sum(Kind::Float).backward();
            opt.step().unwrap();
            w.double_value(&[0])
        };
        (0..8).map(|_| step()).collect()
    };
    assert_eq!(values(true), values(false));
}

#[test]
fn gradients_are_clipped_and_missing_ones_skipped() {
    let vs = nn::VarStore::new(Device::Cpu);
    let a = vs.root().zeros("a", &[2]);
    let _without_gradient = vs.root().zeros("b", &[2]);
    let mut opt = Lookahead::builder(nn::Sgd::default()).build(&vs, 1.0).unwrap();
    assert_eq!(opt.clip_grad_norm(1.0).unwrap(), 0.0, "no gradient at all");

    let loss = || (&a * Tensor::from_slice(&[3.0f32, 4.0])).sum(Kind::Float);
    opt.zero_grad().unwrap();
    loss().backward();
    assert!(close(opt.clip_grad_norm(1.0).unwrap(), 5.0));
    assert!(a.grad().allclose(&Tensor::from_slice(&[0.6f32, 0.8]), 1e-5, 1e-5, false));
    opt.clip_grad_value(0.7).unwrap();
    assert!(a.grad().allclose(&Tensor::from_slice(&[0.6f32, 0.7]), 1e-5, 1e-5, false));

    opt.zero_grad().unwrap();
    (&a * f64::NAN).sum(Kind::Float).backward();
    assert!(opt.clip_grad_norm(1.0).unwrap().is_nan());
}
