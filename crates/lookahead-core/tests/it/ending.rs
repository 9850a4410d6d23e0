//! The end of a training: a last sync, or none; θ changed on purpose; frozen variables.

use crate::common::{INNERS, Inner, Net, assert_same_bits, bits};
use lookahead_core::{
    Error, InnerOptimizer, Lookahead, MomentumPolicy, NonFinite, Schedule, fused,
};
use tch::{Device, Kind, Tensor, nn};

fn one_weight(k: u64) -> (nn::VarStore, Tensor, Lookahead) {
    let vs = nn::VarStore::new(Device::Cpu);
    let w = vs.root().ones("w", &[1]);
    let opt = Lookahead::builder(fused::Sgd::default()).k(k).alpha(0.5).build(&vs, 0.1).unwrap();
    (vs, w, opt)
}

/// The gradient is 1: a step takes 0.1 off.
fn take(opt: &mut Lookahead, w: &Tensor, steps: usize) {
    for _ in 0..steps {
        opt.backward_step(&w.sum(Kind::Float)).unwrap();
    }
}

#[track_caller]
fn at(w: &Tensor, expected: f64) {
    let found = w.double_value(&[0]);
    assert!((found - expected).abs() < 1e-6, "{found} and not {expected}");
}

fn all(net: &Net, opt: &mut Lookahead) -> (Vec<(String, Vec<u8>)>, String) {
    let state = opt.state().unwrap();
    let weights = net.weights();
    let tensors = weights.iter().map(|(name, t)| (name.clone(), bits(t)));
    let slow = state.tensors.iter().map(|(name, t)| (name.clone(), bits(t)));
    let numbers = format!("{:?} {:?}", state.integers, state.numbers);
    (tensors.chain(slow).collect(), numbers)
}

/// .9 .8 .7 .6 .75 .65 .55 .45 .35, and half the way from φ = .75 to there.
#[test]
fn finish_makes_a_last_sync_of_the_cycle_so_far() {
    let (_vs, w, mut opt) = one_weight(5);
    take(&mut opt, &w, 9);
    at(&w, 0.35);
    assert!(opt.finish().unwrap());
    at(&w, 0.55);
    assert_eq!((opt.phase(), opt.syncs(), opt.steps()), (0, 2, 9));
    assert!(!opt.finish().unwrap(), "there is nothing left to sync");
    at(&w, 0.55);
}

#[test]
fn discard_cycle_drops_it() {
    let (_vs, w, mut opt) = one_weight(5);
    take(&mut opt, &w, 9);
    opt.discard_cycle().unwrap();
    at(&w, 0.75);
    assert_eq!((opt.phase(), opt.syncs()), (0, 1));
}

/// A last sync is the one that k = its phase would have made, whatever is synced besides φ.
#[test]
fn the_last_sync_is_any_other_sync_and_after_a_sync_nothing_happens() {
    for inner in INNERS {
        for policy in [MomentumPolicy::Maintain, MomentumPolicy::Reset, MomentumPolicy::Pullback] {
            for momentum in [0.0, 0.5] {
                let run = |k: u64, finish: bool| {
                    let net = Net::new(3, Device::Cpu);
                    let mut opt = Lookahead::builder(crate::common::AnyConfig(inner))
                        .k(k)
                        .alpha(0.6)
                        .alpha_schedule(Schedule::Linear { to: 0.9, steps: 20 })
                        .momentum_policy(policy)
                        .outer_momentum(momentum)
                        .outer_nesterov(true)
                        .build(&net.vs, crate::common::LEARNING_RATE)
                        .unwrap();
                    for i in 0..4 {
                        opt.backward_step(&net.loss(i, false)).unwrap();
                    }
                    if finish {
                        opt.finish().unwrap();
                    }
                    let (tensors, numbers) = all(&net, &mut opt);
                    (tensors, numbers.replace(&format!("\"k\": {k}"), "k"))
                };
                let what = format!("{inner:?}, {policy:?}, {momentum}");
                let synced = run(4, false);
                assert!(run(100, true).0 == synced.0, "{what}");
                assert!(run(4, true) == synced, "{what}");
                assert!(run(100, false).0 != synced.0, "{what}");
            }
        }
    }
}

