use super::*;
use crate::ops;
use crate::tensor::fingerprints;
use tch::{Device, Kind};

/// A parameter with its gradient and slots.
struct Own {
    weights: Tensor,
    gradient: Tensor,
    slots: Vec<Tensor>,
}

impl Own {
    fn tensors(&self) -> Tensors<'_> {
        Tensors { weights: &self.weights, gradient: &self.gradient, slots: &self.slots }
    }

    fn map(&self, f: impl Fn(&Tensor) -> Tensor) -> Own {
        let Own { weights, gradient, slots } = self;
        Own { weights: f(weights), gradient: f(gradient), slots: slots.iter().map(f).collect() }
    }

    fn written(&self) -> impl Iterator<Item = &Tensor> {
        [&self.weights].into_iter().chain(&self.slots)
    }
}

/// One large enough for several threads, a matrix, a number, and an empty one.
fn parameters(kind: Kind, slots: usize) -> Vec<Own> {
    tch::manual_seed(3);
    let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Double, Device::Cpu)).to_kind(kind);
    let shapes: [&[i64]; 4] = [&[90_001], &[6, 4], &[], &[0, 3]];
    let own = |shape: &&[i64]| Own {
        weights: random(shape),
        gradient: random(shape),
        // Not 0, where rounding decides Lion's sign, and positive as squares are.
        slots: (0..slots).map(|_| random(shape).abs() + 0.5).collect(),
    };
    shapes.iter().map(own).collect()
}

type Step = fn(&[Own], Path) -> Result<()>;
type Spoil = fn(&mut Own);

const LION: LionNumbers =
    LionNumbers { beta1: 0.9, beta2: 0.99, learning_rate: 0.1, keep: 0.95, cautious: false };
const CAUTIOUS_ADAM: CAdamNumbers = CAdamNumbers {
    beta1: 0.9,
    beta2: 0.99,
    rate: 0.1,
    correction2: 0.3,
    eps: 1e-3,
    l2: 0.01,
    keep: 0.95,
};
const NADAM: NAdamNumbers = NAdamNumbers {
    beta1: 0.9,
    beta2: 0.99,
    along_gradient: 0.03,
    along_mean: 0.1,
    correction2: 0.3,
    eps: 1e-3,
    l2: 0.01,
    keep: 0.95,
};
const RADAM: RAdamNumbers = RAdamNumbers {
    beta1: 0.9,
    beta2: 0.99,
    rate: 0.1,
    rectified: true,
    eps: 1e-3,
    l2: 0.01,
    keep: 0.95,
};
const ADAGRAD: AdagradNumbers = AdagradNumbers { rate: 0.1, l2: 0.01, initial: 0.2, eps: 1e-3 };
const ADAN: AdanNumbers = AdanNumbers {
    beta1: 0.98,
    beta2: 0.92,
    beta3: 0.99,
    along_mean: 0.1,
    along_diff: 0.05,
    root3: 0.4,
    eps: 1e-3,
    before: 0.95,
    after: 1.05,
    fresh: false,
};

/// Every rule with its number of slots; every second parameter has other numbers.
const STEPS: [(&str, usize, Step); 7] = [
    ("lion", 1, |all, path| lion(steps(all, [LION, LionNumbers { keep: 1.0, ..LION }]), path)),
    ("cautious lion", 1, |all, path| {
        lion(steps(all, [LionNumbers { cautious: true, ..LION }, LION]), path)
    }),
    ("cautious adam", 2, |all, path| {
        let other = CAdamNumbers { l2: 0.0, keep: 1.0, ..CAUTIOUS_ADAM };
        cautious_adam(steps(all, [CAUTIOUS_ADAM, other]), path)
    }),
    ("nadam", 2, |all, path| {
        nadam(steps(all, [NADAM, NAdamNumbers { l2: 0.0, keep: 1.0, ..NADAM }]), path)
    }),
    ("radam", 2, |all, path| {
        radam(steps(all, [RADAM, RAdamNumbers { rectified: false, l2: 0.0, ..RADAM }]), path)
    }),
    ("adagrad", 1, |all, path| {
        adagrad(steps(all, [ADAGRAD, AdagradNumbers { l2: 0.0, initial: 0.0, ..ADAGRAD }]), path)
    }),
    ("adan", 4, |all, path| adan(steps(all, [ADAN, AdanNumbers { fresh: true, ..ADAN }]), path)),
];

fn steps<N: Copy>(all: &[Own], numbers: [N; 2]) -> impl Iterator<Item = (Tensors<'_>, N)> {
    all.iter().enumerate().map(move |(i, own)| (own.tensors(), numbers[i % 2]))
}

fn assert_close(name: &str, some: &[Own], others: &[Own], tolerance: f64) {
    for (i, (a, b)) in some.iter().zip(others).enumerate() {
        for (slot, (a, b)) in a.written().zip(b.written()).enumerate() {
            let apart = (a.to_kind(Kind::Double) - b.to_kind(Kind::Double)).abs();
            let apart = if apart.numel() == 0 { 0.0 } else { apart.max().double_value(&[]) };
            assert!(apart <= tolerance, "{name}: parameter {i}, tensor {slot}: {apart:e} apart");
        }
    }
}

