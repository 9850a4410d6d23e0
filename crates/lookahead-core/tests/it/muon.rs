//! Muon.

use lookahead_core::optimizers::Muon;
use lookahead_core::{Error, InnerOptimizer, RuleOptimizer, Variables};
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

/// PyTorch 2.13: `torch.optim.Muon(lr=1, weight_decay=0)`.
#[test]
fn one_step_is_pytorchs() {
    let vs = VarStore::new(Device::Cpu);
    let w = vs.root().zeros("w", &[3, 2]);
    let mut opt = RuleOptimizer::new(Muon::default(), &vs, 1.0).unwrap();
    let gradient = Tensor::from_slice(&[0.1f32, 0.2, 0.3, 0.4, 0.5, 0.6]).reshape([3, 2]);
    opt.zero_grad().unwrap();
    (&w * &gradient).sum(Kind::Float).backward();
    opt.step().unwrap();
    let expected = [-0.55736f32, 0.69849, 0.09807, 0.48798, 0.72719, 0.30619];
    let expected = -Tensor::from_slice(&expected).reshape([3, 2]);
    assert!(w.allclose(&expected, 0.0, 1e-4, false), "{w}");
    let momentum = &opt.moments(0).unwrap()[0].tensor;
    assert!(momentum.allclose(&(gradient * 0.05), 0.0, 1e-8, false), "{momentum}");
}

fn build(rule: Muon, shape: &[i64]) -> Result<RuleOptimizer<Muon>, Error> {
    let vs = VarStore::new(Device::Cpu);
    let _ = vs.root().zeros("w", shape);
    RuleOptimizer::new(rule, &vs, 0.1)
}

#[test]
fn what_is_no_matrix_is_refused_by_name() {
    let refused = build(Muon::default(), &[3]).unwrap_err().to_string();
    let expected = "`w` has the shape [3], and Muon moves matrices only. Build it for the matrices, which \
                    `Variables::partition` selects, and move the rest with another optimizer.";
    assert_eq!(refused, expected);
    assert!(build(Muon::default(), &[]).is_err());
    assert!(build(Muon::default(), &[3, 2, 1, 1]).is_ok());
    assert!(build(Muon::default().flatten(false), &[3, 2, 1, 1]).is_err());
}

/// The refusal stays until the variable is gone from the selection.
#[test]
fn a_late_vector_is_refused_at_every_step() {
    let vs = VarStore::new(Device::Cpu);
    let w = vs.root().ones("w", &[2, 2]);
    let mut all = RuleOptimizer::new(Muon::default(), &vs, 0.1).unwrap();
    let matrices = Variables::new(&vs).matching(|parameter| parameter.tensor.dim() >= 2);
    let mut selected = RuleOptimizer::new(Muon::default(), matrices, 0.1).unwrap();
    let _ = vs.root().ones("late", &[2]);
    w.square().sum(Kind::Float).backward();
    for _ in 0..2 {
        assert!(matches!(all.step(), Err(Error::NotAMatrix { name, .. }) if name == "late"));
    }
    assert_eq!(w, w.ones_like());
    selected.step().unwrap();
    assert_ne!(w, w.ones_like());
}

#[test]
fn settings_out_of_range_are_refused() {
    for (rule, key) in [
        (Muon::default().momentum(1.0), "`momentum` is 1"),
        (Muon::default().steps(100), "`steps` is 100"),
        (Muon::default().eps(0.0), "`eps` is 0"),
        (Muon::default().coefficients([1.0, f64::NAN, 1.0]), "`coefficients` is NaN"),
    ] {
        let refused = build(rule, &[2, 2]).unwrap_err().to_string();
        assert!(refused.starts_with(key), "{refused}");
    }
}
