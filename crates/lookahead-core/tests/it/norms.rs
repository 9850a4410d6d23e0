//! ‖θ − φ‖ and the gradient's norm, by hand.

use lookahead_core::{Error, Lookahead};
use tch::{Device, Kind, Tensor, nn};

/// 3 and 4 in two variables; a frozen one does not count.
#[test]
fn all_trainable_variables_together() {
    let vs = nn::VarStore::new(Device::Cpu);
    let a = vs.root().zeros("a", &[1]);
    let b = vs.root().zeros("b", &[2, 2]);
    let frozen = vs.root().zeros("frozen", &[1]);
    let mut opt = Lookahead::builder(nn::Sgd::default()).k(2).alpha(0.5).build(&vs, 0.5).unwrap();
    assert_eq!((opt.distance().unwrap(), opt.gradient_norm().unwrap()), (0.0, None));

    let loss = || &a * 6.0 + &b.sum(Kind::Float) * 4.0 + &frozen * 100.0;
    opt.zero_grad().unwrap();
    loss().sum(Kind::Float).backward();
    let _ = frozen.set_requires_grad(false);
    opt.inner_step().unwrap();
    // The gradient is 6 and four times 4; half of it is the step.
    assert_eq!(opt.gradient_norm().unwrap(), Some(10.0));
    assert_eq!(opt.distance().unwrap(), 5.0);
    let each = opt.variable_norms().unwrap();
    let each: Vec<_> = each.iter().map(|v| (&*v.name, v.distance, v.gradient)).collect();
    assert_eq!(each, [("a", 3.0, 6.0), ("b", 4.0, 8.0)]);

    opt.zero_grad().unwrap();
    loss().sum(Kind::Float).backward();
    opt.inner_step().unwrap();
    assert_eq!(opt.distance().unwrap(), 10.0, "from the start of the cycle");
    assert!(opt.sync_if_due().unwrap());
    assert_eq!(opt.distance().unwrap(), 0.0);
    assert_eq!(opt.gradient_norm().unwrap(), Some(10.0), "a sync keeps it");

    let _guard = tch::no_grad_guard();
    let _ = a.shallow_clone().fill_(1.0);
    assert!(matches!(opt.distance(), Err(Error::FastWeightsChanged { name }) if name == "a"));
}

/// It ends at 65,504, and φ is in single precision.
#[test]
fn half_precision() {
    let mut vs = nn::VarStore::new(Device::Cpu);
    let w = vs.root().zeros("w", &[4]);
    vs.half();
    let mut opt = Lookahead::builder(nn::Sgd::default()).k(5).build(&vs, 1.0).unwrap();
    let slope = Tensor::from_slice(&[60000f32; 4]).to_kind(Kind::Half);
    opt.backward_step(&(&w * slope).sum(Kind::Float)).unwrap();
    let (distance, gradient) = (opt.distance().unwrap(), opt.gradient_norm().unwrap().unwrap());
    assert!((distance - 120_000.0).abs() < 100.0, "{distance}");
    assert!((gradient - 120_000.0).abs() < 100.0, "{gradient}");
}
