//! A running program, on the optimizer and on the reference.

use std::collections::BTreeMap;

use super::movers::own_step;
use super::program::{Config, Forget, Gradients, Mover, Op, Settings, Spec, Which};
use super::reference::Variable;
use lookahead_core::{Error, InnerOptimizer, Lookahead, Parameter, Result, Schedule};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use tch::nn;
use tch::{Device, Kind, Tensor};

pub(super) type Checked<T = ()> = std::result::Result<T, TestCaseError>;

pub(super) fn ok<T>(result: Result<T>) -> Checked<T> {
    result.map_err(|error| TestCaseError::fail(format!("refused: {error}")))
}

/// The optimizer that a program runs on, and the reference.
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
    /// Whether the model is at φ: a guard was leaked, and the optimizer not called since.
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
                // A new variable joins with its values at the next call.
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

    pub(super) fn finish(&mut self) -> Checked {
        if self.config.mover == Mover::Nested && self.phase > 0 {
            // The inner level syncs first, and the outer one syncs the θ after that.
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
        if synced { self.check_sync() } else { self.back_to_slow_weights() }
    }

    pub(super) fn back_to_slow_weights(&mut self) -> Checked {
        for variable in self.variables.iter_mut().filter(|variable| !variable.left_alone) {
            variable.fast = variable.slow_as_fast();
        }
        self.restarted()
    }

    /// φ ← θ for what the optimizer's next call considers frozen. If all of several are, none counts.
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

    /// α of each group, checked. Its last bits depend on the order of operations and are the optimizer's.
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

    /// A call that only restores the fast weights after a leaked guard.
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

    /// θ and the momentum after a step of the tests' own optimizer.
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

    /// Reads θ and the moments of a tch optimizer.
    pub(super) fn read_what_moved(&mut self) -> Checked {
        if self.config.mover == Mover::Own {
            return Ok(());
        }
        for i in 0..self.variables.len() {
            self.variables[i].fast = self.variables[i].weights.detach().contiguous().copy();
            self.variables[i].moments = self.moments(i)?;
            // tch's optimizers step a variable with an old gradient, even if it is frozen.
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
}

/// Changes the element type to one that the optimizer supports.
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

/// Adds gradients that depend on θ, so that a wrong θ does not correct itself.
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

/// `PROPTEST_CASES` overrides the number.
pub(super) fn cases(usual: u32) -> ProptestConfig {
    let given = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig::default();
    let cases = if given { default.cases } else { usual };
    ProptestConfig { cases, failure_persistence: None, ..default }
}
