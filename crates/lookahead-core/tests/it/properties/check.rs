//! The optimizer compared with the reference.

use std::collections::{BTreeMap, BTreeSet};

use super::program::Mover;
use super::reference::{Bounded, as_tensor, interpolated, numbers, same, with_momentum};
use super::run::{Checked, Run, ok};
use crate::common::bits;
use lookahead_core::{MomentumPolicy, State};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use tch::{Kind, Tensor};

impl Run {
    /// Compares the result of a sync with the definition, and adopts it.
    pub(super) fn check_sync(&mut self) -> Checked {
        let state = ok(self.opt.state())?;
        let (policy, outer) = (self.config.policy, self.config.outer);
        let alphas = self.alphas()?;
        for i in 0..self.variables.len() {
            let variable = &mut self.variables[i];
            if variable.left_alone {
                continue; // `check_that` finds it unchanged
            }
            let alpha = alphas[variable.spec.group];
            let name = variable.name.clone();
            let kind = variable.slow_kind();
            let slow = found(&state, &format!("slow/{name}"))?;
            let fast = numbers(&variable.fast);
            if outer.0 > 0.0 {
                let velocity = found(&state, &format!("velocity/{name}"))?;
                let pairs = variable.slow.iter().zip(&variable.velocity).zip(&fast);
                let (velocities, slows): (Vec<_>, Vec<_>) = pairs
                    .map(|((slow, v), fast)| with_momentum((*slow, *v), *fast, alpha, outer, kind))
                    .unzip();
                within(&velocity, &velocities, &format!("v of {name}"))?;
                within(&slow, &slows, &format!("φ of {name}"))?;
                variable.velocity = velocity;
            } else {
                follows(&variable.slow, &fast, &slow, alpha, kind, &format!("φ of {name}"))?;
            }
            variable.slow = slow;
            // At α = 1 θ is not written.
            if alpha < 1.0 || outer.0 > 0.0 {
                variable.fast = variable.slow_as_fast();
            }

            match policy {
                MomentumPolicy::Maintain => {}
                MomentumPolicy::Reset => variable.moments.clear(),
                MomentumPolicy::Pullback => {
                    for (moment, fast) in &mut variable.moments {
                        let what = format!("{moment} of {name}");
                        let slow = found(&state, &format!("slow_moment/{moment}/{name}"))?;
                        let zeros = || vec![0.0; slow.len()];
                        let before = variable.slow_moments.entry(moment).or_insert_with(zeros);
                        follows(before, &numbers(fast), &slow, alpha, kind, &what)?;
                        if alpha < 1.0 {
                            *fast = as_tensor(&slow, kind, fast);
                        }
                        *before = slow;
                    }
                }
                other => panic!("{other:?} has no reference"),
            }
        }
        self.alpha_used = Some(alphas[0]);
        (self.syncs, self.dropped) = (self.syncs + 1, 0);
        self.begin_cycle();
        self.check_that(&state)?;
        let mut trained = self.variables.iter().filter(|variable| !variable.left_alone);
        if outer.0 > 0.0 || trained.any(|variable| alphas[variable.spec.group] < 1.0) {
            self.check_restart(&state)?;
        }
        Ok(())
    }

    /// What can be checked without a call that restores anything.
    pub(super) fn check(&self) -> Checked {
        let opt = &self.opt;
        prop_assert_eq!(opt.phase(), self.phase, "phase");
        prop_assert_eq!(opt.steps(), self.steps, "steps");
        prop_assert_eq!(opt.syncs(), self.syncs, "syncs");
        prop_assert_eq!(opt.k(), self.k, "k");
        prop_assert_eq!(opt.sync_is_due(), self.is_due(), "whether a sync is due");
        prop_assert_eq!(opt.alpha_used(), self.alpha_used, "α of the last sync");
        self.alphas()?;
        for variable in &self.variables {
            let weights = bits(&variable.weights);
            let (expected, what) = if self.leaked {
                (bits(&variable.slow_as_fast()), "φ")
            } else {
                (bits(&variable.fast), "θ")
            };
            prop_assert!(weights == expected, "the model is not at {} in {}", what, variable.name);
        }
        Ok(())
    }

    /// θ was set, and a cycle begins.
    pub(super) fn restarted(&mut self) -> Checked {
        self.begin_cycle();
        let state = ok(self.opt.state())?;
        self.check_that(&state)?;
        self.check_restart(&state)
    }

