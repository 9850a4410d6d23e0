use super::*;
use tch::Device;

fn parameter() -> Tensor {
    Tensor::from_slice(&[1.0f32, -2.0, 3.0]).set_requires_grad(true)
}

fn step(optimizer: &mut Optimizer, parameter: &Tensor) {
    optimizer.zero_grad().unwrap();
    (parameter * parameter).sum(tch::Kind::Float).backward();
    optimizer.step().unwrap();
}

fn built<C: nn::OptimizerConfig>(config: C) -> (Optimizer, Tensor) {
    let mut optimizer = Optimizer::build(&config, 0.1).unwrap();
    let parameter = parameter();
    optimizer.add_parameter(&parameter, 0).unwrap();
    (optimizer, parameter)
}

fn present(optimizer: &Optimizer, parameter: &Tensor) -> Vec<bool> {
    let state = optimizer.parameter_state(parameter).unwrap().unwrap();
    state.slots.iter().map(Option::is_some).collect()
}

#[test]
fn the_captured_object_is_the_optimizer_that_tch_built() {
    assert_eq!(built(nn::Sgd::default()).0.kind(), Kind::Sgd);
    assert_eq!(built(nn::Adam::default()).0.kind(), Kind::Adam);
    assert_eq!(built(nn::AdamW::default()).0.kind(), Kind::AdamW);
    assert_eq!(built(nn::RmsProp::default()).0.kind(), Kind::RmsProp);
}

#[test]
fn momentum_follows_its_formula_and_can_be_read() {
    let (mut sgd, w) = built(nn::sgd(0.9, 0.0, 0.0, false));
    assert!(sgd.parameter_state(&w).unwrap().is_none());
    // Gradient 2w: the buffer starts as the gradient, then m ← 0.9 m + 2w.
    step(&mut sgd, &w);
    let first = sgd.parameter_state(&w).unwrap().unwrap().slots[0].as_ref().unwrap().copy();
    assert_eq!(first, Tensor::from_slice(&[2.0f32, -4.0, 6.0]));
    step(&mut sgd, &w);
    let second = sgd.parameter_state(&w).unwrap().unwrap().slots[0].as_ref().unwrap().copy();
    let expected = Tensor::from_slice(&[0.9f32 * 2.0 + 1.6, -0.9 * 4.0 - 3.2, 0.9 * 6.0 + 4.8]);
    assert!(second.allclose(&expected, 1e-6, 1e-6, false));
}

#[test]
fn each_kind_keeps_the_slots_that_its_options_ask_for() {
    let cases: Vec<((Optimizer, Tensor), Vec<bool>)> = vec![
        (built(nn::sgd(0.9, 0.0, 0.0, true)), vec![true]),
        (built(nn::Adam::default()), vec![true, true, false]),
        (built(nn::Adam::default().amsgrad(true)), vec![true, true, true]),
        (built(nn::AdamW::default()), vec![true, true, false]),
        (built(nn::rms_prop(0.99, 1e-8, 0.0, 0.0, false)), vec![true, false, false]),
        (built(nn::rms_prop(0.99, 1e-8, 0.0, 0.9, true)), vec![true, true, true]),
    ];
    for ((mut optimizer, w), slots) in cases {
        step(&mut optimizer, &w);
        step(&mut optimizer, &w);
        assert_eq!(present(&optimizer, &w), slots, "{optimizer:?}");
        assert_eq!(optimizer.required_slots().unwrap(), slots, "{optimizer:?}");
        let steps = optimizer.parameter_state(&w).unwrap().unwrap().step;
        assert_eq!(steps, if optimizer.kind().counts_steps() { 2 } else { 0 });
    }
}

#[test]
fn a_state_moved_into_a_fresh_optimizer_continues_identically() {
    let (mut original, w) = built(nn::adam(0.9, 0.999, 0.0).amsgrad(true));
    step(&mut original, &w);
    let state = original.parameter_state(&w).unwrap().unwrap();
    let copies = state.slots.iter().map(|s| s.as_ref().map(Tensor::copy)).collect();

    let (mut fresh, v) = built(nn::adam(0.9, 0.999, 0.0).amsgrad(true));
    tch::no_grad(|| v.shallow_clone().copy_(&w));
    fresh
        .set_parameter_state(&v, Some(ParameterState { step: state.step, slots: copies }))
        .unwrap();
    step(&mut original, &w);
    step(&mut fresh, &v);
    assert_eq!(w, v);

    fresh.set_parameter_state(&v, None).unwrap();
    assert!(fresh.parameter_state(&v).unwrap().is_none());
}

#[test]
fn libtorchs_errors_arrive_as_sentences() {
    let error = Optimizer::build(&nn::Sgd::default(), -1.0).unwrap_err().to_string();
    assert!(error.contains("Invalid learning rate: -1"), "{error}");
    assert!(!error.contains("Exception raised from"), "{error}");

    let (mut sgd, w) = built(nn::Sgd::default());
    let error =
        sgd.set_parameter_state(&w, Some(ParameterState { step: 0, slots: vec![] })).unwrap_err();
    assert_eq!(error.to_string(), "The state of sgd has 1 slots, and 0 were given.");
    assert!(sgd.group_options(7).is_err());
}

#[test]
fn options_are_per_group() {
    let adam = nn::Adam::default().wd(0.25);
    for (mut optimizer, momentum, weight_decay) in [
        (built(nn::sgd(0.5, 0.0, 0.125, false)).0, 0.5, 0.125),
        (built(adam).0, 0.9, 0.25),
        (built(nn::AdamW::default()).0, 0.9, 0.01),
        (built(nn::rms_prop(0.99, 1e-8, 0.0, 0.75, false)).0, 0.75, 0.0),
    ] {
        let built = GroupOptions { learning_rate: 0.1, momentum, weight_decay };
        assert_eq!(optimizer.groups(), 1);
        assert_eq!(optimizer.group_options(0).unwrap(), built);
        let other = GroupOptions { learning_rate: 0.3, momentum: 0.2, weight_decay: 0.1 };
        optimizer.set_group_options(1, other).unwrap(); // what later groups begin with
        let later = Tensor::zeros([2], (tch::Kind::Float, Device::Cpu)).set_requires_grad(true);
        optimizer.add_parameter(&later, 2).unwrap();
        let all: Vec<_> = (0..3).map(|i| optimizer.group_options(i).unwrap()).collect();
        assert_eq!(all, [built, other, other]);
    }
}
