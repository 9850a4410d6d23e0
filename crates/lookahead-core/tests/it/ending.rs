//! The end of a training, deliberate changes of θ, and frozen variables.

use crate::common::{
    AnyConfig, INNERS, Inner, LEARNING_RATE, Net, POLICIES, assert_at, assert_same_bits, bits,
    descend, one_weight, ones, sgd, train, write,
};
use lookahead_core::{
    Error, InnerOptimizer, Lookahead, MomentumPolicy, NonFinite, Schedule, fused,
};
use tch::{Device, Kind, Tensor, nn};

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
fn finish_syncs_inside_a_cycle() {
    let (_vs, w, mut opt) = one_weight(5, 0.5);
    descend(&mut opt, &w, 9);
    assert_at(&w, 0.35);
    assert!(opt.finish().unwrap());
    assert_at(&w, 0.55);
    assert_eq!((opt.phase(), opt.syncs(), opt.steps()), (0, 2, 9));
    assert!(!opt.finish().unwrap(), "there is nothing left to sync");
    assert_at(&w, 0.55);
}

#[test]
fn discard_cycle_discards_it() {
    let (_vs, w, mut opt) = one_weight(5, 0.5);
    descend(&mut opt, &w, 9);
    opt.discard_cycle().unwrap();
    assert_at(&w, 0.75);
    assert_eq!((opt.phase(), opt.syncs()), (0, 1));
}

