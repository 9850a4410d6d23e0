//! Options per parameter group: on the builder, while running, for variables added later, and in a state.

use crate::common::{AnyConfig, INNERS, bits};
use lookahead_core::optimizers::RAdam;
use lookahead_core::{
    Error, GroupOptions, InnerOptimizer, Lookahead, MomentumPolicy, RuleOptimizer, TchOptimizer,
    fused,
};
use tch::{Device, Kind, Tensor, nn};

/// One variable in each of the groups 0 and 1.
fn store() -> (nn::VarStore, [Tensor; 2]) {
    let vs = nn::VarStore::new(Device::Cpu);
    let root = vs.root();
    let variables = [root.ones("a", &[2]), root.set_group(1).ones("b", &[2])];
    (vs, variables)
}

fn step(opt: &mut impl InnerOptimizer, variables: &[Tensor]) {
    opt.zero_grad().unwrap();
    variables.iter().map(|w| (w.square() * 0.5).sum(Kind::Float)).sum::<Tensor>().backward();
    opt.step().unwrap();
}

#[test]
fn options_of_a_group_are_those_of_an_optimizer_of_its_own() {
    for inner in INNERS {
        let (vs, variables) = store();
        let mut opt = TchOptimizer::new(AnyConfig(inner), &vs, 0.1).unwrap();
        let options = GroupOptions::new().learning_rate(0.05).weight_decay(0.2).momentum(0.5);
        opt.set_group_options(1, options).unwrap();
        (0..5).for_each(|_| step(&mut opt, &variables));

        for (group, variable) in variables.iter().enumerate() {
            let vs = nn::VarStore::new(Device::Cpu);
            let alone = [vs.root().ones("w", &[2])];
            let mut own = TchOptimizer::new(AnyConfig(inner), &vs, [0.1, 0.05][group]).unwrap();
            if group == 1 {
                own.set_weight_decay(0.2).unwrap();
                own.set_momentum(0.5).unwrap();
            }
            (0..5).for_each(|_| step(&mut own, &alone));
            assert!(bits(&alone[0]) == bits(variable), "{inner:?}, group {group}");
        }
    }
}

#[test]
fn they_change_while_running_and_a_state_has_them() {
    let (vs, variables) = store();
    let build = |vs: &nn::VarStore| {
        Lookahead::builder(fused::sgd(0.9, 0.0, 0.1, false))
            .group(1, GroupOptions::new().weight_decay(0.0))
            .build(vs, 0.1)
            .unwrap()
    };
    let mut opt = build(&vs);
    step(&mut opt, &variables);
    opt.set_weight_decay_of_group(0, 0.25).unwrap();
    opt.set_momentum_of_group(1, 0.5).unwrap();
    step(&mut opt, &variables);
    let state = opt.state().unwrap();
    let number = |key: &str| state.numbers[&format!("inner/sgd/{key}")];
    assert_eq!((number("weight_decay/0"), number("weight_decay/1")), (0.25, 0.0));
    assert_eq!((number("momentum/0"), number("momentum/1")), (0.9, 0.5));
    assert_eq!(number("weight_decay/later"), 0.1);

    let (mut other, resumed) = store();
    other.copy(&vs).unwrap();
    let mut again = build(&other);
    again.load_state(&state).unwrap();
    for _ in 0..5 {
        step(&mut opt, &variables);
        step(&mut again, &resumed);
    }
    assert!(variables.iter().zip(&resumed).all(|(a, b)| bits(a) == bits(b)));
}

#[test]
fn a_group_may_have_options_before_it_has_variables() {
    let vs = nn::VarStore::new(Device::Cpu);
    let first = vs.root().ones("a", &[1]);
    let options = GroupOptions::new().learning_rate(0.5);
    let mut tch = Lookahead::builder(nn::Sgd::default())
        .group(2, options)
        .alpha_of_group(2, 1.0)
        .build(&vs, 0.25)
        .unwrap();
    let mut rule = RuleOptimizer::new(RAdam::default(), &vs, 0.25).unwrap();
    rule.set_group_options(2, options).unwrap();
    for rates in [tch.inner().learning_rates().unwrap(), rule.learning_rates().unwrap()] {
        assert_eq!(rates, [0.25, 0.25, 0.5]);
    }
    let late = vs.root().set_group(2).ones("b", &[1]);
    for _ in 0..5 {
        tch.backward_step(&(&first + &late).sum(Kind::Float)).unwrap();
    }
    // 5 steps of 0.25, of which a sync keeps a half; 5 of 0.5, of which it keeps all.
    assert_eq!((first.double_value(&[0]), late.double_value(&[0])), (0.375, -1.5));
    let state = tch.state().unwrap();
    assert_eq!(state.numbers["alpha/2"], 1.0);
    tch.load_state(&state).unwrap();
}