#[test]
fn at_alpha_one_finish_leaves_the_inner_optimizers_weights() {
    let net = Net::new(5, Device::Cpu);
    let mut opt = net.lookahead(Inner::Adam, 3, 1.0);
    for i in 0..10 {
        opt.backward_step(&net.loss(i, true)).unwrap();
    }
    let before = net.weights();
    opt.finish().unwrap();
    assert_same_bits(&net.weights(), &before, "φ is θ");
}

/// The inner level's last sync comes first: around it, α = 1 is that level alone.
#[test]
fn of_a_nested_one_each_level_finishes() {
    let run = |alpha: Option<f64>| {
        let vs = nn::VarStore::new(Device::Cpu);
        let w = vs.root().ones("w", &[1]);
        let sgd = fused::Sgd::default();
        let mut inner = Lookahead::builder(sgd).k(2).alpha(0.5).build(&vs, 0.1).unwrap();
        let Some(alpha) = alpha else {
            take(&mut inner, &w, 5);
            inner.finish().unwrap();
            return w;
        };
        let mut outer = Lookahead::around(inner).k(100).alpha(alpha).build().unwrap();
        for _ in 0..5 {
            outer.backward_step(&w.sum(Kind::Float)).unwrap();
        }
        assert!(outer.finish().unwrap());
        assert_eq!((outer.phase(), outer.inner().phase(), outer.inner().syncs()), (0, 0, 3));
        w
    };
    // .9 .9 .8 .8 .7, and half the way back to .8.
    at(&run(None), 0.75);
    assert!(bits(&run(Some(1.0))) == bits(&run(None)));
    at(&run(Some(0.5)), 0.875);
}

#[test]
fn nan_does_not_reach_phi_at_the_end() {
    for policy in [NonFinite::Error, NonFinite::SkipStep, NonFinite::RollBack] {
        let vs = nn::VarStore::new(Device::Cpu);
        let w = vs.root().ones("w", &[1]);
        let sgd = fused::Sgd::default();
        let mut opt = Lookahead::builder(sgd).k(5).non_finite(policy).build(&vs, 0.1).unwrap();
        take(&mut opt, &w, 2);
        let _ = tch::no_grad(|| w.shallow_clone().fill_(f64::NAN));
        opt.accept_fast_weights().unwrap();
        match policy {
            NonFinite::RollBack => {
                assert!(!opt.finish().unwrap());
                at(&w, 1.0);
            }
            _ => {
                assert!(matches!(opt.finish(), Err(Error::NonFinite { .. })));
                assert_eq!((opt.phase(), opt.syncs()), (2, 0), "nothing changed");
                opt.roll_back().unwrap();
                at(&w, 1.0);
            }
        }
    }
}

// ---- θ changed on purpose ----------------------------------------------------------------------

/// WGAN's weight clipping, after each step.
#[test]
fn accepted_weights_keep_phi_and_the_cycle() {
    let (_vs, w, mut opt) = one_weight(3);
    for step in 1..=6 {
        opt.zero_grad().unwrap();
        w.sum(Kind::Float).backward();
        opt.inner_step().unwrap();
        let _ = tch::no_grad(|| w.shallow_clone().clamp_min_(0.85));
        assert!(matches!(opt.sync_is_due().then(|| opt.sync_if_due()), None | Some(Err(_))));
        opt.accept_fast_weights().unwrap();
        assert_eq!(opt.sync_if_due().unwrap(), step % 3 == 0);
    }
    // φ: 1, then half the way to .85, twice.
    at(&w, 0.8875);
    assert_eq!(opt.syncs(), 2);
}

#[test]
fn accepting_reaches_every_level_and_refuses_what_phi_does_not_fit() {
    let mut vs = nn::VarStore::new(Device::Cpu);
    let w = vs.root().ones("w", &[1]);
    let inner = Lookahead::builder(nn::Sgd::default()).k(2).build(&vs, 0.1).unwrap();
    let mut outer = Lookahead::around(inner).k(4).build().unwrap();
    outer.backward_step(&w.sum(Kind::Float)).unwrap();
    let _ = tch::no_grad(|| w.shallow_clone().fill_(0.5));
    outer.accept_fast_weights().unwrap();
    outer.backward_step(&w.sum(Kind::Float)).unwrap();
    at(&w, 0.7); // the inner level's sync, half the way from 1 to .4

    vs.double();
    let refused = outer.accept_fast_weights().unwrap_err().to_string();
    assert!(refused.contains("`w`") && refused.contains("reset_slow_weights()"), "{refused}");
}

