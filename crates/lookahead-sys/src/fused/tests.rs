use super::*;
use crate::ops;
use crate::optimizer::{Kind as Inner, Optimizer};
use crate::tensor::fingerprints;
use tch::{Device, Kind, Tensor};

/// The two builders of one configuration: tch's own and its replacement.
type Pair = (Box<dyn Fn() -> Optimizer>, Box<dyn Fn() -> Optimizer>);

fn pair<A, B>(theirs: A, ours: B) -> Pair
where
    A: nn::OptimizerConfig + 'static,
    B: nn::OptimizerConfig + 'static,
{
    (
        Box::new(move || Optimizer::build(&theirs, 0.05).unwrap()),
        Box::new(move || Optimizer::build(&ours, 0.05).unwrap()),
    )
}

fn pairs() -> Vec<(&'static str, Pair)> {
    vec![
        ("sgd", pair(nn::sgd(0.0, 0.0, 0.0, false), sgd(0.0, 0.0, 0.0, false))),
        ("decayed", pair(nn::sgd(0.0, 0.0, 0.01, false), sgd(0.0, 0.0, 0.01, false))),
        ("momentum", pair(nn::sgd(0.9, 0.0, 0.01, false), sgd(0.9, 0.0, 0.01, false))),
        ("dampened", pair(nn::sgd(0.8, 0.3, 0.0, false), sgd(0.8, 0.3, 0.0, false))),
        ("nesterov", pair(nn::sgd(0.9, 0.0, 0.0, true), sgd(0.9, 0.0, 0.0, true))),
        ("adam", pair(nn::Adam::default().wd(0.01), Adam::default().wd(0.01))),
        ("amsgrad", pair(nn::Adam::default().amsgrad(true), Adam::default().amsgrad(true))),
        ("adamw", pair(nn::AdamW::default().eps(1e-6), AdamW::default().eps(1e-6))),
        (
            "adamw amsgrad",
            pair(nn::adamw(0.8, 0.9, 0.1).amsgrad(true), adamw(0.8, 0.9, 0.1).amsgrad(true)),
        ),
        ("rmsprop", pair(nn::RmsProp::default(), RmsProp::default())),
        (
            "centered",
            pair(nn::rms_prop(0.95, 1e-8, 0.01, 0.9, true), rms_prop(0.95, 1e-8, 0.01, 0.9, true)),
        ),
    ]
}

/// Shapes of parameters. The last has no gradient in some steps, including the first.
const SHAPES: [&[i64]; 5] = [&[3, 4, 5], &[40_000], &[], &[0], &[7]];

fn parameters(kind: Kind) -> Vec<Tensor> {
    tch::manual_seed(5);
    let random = |shape: &&[i64]| Tensor::randn(*shape, (Kind::Double, Device::Cpu));
    let leaf = |t: Tensor| t.to_kind(kind).set_requires_grad(true);
    SHAPES.iter().map(random).map(leaf).collect()
}

fn take_steps(optimizer: &mut Optimizer, parameters: &[Tensor], steps: std::ops::Range<i64>) {
    for step in steps {
        gradients_of(optimizer, parameters, step);
        optimizer.step().unwrap();
    }
}

/// The gradients of a step.
fn gradients_of(optimizer: &mut Optimizer, parameters: &[Tensor], step: i64) {
    optimizer.zero_grad().unwrap();
    for (i, parameter) in parameters.iter().enumerate() {
        if i == 4 && step % 3 != 2 {
            continue;
        }
        let scale = 1.0 + 0.5 * (step as f64 + i as f64).cos();
        // The gradient is far from 0, where Adam's quotient would magnify rounding.
        ((parameter + 6.0).square().sum(Kind::Float) * scale * 0.1).backward();
    }
}

fn built(build: &dyn Fn() -> Optimizer, parameters: &[Tensor]) -> Optimizer {
    let mut optimizer = build();
    for (i, parameter) in parameters.iter().enumerate() {
        optimizer.add_parameter(parameter, i % 2).unwrap();
    }
    optimizer
}

