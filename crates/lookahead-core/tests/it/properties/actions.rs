//! What a program does besides steps and syncs.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::check::through_a_file;
use super::program::{MOST_VARIABLES, Settings, Spec, Which};
use super::reference::{Variable, numbers};
use super::run::{Checked, Run, add, build, fit, ok};
use crate::common::bits;
use lookahead_core::{Error, MomentumPolicy, Schedule};
use proptest::prelude::*;
use tch::{Device, nn, no_grad};

impl Run {
    pub(super) fn evaluate(&mut self, panics: bool) -> Checked {
        let variables = &self.variables;
        let look = || variables.iter().map(|v| v.weights.detach().copy()).collect::<Vec<_>>();
        let seen = if panics {
            let mut seen = Vec::new();
            let thrown = catch_unwind(AssertUnwindSafe(|| {
                self.opt.with_slow_weights(|| {
                    seen = look();
                    resume_unwind(Box::new("evaluation"))
                })
            }));
            prop_assert!(thrown.is_err(), "the panic was swallowed");
            seen
        } else {
            ok(self.opt.with_slow_weights(look))?
        };
        self.leaked = false;
        for (variable, seen) in self.variables.iter().zip(&seen) {
            let slow = bits(&variable.slow_as_fast());
            prop_assert!(bits(seen) == slow, "evaluated at another φ of {}", variable.name);
        }
        Ok(())
    }

    /// If θ and φ have one type, this writes to φ itself, and every call fails until that is fixed; otherwise to a
    /// copy, which is dropped.
    pub(super) fn write_in_evaluation(&mut self, which: &Which, seed: u64) -> Checked {
        let variable = &self.variables[self.which(which)];
        let values = variable.spec.values(seed);
        let (mut weights, name) = (variable.weights.shallow_clone(), variable.name.clone());
        let outcome = self.opt.with_slow_weights(|| no_grad(|| weights.copy_(&values)));
        self.leaked = false;
        if variable.left_alone {
            ok(outcome.map(drop))?;
            ok(self.opt.state())?;
            let i = self.which(which);
            self.variables[i].fast = values;
            self.variables[i].follow();
            return Ok(());
        }
        if variable.spec.kind != variable.slow_kind() {
            let replaced =
                matches!(&outcome, Err(Error::ReplacedInEvaluation { name: of }) if *of == name);
            prop_assert!(replaced, "{:?}", outcome);
            return Ok(());
        }
        for outcome in [outcome.map(drop), self.opt.step().map(drop), self.opt.roll_back()] {
            let changed =
                matches!(&outcome, Err(Error::SlowWeightsChanged { name: of }) if *of == name);
            prop_assert!(changed, "{:?}", outcome);
        }
        self.reset_where(false)
    }

    /// Through files into fresh objects, which replace these. They are built with other settings and, if the weights
    /// come second, other weights: all of it must come from the files.
    pub(super) fn save_and_load(&mut self, weights_first: bool) -> Checked {
        let mut state = ok(self.opt.state())?;
        self.leaked = false;
        state.tensors = through_a_file(&state.tensors);
        let weights = self
            .variables
            .iter()
            .map(|variable| (variable.name.clone(), variable.weights.detach().contiguous()));
        let weights = through_a_file(&weights.collect());

        let vs = nn::VarStore::new(Device::Cpu);
        let fresh: Vec<Variable> = self
            .variables
            .iter()
            .enumerate()
            .map(|(i, old)| add(&vs, i, &Spec { seed: !old.spec.seed, ..old.spec.clone() }))
            .collect();
        let load_weights = || {
            for (variable, old) in fresh.iter().zip(&self.variables) {
                no_grad(|| variable.weights.shallow_clone().copy_(&weights[&old.name]));
                let _ = variable.weights.set_requires_grad(!old.frozen);
            }
        };
        let settings = Settings {
            first_k: self.k + 1,
            k_schedule: Schedule::Constant,
            alpha: 0.123,
            // All that the state has: the optimizer refuses a state without one of its groups.
            alphas: self.settings.alphas.keys().map(|group| (*group, 0.321)).collect(),
            alpha_schedule: Schedule::Step { factor: 0.5, every: 1 },
        };
        if weights_first {
            load_weights();
        }
        let mut opt = ok(build(&self.config, &settings, &vs))?;
        if !weights_first {
            load_weights();
        }
        ok(opt.load_state(&state))?;
        self.dropped = 0;
        for (old, fresh) in self.variables.iter_mut().zip(fresh) {
            old.weights = fresh.weights;
        }
        (self.vs, self.opt) = (vs, opt);
        self.check_state()
    }

    pub(super) fn set_frozen(&mut self, which: &Which, frozen: bool) -> Checked {
        let i = self.which(which);
        let _ = self.variables[i].weights.set_requires_grad(!frozen);
        self.variables[i].frozen = frozen;
        ok(self.opt.state())?;
        self.leaked = false;
        self.notice_frozen();
        self.check_state()
    }