    /// An inner level restarts from θ too.
    pub(super) fn check_restart(&self, state: &State) -> Checked {
        if self.config.mover == Mover::Nested {
            prop_assert_eq!(state.integers["inner/phase"], 0, "the inner level's phase");
            for variable in &self.variables {
                let slow = found(state, &format!("inner/slow/{}", variable.name))?;
                let same = same(&slow, &numbers(&variable.fast));
                prop_assert!(same, "the inner level's φ of {} is not θ", variable.name);
            }
        }
        Ok(())
    }

    pub(super) fn check_state(&mut self) -> Checked {
        let state = ok(self.opt.state())?;
        self.check_that(&state)
    }

    /// The state and the moments equal the reference's, to the bit.
    pub(super) fn check_that(&mut self, state: &State) -> Checked {
        self.check()?;
        let mut expected = BTreeSet::new();
        for i in 0..self.variables.len() {
            let moments = self.moments(i)?;
            if self.config.policy == MomentumPolicy::Pullback {
                // A state has m̄ of every moment, 0 before the first sync.
                for (name, moment) in &moments {
                    let zeros = || vec![0.0; moment.numel()];
                    self.variables[i].slow_moments.entry(name).or_insert_with(zeros);
                }
            }
            let variable = &self.variables[i];
            let kind = variable.slow_kind();
            let mut compare = |key: String, numbers: &[f64]| -> Checked {
                let tensor = state.tensors.get(&key);
                let tensor = tensor.ok_or_else(|| TestCaseError::fail(format!("no {key}")))?;
                prop_assert_eq!(tensor.kind(), kind, "{}", key);
                prop_assert_eq!(tensor.size(), variable.weights.size(), "{}", key);
                prop_assert!(same(&found(state, &key)?, numbers), "{} differs", key);
                expected.insert(key);
                Ok(())
            };
            compare(format!("slow/{}", variable.name), &variable.slow)?;
            if self.config.outer.0 > 0.0 {
                compare(format!("velocity/{}", variable.name), &variable.velocity)?;
            }
            for (moment, slow) in &variable.slow_moments {
                compare(format!("slow_moment/{moment}/{}", variable.name), slow)?;
            }
            let all_bits = |moments: &BTreeMap<&'static str, Tensor>| -> Vec<_> {
                moments.iter().map(|(name, moment)| (*name, bits(moment))).collect()
            };
            let same = all_bits(&moments) == all_bits(&variable.moments);
            prop_assert!(same, "the moments of {} differ", variable.name);
        }
        let outside = |key: &&String| !key.starts_with("inner/");
        let found: BTreeSet<String> = state.tensors.keys().filter(outside).cloned().collect();
        prop_assert_eq!(found, expected, "what the state holds");
        Ok(())
    }
}

pub(super) fn found(state: &State, key: &str) -> Checked<Vec<f64>> {
    let tensor = state.tensors.get(key);
    tensor.map(numbers).ok_or_else(|| TestCaseError::fail(format!("the state has no {key}")))
}

/// `found` is `slow` after a sync towards `fast`: at α = 1 a copy.
pub(super) fn follows(
    slow: &[f64],
    fast: &[f64],
    found: &[f64],
    alpha: f64,
    kind: Kind,
    what: &str,
) -> Checked {
    if alpha == 1.0 {
        prop_assert!(same(found, fast), "{} is not a copy: {:?} of {:?}", what, found, fast);
        return Ok(());
    }
    let pairs = slow.iter().zip(fast);
    let expected: Vec<Bounded> =
        pairs.map(|(slow, fast)| interpolated(*slow, *fast, alpha, kind)).collect();
    within(found, &expected, what)
}

pub(super) fn within(found: &[f64], expected: &[Bounded], what: &str) -> Checked {
    prop_assert_eq!(found.len(), expected.len(), "{}", what);
    for (i, (found, (expected, bound))) in found.iter().zip(expected).enumerate() {
        let near = (found - expected).abs() <= *bound;
        prop_assert!(near, "{}: element {} is {}, not {} ± {}", what, i, found, expected, bound);
    }
    Ok(())
}

pub(super) fn through_a_file(tensors: &BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tensors.safetensors");
    let all: Vec<(&str, &Tensor)> = tensors.iter().map(|(name, t)| (name.as_str(), t)).collect();
    Tensor::write_safetensors(&all, &file).unwrap();
    Tensor::read_safetensors(&file).unwrap().into_iter().collect()
}
