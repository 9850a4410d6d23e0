//! Complex variables: stepped as in PyTorch, or refused by name when the optimizer is built.

use lookahead_core::{Error, InnerOptimizer, Lookahead, TchOptimizer, fused};
use tch::nn::{self, OptimizerConfig};
use tch::{Device, Kind, Tensor};

fn complex(parts: [(f32, f32); 2]) -> Tensor {
    let (real, imaginary): (Vec<f32>, Vec<f32>) = parts.into_iter().unzip();
    Tensor::complex(&Tensor::from_slice(&real), &Tensor::from_slice(&imaginary))
}

fn store() -> (nn::VarStore, Tensor) {
    let vs = nn::VarStore::new(Device::Cpu);
    let _ = vs.root().ones("real", &[2]);
    let w = vs.root().add("w", complex([(1.0, 2.0), (-0.5, 0.25)]), true);
    (vs, w)
}

/// PyTorch 2.13 computes, with k 2 and α 0.5:
///
/// ```python
/// w = torch.tensor([1+2j, -0.5+0.25j], dtype=torch.complex64, requires_grad=True)
/// c, phi = torch.tensor([0.3-0.7j, 1.5+0.1j]), w.detach().clone()
/// for i in range(4):
///     optimizer.zero_grad()
///     ((w * c - 1).abs().square().sum() * (1 + 0.5 * i)).backward()
///     optimizer.step()
///     if i % 2 == 1:
///         with torch.no_grad():
///             phi += 0.5 * (w - phi)
///             w.copy_(phi)
/// ```
#[test]
fn sgd_steps_as_pytorch_does() {
    let expected = [
        (
            fused::sgd(0.0, 0.0, 0.0, false),
            [(0.839_919_5, 1.737_010_5), (0.325_722_87, 0.041_214_556)],
        ),
        (
            fused::sgd(0.9, 0.0, 0.01, false),
            [(0.685_982_3, 1.482_877_3), (0.937_877, -0.113_743_05)],
        ),
        (
            fused::sgd(0.9, 0.0, 0.0, true),
            [(0.637_145_4, 1.403_881_8), (0.416_962_47, 0.018_144_443)],
        ),
    ];
    let factors = complex([(0.3, -0.7), (1.5, 0.1)]);
    for (config, expected) in expected {
        let (vs, w) = store();
        let mut opt = Lookahead::builder(config).k(2).alpha(0.5).build(&vs, 0.1).unwrap();
        for step in 0..4 {
            let loss = (&w * &factors - 1.0).abs().square().sum(Kind::Float);
            opt.backward_step(&(loss * (1.0 + 0.5 * f64::from(step)))).unwrap();
        }
        let apart = (w.detach() - complex(expected)).abs().max().double_value(&[]);
        assert!(apart < 2e-6, "{config:?}: {apart}");
        // The rest of the library uses both parts.
        let norm = opt.gradient_norm().unwrap().unwrap();
        let parts = w.grad().view_as_real().norm().double_value(&[]);
        assert!((norm / parts - 1.0).abs() < 1e-6, "{norm}, not {parts}");
        assert_eq!(opt.distance().unwrap(), 0.0);
        let state = opt.state().unwrap();
        assert_eq!(state.tensors["slow/w"].kind(), Kind::ComplexFloat);
        opt.load_state(&state).unwrap();
    }
}

#[test]
fn nan_in_either_part_never_reaches_phi() {
    let (vs, w) = store();
    let mut opt = Lookahead::builder(fused::Sgd::default()).k(1).build(&vs, 0.1).unwrap();
    let loss = (w.view_as_real().select(1, 1) * f64::NAN).sum(Kind::Float);
    assert!(matches!(opt.backward_step(&loss), Err(Error::NonFinite { name }) if name == "w"));
}

#[test]
fn other_optimizers_refuse_by_name_when_they_are_built() {
    let refused = |outcome: Result<TchOptimizer, Error>, optimizer: &str| {
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains("`w` is complex") && message.contains(optimizer), "{message}");
    };
    let (vs, _) = store();
    refused(TchOptimizer::new(fused::Adam::default(), &vs, 0.1), "adam steps");
    refused(TchOptimizer::new(fused::AdamW::default(), &vs, 0.1), "adamw steps");
    refused(TchOptimizer::new(fused::RmsProp::default(), &vs, 0.1), "rmsprop steps");
    refused(TchOptimizer::new(nn::Adam::default(), &vs, 0.1), "adam steps");
    refused(TchOptimizer::new(nn::AdamW::default(), &vs, 0.1), "adamw steps");
    refused(TchOptimizer::new(nn::RmsProp::default(), &vs, 0.1), "rmsprop steps");

    let built = nn::Adam::default().build(&vs, 0.1).unwrap();
    let message = Lookahead::wrap(built, &vs).map(drop).unwrap_err().to_string();
    assert!(message.contains("`w` is complex"), "{message}");
}

/// At every later step too.
#[test]
fn a_variable_that_joins_or_becomes_complex_is_refused() {
    let vs = nn::VarStore::new(Device::Cpu);
    let real = vs.root().ones("real", &[2]);
    let mut opt = Lookahead::builder(fused::Adam::default()).build(&vs, 0.1).unwrap();
    opt.backward_step(&real.sum(Kind::Float)).unwrap();
    let _ = vs.root().add("late", complex([(1.0, 0.0), (0.0, 1.0)]), true);
    for _ in 0..2 {
        let refused = opt.backward_step(&real.sum(Kind::Float));
        assert!(matches!(refused, Err(Error::ComplexVariable { name, .. }) if name == "late"));
    }

    let vs = nn::VarStore::new(Device::Cpu);
    let mut real = vs.root().ones("real", &[2]);
    let mut opt = Lookahead::builder(fused::Adam::default()).build(&vs, 0.1).unwrap();
    real.set_data(&complex([(1.0, 0.0), (0.0, 1.0)]));
    let refused = opt.reset_slow_weights();
    assert!(matches!(refused, Err(Error::ComplexVariable { .. })), "{refused:?}");
    assert!(opt.inner_mut().step().is_err(), "still");
}
