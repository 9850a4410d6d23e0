//! Composite: its parts, its identities, late variables, states, refusals.

use crate::common::{
    AnyConfig, INNERS, Inner, LEARNING_RATE, Net, POLICIES, assert_same_bits, train,
};
use lookahead_core::{
    Composite, Error, GroupOptions, InnerOptimizer, Lookahead, LookaheadConfig, MomentumPolicy,
    NonFinite, Parameter, TchOptimizer, Variables, fused,
};
use tch::{Device, Kind, nn};

fn is_bias(parameter: &Parameter) -> usize {
    usize::from(parameter.tensor.dim() == 1)
}

fn built(inner: Inner, variables: impl Into<Variables>) -> TchOptimizer {
    let mut opt = TchOptimizer::new(AnyConfig(inner), variables, LEARNING_RATE).unwrap();
    opt.set_group_options(1, GroupOptions::new().learning_rate(0.02)).unwrap();
    opt
}

/// Two parts of one kind that do not follow the groups.
fn both(inner: Inner, net: &Net) -> Composite {
    let all = Variables::new(&net.vs).group_by(is_bias);
    let (first, rest) = all.clone().partition(|parameter| parameter.name.starts_with("first"));
    let builder = Composite::builder(all).part("first", built(inner, first));
    builder.part("rest", built(inner, rest)).build().unwrap()
}

fn around<O: InnerOptimizer>(inner: O, policy: MomentumPolicy, alpha: f64) -> Lookahead<O> {
    let builder = Lookahead::around(inner).k(3).alpha(alpha).alpha_of_group(1, 0.9);
    builder.momentum_policy(policy).outer_momentum(0.5).build().unwrap()
}

#[test]
fn around_one_kind_it_is_that_optimizer_with_every_policy() {
    for inner in INNERS {
        for policy in POLICIES {
            let net = Net::new(3, Device::Cpu);
            let one = built(inner, Variables::new(&net.vs).group_by(is_bias));
            train(&net, &mut around(one, policy, 0.4), 0..11);
            let parts = Net::new(3, Device::Cpu);
            let mut opt = around(both(inner, &parts), policy, 0.4);
            train(&parts, &mut opt, 0..5);
            let state = opt.state().unwrap();
            let mut resumed = Net::new(8, Device::Cpu);
            resumed.vs.copy(&parts.vs).unwrap();
            let mut again = around(both(inner, &resumed), policy, 0.7);
            again.load_state(&state).unwrap();
            train(&parts, &mut opt, 5..11);
            train(&resumed, &mut again, 5..11);
            assert_same_bits(&parts.weights(), &net.weights(), &format!("{inner:?}, {policy:?}"));
            assert_same_bits(&resumed.weights(), &net.weights(), &format!("{inner:?}, {policy:?}"));
        }
    }
}

#[test]
fn the_division_of_long_tensors_changes_no_bit() {
    let run = |split: bool, config: AnyConfig| {
        let vs = nn::VarStore::new(Device::Cpu);
        let sizes = [70_001, 3, 1_000, 33_333];
        let variables: Vec<_> = sizes
            .iter()
            .enumerate()
            .map(|(i, n)| vs.root().ones(&format!("v{i}"), &[*n]))
            .collect();
        let mut opt: Box<dyn InnerOptimizer> = if split {
            let (a, b) = Variables::new(&vs).partition(|p| ["v0", "v2"].contains(&p.name.as_str()));
            let builder =
                Composite::builder(&vs).part("a", TchOptimizer::new(config, a, 0.01).unwrap());
            Box::new(
                builder.part("b", TchOptimizer::new(config, b, 0.01).unwrap()).build().unwrap(),
            )
        } else {
            Box::new(TchOptimizer::new(config, &vs, 0.01).unwrap())
        };
        for _ in 0..3 {
            opt.zero_grad().unwrap();
            for variable in &variables {
                let x =
                    tch::Tensor::arange(variable.numel() as i64, (Kind::Float, Device::Cpu)).sin();
                (variable * x).square().sum(Kind::Float).backward();
            }
            opt.step().unwrap();
        }
        variables.iter().map(|v| ("v".to_owned(), v.copy())).collect::<Vec<_>>()
    };
    for inner in INNERS {
        let config = AnyConfig(inner);
        assert_same_bits(&run(true, config), &run(false, config), &format!("{inner:?}"));
    }
}

