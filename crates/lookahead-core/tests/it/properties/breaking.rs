//! Everything that decides the next steps, and broken states.

use std::collections::BTreeMap;

use super::movers::{FusedConfig, LEARNING_RATE};
use super::program::{Config, Forget, Mover, Op, inner};
use super::reference::Variable;
use super::run::{Checked, Run, add, backward, ok};
use crate::common::{AnyConfig, bits};
use lookahead_core::State;
use proptest::prelude::*;
use proptest::sample::Index;
use tch::nn::{self, OptimizerConfig};
use tch::{Device, Kind, Tensor};

/// Everything that decides the next steps, to the bit.
#[derive(Debug, PartialEq)]
pub(super) struct Everything {
    pub(super) tensors: BTreeMap<String, Vec<u8>>,
    pub(super) integers: BTreeMap<String, i64>,
    pub(super) numbers: BTreeMap<String, f64>,
}

impl Everything {
    pub(super) fn of(run: &mut Run) -> Checked<Everything> {
        let State { tensors, integers, numbers } = ok(run.opt.state())?;
        let mut tensors: BTreeMap<String, Vec<u8>> =
            tensors.iter().map(|(name, tensor)| (name.clone(), bits(tensor))).collect();
        for variable in &run.variables {
            tensors.insert(variable.name.clone(), bits(&variable.weights));
        }
        Ok(Everything { tensors, integers, numbers })
    }
}

