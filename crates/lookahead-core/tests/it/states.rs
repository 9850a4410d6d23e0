//! States with one damaged entry are refused by its name and change nothing, or do no harm.

use std::collections::BTreeMap;

use crate::common::{AnyConfig, INNERS, Inner, LEARNING_RATE, Net, bits, train};
use lookahead_core::{Lookahead, MomentumPolicy, State};
use tch::{Device, Kind, Tensor};

/// With everything that a state can hold: α of a group, pulled-back moments, outer momentum.
fn built(net: &Net, inner: Inner) -> Lookahead {
    Lookahead::builder(AnyConfig(inner))
        .k(3)
        .alpha_of_group(0, 0.4)
        .momentum_policy(MomentumPolicy::Pullback)
        .outer_momentum(0.5)
        .build(&net.vs, LEARNING_RATE)
        .unwrap()
}

fn copy(state: &State) -> State {
    State {
        tensors: state.tensors.iter().map(|(k, t)| (k.clone(), t.copy())).collect(),
        integers: state.integers.clone(),
        numbers: state.numbers.clone(),
    }
}

/// Every way of damaging every entry, by name.
fn damaged(state: &State) -> BTreeMap<String, State> {
    let mut all = BTreeMap::new();
    for (key, tensor) in &state.tensors {
        let mut with = |what: &str, tensor: Option<Tensor>| {
            let mut other = copy(state);
            match tensor {
                Some(tensor) => drop(other.tensors.insert(key.clone(), tensor)),
                None => drop(other.tensors.remove(key)),
            }
            all.insert(format!("{key} {what}"), other);
        };
        let first = |value: f64| {
            let copy = tensor.copy();
            let _ = copy.view([-1]).get(0).fill_(value);
            copy
        };
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            with(&format!("{value:e}"), Some(first(value)));
        }
        // Means of squares.
        if key.starts_with("inner/") && (key.contains("_avg_sq") || key.contains("square_avg")) {
            with("negative", Some(first(-1.0)));
        }
        with("missing", None);
        with("double", Some(tensor.to_kind(Kind::Double)));
        with(
            "longer",
            Some(Tensor::zeros([tensor.numel() as i64 + 1], (tensor.kind(), Device::Cpu))),
        );
        with("undefined", Some(Tensor::new()));
        let mut other = copy(state);
        other.tensors.insert(format!("{key}2"), tensor.copy());
        all.insert(format!("{key} extra"), other);
    }
    for key in state.integers.keys() {
        for value in [-1, i64::MAX, i64::MIN] {
            let mut other = copy(state);
            other.integers.insert(key.clone(), value);
            all.insert(format!("{key} {value}"), other);
        }
        let mut other = copy(state);
        other.integers.remove(key);
        all.insert(format!("{key} missing"), other);
        let mut other = copy(state);
        other.integers.insert(format!("{key}2"), 1);
        all.insert(format!("{key} extra"), other);
    }
    for key in state.numbers.keys() {
        for value in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            let mut other = copy(state);
            other.numbers.insert(key.clone(), value);
            all.insert(format!("{key} {value:e}"), other);
        }
        let mut other = copy(state);
        other.numbers.remove(key);
        all.insert(format!("{key} missing"), other);
        let mut other = copy(state);
        other.numbers.insert(format!("{key}2"), 0.5);
        all.insert(format!("{key} extra"), other);
    }
    all
}

/// Damage that is accepted because the builder accepts the same value, or because no step depends on it.
fn may_be_loaded(what: &str, inner: Inner) -> bool {
    let adam = matches!(inner, Inner::Adam | Inner::AdamW);
    let options = ["learning_rate", "weight_decay", "momentum"];
    let option = options.iter().find(|option| what.contains(&format!("/{option}/")));
    // libtorch builds SGD and RMSprop with any momentum of at least 0.
    let large = what.ends_with(" 1e300") && option == Some(&"momentum");
    (large && !adam)
        // A k that is never reached, which can be built too.
        || what == "k_schedule/from 9223372036854775807"
        || what == format!("k {}", i64::MAX)
        // Only reported; and states of earlier versions lack the count.
        || what == "alpha_used missing"
        || what.ends_with("/tensors missing")
}

#[test]
fn damage_is_refused_by_name_or_harmless() {
    for inner in INNERS {
        let net = Net::new(7, Device::Cpu);
        let mut opt = built(&net, inner);
        train(&net, &mut opt, 0..5);
        let state = opt.state().unwrap();
        let state_before = copy(&state);
        assert!(state.numbers.contains_key("alpha/0"));
        let all = |opt: &mut Lookahead| {
            let State { tensors, integers, numbers } = opt.state().unwrap();
            let tensors: Vec<_> = tensors.iter().map(|(k, t)| (k.clone(), bits(t))).collect();
            format!("{tensors:?} {integers:?} {numbers:?}")
        };
        let before = all(&mut opt);
        let damaged = damaged(&state);
        assert!(damaged.len() > 200);
        for (what, state) in damaged {
            let loaded = opt.load_state(&state);
            if may_be_loaded(&what, inner) {
                loaded.unwrap();
                opt.load_state(&state_before).unwrap();
                continue;
            }
            let refused = loaded.expect_err(&format!("{inner:?}: {what} was loaded")).to_string();
            assert!(refused.contains('`'), "{inner:?}, {what}: {refused}");
            let key = what.split(' ').next().unwrap();
            let named =
                refused.contains(key) || what.ends_with("extra") || what.ends_with("missing");
            assert!(named || KNOWN_BY_OTHERS.iter().any(|k| key.contains(k)), "{what}: {refused}");
            assert!(all(&mut opt) == before, "{inner:?}: {what} changed something");
        }
    }
}

/// Entries that are checked together with another one, which may be the one named.
const KNOWN_BY_OTHERS: [&str; 4] = ["syncs", "phase", "steps", "k"];

/// If the builder has set it. Set for all groups, it is in the state.
#[test]
fn a_missing_group_alpha_is_refused() {
    let net = Net::new(7, Device::Cpu);
    let mut opt = built(&net, Inner::Sgd);
    let mut state = opt.state().unwrap();
    state.numbers.remove("alpha/0");
    let refused = opt.load_state(&state).unwrap_err().to_string();
    assert!(refused.contains("no entry `alpha/0`"), "{refused}");
    opt.set_alpha(0.9).unwrap();
    let state = opt.state().unwrap();
    let mut other = built(&net, Inner::Sgd);
    other.load_state(&state).unwrap();
    assert_eq!((other.alpha(), other.alpha_of_group(0)), (0.9, 0.9));
}