/// All state of the two, within the tolerance of their element type.
fn assert_equal(name: &str, theirs: (&Optimizer, &[Tensor]), ours: (&Optimizer, &[Tensor])) {
    for (i, (a, b)) in theirs.1.iter().zip(ours.1).enumerate() {
        let tolerance = match a.kind() {
            Kind::Double => 1e-12,
            Kind::Float => 1e-5,
            _ => 0.0,
        };
        let close = |a: &Tensor, b: &Tensor| a.allclose(b, tolerance, tolerance, false);
        assert!(close(a, b), "{name}: parameter {i}");
        let (a, b) = (theirs.0.parameter_state(a).unwrap(), ours.0.parameter_state(b).unwrap());
        let (Some(a), Some(b)) = (&a, &b) else {
            assert_eq!(a.is_some(), b.is_some(), "{name}: state of parameter {i}");
            continue;
        };
        assert_eq!(a.step, b.step, "{name}: parameter {i}");
        for (slot, (a, b)) in a.slots.iter().zip(&b.slots).enumerate() {
            match (a, b) {
                (Some(a), Some(b)) => assert!(close(a, b), "{name}: {i}, slot {slot}"),
                _ => assert_eq!(a.is_some(), b.is_some(), "{name}: {i}, slot {slot}"),
            }
        }
    }
}

#[test]
fn steps_and_state_are_those_of_libtorchs_own() {
    for (name, (theirs, ours)) in pairs() {
        for kind in [Kind::Float, Kind::Double, Kind::BFloat16, Kind::Half] {
            let (p, q) = (parameters(kind), parameters(kind));
            let (mut a, mut b) = (built(&theirs, &p), built(&ours, &q));
            assert_eq!(a.kind(), b.kind());
            assert_ne!(a.kind(), Inner::Unknown);
            take_steps(&mut a, &p, 0..12);
            take_steps(&mut b, &q, 0..12);
            assert_equal(name, (&a, &p), (&b, &q));
        }
    }
}

#[test]
fn a_state_continues_in_the_other() {
    use crate::optimizer::ParameterState;
    for (name, (theirs, ours)) in pairs() {
        let (p, q) = (parameters(Kind::Double), parameters(Kind::Double));
        let (mut a, mut b) = (built(&theirs, &p), built(&ours, &q));
        take_steps(&mut a, &p, 0..5);
        for (p, q) in p.iter().zip(&q) {
            tch::no_grad(|| q.shallow_clone().copy_(p));
            let state = a.parameter_state(p).unwrap().map(|state| {
                let copies = state.slots.iter().map(|s| s.as_ref().map(Tensor::copy)).collect();
                ParameterState { step: state.step, slots: copies }
            });
            b.set_parameter_state(q, state).unwrap();
        }
        take_steps(&mut a, &p, 5..9);
        take_steps(&mut b, &q, 5..9);
        assert_equal(name, (&a, &p), (&b, &q));
    }
}

/// Gradients in another order than their parameter, and parameters that are not dense.
#[test]
fn layouts_that_the_kernels_would_misread() {
    let base = || {
        let values = Tensor::arange(24, (Kind::Float, Device::Cpu)).reshape([4, 6]) / 24.0;
        let leaf = |t: Tensor| t.detach().set_requires_grad(true);
        [leaf(values.copy()), leaf(values.transpose(0, 1)), leaf(values.copy().slice(1, 0, 6, 2))]
    };
    let weight = Tensor::arange(24, (Kind::Float, Device::Cpu)).reshape([6, 4]);
    let run = |optimizer: &mut Optimizer, parameters: &[Tensor; 3]| {
        for parameter in parameters {
            optimizer.add_parameter(parameter, 0).unwrap();
        }
        for _ in 0..3 {
            optimizer.zero_grad().unwrap();
            let [a, b, c] = parameters;
            // The gradient of `a` comes out transposed.
            let loss = (a.transpose(0, 1) * &weight).square().sum(Kind::Float)
                + (b * &weight).square().sum(Kind::Float)
                + c.square().sum(Kind::Float);
            loss.backward();
            optimizer.step().unwrap();
        }
    };
    for (name, (theirs, ours)) in pairs() {
        let (p, q) = (base(), base());
        run(&mut theirs(), &p);
        run(&mut ours(), &q);
        for (i, (p, q)) in p.iter().zip(&q).enumerate() {
            assert!(p.allclose(q, 1e-5, 1e-6, false), "{name}: {i}");
        }
    }
}

