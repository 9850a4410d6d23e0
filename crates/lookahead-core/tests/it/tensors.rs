//! All kinds of tensors and gradients that a model may have.

use crate::common::{Inner, Net, bits, close, one_weight, ones, sgd, train, write};
use lookahead_core::{Lookahead, SyncPath, fused};
use tch::nn;
use tch::{Device, Kind, Tensor};

/// With gradient accumulation.
#[test]
fn k_counts_steps_and_not_backward_passes() {
    let (_vs, w, mut opt) = one_weight(2, 0.5);
    let mut syncs = Vec::new();
    for step in 1..=4 {
        opt.zero_grad().unwrap();
        for _micro_batch in 0..3 {
            (w.sum(Kind::Float) / 3.0).backward();
        }
        if opt.step().unwrap() {
            syncs.push(step);
        }
    }
    assert_eq!(syncs, [2, 4]);
    assert!(close(w.double_value(&[0]), 0.8), "{}", w.double_value(&[0]));
}

/// Syncs skip a frozen variable, φ is its frozen value, and it continues from there.
#[test]
fn frozen_and_thawed() {
    let vs = nn::VarStore::new(Device::Cpu);
    let (a, b) = (vs.root().ones("a", &[1]), vs.root().ones("b", &[1]));
    let mut opt = sgd(&vs, 2, 0.5);
    opt.backward_step(&(&a + &b).sum(Kind::Float)).unwrap();
    let _ = b.set_requires_grad(false);
    // It still has the gradient of the last pass, which moves nothing.
    opt.step().unwrap();
    assert!(close(b.double_value(&[0]), 0.9), "it moved: {}", b.double_value(&[0]));
    for _ in 0..2 {
        opt.backward_step(&(&a + &b).sum(Kind::Float)).unwrap();
    }
    assert!(close(b.double_value(&[0]), 0.9));
    let _ = b.set_requires_grad(true);
    for _ in 0..2 {
        opt.backward_step(&(&a + &b).sum(Kind::Float)).unwrap();
    }
    // θ went from 0.9 to 0.7, and φ half the way there.
    assert!(close(b.double_value(&[0]), 0.8), "{}", b.double_value(&[0]));
}

/// Weights that two layers share are one parameter.
#[test]
fn tied_weights_are_synced_once() {
    for path in [SyncPath::Auto, SyncPath::Foreach] {
        let (vs, w) = ones(1);
        let _ = vs.root().add("tied", w.shallow_clone(), true);
        let sgd = fused::Sgd::default();
        let builder = Lookahead::builder(sgd).k(1).alpha(0.5).sync_path(path);
        let mut opt = builder.build(&vs, 0.2).unwrap();
        opt.backward_step(&w.sum(Kind::Float)).unwrap();
        assert!(close(w.double_value(&[0]), 0.9), "{path:?}: {}", w.double_value(&[0]));
        assert_eq!(opt.trainable_variables().len(), 1);
    }
}

/// Two variables on one storage, whole or in part, with outer momentum too.
#[test]
fn variables_that_overlap_in_memory() {
    for path in [SyncPath::Auto, SyncPath::Foreach] {
        for outer in [0.0, 0.5] {
            let (vs, w) = ones(4);
            let _ = vs.root().add("part", w.detach().narrow(0, 1, 2), true);
            let mut opt = Lookahead::builder(fused::Sgd::default())
                .k(1)
                .alpha(0.5)
                .outer_momentum(outer)
                .sync_path(path)
                .build(&vs, 0.2)
                .unwrap();
            opt.backward_step(&w.sum(Kind::Float)).unwrap();
            let half = Tensor::full([4], 0.9, (Kind::Float, Device::Cpu));
            assert!(w.allclose(&half, 1e-6, 1e-6, false), "{path:?}, {outer}: {w:?}");
            let state = opt.state().unwrap();
            for name in ["slow/w", "slow/part"] {
                assert!(close(state.tensors[name].double_value(&[0]), 0.9), "{name}");
            }
        }
    }
}

