//! What the laws are tried on.

use tch::{Device, Kind, Tensor, nn};

use crate::{InnerOptimizer, Result};

/// The shapes of the variables.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shapes {
    /// All of those listed.
    Any,
    /// The same as matrices, with further dimensions of 1.
    Matrices,
}

impl Shapes {
    pub(super) fn of(self, shape: &[i64]) -> Vec<i64> {
        let least = match self {
            Shapes::Any => 0,
            Shapes::Matrices => 2,
        };
        let mut shape = shape.to_vec();
        shape.resize(shape.len().max(least), 1);
        shape
    }
}

/// Variables of several shapes in two groups, and a loss for each step.
pub(super) struct Task {
    pub(super) vs: nn::VarStore,
    pub(super) variables: Vec<Tensor>,
}

/// Shapes with their groups; one is empty, and one is a number. `seldom` has a gradient in every second step, from
/// the second on, and `never` in none.
pub(super) const VARIABLES: [(&str, &[i64], usize); 6] = [
    ("matrix", &[3, 4], 0),
    ("vector", &[5], 0),
    ("number", &[], 1),
    ("empty", &[0, 2], 1),
    ("seldom", &[2], 0),
    ("never", &[3], 1),
];

impl Task {
    pub(super) fn new(shapes: Shapes, kind: Kind, seed: i64) -> Task {
        let vs = nn::VarStore::new(Device::Cpu);
        let variables = VARIABLES.iter().map(|(name, shape, group)| {
            let count: i64 = shape.iter().product();
            let values = (Tensor::arange(count, (Kind::Double, Device::Cpu)) + seed).sin();
            let values = values.reshape(shapes.of(shape)).to_kind(kind);
            // `var_copy` would make it of the store's type.
            vs.root().set_group(*group).add(name, values, true)
        });
        let variables = variables.collect();
        Task { vs, variables }
    }

    /// A backward pass of step `i`.
    pub(super) fn backward(&self, i: i64) {
        for (nth, (variable, (name, ..))) in self.variables.iter().zip(VARIABLES).enumerate() {
            let has_none = name == "never" || name == "seldom" && i % 2 == 0;
            if has_none || !variable.requires_grad() {
                continue;
            }
            let nth = nth as i64;
            let target = (variable.detach() * 0.0 + (i + nth)).cos();
            let loss = ((variable - target).square() * (1 + nth)).sum(variable.kind());
            loss.backward();
        }
    }

    pub(super) fn train(
        &self,
        opt: &mut impl InnerOptimizer,
        steps: std::ops::Range<i64>,
    ) -> Result<()> {
        for i in steps {
            opt.zero_grad()?;
            self.backward(i);
            opt.step()?;
        }
        Ok(())
    }

    /// The first variable whose bits differ from those of `other`.
    pub(super) fn differs_from(&self, other: &Task) -> Option<&'static str> {
        let pairs = self.variables.iter().zip(&other.variables).zip(VARIABLES);
        let mut differing = pairs.filter(|((a, b), _)| bits(a) != bits(b));
        differing.next().map(|(_, (name, ..))| name)
    }
}

pub(super) fn bits(tensor: &Tensor) -> Vec<u8> {
    let tensor = tensor.detach().contiguous();
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.copy_data_u8(&mut bytes, tensor.numel());
    bytes
}

/// The steps of a training: several cycles of each Lookahead.
pub(super) const STEPS: i64 = 9;