#[test]
fn the_pass_steps_as_foreach_operations() {
    let tolerances =
        [(Kind::Double, 1e-14), (Kind::Float, 2e-6), (Kind::Half, 2e-2), (Kind::BFloat16, 2e-1)];
    for (name, slots, step) in STEPS {
        for (kind, tolerance) in tolerances {
            let (one, other) = (parameters(kind, slots), parameters(kind, slots));
            let before = one[0].weights.copy();
            step(&one, Path::Auto).unwrap();
            step(&other, Path::Foreach).unwrap();
            assert_close(name, &one, &other, tolerance);
            assert_ne!(one[0].weights, before);
        }
    }
}

/// Half precision is computed in single precision and rounded once.
#[test]
fn half_precision_is_rounded_once() {
    for (name, slots, step) in STEPS {
        for kind in [Kind::Half, Kind::BFloat16] {
            let narrow = parameters(kind, slots);
            let wide: Vec<Own> =
                narrow.iter().map(|own| own.map(|t| t.to_kind(Kind::Float))).collect();
            step(&narrow, Path::Auto).unwrap();
            step(&wide, Path::Auto).unwrap();
            let rounded: Vec<Own> = wide.iter().map(|own| own.map(|t| t.to_kind(kind))).collect();
            assert_close(name, &narrow, &rounded, 0.0);
        }
    }
}

/// A transposed parameter, one with gaps, and gradients and slots in another order or type than their parameter.
#[test]
fn other_layouts_step_alike() {
    for (name, slots, step) in STEPS {
        let plain = || vec![parameters(Kind::Double, slots).swap_remove(1)];
        let expected = plain();
        step(&expected, Path::Auto).unwrap();
        let transposed = |t: &Tensor| t.transpose(0, 1).contiguous().transpose(0, 1);
        let gaps = |t: &Tensor| Tensor::stack(&[t, t], 2).select(2, 0);
        let all_transposed = vec![plain()[0].map(transposed)];
        let all_with_gaps = vec![plain()[0].map(gaps)];
        let mut other_gradient = plain();
        other_gradient[0].gradient = transposed(&other_gradient[0].gradient);
        let mut other_slots = plain();
        other_slots[0].slots.iter_mut().for_each(|slot| *slot = transposed(slot));
        for own in [all_transposed, all_with_gaps, other_gradient, other_slots] {
            let strides: Vec<_> = own[0].written().map(Tensor::stride).collect();
            step(&own, Path::Auto).unwrap();
            assert_close(name, &own, &expected, 0.0);
            assert_eq!(strides, own[0].written().map(Tensor::stride).collect::<Vec<_>>());
        }
    }
}

/// Without it autograd would run an older graph on the new values.
#[test]
fn version_counters_move() {
    for (name, slots, step) in STEPS {
        for path in [Path::Auto, Path::Foreach] {
            let own = parameters(Kind::Float, slots);
            let versions = || {
                let written = own.iter().flat_map(Own::written);
                fingerprints(written).unwrap().iter().map(|print| print.version).collect::<Vec<_>>()
            };
            let before = versions();
            step(&own, path).unwrap();
            for (i, (before, after)) in before.iter().zip(versions()).enumerate() {
                assert!(after > *before, "{name}, {path:?}: tensor {i}");
            }
        }
    }
}

/// What a GPU would do: no value is read back, and the number of operations does not grow with that of the parameters.
#[test]
fn on_a_device_the_operations_are_few() {
    for (name, slots, step) in STEPS {
        let meta = |count: usize| {
            let all = (0..count).flat_map(|_| parameters(Kind::Float, slots));
            all.map(|own| own.map(|t| ops::to_meta(t).unwrap())).collect::<Vec<_>>()
        };
        let count = |own: &[Own]| {
            let (stepped, recorded) = ops::record(|| step(own, Path::Auto));
            stepped.unwrap();
            let outer: Vec<_> = recorded.into_iter().filter(|op| op.depth == 0).collect();
            assert!(outer.iter().all(|op| op.name.contains("_foreach_")), "{name}: {outer:?}");
            outer.len()
        };
        let few = count(&meta(1));
        assert_eq!(few, count(&meta(9)), "{name}");
        assert!((6..=40).contains(&few), "{name}: {few} operations");
    }
}

#[test]
fn tensors_that_do_not_fit_are_refused_before_any_step() {
    for (name, slots, step) in STEPS {
        let shape = |own: &mut Own| own.gradient = Tensor::zeros([7], (Kind::Float, Device::Cpu));
        let kind = |own: &mut Own| own.slots[0] = own.slots[0].to_kind(Kind::Double);
        let misfits: [(Spoil, &str); 2] = [(shape, "shape"), (kind, "type")];
        for (spoil, word) in misfits {
            let mut own = parameters(Kind::Float, slots);
            spoil(&mut own[2]);
            let before = own[0].weights.copy();
            let refused = step(&own, Path::Auto).unwrap_err().to_string();
            assert!(refused.contains(word), "{name}: {refused}");
            assert_eq!(own[0].weights, before);
        }
        let whole: Vec<Own> = parameters(Kind::Float, slots)
            .iter()
            .map(|own| own.map(|t| t.to_kind(Kind::Int)))
            .collect();
        assert!(step(&whole, Path::Auto).is_err(), "{name}");
    }
}