/// To the bit, with the same kernels, and the state has the parameter's layout.
#[test]
fn channels_last_steps_as_the_usual_order_does() {
    use crate::memory_format::channels_last;
    let base = || {
        tch::manual_seed(7);
        let random = |shape: [i64; 4]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
        [[8, 4, 3, 3], [16, 1, 3, 3], [6, 5, 1, 1]].map(random)
    };
    let run = |optimizer: &mut Optimizer, parameters: &[Tensor]| {
        for parameter in parameters {
            optimizer.add_parameter(parameter, 0).unwrap();
        }
        for _ in 0..4 {
            optimizer.zero_grad().unwrap();
            for (parameter, slopes) in parameters.iter().zip(&base()) {
                // Of both signs: Adam's first steps depend on little else.
                ((parameter + 6.0).square() * slopes).sum(Kind::Float).backward();
            }
            optimizer.step().unwrap();
        }
    };
    for (name, (_, ours)) in pairs() {
        let p = base().map(|t| t.set_requires_grad(true));
        let q = base().map(|t| channels_last(&t).unwrap().set_requires_grad(true));
        let (mut a, mut b) = (ours(), ours());
        run(&mut a, &p);
        run(&mut b, &q);
        for (p, q) in p.iter().zip(&q) {
            assert_eq!(p, q, "{name}");
            let Some(state) = b.parameter_state(q).unwrap() else { continue };
            for slot in state.slots.iter().flatten() {
                assert_eq!(slot.stride(), q.stride(), "{name}");
            }
        }
    }
}