/// How a state may be broken.
#[derive(Debug, Clone)]
pub(super) enum Break {
    Remove(Index),
    AddTensor(&'static str),
    AddInteger(&'static str),
    AddNumber(&'static str),
    /// A dimension more or less, one element more, or only one element: broadcasting would accept some.
    Reshape(Index, u8),
    Recast(Index),
    Negate(Index),
    Nan(Index),
}

pub(super) const NAMES: [&str; 16] = [
    "unknown",
    "slow",
    "slow/unknown",
    "velocity/unknown",
    "velocity/layer0.weight",
    "slow_moment/unknown",
    "slow_moment/momentum_buffer/unknown",
    "phase/unknown",
    "alpha/unknown",
    "alpha/7",
    "alpha_schedule/unknown",
    "k_schedule/unknown",
    "inner/unknown",
    "inner/sgd/momentum_buffer/unknown",
    "inner/adam/exp_avg/unknown",
    "inner/slow/unknown",
];

pub(super) fn break_of_a_state() -> impl Strategy<Value = Break> {
    let name = || proptest::sample::select(&NAMES[..]);
    let which = any::<Index>;
    prop_oneof![
        3 => which().prop_map(Break::Remove),
        1 => name().prop_map(Break::AddTensor),
        1 => name().prop_map(Break::AddInteger),
        1 => name().prop_map(Break::AddNumber),
        2 => (which(), any::<u8>()).prop_map(|(which, how)| Break::Reshape(which, how)),
        1 => which().prop_map(Break::Recast),
        1 => which().prop_map(Break::Negate),
        1 => which().prop_map(Break::Nan),
    ]
}

/// Entries that a state may lack, because earlier versions had none or there was nothing to keep yet.
pub(super) fn may_be_missing(key: &str) -> bool {
    let key = key.trim_start_matches("inner/");
    ["steps", "non_finite", "alpha_used"].contains(&key)
        || key.starts_with("alpha/")
        // Earlier versions had no count.
        || key.ends_with("/tensors")
        || (key.contains("/momentum_buffer/") && !key.starts_with("slow_moment/"))
}

impl Break {
    /// Breaks it; `None` if it has no such entry.
    pub(super) fn apply(&self, state: &mut State) -> Option<()> {
        fn key<T>(of: &BTreeMap<String, T>, which: &Index) -> Option<String> {
            (!of.is_empty()).then(|| of.keys().nth(which.index(of.len())).unwrap().clone())
        }
        fn add<T>(to: &mut BTreeMap<String, T>, name: &str, value: T) -> Option<()> {
            to.insert(name.to_owned(), value).is_none().then_some(())
        }
        match self {
            Break::Remove(which) => {
                let State { tensors, integers, numbers } = state;
                let all = tensors.keys().chain(integers.keys()).chain(numbers.keys());
                let all: Vec<String> = all.filter(|key| !may_be_missing(key)).cloned().collect();
                let key = &all[which.index(all.len())];
                tensors.remove(key);
                integers.remove(key);
                numbers.remove(key);
            }
            Break::AddTensor(name) => add(&mut state.tensors, name, Tensor::from(1.0))?,
            Break::AddInteger(name) => add(&mut state.integers, name, 1)?,
            Break::AddNumber(name) => add(&mut state.numbers, name, 0.5)?,
            Break::Reshape(which, how) => {
                let tensor = state.tensors.get_mut(&key(&state.tensors, which)?)?;
                let options = (tensor.kind(), tensor.device());
                *tensor = match how % 4 {
                    1 => Tensor::zeros([tensor.numel() as i64 + 1], options),
                    2 if tensor.size() != [1] => Tensor::zeros([1], options),
                    3 if tensor.size().contains(&1) => tensor.squeeze(),
                    _ => tensor.unsqueeze(0),
                };
            }
            Break::Recast(which) => {
                let tensor = state.tensors.get_mut(&key(&state.tensors, which)?)?;
                let other = if tensor.kind() == Kind::Float { Kind::Double } else { Kind::Float };
                *tensor = tensor.to_kind(other);
            }
            Break::Negate(which) => {
                state.integers.insert(key(&state.integers, which)?, -1);
            }
            Break::Nan(which) => {
                state.numbers.insert(key(&state.numbers, which)?, f64::NAN);
            }
        }
        Some(())
    }
}

/// Tch's own optimizers and the fused ones.
pub(super) fn of_tch() -> impl Strategy<Value = Mover> {
    prop_oneof![inner().prop_map(Mover::Tch), inner().prop_map(Mover::Fused)]
}

pub(super) fn any_but_own() -> impl Strategy<Value = Mover> {
    prop_oneof![4 => of_tch(), 1 => Just(Mover::Nested)]
}

pub(super) fn any_mover() -> impl Strategy<Value = Mover> {
    prop_oneof![1 => Just(Mover::Own), 5 => any_but_own()]
}

/// A tch optimizer without Lookahead.
pub(super) struct Bare {
    pub(super) vs: nn::VarStore,
    pub(super) variables: Vec<Variable>,
    pub(super) optimizer: nn::Optimizer,
}

impl Bare {
    pub(super) fn new(config: &Config) -> Bare {
        let vs = nn::VarStore::new(Device::Cpu);
        let specs = config.variables.iter().enumerate();
        let variables = specs.map(|(i, spec)| add(&vs, i, spec)).collect();
        let optimizer = match config.mover {
            Mover::Tch(inner) => AnyConfig(inner).build(&vs, LEARNING_RATE),
            Mover::Fused(inner) => FusedConfig(inner).build(&vs, LEARNING_RATE),
            other => panic!("{other:?} is not one of tch's"),
        };
        Bare { vs, variables, optimizer: optimizer.unwrap() }
    }

    /// Does what `run` has just done, except for slow weights.
    pub(super) fn take(&mut self, op: &Op, run: &Run) {
        match op {
            Op::Step(gradients) if gradients.forget == Forget::Stale => self.optimizer.step(),
            Op::Step(gradients) => {
                self.optimizer.zero_grad();
                backward(&self.variables, gradients);
                self.optimizer.step();
            }
            Op::AddVariable { .. } => {
                for i in self.variables.len()..run.variables.len() {
                    self.variables.push(add(&self.vs, i, &run.variables[i].spec));
                }
            }
            Op::Freeze(which) | Op::Thaw(which) => {
                let variable = &mut self.variables[run.which(which)];
                variable.frozen = matches!(op, Op::Freeze(_));
                let _ = variable.weights.set_requires_grad(!variable.frozen);
            }
            _ => {}
        }
    }
}