    /// φ is its value at the optimizer's next call.
    pub(super) fn add_variable(&mut self, spec: &Spec, written_again: Option<u64>) -> Checked {
        if self.variables.len() < MOST_VARIABLES {
            let mut spec = spec.clone();
            fit(&mut spec, self.config.mover);
            let i = self.variables.len();
            let all_frozen = self.variables.iter().all(|variable| variable.frozen);
            self.variables.push(add(&self.vs, i, &spec));
            if let Some(seed) = written_again {
                let variable = &mut self.variables[i];
                let values = variable.spec.values(seed);
                no_grad(|| variable.weights.copy_(&values));
                variable.start_from(&values);
            }
            if all_frozen {
                ok(self.opt.state())?;
                self.leaked = false;
                self.notice_frozen();
            }
        }
        Ok(())
    }

    pub(super) fn set_alpha_of_group(&mut self, group: usize, alpha: f64) -> Checked {
        if group == 3 {
            let refused = self.opt.set_alpha_of_group(group, alpha);
            prop_assert!(matches!(refused, Err(Error::Group { group: 3, .. })), "{:?}", refused);
        }
        // Only groups of the first variables: a later one may not have joined yet.
        if self.config.variables.iter().any(|spec| spec.group >= group) {
            self.settings.alphas.insert(group, alpha);
            ok(self.opt.set_alpha_of_group(group, alpha))?;
        }
        Ok(())
    }

    pub(super) fn set_k(&mut self, k: u64) -> Checked {
        (self.settings.first_k, self.settings.k_schedule) = (k, Schedule::Constant);
        if self.phase == 0 {
            self.k = k;
        }
        ok(self.opt.set_k(k))?;
        prop_assert_eq!(self.opt.pending_k(), (k != self.k).then_some(k));
        Ok(())
    }

    pub(super) fn write(&mut self, which: &Which, seed: u64) -> usize {
        let i = self.which(which);
        let variable = &mut self.variables[i];
        let values = variable.spec.values(seed);
        no_grad(|| variable.weights.copy_(&values));
        variable.fast = values;
        i
    }

    /// φ ← θ.
    pub(super) fn reset(&mut self) -> Checked {
        self.reset_where(true)
    }

    /// Never refused if φ was corrupted, because there is no alternative.
    pub(super) fn reset_where(&mut self, phi_is_intact: bool) -> Checked {
        let dropped = self.dropped + self.phase;
        if phi_is_intact && self.phase > 0 && dropped > 2 * self.k {
            let refused = self.opt.reset_slow_weights();
            self.leaked = false;
            let named =
                matches!(refused, Err(Error::NeverSynced { steps, .. }) if steps == dropped);
            prop_assert!(named, "{:?}", refused);
            self.refused_resets += 1;
            // As the error recommends.
            ok(self.opt.accept_fast_weights())?;
            for variable in self.variables.iter_mut().filter(|variable| variable.left_alone) {
                variable.follow();
            }
            self.finish()?;
        }
        self.dropped += self.phase;
        ok(self.opt.reset_slow_weights())?;
        let pulled = self.config.policy == MomentumPolicy::Pullback;
        for variable in &mut self.variables {
            variable.start_from(&variable.fast.copy());
            variable.slow_moments.clear();
            if pulled {
                let moments = variable.moments.iter();
                variable.slow_moments = moments.map(|(name, m)| (*name, numbers(m))).collect();
            }
        }
        self.restarted()
    }

    /// Every next call is refused and changes nothing, until φ restarts.
    pub(super) fn write_from_outside(&mut self, which: &Which, seed: u64, verb: u8) -> Checked {
        self.heal()?;
        // A new variable joins with its values at the next call.
        ok(self.opt.state())?;
        let i = self.write(which, seed);
        if self.variables[i].left_alone {
            self.variables[i].follow();
            return self.check_state();
        }
        let opt = &mut self.opt;
        let refused = match verb % 7 {
            0 => opt.step().map(drop),
            1 => opt.inner_step().map(drop),
            2 => opt.with_slow_weights(|| ()),
            3 => opt.state().map(drop),
            4 => opt.finish().map(drop),
            5 => opt.discard_cycle(),
            _ if self.phase == self.k => opt.sync_if_due().map(drop),
            _ => opt.step().map(drop),
        };
        let name = &self.variables[i].name;
        let named = matches!(&refused, Err(Error::FastWeightsChanged { name: of }) if of == name);
        prop_assert!(named, "{:?} for {}", refused, name);
        self.check()?;
        self.reset()
    }

    pub(super) fn roll_back(&mut self) -> Checked {
        ok(self.opt.roll_back())?;
        self.back_to_slow_weights()
    }
}
