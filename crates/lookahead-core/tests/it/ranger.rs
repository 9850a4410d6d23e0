//! An inner optimizer of the user's own: RAdam, and Lookahead around it. Its steps are compared with
//! PyTorch's RAdam in `trajectories.rs`.

use crate::common::{Net, assert_same_bits, bits};
use crate::ranger_example::radam::RAdam;
use lookahead_core::{Error, InnerOptimizer, Lookahead, MomentumPolicy, NonFinite};
use tch::Device;

#[test]
fn the_example_runs() {
    crate::ranger_example::main().unwrap();
}

fn build(net: &Net, policy: MomentumPolicy) -> Lookahead<RAdam> {
    let radam = RAdam::new(&net.vs, 0.01).unwrap().betas(0.9, 0.99);
    Lookahead::around(radam).k(3).momentum_policy(policy).build().unwrap()
}

/// Saved and loaded like the others, at every phase, with every policy.
#[test]
fn its_state_goes_on_bit_for_bit() {
    for policy in [MomentumPolicy::Maintain, MomentumPolicy::Reset, MomentumPolicy::Pullback] {
        let whole = Net::new(3, Device::Cpu);
        let mut opt = build(&whole, policy);
        for i in 0..14 {
            opt.backward_step(&whole.loss(i, false)).unwrap();
        }
        for stop in 1..=6 {
            let first = Net::new(3, Device::Cpu);
            let mut opt = build(&first, policy);
            for i in 0..stop {
                opt.backward_step(&first.loss(i, false)).unwrap();
            }
            let state = opt.state().unwrap();
            let mut second = Net::new(8, Device::Cpu);
            second.vs.copy(&first.vs).unwrap();
            let mut opt = build(&second, policy);
            opt.load_state(&state).unwrap();
            for i in stop..14 {
                opt.backward_step(&second.loss(i, false)).unwrap();
            }
            let what = format!("{policy:?} from step {stop}");
            assert_same_bits(&second.weights(), &whole.weights(), &what);
        }
    }
}

/// It can do what tch's optimizers can: groups, late variables, roll-back, the adaptive α.
#[test]
fn it_is_an_inner_optimizer_like_any_other() {
    let net = Net::new(3, Device::Cpu);
    let radam = RAdam::new(&net.vs, 0.01).unwrap();
    let builder = Lookahead::around(radam).k(2).adaptive_alpha(0.1);
    let mut opt = builder.non_finite(NonFinite::RollBack).build().unwrap();
    opt.set_lr_group(0, 0.02).unwrap();
    assert!(matches!(opt.set_lr_group(1, 0.02), Err(Error::Group { group: 1, count: 1 })));
    assert!(matches!(opt.set_lr(f64::NAN), Err(Error::Setting { key: "learning_rate", .. })));
    for i in 0..4 {
        opt.backward_step(&net.loss(i, false)).unwrap();
    }
    assert!(opt.alpha_used().unwrap() >= 0.1);
    let phi = bits(&net.weights()[0].1);
    for i in 4..6 {
        opt.backward_step(&(net.loss(i, false) * f64::NAN)).unwrap();
    }
    assert!(bits(&net.weights()[0].1) == phi);
    assert!(opt.inner_mut().moments(0).unwrap().is_empty());

    let late = net.vs.root().set_group(1).ones("late", &[2]);
    opt.backward_step(&late.sum(tch::Kind::Float)).unwrap();
    assert_eq!(opt.inner().learning_rates().unwrap(), [0.02, 0.02]);
    assert!(late.double_value(&[0]) < 1.0);

    let mut state = opt.state().unwrap();
    let moment = state.tensors.remove("inner/radam/exp_avg/late").unwrap();
    let refused = opt.load_state(&state).unwrap_err().to_string();
    assert!(refused.contains("radam/exp_avg/late"), "{refused}");
    state.tensors.insert("inner/radam/exp_avg/late".to_owned(), moment.reshape([2, 1]));
    assert!(matches!(opt.load_state(&state), Err(Error::StateMismatch { .. })));
}