#[test]
fn parts_have_their_own_rates_and_groups_keep_theirs() {
    let net = Net::new(3, Device::Cpu);
    let all = Variables::new(&net.vs).group_by(is_bias);
    let mut opt = Composite::matrices_and_rest(
        all,
        |matrices| TchOptimizer::new(fused::Sgd::default(), matrices, 0.1),
        |rest| TchOptimizer::new(fused::Sgd::default(), rest, 0.2),
    )
    .unwrap();
    let names: Vec<&str> = opt.parameters().iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["first.bias", "first.weight", "second.bias", "second.weight"]); // the store's order
    assert_eq!(opt.learning_rates().unwrap(), [0.1, 0.2]);
    opt.set_learning_rate_group(1, 0.3).unwrap();
    opt.set_weight_decay_of_group(1, 0.5).unwrap();
    opt.part_mut("matrices").unwrap().set_learning_rate(0.4).unwrap();
    assert_eq!(opt.learning_rates().unwrap(), [0.4, 0.3]);
    let state = opt.state().unwrap();
    assert_eq!(state.numbers["rest/sgd/weight_decay/1"], 0.5);
    assert_eq!(state.numbers["matrices/sgd/weight_decay/0"], 0.0);
    assert!(matches!(
        opt.set_weight_decay_of_group(2, 0.0),
        Err(Error::Group { group: 2, count: 2 })
    ));
    assert!(opt.part("none").is_none());
}

#[test]
fn scales_and_own_weight_decays_stay_when_all_are_set() {
    let net = Net::new(3, Device::Cpu);
    let all = Variables::new(&net.vs).group_by(is_bias);
    let sgd = TchOptimizer::new(fused::Sgd::default(), all.clone(), 0.5).unwrap();
    let builder = Composite::builder(all).part("all", sgd).learning_rate_scale(1, 2.0);
    let mut opt = builder.weight_decay_of_group(1, 0.125).build().unwrap();
    assert_eq!(opt.learning_rates().unwrap(), [0.5, 1.0]);
    opt.set_learning_rate(0.25).unwrap();
    opt.set_weight_decay(0.5).unwrap();
    assert_eq!(opt.learning_rates().unwrap(), [0.25, 0.5]);
    assert!(opt.set_learning_rate(3e38).is_err());
    let numbers = opt.state().unwrap().numbers;
    assert_eq!(numbers["all/sgd/learning_rate/0"], 0.25);
    let decay = |group: usize| numbers[&format!("all/sgd/weight_decay/{group}")];
    assert_eq!((decay(0), decay(1)), (0.5, 0.125));
    let sgd = TchOptimizer::new(fused::Sgd::default(), &net.vs, 0.5).unwrap();
    let refused = Composite::builder(&net.vs).part("all", sgd).learning_rate_scale(1, 2.0).build();
    assert!(matches!(refused, Err(Error::Group { group: 1, count: 1 })));
}

#[test]
fn a_late_variable_joins_its_part_or_is_named() {
    let vs = nn::VarStore::new(Device::Cpu);
    let root = vs.root();
    let first = root.ones("a", &[1]);
    let sgd =
        |variables: Variables| TchOptimizer::new(fused::Sgd::default(), variables, 0.5).unwrap();
    let select = |letters: &'static str| {
        let fits = move |p: &Parameter| p.name.starts_with(|letter| letters.contains(letter));
        sgd(Variables::new(&vs).matching(fits))
    };
    let builder = Composite::builder(&vs).part("ab", select("ab")).part("bc", select("bc"));
    let mut opt = Lookahead::around(builder.build().unwrap()).build().unwrap();
    let late = root.ones("c", &[1]);
    opt.backward_step(&(&first + &late).sum(Kind::Float)).unwrap();
    assert_eq!((first.double_value(&[0]), late.double_value(&[0])), (0.5, 0.5));

    let _ = root.ones("b", &[1]);
    for _ in 0..2 {
        let refused = opt.step().unwrap_err().to_string();
        let found = "`b` is in two parts of the composite optimizer, `ab` and `bc`.";
        assert!(refused.contains(found), "{refused}");
    }
    let _ = root.ones("d", &[1]);
    let refused = Composite::builder(&vs).part("ac", select("ac")).part("b", select("b")).build();
    assert!(matches!(refused.unwrap_err(), Error::InNoPart { name } if name == "d"));
    let some = Variables::new(&vs).matching(|p| p.name != "b");
    let refused = Composite::builder(some).part("all", sgd(Variables::new(&vs))).build();
    assert!(
        matches!(refused.unwrap_err(), Error::NotShared { name, part } if (&*name, &*part) == ("b", "all"))
    );
    for names in [["x", "x"], ["", "x"], ["x", "x/y"]] {
        let [first, second] = names;
        let refused =
            Composite::builder(&vs).part(first, select("ac")).part(second, select("bd")).build();
        assert!(matches!(refused, Err(Error::Setting { key: "part", .. })), "{names:?}");
    }
}