/// What the error of an earlier version led to: 50 steps, and no sync.
#[test]
fn resets_that_keep_every_sync_from_happening_are_refused() {
    let (_vs, w, mut opt) = one_weight(5);
    let mut steps = 0;
    let refused = loop {
        take(&mut opt, &w, 1);
        let _ = tch::no_grad(|| w.shallow_clone().clamp_min_(0.0));
        steps += 1;
        match opt.reset_slow_weights() {
            Ok(()) => assert!(steps < 20),
            Err(refused) => break refused,
        }
    };
    assert_eq!(steps, 11);
    let message = refused.to_string();
    assert!(message.contains("11 inner steps") && message.contains("accept_fast_weights()"));
    opt.accept_fast_weights().unwrap();
    take(&mut opt, &w, 4);
    assert_eq!(opt.syncs(), 1);
    opt.reset_slow_weights().unwrap();
}

// ---- Frozen variables --------------------------------------------------------------------------

/// `layer` and `head`, both 1, with a gradient of 1.
fn two_layers(k: u64) -> (nn::VarStore, [Tensor; 2], Lookahead) {
    let vs = nn::VarStore::new(Device::Cpu);
    let layers = ["layer", "head"].map(|name| vs.root().ones(name, &[1]));
    let sgd = nn::Sgd::default();
    let opt = Lookahead::builder(sgd).k(k).alpha(0.5).build(&vs, 0.1).unwrap();
    (vs, layers, opt)
}

fn train_both(opt: &mut Lookahead, layers: &[Tensor; 2], steps: usize) {
    for _ in 0..steps {
        let loss = layers.iter().filter(|layer| layer.requires_grad());
        let loss = loss.map(|layer| layer.sum(Kind::Float)).reduce(|a, b| a + b).unwrap();
        opt.backward_step(&loss).unwrap();
    }
}

/// θ = .6 and φ = .8 when it is frozen: it stays at .6 for good.
#[test]
fn a_layer_that_is_frozen_inside_a_cycle_stays_where_it_is() {
    let (_vs, layers, mut opt) = two_layers(4);
    train_both(&mut opt, &layers, 6);
    let [layer, head] = &layers;
    at(layer, 0.6);
    let _ = layer.set_requires_grad(false);
    opt.with_slow_weights(|| {
        at(layer, 0.6);
        at(head, 0.8);
    })
    .unwrap();
    train_both(&mut opt, &layers, 3);
    at(layer, 0.6);
    opt.finish().unwrap();
    at(layer, 0.6);
    let _ = layer.set_requires_grad(true);
    opt.zero_grad().unwrap();
    for _ in 0..4 {
        opt.step().unwrap(); // without gradients, up to the sync
    }
    at(layer, 0.6);
    let slow = opt.state().unwrap().tensors["slow/layer"].double_value(&[0]);
    assert!((slow - 0.6).abs() < 1e-6);
}

/// As some do around an evaluation: that says nothing about the training.
#[test]
fn while_all_are_frozen_none_is() {
    let (mut vs, layers, mut opt) = two_layers(4);
    train_both(&mut opt, &layers, 6);
    vs.freeze();
    opt.with_slow_weights(|| layers.iter().for_each(|layer| at(layer, 0.8))).unwrap();
    vs.unfreeze();
    opt.with_slow_weights(|| layers.iter().for_each(|layer| at(layer, 0.8))).unwrap();
    vs.freeze();
    opt.finish().unwrap();
    layers.iter().for_each(|layer| at(layer, 0.7));
}