#[test]
fn sparse_gradients_step_as_in_libtorch() {
    let run = |optimizer: &mut Optimizer| {
        let table = Tensor::ones([4, 2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let dense = Tensor::ones([2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        optimizer.add_parameter(&table, 0).unwrap();
        optimizer.add_parameter(&dense, 0).unwrap();
        let rows = Tensor::embedding(&table, &Tensor::from_slice(&[1i64, 3]), -1, false, true);
        (rows * &dense).sum(Kind::Float).backward();
        optimizer.step().map(|()| (table, dense))
    };
    let config = (nn::sgd(0.0, 0.0, 0.0, false), sgd(0.0, 0.0, 0.0, false));
    let theirs = run(&mut Optimizer::build(&config.0, 0.1).unwrap()).unwrap();
    let ours = run(&mut Optimizer::build(&config.1, 0.1).unwrap()).unwrap();
    assert_eq!(theirs, ours);
    assert!(ours.0.double_value(&[1, 0]) < 1.0 && ours.1.double_value(&[0]) < 1.0);
    for (name, (_, ours)) in pairs().into_iter().filter(|(name, _)| name.contains("adam")) {
        let error = run(&mut ours()).unwrap_err().to_string();
        assert!(error.contains("does not support sparse gradients"), "{name}: {error}");
    }
}

/// libtorch's own steps of the others differ from PyTorch's.
#[test]
fn only_sgd_steps_complex_parameters() {
    for (name, (_, ours)) in pairs() {
        let ones = Tensor::ones([2], (Kind::Float, Device::Cpu));
        let parameter = Tensor::complex(&ones, &ones).set_requires_grad(true);
        let mut optimizer = ours();
        optimizer.add_parameter(&parameter, 0).unwrap();
        parameter.abs().sum(Kind::Float).backward();
        let is_sgd = optimizer.kind() == Inner::Sgd;
        assert_eq!(optimizer.step().is_ok(), is_sgd, "{name}");
        assert!(is_sgd || optimizer.parameter_state(&parameter).unwrap().is_none(), "{name}");
    }
}

/// tch's own optimizer steps a variable as often as it is listed.
#[test]
fn a_parameter_that_is_listed_twice_steps_as_in_libtorch() {
    for (name, (theirs, ours)) in pairs() {
        let run = |build: &dyn Fn() -> Optimizer| {
            let p = parameters(Kind::Double);
            let mut optimizer = built(build, &p);
            optimizer.add_parameter(&p[0], 0).unwrap();
            take_steps(&mut optimizer, &p, 0..4);
            assert!(p[0].grad().defined(), "{name}: it keeps its gradient");
            p
        };
        for (i, (a, b)) in run(&theirs).iter().zip(&run(&ours)).enumerate() {
            assert!(a.allclose(b, 1e-12, 1e-12, false), "{name}: {i}");
        }
    }
}

/// Not even the other parameters and their state.
#[test]
fn a_step_that_is_refused_changes_nothing() {
    let decayed = pair(nn::sgd(0.9, 0.0, 0.1, false), sgd(0.9, 0.0, 0.1, false));
    let adam = pair(nn::Adam::default(), Adam::default());
    for (name, (_, ours)) in [("sgd", decayed), ("adam", adam)] {
        let table = Tensor::ones([4, 2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let dense = Tensor::ones([2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let mut optimizer = ours();
        optimizer.add_parameter(&dense, 0).unwrap();
        optimizer.add_parameter(&table, 0).unwrap();
        let rows = Tensor::embedding(&table, &Tensor::from_slice(&[1i64, 3]), -1, false, true);
        (rows * &dense).sum(Kind::Float).backward();
        assert!(optimizer.step().is_err(), "{name}");
        assert!(optimizer.parameter_state(&dense).unwrap().is_none(), "{name}");
        assert_eq!(dense, dense.ones_like(), "{name}");
        assert!(dense.grad().defined(), "{name}");
    }
}

#[test]
fn a_frozen_parameter_with_a_gradient_stays() {
    for (name, (_, ours)) in pairs() {
        let p = parameters(Kind::Float);
        let mut optimizer = built(&ours, &p);
        for parameter in &p {
            parameter.sum(Kind::Float).backward();
        }
        let _ = p[0].set_requires_grad(false);
        let before = p[0].copy();
        optimizer.step().unwrap();
        assert_eq!(p[0], before, "{name}");
        assert!(p[0].grad().defined(), "{name}: it keeps its gradient");
    }
}

#[test]
fn a_graph_of_the_values_before_a_step_is_refused_after_it() {
    for (name, (_, ours)) in pairs() {
        let p = parameters(Kind::Float);
        let mut optimizer = built(&ours, &p);
        let stale = (&p[0] * &p[0]).sum(Kind::Float);
        let before = fingerprints([&p[0]]).unwrap();
        take_steps(&mut optimizer, &p, 0..1);
        assert_ne!(before, fingerprints([&p[0]]).unwrap(), "{name}");
        assert!(stale.f_backward().is_err(), "{name}");
    }
}

/// The number of operations does not grow with the number of parameters.
#[test]
fn a_step_is_a_few_operations_for_the_whole_model() {
    for (name, (_, ours)) in pairs() {
        let count = |parameters: usize| {
            let leaf = || Tensor::ones([3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
            let p: Vec<Tensor> = (0..parameters).map(|_| leaf()).collect();
            let mut optimizer = ours();
            for parameter in &p {
                optimizer.add_parameter(parameter, 0).unwrap();
            }
            for step in 0.. {
                for parameter in &p {
                    parameter.square().sum(Kind::Float).backward();
                }
                let (result, ops) = ops::record(|| optimizer.step());
                result.unwrap();
                if step == 1 {
                    let top = |op: &&ops::Op| op.depth == 0;
                    return ops.iter().filter(top).map(|op| op.name.clone()).collect::<Vec<_>>();
                }
            }
            unreachable!()
        };
        let few = count(10);
        assert_eq!(few, count(1000), "{name}");
        assert!(few.len() <= 11, "{name}: {few:?}");
    }
}

#[test]
fn tchs_own_optimizer_drives_them() {
    use nn::OptimizerConfig;
    let vs = nn::VarStore::new(Device::Cpu);
    let w = vs.root().ones("w", &[1]);
    let mut optimizer = Sgd::default().build(&vs, 0.1).unwrap();
    optimizer.backward_step(&w.sum(Kind::Float));
    optimizer.set_lr(0.5);
    optimizer.backward_step(&w.sum(Kind::Float));
    assert!((w.double_value(&[0]) - 0.4).abs() < 1e-6);
    let refused = Adam::default().beta1(1.5).build(&vs, 0.1).unwrap_err().to_string();
    assert!(refused.contains("Invalid beta parameter at index 0: 1.5"), "{refused}");
}

#[test]
fn a_look_takes_the_same_step_and_finds_every_number_that_is_not_finite() {
    for (name, (theirs, ours)) in pairs() {
        let (plain, looked) = (parameters(Kind::Float), parameters(Kind::Float));
        let (mut stepping, mut looking) = (built(&*ours, &plain), built(&*ours, &looked));
        for step in 0..4 {
            take_steps(&mut stepping, &plain, step..step + 1);
            gradients_of(&mut looking, &looked, step);
            assert_eq!(looking.step_and_look().unwrap(), Some(true), "{name}");
            assert_eq!(plain, looked, "{name}");
        }
        // One number, in a parameter that takes a step, or in one that has no gradient.
        for (i, with_gradient) in [(1, true), (4, false)] {
            gradients_of(&mut looking, &looked, 3);
            if with_gradient {
                let _ = looked[i].grad().view(-1).get(39_999).fill_(f64::NAN);
            } else {
                let _ = tch::no_grad(|| looked[i].view(-1).get(6).fill_(f64::INFINITY));
            }
            assert_eq!(looking.step_and_look().unwrap(), Some(false), "{name} {i}");
            tch::no_grad(|| looked.iter().for_each(|w| drop(w.shallow_clone().fill_(1.0))));
            for slot in [1, 4] {
                looking.set_parameter_state(&looked[slot], None).unwrap();
            }
        }
        let mut other = built(&*theirs, &looked);
        assert_eq!(other.step_and_look().unwrap(), None, "{name}");
    }
}