/// It equals the sync with k = its phase, whatever is synced besides φ.
#[test]
fn the_last_sync_is_like_any_other_and_after_a_sync_finish_does_nothing() {
    for inner in INNERS {
        for policy in POLICIES {
            for momentum in [0.0, 0.5] {
                let run = |k: u64, finish: bool| {
                    let net = Net::new(3, Device::Cpu);
                    let mut opt = Lookahead::builder(AnyConfig(inner))
                        .k(k)
                        .alpha(0.6)
                        .alpha_schedule(Schedule::Linear { to: 0.9, steps: 20 })
                        .momentum_policy(policy)
                        .outer_momentum(momentum)
                        .outer_nesterov(true)
                        .build(&net.vs, LEARNING_RATE)
                        .unwrap();
                    train(&net, &mut opt, 0..4);
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

/// The inner level syncs first. With α = 1 the outer level changes nothing.
#[test]
fn each_nested_level_finishes() {
    let run = |alpha: Option<f64>| {
        let (_vs, w, mut inner) = one_weight(2, 0.5);
        let Some(alpha) = alpha else {
            descend(&mut inner, &w, 5);
            inner.finish().unwrap();
            return w;
        };
        let mut outer = Lookahead::around(inner).k(100).alpha(alpha).build().unwrap();
        descend(&mut outer, &w, 5);
        assert!(outer.finish().unwrap());
        assert_eq!((outer.phase(), outer.inner().phase(), outer.inner().syncs()), (0, 0, 3));
        w
    };
    // .9 .9 .8 .8 .7, and half the way back to .8.
    assert_at(&run(None), 0.75);
    assert!(bits(&run(Some(1.0))) == bits(&run(None)));
    assert_at(&run(Some(0.5)), 0.875);
}

#[test]
fn nan_does_not_reach_phi_at_the_end() {
    for policy in [NonFinite::Error, NonFinite::SkipStep, NonFinite::RollBack] {
        let (vs, w) = ones(1);
        let sgd = fused::Sgd::default();
        let mut opt = Lookahead::builder(sgd).k(5).non_finite(policy).build(&vs, 0.1).unwrap();
        descend(&mut opt, &w, 2);
        write(&w, f64::NAN);
        opt.accept_fast_weights().unwrap();
        match policy {
            NonFinite::RollBack => {
                assert!(!opt.finish().unwrap());
                assert_at(&w, 1.0);
            }
            _ => {
                assert!(matches!(opt.finish(), Err(Error::NonFinite { .. })));
                assert_eq!((opt.phase(), opt.syncs()), (2, 0), "nothing changed");
                opt.roll_back().unwrap();
                assert_at(&w, 1.0);
            }
        }
    }
}

// ---- Deliberate changes of θ -------------------------------------------------------------------

/// WGAN's weight clipping, after each step.
#[test]
fn accepted_weights_keep_phi_and_the_cycle() {
    let (_vs, w, mut opt) = one_weight(3, 0.5);
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
    assert_at(&w, 0.8875);
    assert_eq!(opt.syncs(), 2);
}

#[test]
fn accepting_reaches_every_level_and_refuses_what_phi_does_not_fit() {
    let mut vs = nn::VarStore::new(Device::Cpu);
    let w = vs.root().ones("w", &[1]);
    let inner = Lookahead::builder(nn::Sgd::default()).k(2).build(&vs, 0.1).unwrap();
    let mut outer = Lookahead::around(inner).k(4).build().unwrap();
    outer.backward_step(&w.sum(Kind::Float)).unwrap();
    write(&w, 0.5);
    outer.accept_fast_weights().unwrap();
    outer.backward_step(&w.sum(Kind::Float)).unwrap();
    assert_at(&w, 0.7); // the inner level's sync, half the way from 1 to .4

    vs.double();
    let refused = outer.accept_fast_weights().unwrap_err().to_string();
    assert!(refused.contains("`w`") && refused.contains("reset_slow_weights()"), "{refused}");
}

/// An earlier version's error message led to 50 steps without a sync.
#[test]
fn resets_that_keep_every_sync_from_happening_are_refused() {
    let (_vs, w, mut opt) = one_weight(5, 0.5);
    let mut steps = 0;
    let refused = loop {
        descend(&mut opt, &w, 1);
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
    descend(&mut opt, &w, 4);
    assert_eq!(opt.syncs(), 1);
    opt.reset_slow_weights().unwrap();
}

// ---- Frozen variables --------------------------------------------------------------------------

/// `layer` and `head`, both 1.
fn two_layers(k: u64) -> (nn::VarStore, [Tensor; 2], Lookahead) {
    let vs = nn::VarStore::new(Device::Cpu);
    let layers = ["layer", "head"].map(|name| vs.root().ones(name, &[1]));
    let opt = sgd(&vs, k, 0.5);
    (vs, layers, opt)
}

fn train_both(opt: &mut Lookahead, layers: &[Tensor; 2], steps: usize) {
    for _ in 0..steps {
        let loss = layers.iter().filter(|layer| layer.requires_grad());
        let loss = loss.map(|layer| layer.sum(Kind::Float)).reduce(|a, b| a + b).unwrap();
        opt.backward_step(&loss).unwrap();
    }
}

/// At θ = .6 and φ = .8: it stays at .6.
#[test]
fn a_layer_that_is_frozen_inside_a_cycle_stays_where_it_is() {
    let (_vs, layers, mut opt) = two_layers(4);
    train_both(&mut opt, &layers, 6);
    let [layer, head] = &layers;
    assert_at(layer, 0.6);
    let _ = layer.set_requires_grad(false);
    opt.with_slow_weights(|| {
        assert_at(layer, 0.6);
        assert_at(head, 0.8);
    })
    .unwrap();
    train_both(&mut opt, &layers, 3);
    assert_at(layer, 0.6);
    opt.finish().unwrap();
    assert_at(layer, 0.6);
    let _ = layer.set_requires_grad(true);
    opt.zero_grad().unwrap();
    for _ in 0..4 {
        opt.step().unwrap(); // without gradients, up to the sync
    }
    assert_at(layer, 0.6);
    let slow = opt.state().unwrap().tensors["slow/layer"].double_value(&[0]);
    assert!((slow - 0.6).abs() < 1e-6);
}

/// Some programs freeze all around an evaluation, which says nothing about the training.
#[test]
fn if_all_are_frozen_none_counts_as_frozen() {
    let (mut vs, layers, mut opt) = two_layers(4);
    train_both(&mut opt, &layers, 6);
    vs.freeze();
    opt.with_slow_weights(|| layers.iter().for_each(|layer| assert_at(layer, 0.8))).unwrap();
    vs.unfreeze();
    opt.with_slow_weights(|| layers.iter().for_each(|layer| assert_at(layer, 0.8))).unwrap();
    vs.freeze();
    opt.finish().unwrap();
    layers.iter().for_each(|layer| assert_at(layer, 0.7));
}

/// A teacher in the same store that follows the student.
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
fn nan_in_a_frozen_variable_does_not_reach_phi() {
    let (_vs, layers, mut opt) = two_layers(4);
    train_both(&mut opt, &layers, 1);
    let loss = (&layers[0] * f64::NAN + &layers[1]).sum(Kind::Float);
    opt.backward_step(&loss).unwrap();
    let _ = layers[0].set_requires_grad(false);
    opt.zero_grad().unwrap();
    let refused = opt.step().unwrap_err();
    assert!(matches!(&refused, Error::NonFinite { name } if name == "layer"), "{refused}");
    opt.roll_back().unwrap();
    layers.iter().for_each(|layer| assert_at(layer, 1.0));
    opt.step().unwrap();
}

// ---- Tied weights ------------------------------------------------------------------------------

/// The second name is added after the optimizer is built, and in the next process before.
#[test]
fn a_state_loads_under_any_name_of_a_tied_variable() {
    let build = |alias_first: bool| {
        let (vs, w) = ones(2);
        let tie = || drop(vs.root().add("alias", w.shallow_clone(), true));
        if alias_first {
            tie();
        }
        let adam = AnyConfig(Inner::Adam);
        let builder = Lookahead::builder(adam).k(3).momentum_policy(MomentumPolicy::Pullback);
        let opt = builder.outer_momentum(0.5).build(&vs, 0.1).unwrap();
        if !alias_first {
            tie();
        }
        (vs, w, opt)
    };
    for alias_first in [false, true] {
        let (_vs, w, mut opt) = build(alias_first);
        descend(&mut opt, &w, 4);
        let state = opt.state().unwrap();
        let name = if alias_first { "slow/alias" } else { "slow/w" };
        assert!(state.tensors.contains_key(name));
        let (_vs, v, mut other) = build(!alias_first);
        tch::no_grad(|| v.shallow_clone().copy_(&w));
        other.load_state(&state).unwrap();
        descend(&mut opt, &w, 4);
        descend(&mut other, &v, 4);
        assert_eq!(w, v);
    }
}

#[test]
fn after_a_refused_sync_every_step_names_the_cause() {
    let (_vs, w, mut opt) = one_weight(2, 0.5);
    descend(&mut opt, &w, 1);
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
fn a_boxed_optimizer_forwards_every_method() {
    let (_vs, w, inner) = one_weight(2, 0.5);
    let inner: Box<dyn InnerOptimizer> = Box::new(inner);
    let mut outer = Lookahead::around(inner).k(9).alpha(1.0).build().unwrap();
    outer.backward_step(&w.sum(Kind::Float)).unwrap();
    write(&w, 0.5);
    outer.accept_fast_weights().unwrap();
    outer.finish().unwrap();
    assert_at(&w, 0.75);
}