#[test]
fn empty_scalar_and_strided_variables() {
    for path in [SyncPath::Auto, SyncPath::Foreach] {
        let vs = nn::VarStore::new(Device::Cpu);
        let options = (Kind::Float, Device::Cpu);
        let empty = vs.root().add("empty", Tensor::ones([0, 3], options), true);
        let scalar = vs.root().add("scalar", Tensor::ones([], options), true);
        let base = Tensor::ones([6, 4], options);
        let strided = vs.root().add("strided", base.slice(1, 0, 4, 2), true);
        let turned = vs.root().add("turned", Tensor::ones([2, 3], options).transpose(0, 1), true);
        let sgd = fused::Sgd::default();
        let builder = Lookahead::builder(sgd).k(1).alpha(0.5).sync_path(path);
        let mut opt = builder.build(&vs, 0.2).unwrap();
        let sum = |t: &Tensor| t.sum(Kind::Float);
        opt.backward_step(&(sum(&empty) + &scalar + sum(&strided) + sum(&turned))).unwrap();
        for (name, w) in [("scalar", &scalar), ("strided", &strided), ("turned", &turned)] {
            let expected = w.ones_like() * 0.9;
            assert!(w.allclose(&expected, 1e-6, 1e-6, false), "{name}, {path:?}");
        }
        assert_eq!(base.double_value(&[0, 1]), 1.0, "gaps are not written to");
        opt.with_slow_weights(|| assert!(close(strided.double_value(&[0, 0]), 0.9))).unwrap();
        opt.finish().unwrap();
    }
}

/// φ is f32, θ is φ rounded, and a checkpoint keeps all of φ.
#[test]
fn half_precision_rounds_theta_and_not_phi() {
    for kind in [Kind::BFloat16, Kind::Half] {
        for path in [SyncPath::Auto, SyncPath::Foreach] {
            let build = || {
                let mut vs = nn::VarStore::new(Device::Cpu);
                vs.set_kind(kind);
                let w = vs.root().ones("w", &[300]);
                let sgd = fused::sgd(0.9, 0.0, 0.0, false);
                let builder = Lookahead::builder(sgd).k(2).alpha(0.3).sync_path(path);
                let opt = builder.build(&vs, 0.01).unwrap();
                (vs, w, opt)
            };
            let (_vs, w, mut opt) = build();
            let factors =
                Tensor::linspace(-1.0, 1.0, 300, (Kind::Float, Device::Cpu)).to_kind(kind);
            for _ in 0..6 {
                opt.backward_step(&(&w * &factors).sum(kind)).unwrap();
            }
            let state = opt.state().unwrap();
            let slow = state.tensors["slow/w"].copy();
            assert_eq!(slow.kind(), Kind::Float);
            assert!(bits(&slow.to_kind(kind)) == bits(&w), "{kind:?}, {path:?}");
            assert!(slow != w.to_kind(Kind::Float), "φ holds more than θ can");

            let (_vs, other, mut resumed) = build();
            tch::no_grad(|| other.shallow_clone().copy_(&w));
            resumed.load_state(&state).unwrap();
            for (opt, w) in [(&mut opt, &w), (&mut resumed, &other)] {
                for _ in 0..3 {
                    opt.backward_step(&(w * &factors).sum(kind)).unwrap();
                }
            }
            assert!(bits(&w) == bits(&other), "{kind:?}, {path:?}");
        }
    }
}