/// A teacher in the same store, which follows the student.
#[test]
fn frozen_variables_may_be_written_to() {
    let (_vs, layers, mut opt) = two_layers(2);
    let [student, teacher] = &layers;
    let _ = teacher.set_requires_grad(false);
    for _ in 0..6 {
        train_both(&mut opt, &layers, 1);
        tch::no_grad(|| teacher.shallow_clone().copy_(student));
        opt.with_slow_weights(|| drop(tch::no_grad(|| teacher.shallow_clone().clamp_min_(0.0))))
            .unwrap();
    }
    assert_eq!(opt.syncs(), 3);
    assert_eq!(opt.state().unwrap().tensors["slow/head"], teacher.detach());
    assert_eq!(teacher, student);
}

#[test]
fn nan_in_what_is_frozen_does_not_reach_phi() {
    let (_vs, layers, mut opt) = two_layers(4);
    train_both(&mut opt, &layers, 1);
    let loss = (&layers[0] * f64::NAN + &layers[1]).sum(Kind::Float);
    opt.backward_step(&loss).unwrap();
    let _ = layers[0].set_requires_grad(false);
    opt.zero_grad().unwrap();
    let refused = opt.step().unwrap_err();
    assert!(matches!(&refused, Error::NonFinite { name } if name == "layer"), "{refused}");
    opt.roll_back().unwrap();
    layers.iter().for_each(|layer| at(layer, 1.0));
    opt.step().unwrap();
}

// ---- Tied weights ------------------------------------------------------------------------------

/// One that is named after the optimizer is built, and in the next process before.
#[test]
fn a_state_is_taken_under_any_name_of_a_tied_variable() {
    let build = |alias_first: bool| {
        let vs = nn::VarStore::new(Device::Cpu);
        let w = vs.root().ones("w", &[2]);
        let tie = || drop(vs.root().add("alias", w.shallow_clone(), true));
        if alias_first {
            tie();
        }
        let adam = crate::common::AnyConfig(Inner::Adam);
        let builder = Lookahead::builder(adam).k(3).momentum_policy(MomentumPolicy::Pullback);
        let opt = builder.outer_momentum(0.5).build(&vs, 0.1).unwrap();
        if !alias_first {
            tie();
        }
        (vs, w, opt)
    };
    for alias_first in [false, true] {
        let (_vs, w, mut opt) = build(alias_first);
        take(&mut opt, &w, 4);
        let state = opt.state().unwrap();
        let name = if alias_first { "slow/alias" } else { "slow/w" };
        assert!(state.tensors.contains_key(name));
        let (_vs, v, mut other) = build(!alias_first);
        tch::no_grad(|| v.shallow_clone().copy_(&w));
        other.load_state(&state).unwrap();
        take(&mut opt, &w, 4);
        take(&mut other, &v, 4);
        assert_eq!(w, v);
    }
}

#[test]
fn after_a_refused_sync_every_step_names_the_cause() {
    let (_vs, w, mut opt) = one_weight(2);
    take(&mut opt, &w, 1);
    opt.backward_step(&(&w * f64::NAN).sum(Kind::Float)).unwrap_err();
    for _ in 0..3 {
        let refused = opt.backward_step(&w.sum(Kind::Float)).unwrap_err().to_string();
        assert!(refused.contains("`w`") && refused.contains("roll_back()"), "{refused}");
    }
    opt.roll_back().unwrap();
    opt.inner_step().unwrap();
    opt.inner_step().unwrap();
    let due = opt.inner_step().unwrap_err();
    assert!(matches!(due, Error::SyncIsDue { k: 2 }), "{due}");
}

#[test]
fn a_boxed_optimizer_passes_all_of_it_on() {
    let vs = nn::VarStore::new(Device::Cpu);
    let w = vs.root().ones("w", &[1]);
    let inner = Lookahead::builder(nn::Sgd::default()).k(2).build(&vs, 0.1).unwrap();
    let inner: Box<dyn InnerOptimizer> = Box::new(inner);
    let mut outer = Lookahead::around(inner).k(9).alpha(1.0).build().unwrap();
    outer.backward_step(&w.sum(Kind::Float)).unwrap();
    let _ = tch::no_grad(|| w.shallow_clone().fill_(0.5));
    outer.accept_fast_weights().unwrap();
    outer.finish().unwrap();
    at(&w, 0.75);
}