#[test]
fn bad_options_are_refused_and_change_nothing() {
    let (vs, _) = store();
    let mut opt = TchOptimizer::new(nn::Sgd::default(), &vs, 0.1).unwrap();
    let mut rule = RuleOptimizer::new(RAdam::default(), &vs, 0.1).unwrap();
    for (options, key) in [
        (GroupOptions::new().learning_rate(0.2).weight_decay(-1.0), "weight_decay"),
        (GroupOptions::new().learning_rate(0.2).momentum(1.0), "momentum"),
        (GroupOptions::new().learning_rate(f64::NAN), "learning_rate"),
    ] {
        for refused in [opt.set_group_options(1, options), rule.set_group_options(1, options)] {
            assert!(matches!(refused, Err(Error::Setting { key: found, .. }) if found == key));
        }
    }
    let options = GroupOptions::new().learning_rate(0.2).momentum(0.5);
    assert!(matches!(rule.set_group_options(1, options), Err(Error::FixedMomentum)));
    assert_eq!(opt.learning_rates().unwrap(), [0.1, 0.1]);
    assert_eq!(rule.learning_rates().unwrap(), [0.1, 0.1]);
    let missing = |refused| matches!(refused, Err(Error::Group { group: 2, count: 2 }));
    assert!(missing(opt.set_weight_decay_of_group(2, 0.1)));
    assert!(missing(rule.set_weight_decay_of_group(2, 0.1)));
    assert!(missing(opt.set_momentum_of_group(2, 0.1)));
}

#[test]
fn a_frozen_group_keeps_its_values_until_it_is_thawed() {
    for frozen_at in [0, 2] {
        let (vs, [a, b]) = store();
        let mut opt = Lookahead::builder(nn::sgd(0.9, 0.0, 0.0, false))
            .group(1, GroupOptions::new().trainable(frozen_at > 0))
            .k(3)
            .build(&vs, 0.1)
            .unwrap();
        let late = vs.root().set_group(1).ones("late", &[2]);
        for _ in 0..frozen_at {
            opt.backward_step(&(&a + &b).sum(Kind::Float)).unwrap();
        }
        (&a + &b).sum(Kind::Float).backward(); // a gradient that is there when the group is frozen
        opt.inner_mut().set_trainable(1, false).unwrap();
        let latest = vs.root().set_group(1).ones("latest", &[2]);
        let before = b.copy();
        for _ in 0..7 {
            opt.backward_step(&(&a + &b + &late + &latest).sum(Kind::Float)).unwrap();
        }
        assert!(bits(&b) == bits(&before) && bits(&late) == bits(&latest), "{frozen_at}");
        assert_eq!(latest.double_value(&[0]), 1.0);
        let state = opt.state().unwrap();
        assert!(bits(&state.tensors["slow/b"]) == bits(&b)); // φ is θ
        opt.inner_mut().set_trainable(1, true).unwrap();
        opt.backward_step(&(&a + &b + &late + &latest).sum(Kind::Float)).unwrap();
        assert!(latest.double_value(&[0]) < 1.0 && bits(&b) != bits(&before));
    }
}

#[test]
fn momentum_in_one_group_only_is_pulled_back_and_saved() {
    let (vs, variables) = store();
    let mut sgd = TchOptimizer::new(fused::Sgd::default(), &vs, 0.1).unwrap();
    assert_eq!(sgd.moment_names().unwrap(), [""; 0]);
    sgd.set_momentum_of_group(1, 0.9).unwrap();
    assert_eq!(sgd.moment_names().unwrap(), ["momentum_buffer"]);
    let builder = Lookahead::around(sgd).k(2).momentum_policy(MomentumPolicy::Pullback);
    let mut opt = builder.build().unwrap();
    (0..3).for_each(|_| step(&mut opt, &variables));
    let state = opt.state().unwrap();
    let kept: Vec<&String> = state.tensors.keys().filter(|key| key.contains("momentum")).collect();
    assert_eq!(kept, ["inner/sgd/momentum_buffer/b", "slow_moment/momentum_buffer/b"]);
    opt.load_state(&state).unwrap();
}
