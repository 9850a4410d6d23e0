//! RAdam, an optimizer from the rule of its step, with Lookahead around it. `trajectories.rs` compares its steps with
//! PyTorch's RAdam.

use crate::common::{Net, POLICIES, assert_resumes, bits, train};
use lookahead_core::optimizers::RAdam;
use lookahead_core::{Error, InnerOptimizer, Lookahead, MomentumPolicy, NonFinite, RuleOptimizer};
use tch::Device;

#[test]
fn the_example_runs() {
    crate::ranger_example::main().unwrap();
}

fn build(net: &Net, policy: MomentumPolicy) -> Lookahead<RuleOptimizer<RAdam>> {
    let radam = RuleOptimizer::new(RAdam::default().beta2(0.99), &net.vs, 0.01).unwrap();
    Lookahead::around(radam).k(3).momentum_policy(policy).build().unwrap()
}

/// At every phase, with every policy.
#[test]
fn it_resumes_bit_for_bit() {
    for policy in POLICIES {
        assert_resumes(|net| build(net, policy), 1..7, &format!("{policy:?}"));
    }
}

/// It supports what tch's optimizers do: groups, late variables, roll-back, adaptive α.
#[test]
fn it_is_an_inner_optimizer_like_any_other() {
    let net = Net::new(3, Device::Cpu);
    let radam = RuleOptimizer::new(RAdam::default().beta2(0.999), &net.vs, 0.01).unwrap();
    let builder = Lookahead::around(radam).k(2).adaptive_alpha(0.1);
    let mut opt = builder.non_finite(NonFinite::RollBack).build().unwrap();
    opt.set_lr_group(0, 0.02).unwrap();
    assert!(matches!(opt.set_lr_group(1, 0.02), Err(Error::Group { group: 1, count: 1 })));
    assert!(matches!(opt.set_lr(f64::NAN), Err(Error::Setting { key: "learning_rate", .. })));
    train(&net, &mut opt, 0..4);
    assert!(opt.alpha_used().unwrap() >= 0.1);
    let phi = bits(&net.weights()[0].1);
    for i in 4..6 {
        opt.backward_step(&(net.loss(i, false) * f64::NAN)).unwrap();
    }
    assert!(bits(&net.weights()[0].1) == phi);
    assert!(opt.inner_mut().moments(0).unwrap().is_empty());

    let late = net.vs.root().set_group(1).ones("late", &[2]);
    opt.backward_step(&late.sum(tch::Kind::Float)).unwrap();
    assert_eq!(opt.inner().learning_rates().unwrap(), [0.02, 0.01]);
    assert!(late.double_value(&[0]) < 1.0);

    let mut state = opt.state().unwrap();
    let moment = state.tensors.remove("inner/radam/exp_avg/late").unwrap();
    let refused = opt.load_state(&state).unwrap_err().to_string();
    assert!(refused.contains("radam/exp_avg/late"), "{refused}");
    state.tensors.insert("inner/radam/exp_avg/late".to_owned(), moment.reshape([2, 1]));
    assert!(matches!(opt.load_state(&state), Err(Error::StateMismatch { .. })));
}
