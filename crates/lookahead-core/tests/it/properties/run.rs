//! A program, while it runs: on the optimizer and on the reference.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::movers::own_step;
use super::program::{Config, Forget, Gradients, MOST_VARIABLES, Mover, Op, Settings, Spec, Which};
use super::reference::{Bounded, Variable, as_tensor, interpolated, numbers, same, with_momentum};
use crate::common::bits;
use lookahead_core::{
    Error, InnerOptimizer, Lookahead, MomentumPolicy, Parameter, Result, Schedule, State,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use tch::nn;
use tch::{Device, Kind, Tensor, no_grad};

pub(super) type Checked<T = ()> = std::result::Result<T, TestCaseError>;

pub(super) fn ok<T>(result: Result<T>) -> Checked<T> {
    result.map_err(|error| TestCaseError::fail(format!("refused: {error}")))
}

/// A program on the optimizer, and beside it what the reference says of it.
pub(super) struct Run {
    pub(super) config: Config,
    pub(super) vs: nn::VarStore,
    pub(super) opt: Lookahead<Box<dyn InnerOptimizer>>,
    pub(super) variables: Vec<Variable>,
    pub(super) settings: Settings,
    pub(super) k: u64,
    pub(super) phase: u64,
    pub(super) steps: u64,
    pub(super) syncs: u64,
    pub(super) alpha_used: Option<f64>,
    /// Inner steps that resets have dropped since the last sync.
    pub(super) dropped: u64,
    pub(super) refused_resets: u32,
    /// A guard was leaked, and the optimizer not called since: the model is at φ.
    pub(super) leaked: bool,
}

impl Run {
    pub(super) fn new(config: &Config) -> Checked<Run> {
        let mut config = config.clone();
        for spec in &mut config.variables {
            fit(spec, config.mover);
        }
        let groups = config.variables.iter().map(|spec| spec.group + 1).max().unwrap();
        config.settings.alphas.retain(|group, _| *group < groups);
        let settings = config.settings.clone();
        let vs = nn::VarStore::new(Device::Cpu);
        let variables: Vec<Variable> =
            config.variables.iter().enumerate().map(|(i, spec)| add(&vs, i, spec)).collect();
        let opt = ok(build(&config, &settings, &vs))?;
        let k = settings.k(0);
        let (phase, steps, syncs, alpha_used, dropped, leaked) = (0, 0, 0, None, 0, false);
        Ok(Run {
            config,
            vs,
            opt,
            variables,
            settings,
            k,
            phase,
            steps,
            syncs,
            alpha_used,
            dropped,
            refused_resets: 0,
            leaked,
        })
    }

    /// Runs a whole program; φ is in the model at its end.
    pub(super) fn follow(&mut self, program: &[Op]) -> Checked {
        self.take_all(program)?;
        self.take(&Op::Finish)?;
        self.check()
    }

    pub(super) fn take_all(&mut self, program: &[Op]) -> Checked {
        for (i, op) in program.iter().enumerate() {
            let outcome = self.take(op).and_then(|()| self.check());
            outcome.map_err(|error| match error {
                TestCaseError::Fail(why) => {
                    TestCaseError::fail(format!("after operation {i}, {op:?}: {why}"))
                }
                rejected => rejected,
            })?;
        }
        Ok(())
    }

    pub(super) fn take(&mut self, op: &Op) -> Checked {
        match op {
            Op::Step(gradients) => self.step(gradients),
            Op::InnerStep(gradients) => {
                self.give(gradients)?;
                if self.is_due() { self.cannot_step() } else { self.inner_step() }
            }
            Op::SyncIfDue => self.sync_if_due(),
            Op::Evaluate { panics } => self.evaluate(*panics),
            Op::LeakGuard => {
                std::mem::forget(ok(self.opt.slow_weights())?);
                self.leaked = true;
                Ok(())
            }
            Op::WriteInEvaluation { which, seed } => self.write_in_evaluation(which, *seed),
            Op::SaveAndLoad { weights_first } => self.save_and_load(*weights_first),
            Op::Freeze(which) => self.set_frozen(which, true),
            Op::Thaw(which) => self.set_frozen(which, false),
            Op::AddVariable { spec, written_again } => self.add_variable(spec, *written_again),
            Op::SetAlpha(alpha) => {
                self.settings.alpha = *alpha;
                self.settings.alphas.values_mut().for_each(|own| *own = *alpha);
                self.settings.alpha_schedule = Schedule::Constant;
                ok(self.opt.set_alpha(*alpha))
            }
            Op::SetAlphaOfGroup(group, alpha) => self.set_alpha_of_group(*group, *alpha),
            Op::SetAlphaSchedule(schedule) => {
                self.settings.alpha_schedule = *schedule;
                ok(self.opt.set_alpha_schedule(*schedule))
            }
            Op::SetK(k) => self.set_k(*k),
            Op::SetKSchedule(schedule) => {
                self.settings.k_schedule = *schedule;
                if self.phase == 0 {
                    self.k = self.settings.k(self.steps);
                }
                ok(self.opt.set_k_schedule(*schedule))
            }
            Op::ResetSlowWeights { write } => {
                if let Some((which, seed)) = write {
                    self.heal()?;
                    ok(self.opt.state())?;
                    self.write(which, *seed);
                }
                self.reset()
            }
            Op::WriteFromOutside { which, seed, verb } => {
                self.write_from_outside(which, *seed, *verb)
            }
            Op::WriteAndAccept { which, seed } => {
                self.heal()?;
                // One that joins with the next call joins as it is then.
                ok(self.opt.state())?;
                let i = self.write(which, *seed);
                ok(self.opt.accept_fast_weights())?;
                if self.variables[i].left_alone {
                    self.variables[i].follow();
                }
                self.check_state()
            }
            Op::RollBack => self.roll_back(),
            Op::Finish => self.finish(),
            Op::Discard => {
                ok(self.opt.discard_cycle())?;
                self.back_to_slow_weights()
            }
        }
    }

    /// A last sync of whatever there was since the last one.
    pub(super) fn finish(&mut self) -> Checked {
        if self.config.mover == Mover::Nested && self.phase > 0 {
            // The inner level's comes first, and θ after it is what the outer one syncs.
            self.heal()?;
            ok(self.opt.inner_mut().finish())?;
            ok(self.opt.accept_fast_weights())?;
            self.read_what_moved()?;
            for variable in self.variables.iter_mut().filter(|variable| variable.left_alone) {
                variable.follow();
            }
        }
        let synced = ok(self.opt.finish())?;
        self.leaked = false;
        prop_assert_eq!(synced, self.phase > 0, "whether it synced");
        match synced {
            true => self.check_sync(),
            false => self.back_to_slow_weights(),
        }
    }

    pub(super) fn back_to_slow_weights(&mut self) -> Checked {
        for variable in self.variables.iter_mut().filter(|variable| !variable.left_alone) {
            variable.fast = variable.slow_as_fast();
        }
        self.restarted()
    }

    /// What the optimizer's next call makes of what is frozen: φ is θ there. While all of several are
    /// frozen, none is.
    pub(super) fn notice_frozen(&mut self) {
        let all = self.variables.iter().all(|variable| variable.frozen);
        let none = all && self.variables.len() > 1;
        for variable in &mut self.variables {
            let left_alone = variable.frozen && !none;
            if variable.left_alone != left_alone {
                variable.left_alone = left_alone;
                variable.follow();
            }
        }
    }

    pub(super) fn is_due(&self) -> bool {
        self.phase == self.k
    }

    pub(super) fn begin_cycle(&mut self) {
        self.phase = 0;
        self.k = self.settings.k(self.steps);
        self.leaked = false;
    }

    /// α of each group. That a schedule is where it should be is judged here; its last bits, which go
    /// by the order of operations, are the optimizer's.
    pub(super) fn alphas(&self) -> Checked<[f64; 3]> {
        let alphas = [0, 1, 2].map(|group| self.opt.alpha_of_group(group));
        for (group, alpha) in alphas.iter().enumerate() {
            let expected = self.settings.alpha(group, self.steps);
            let near = (alpha - expected).abs() <= 1e-12 * expected && *alpha <= 1.0;
            prop_assert!(near, "α of group {} is {}, not {}", group, alpha, expected);
        }
        Ok(alphas)
    }

    pub(super) fn which(&self, which: &Which) -> usize {
        which.index(self.variables.len())
    }

    /// A call that does nothing but to put the fast weights back after a leaked guard.
    pub(super) fn heal(&mut self) -> Checked {
        if self.leaked {
            ok(self.opt.zero_grad())?;
            self.leaked = false;
        }
        Ok(())
    }

    // ---- Steps and syncs

    /// The gradients of the next step.
    pub(super) fn give(&mut self, gradients: &Gradients) -> Checked {
        match gradients.forget {
            Forget::Stale => return Ok(()),
            Forget::Optimizer => {
                ok(self.opt.zero_grad())?;
                self.leaked = false;
            }
            Forget::Each => {
                for variable in &self.variables {
                    let (name, tensor) = (String::new(), variable.weights.shallow_clone());
                    ok(Parameter { name, group: 0, tensor }.zero_grad())?;
                }
            }
        }
        backward(&self.variables, gradients);
        Ok(())
    }

    pub(super) fn step(&mut self, gradients: &Gradients) -> Checked {
        self.give(gradients)?;
        if self.is_due() {
            self.cannot_step()?;
            self.sync_if_due()?;
        }
        if self.config.mover != Mover::Own {
            self.inner_step()?;
            return self.sync_if_due();
        }
        self.predict();
        self.count_step();
        let synced = ok(self.opt.step())?;
        self.leaked = false;
        prop_assert_eq!(synced, self.is_due(), "whether it synced");
        if synced { self.check_sync() } else { Ok(()) }
    }

    pub(super) fn inner_step(&mut self) -> Checked {
        self.predict();
        self.count_step();
        prop_assert!(ok(self.opt.inner_step())?, "a step was not taken");
        self.leaked = false;
        self.read_what_moved()
    }

    pub(super) fn count_step(&mut self) {
        self.phase += 1;
        self.steps += 1;
    }

    pub(super) fn cannot_step(&mut self) -> Checked {
        let refused = self.opt.inner_step();
        self.leaked = false;
        prop_assert!(matches!(refused, Err(Error::SyncIsDue { k }) if k == self.k), "{refused:?}");
        Ok(())
    }

    /// θ and the momentum after a step of the test's own optimizer.
    pub(super) fn predict(&mut self) {
        if self.config.mover != Mover::Own {
            return;
        }
        for variable in self.variables.iter_mut().filter(|variable| !variable.frozen) {
            let gradient = variable.weights.grad();
            if gradient.defined() {
                let kept = variable.moments.get("momentum");
                let (fast, momentum) = own_step(&variable.fast, &gradient, kept);
                variable.fast = fast.contiguous();
                variable.moments.insert("momentum", momentum);
            }
        }
    }

    /// θ and the moments that an optimizer of tch has reached.
    pub(super) fn read_what_moved(&mut self) -> Checked {
        if self.config.mover == Mover::Own {
            return Ok(());
        }
        for i in 0..self.variables.len() {
            self.variables[i].fast = self.variables[i].weights.detach().contiguous().copy();
            self.variables[i].moments = self.moments(i)?;
            // Optimizers of tch step what has an old gradient, frozen or not.
            if self.variables[i].left_alone {
                self.variables[i].follow();
            }
        }
        Ok(())
    }

    pub(super) fn moments(&mut self, variable: usize) -> Checked<BTreeMap<&'static str, Tensor>> {
        let moments = ok(self.opt.inner_mut().moments(variable))?;
        Ok(moments.into_iter().map(|moment| (moment.name, moment.tensor.copy())).collect())
    }

    pub(super) fn sync_if_due(&mut self) -> Checked {
        let synced = ok(self.opt.sync_if_due())?;
        self.leaked = false;
        prop_assert_eq!(synced, self.is_due(), "whether it synced");
        if synced { self.check_sync() } else { Ok(()) }
    }

    /// Compares what a sync has made with the definition, and takes it over.
    pub(super) fn check_sync(&mut self) -> Checked {
        let state = ok(self.opt.state())?;
        let (policy, outer) = (self.config.policy, self.config.outer);
        let alphas = self.alphas()?;
        for i in 0..self.variables.len() {
            let variable = &mut self.variables[i];
            if variable.left_alone {
                continue; // `check_that` finds all of it as it was
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
            // At α = 1 θ is not written: then Lookahead is its inner optimizer.
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
        match outer.0 > 0.0 || trained.any(|variable| alphas[variable.spec.group] < 1.0) {
            true => self.check_restart(&state),
            false => Ok(()),
        }
    }

    // ---- What else a program does

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

    /// Where θ and φ have one type, φ itself is written to, and nothing goes on before that is
    /// mended; else a copy, which is dropped.
    pub(super) fn write_in_evaluation(&mut self, which: &Which, seed: u64) -> Checked {
        let variable = &self.variables[self.which(which)];
        let values = variable.spec.values(seed);
        let (mut weights, name) = (variable.weights.shallow_clone(), variable.name.clone());
        let told = self.opt.with_slow_weights(|| no_grad(|| weights.copy_(&values)));
        self.leaked = false;
        if variable.left_alone {
            ok(told.map(drop))?;
            ok(self.opt.state())?;
            let i = self.which(which);
            self.variables[i].fast = values;
            self.variables[i].follow();
            return Ok(());
        }
        if variable.spec.kind != variable.slow_kind() {
            let replaced =
                matches!(&told, Err(Error::ReplacedInEvaluation { name: of }) if *of == name);
            prop_assert!(replaced, "{:?}", told);
            return Ok(());
        }
        for told in [told.map(drop), self.opt.step().map(drop), self.opt.roll_back()] {
            let changed =
                matches!(&told, Err(Error::SlowWeightsChanged { name: of }) if *of == name);
            prop_assert!(changed, "{:?}", told);
        }
        self.reset_where(false)
    }

    /// Through files into fresh objects, which go on in the place of these. They are built with other
    /// settings and, if the weights come second, other weights: all of it has to come from the files.
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
            // All that the state has, or one that is missing in it would be noticed.
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

    /// φ is the variable as the optimizer's next call finds it.
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
        // Those of the first variables: a later one may not have joined yet.
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

    /// Starts again from θ.
    pub(super) fn reset(&mut self) -> Checked {
        self.reset_where(true)
    }

    /// Where φ was spoilt there is no other way, so it is never refused.
    pub(super) fn reset_where(&mut self, phi_is_whole: bool) -> Checked {
        let dropped = self.dropped + self.phase;
        if phi_is_whole && self.phase > 0 && dropped > 2 * self.k {
            let refused = self.opt.reset_slow_weights();
            self.leaked = false;
            let told = matches!(refused, Err(Error::NeverSynced { steps, .. }) if steps == dropped);
            prop_assert!(told, "{:?}", refused);
            self.refused_resets += 1;
            // As it says.
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

    /// Refused by whatever is called next, which changes nothing, until φ starts again.
    pub(super) fn write_from_outside(&mut self, which: &Which, seed: u64, verb: u8) -> Checked {
        self.heal()?;
        // One that joins with the next call joins as it is then.
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
        let told = matches!(&refused, Err(Error::FastWeightsChanged { name: of }) if of == name);
        prop_assert!(told, "{:?} for {}", refused, name);
        self.check()?;
        self.reset()
    }

    pub(super) fn roll_back(&mut self) -> Checked {
        ok(self.opt.roll_back())?;
        self.back_to_slow_weights()
    }

    // ---- Comparison with the reference

    /// What can be seen without a call that would put anything in order.
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
            let (expected, what) = match self.leaked {
                true => (bits(&variable.slow_as_fast()), "φ"),
                false => (bits(&variable.fast), "θ"),
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

    /// A level inside starts again from θ too.
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

    /// The state, and the moments, are to the bit what the reference has.
    pub(super) fn check_that(&mut self, state: &State) -> Checked {
        self.check()?;
        let mut expected = BTreeSet::new();
        for i in 0..self.variables.len() {
            let moments = self.moments(i)?;
            if self.config.policy == MomentumPolicy::Pullback {
                // A state holds m̄, 0 as long as there was no sync, of every moment that there is.
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
                prop_assert!(same(&found(state, &key)?, numbers), "{} is another", key);
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
            prop_assert!(same, "the moments of {} are others", variable.name);
        }
        let outside = |key: &&String| !key.starts_with("inner/");
        let found: BTreeSet<String> = state.tensors.keys().filter(outside).cloned().collect();
        prop_assert_eq!(found, expected, "what the state holds");
        Ok(())
    }
}

/// Element types that the optimizer can compute in.
pub(super) fn fit(spec: &mut Spec, mover: Mover) {
    if spec.kind == Kind::Half && !mover.takes_half_precision() {
        spec.kind = Kind::BFloat16;
    }
}

/// Adds variable `i` to the store; both θ and φ are its values.
pub(super) fn add(vs: &nn::VarStore, i: usize, spec: &Spec) -> Variable {
    let layer = (vs.root() / format!("layer{i}")).set_group(spec.group);
    let weights = layer.add("weight", spec.tensor(spec.seed), true);
    let mut variable = Variable {
        spec: spec.clone(),
        name: format!("layer{i}.weight"),
        weights: weights.shallow_clone(),
        frozen: false,
        left_alone: false,
        fast: Tensor::new(),
        slow: Vec::new(),
        velocity: Vec::new(),
        moments: BTreeMap::new(),
        slow_moments: BTreeMap::new(),
    };
    variable.start_from(&weights);
    variable
}

/// Adds gradients that depend on θ, so that a wrong θ does not come right by itself.
pub(super) fn backward(variables: &[Variable], gradients: &Gradients) {
    let all = variables.iter().enumerate();
    let terms: Vec<Tensor> = all
        .filter(|(i, variable)| gradients.of >> i & 1 == 1 && !variable.frozen)
        .map(|(i, variable)| {
            let (w, slope) = (&variable.weights, gradients.seed ^ i as u64);
            let loss = w * variable.spec.values(slope) + w.square() * 0.5;
            loss.to_kind(Kind::Double).sum(Kind::Double)
        })
        .collect();
    if !terms.is_empty() {
        Tensor::stack(&terms, 0).sum(Kind::Double).backward();
    }
}

pub(super) fn build(
    config: &Config,
    settings: &Settings,
    vs: &nn::VarStore,
) -> Result<Lookahead<Box<dyn InnerOptimizer>>> {
    let mut builder = Lookahead::around(config.mover.build(vs)?)
        .k(settings.first_k)
        .k_schedule(settings.k_schedule)
        .alpha(settings.alpha)
        .alpha_schedule(settings.alpha_schedule)
        .momentum_policy(config.policy)
        .outer_momentum(config.outer.0)
        .outer_nesterov(config.outer.1)
        .sync_path(config.path);
    for (group, alpha) in &settings.alphas {
        builder = builder.alpha_of_group(*group, *alpha);
    }
    builder.build()
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
        prop_assert!(same(found, fast), "{} is no copy: {:?} of {:?}", what, found, fast);
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

/// `PROPTEST_CASES` overrides how many.
pub(super) fn cases(usual: u32) -> ProptestConfig {
    let given = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig::default();
    let cases = if given { default.cases } else { usual };
    ProptestConfig { cases, failure_persistence: None, ..default }
}