/// With momentum 0 the outer optimizer is plain Lookahead, to the bit.
#[test]
fn outer_momentum_of_zero_is_plain_lookahead() {
    let run = |outer: Option<(f64, bool)>| {
        let net = Net::new(5, Device::Cpu);
        let mut builder = Lookahead::builder(crate::common::AnyConfig(Inner::Adam)).k(3).alpha(0.7);
        if let Some((momentum, nesterov)) = outer {
            builder = builder.outer_momentum(momentum).outer_nesterov(nesterov);
        }
        let mut opt = builder.build(&net.vs, 0.01).unwrap();
        train(&net, &mut opt, 0..10);
        net.weights()
    };
    let plain = run(None);
    for nesterov in [false, true] {
        let outer = run(Some((0.0, nesterov)));
        crate::common::assert_same_bits(&outer, &plain, "momentum 0");
        // In the limit, the rule with a velocity agrees with the one without.
        let nearly = run(Some((1e-12, nesterov)));
        for ((name, a), (_, b)) in nearly.iter().zip(&plain) {
            assert!(a.allclose(b, 1e-5, 1e-6, false), "{name}");
        }
    }
}

/// The velocity of the old weights would push the new ones in the wrong direction.
#[test]
fn reset_slow_weights_clears_the_outer_momentum() {
    let (vs, w) = ones(1);
    let builder = Lookahead::builder(fused::Sgd::default()).k(1).alpha(0.5).outer_momentum(0.5);
    let mut opt = builder.build(&vs, 0.1).unwrap();
    opt.backward_step(&w.sum(Kind::Float)).unwrap();
    assert!(close(opt.state().unwrap().tensors["velocity/w"].double_value(&[0]), 0.1));
    write(&w, 3.0);
    opt.reset_slow_weights().unwrap();
    assert_eq!(opt.state().unwrap().tensors["velocity/w"].double_value(&[0]), 0.0);
    opt.step().unwrap(); // with the old gradient θ moves by 0.1, and φ by half of that
    assert!(close(w.double_value(&[0]), 2.95), "{}", w.double_value(&[0]));
}

/// An outer sync restarts the inner cycles on every level, and keeps their momentum.
#[test]
fn three_levels_keep_their_outer_momentum() {
    let (vs, w) = ones(1);
    let build = Lookahead::builder(fused::Sgd::default()).k(1).alpha(0.5).outer_momentum(0.5);
    let middle = Lookahead::around(build.build(&vs, 0.1).unwrap()).k(1).alpha(0.5);
    let mut opt = Lookahead::around(middle.build().unwrap()).k(1).alpha(0.5).build().unwrap();
    opt.backward_step(&w.sum(Kind::Float)).unwrap();
    let state = opt.state().unwrap();
    let velocity = state.tensors["inner/inner/velocity/w"].double_value(&[0]);
    assert!(close(velocity, 0.1), "{velocity}");
    for level in ["slow/w", "inner/slow/w", "inner/inner/slow/w"] {
        assert_eq!(state.tensors[level].double_value(&[0]), w.double_value(&[0]), "{level}");
    }
}

/// A late variable gets its slow weights, velocity and moments when it joins.
#[test]
fn late_variables_join_with_everything() {
    let vs = nn::VarStore::new(Device::Cpu);
    let a = vs.root().ones("a", &[1]);
    let sgd = fused::sgd(0.5, 0.0, 0.0, false);
    let pull = lookahead_core::MomentumPolicy::Pullback;
    let builder = Lookahead::builder(sgd).k(2).outer_momentum(0.5).momentum_policy(pull);
    let mut opt = builder.build(&vs, 0.1).unwrap();
    opt.backward_step(&a.sum(Kind::Float)).unwrap();
    let b = vs.root().set_group(1).ones("b", &[1]);
    opt.backward_step(&(&a + &b).sum(Kind::Float)).unwrap();
    // θ went to 0.9: d = 0.1 and v = 0.1, so φ is 0.95.
    assert!(close(b.double_value(&[0]), 0.95), "{}", b.double_value(&[0]));
    let state = opt.state().unwrap();
    assert!(close(state.tensors["velocity/b"].double_value(&[0]), 0.1));
    assert!(close(state.tensors["slow_moment/momentum_buffer/b"].double_value(&[0]), 0.5));
}