#[test]
fn a_refused_state_of_a_later_part_leaves_the_earlier_ones() {
    let net = Net::new(3, Device::Cpu);
    let mut opt = both(Inner::Adam, &net);
    let step = |opt: &mut Composite, batch: i64| {
        opt.zero_grad().unwrap();
        net.loss(batch, false).backward();
        opt.step().unwrap();
    };
    step(&mut opt, 0);
    let mut state = opt.state().unwrap();
    step(&mut opt, 1);
    let (_, _) = (state.numbers.remove("rest/adam/momentum/0"), &state);
    let refused = opt.load_state(&state).unwrap_err().to_string();
    assert!(refused.contains("no entry `rest/adam/momentum/0`"), "{refused}");
    assert_eq!(opt.state().unwrap().integers["first/adam/step/first.bias"], 2);
    state.numbers.insert("other/adam/momentum/0".to_owned(), 0.9);
    let refused = opt.load_state(&state).unwrap_err().to_string();
    assert!(refused.contains("an entry `other/adam/momentum/0`"), "{refused}");
}

#[test]
fn a_policy_and_adaptive_alpha_need_what_each_part_gives() {
    let net = Net::new(3, Device::Cpu);
    let mixed = |momentum: f64| {
        Composite::matrices_and_rest(
            &net.vs,
            |matrices| TchOptimizer::new(fused::sgd(momentum, 0.0, 0.0, false), matrices, 0.1),
            |rest| TchOptimizer::new(fused::Adam::default(), rest, 0.01),
        )
        .unwrap()
    };
    let config = LookaheadConfig { adaptive_alpha: 0.2, ..LookaheadConfig::default() };
    let refused = Lookahead::around(mixed(0.9)).config(config).build().unwrap_err();
    assert!(matches!(refused, Error::NoCurvature));
    // The matrices have no moment here, and the rest have two.
    let builder = Lookahead::around(mixed(0.0)).k(2).momentum_policy(MomentumPolicy::Pullback);
    let mut opt = builder.non_finite(NonFinite::RollBack).build().unwrap();
    train(&net, &mut opt, 0..3);
    let mut state = opt.state().unwrap();
    assert_eq!(state.tensors.keys().filter(|key| key.starts_with("slow_moment/")).count(), 4);
    opt.load_state(&state).unwrap();
    let moment = state.tensors["slow/first.weight"].copy();
    state.tensors.insert("slow_moment/exp_avg/first.weight".to_owned(), moment);
    assert!(matches!(opt.load_state(&state), Err(Error::StateUnexpected { .. })));
}

#[test]
fn a_state_of_another_model_is_taken_by_parts() {
    let net = Net::new(3, Device::Cpu);
    let mut opt = Lookahead::around(both(Inner::Adam, &net)).build().unwrap();
    train(&net, &mut opt, 0..3);
    let mut state = opt.state().unwrap();
    state.numbers.insert("inner/gone/adam/momentum/0".to_owned(), 0.9);
    let grown = Net::new(8, Device::Cpu);
    let _ = grown.vs.root().ones("head", &[2]);
    let mut opt = Lookahead::around(both(Inner::Adam, &grown)).build().unwrap();
    let taken = opt.load_partial(&state).unwrap();
    assert_eq!((taken.variables.len(), taken.new.len()), (4, 1));
    assert!(taken.ignored.contains("inner/gone/adam/momentum/0"), "{:?}", taken.ignored);
    let after = opt.state().unwrap();
    assert_eq!(after.integers["inner/first/adam/step/first.bias"], 3);
    assert!(!after.integers.contains_key("inner/rest/adam/step/head"));
}
