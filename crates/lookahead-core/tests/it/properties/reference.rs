//! The definition, in f64.

use std::collections::BTreeMap;

use super::program::{Settings, Spec};
use lookahead_core::Schedule;
use tch::{Kind, Tensor};

/// A value and a bound on its rounding error.
pub(super) type Bounded = (f64, f64);

/// u, half the distance from 1 to the next number of an element type, and its smallest positive number.
pub(super) fn precision(kind: Kind) -> (f64, f64) {
    match kind {
        Kind::Double => (f64::EPSILON / 2.0, f64::from_bits(1)),
        Kind::Float => (f64::from(f32::EPSILON) / 2.0, f64::from(f32::from_bits(1))),
        other => panic!("no slow weights are {other:?}"),
    }
}

/// φ + α (θ − φ). α and each operation are rounded once, by at most u. In both forms of `lerp` that is at most four
/// times u |θ − φ| besides the last rounding of φ itself; twice that, because the reference rounds too if φ is f64.
pub(super) fn interpolated(slow: f64, fast: f64, alpha: f64, kind: Kind) -> Bounded {
    let (u, least) = precision(kind);
    let next = slow + alpha * (fast - slow);
    (next, 2.0 * u * (next.abs() + 4.0 * (fast - slow).abs()) + 4.0 * least)
}

/// v and φ with outer momentum. v is rounded once for μ, μ v, d and their sum; φ for those, for α,
/// in Nesterov's form for μ v and d + μ v, for the product and for itself. Twice that, as above.
pub(super) fn with_momentum(
    (slow, velocity): (f64, f64),
    fast: f64,
    alpha: f64,
    (momentum, nesterov): (f64, bool),
    kind: Kind,
) -> (Bounded, Bounded) {
    let (u, least) = precision(kind);
    let d = slow - fast;
    let v = momentum * velocity + d;
    let along = if nesterov { d + momentum * v } else { v };
    let next = slow - alpha * along;
    let of_v = 2.0 * (momentum * velocity).abs() + d.abs() + v.abs();
    let of_next = next.abs() + alpha * (of_v + d.abs() + 2.0 * v.abs() + 3.0 * along.abs());
    let bound = |of: f64| 2.0 * u * of + 8.0 * least;
    ((v, bound(of_v)), (next, bound(of_next)))
}

pub(super) fn scheduled(schedule: Schedule, from: f64, step: u64) -> f64 {
    match schedule {
        Schedule::Constant => from,
        Schedule::Linear { to, steps }
        | Schedule::Cosine { to, steps }
        | Schedule::Power { to, steps, .. }
            if step >= steps =>
        {
            to
        }
        Schedule::Linear { to, steps } => from + (to - from) * step as f64 / steps as f64,
        Schedule::Cosine { to, steps } => {
            let angle = std::f64::consts::PI * step as f64 / steps as f64;
            (from + to) / 2.0 + (from - to) / 2.0 * angle.cos()
        }
        Schedule::Step { factor, every } => from * factor.powi((step / every) as i32),
        Schedule::Power { to, power, steps } => {
            from + (to - from) * (step as f64 / steps as f64).powf(power)
        }
        other => panic!("a new schedule: {other:?}"),
    }
}

impl Settings {
    pub(super) fn k(&self, steps: u64) -> u64 {
        (scheduled(self.k_schedule, self.first_k as f64, steps).round() as u64).max(1)
    }

    pub(super) fn alpha(&self, group: usize, steps: u64) -> f64 {
        let first = self.alphas.get(&group).copied().unwrap_or(self.alpha);
        scheduled(self.alpha_schedule, first, steps)
    }
}

/// A variable, and what the reference knows of it.
pub(super) struct Variable {
    pub(super) spec: Spec,
    pub(super) name: String,
    /// The model's own.
    pub(super) weights: Tensor,
    /// In the model.
    pub(super) frozen: bool,
    /// Frozen for the optimizer: no sync moves it, and other code may write to it.
    pub(super) left_alone: bool,
    /// θ.
    pub(super) fast: Tensor,
    /// φ.
    pub(super) slow: Vec<f64>,
    /// v.
    pub(super) velocity: Vec<f64>,
    pub(super) moments: BTreeMap<&'static str, Tensor>,
    pub(super) slow_moments: BTreeMap<&'static str, Vec<f64>>,
}

impl Variable {
    pub(super) fn slow_kind(&self) -> Kind {
        if self.spec.kind == Kind::Double { Kind::Double } else { Kind::Float }
    }

    /// φ in θ's type.
    pub(super) fn slow_as_fast(&self) -> Tensor {
        as_tensor(&self.slow, self.slow_kind(), &self.fast)
    }

    /// φ ← θ.
    pub(super) fn follow(&mut self) {
        self.slow = numbers(&self.fast);
    }

    /// θ ← `weights`, φ ← `weights`.
    pub(super) fn start_from(&mut self, weights: &Tensor) {
        self.fast = weights.detach().contiguous().copy();
        self.slow = numbers(weights);
        self.velocity = vec![0.0; self.slow.len()];
    }
}

pub(super) fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.detach().to_kind(Kind::Double).contiguous().view([-1])).unwrap()
}

/// Numbers of type `kind` in the type and shape of `like`.
pub(super) fn as_tensor(numbers: &[f64], kind: Kind, like: &Tensor) -> Tensor {
    Tensor::from_slice(numbers).to_kind(kind).to_kind(like.kind()).reshape(like.size())
}

/// Equal to the bit: −0 is not 0.
pub(super) fn same(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}
