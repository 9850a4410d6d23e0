//! An inner optimizer from the rule of its step.

use tch::Tensor;

use crate::inner::{Curvature, Moment, own_names};
use crate::range::{MOST_STEPS, check_learning_rate, check_weight_decay};
use crate::slot_keys::SlotKeys;
use crate::state::{copy_like, expect_finite, expect_like, in_range};
use crate::{Error, InnerOptimizer, Parameter, Result, State, Taken, Variables};

/// How an optimizer moves one parameter: all that an optimizer of your own must say. [`RuleOptimizer`] does the rest.
///
/// Lion (Chen et al., 2023, Algorithm 2):
///
/// ```
/// use lookahead_core::tch_ext::arithmetic::{lerp, scale};
/// use lookahead_core::{Lookahead, Result, RuleOptimizer, Step, StepRule};
/// use tch::{Tensor, nn};
///
/// struct Lion {
///     beta1: f64,
///     beta2: f64,
/// }
///
/// impl StepRule for Lion {
///     fn name(&self) -> &'static str {
///         "lion"
///     }
///
///     fn slots(&self) -> Vec<&'static str> {
///         vec!["exp_avg"]
///     }
///
///     fn step(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) -> Result<()> {
///         let [exp_avg] = slots else { unreachable!("one slot") };
///         let mut update = exp_avg.copy();
///         lerp(&mut update, gradient, 1.0 - self.beta1)?;
///         let mut update = update.f_sign()?;
///         scale(&mut update, step.learning_rate)?;
///         scale(weights, 1.0 - step.learning_rate * step.weight_decay)?;
///         let _ = weights.f_sub_(&update)?;
///         lerp(exp_avg, gradient, 1.0 - self.beta2)?;
///         Ok(())
///     }
/// }
///
/// let vs = nn::VarStore::new(tch::Device::Cpu);
/// let w = vs.root().ones("w", &[2]);
/// let lion = RuleOptimizer::new(Lion { beta1: 0.9, beta2: 0.99 }, &vs, 0.1)?;
/// let mut opt = Lookahead::around(lion).k(5).build()?;
/// opt.backward_step(&w.square().sum(tch::Kind::Float))?;
/// assert!((w.double_value(&[0]) - 0.9).abs() < 1e-6);
/// # Ok::<(), lookahead_core::Error>(())
/// ```
pub trait StepRule {
    /// The optimizer's name, for example `lion`, with which its state's keys begin.
    fn name(&self) -> &'static str;

    /// The names of the tensors that it keeps for each parameter, for example `exp_avg`. Each has the parameter's shape,
    /// element type and device, and is 0 before the parameter's first step.
    fn slots(&self) -> Vec<&'static str>;

    /// The slots that a [`MomentumPolicy`](crate::MomentumPolicy) resets or interpolates; by default all. Leave out one
    /// that is no average of gradients, for example a copy of the last gradient.
    fn moments(&self) -> Vec<&'static str> {
        self.slots()
    }

    /// The slot that holds a mean of squared gradients, and the decay of that mean: the curvature for
    /// [`adaptive_alpha`](crate::Builder::adaptive_alpha). By default there is none.
    fn second_moment(&self) -> Option<(&'static str, f64)> {
        None
    }

    /// Refuses settings out of range. Called when an optimizer is built with the rule. By default none are.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) for the first.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Refuses a parameter that the rule can't move, for example a vector if it moves matrices. Called when the parameter
    /// joins. By default none are.
    ///
    /// # Errors
    /// One that names the parameter.
    fn check_parameter(&self, parameter: &Parameter) -> Result<()> {
        let _ = parameter;
        Ok(())
    }

    /// Moves `weights` and `slots`, which are in the order of [`slots`](Self::slots), by one step along `gradient`. All
    /// have the same shape, and autograd is off.
    ///
    /// # Errors
    /// If libtorch refuses. Some values may have changed then.
    fn step(
        &self,
        weights: &mut Tensor,
        gradient: &Tensor,
        slots: &mut [Tensor],
        step: Step,
    ) -> Result<()>;

    /// Moves all parameters that have a gradient by one step each; no two share memory. By default it calls
    /// [`step`](Self::step) for each. Override it if one call of a kernel can move many.
    ///
    /// # Errors
    /// If libtorch refuses. Some values may have changed then.
    fn step_all(&self, parameters: &mut [ParameterStep<'_>]) -> Result<()> {
        parameters.iter_mut().try_for_each(|parameter| {
            let ParameterStep { weights, gradient, slots, step } = parameter;
            self.step(weights, gradient, slots, *step)
        })
    }
}

/// The step of one parameter: the arguments of [`StepRule::step`].
#[derive(Debug)]
#[non_exhaustive]
pub struct ParameterStep<'a> {
    /// The parameter.
    pub weights: &'a mut Tensor,
    /// Its gradient: of the same shape, and not sparse.
    pub gradient: Tensor,
    /// What the rule keeps for it, in the order of [`StepRule::slots`].
    pub slots: &'a mut [Tensor],
    /// Its own number, learning rate and weight decay, in which parameters may differ.
    pub step: Step,
}

/// What a step depends on besides the tensors.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// The number of this step of the parameter, from 1.
    pub number: u64,
    /// The learning rate of the parameter's group.
    pub learning_rate: f64,
    /// The weight decay of the parameter's group.
    pub weight_decay: f64,
}

/// The inner optimizer that a [`StepRule`] describes, on the trainable variables of a store, or
/// [some of them](Variables): with groups, late and
/// frozen variables, a state, and all that Lookahead needs of moments.
///
/// A parameter without a gradient is skipped. Sparse gradients and complex variables are refused.
#[derive(Debug)]
pub struct RuleOptimizer<R> {
    rule: R,
    slots: Vec<&'static str>,
    variables: Variables,
    parameters: Vec<Parameter>,
    /// Of each parameter; `None` before its first step.
    kept: Vec<Option<Kept>>,
    /// Of each group; the last is that of later groups.
    options: Vec<Options>,
    /// The first parameter that it can't step.
    refused: Option<usize>,
}

/// What is kept for a parameter.
#[derive(Debug)]
struct Kept {
    steps: u64,
    slots: Vec<Tensor>,
}

#[derive(Debug, Clone, Copy)]
struct Options {
    learning_rate: f64,
    weight_decay: f64,
}

impl<R: StepRule> RuleOptimizer<R> {
    /// For `variables`, a `&VarStore` or a selection of its [`Variables`], without weight decay. Variables added later
    /// join before the next step.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) for a bad learning rate or setting of the rule,
    /// [`ComplexVariable`](Error::ComplexVariable), and what the rule refuses.
    pub fn new(rule: R, variables: impl Into<Variables>, learning_rate: f64) -> Result<Self> {
        check_learning_rate(learning_rate)?;
        rule.check()?;
        let slots = rule.slots();
        let mut built = RuleOptimizer {
            rule,
            slots,
            variables: variables.into(),
            parameters: Vec::new(),
            kept: Vec::new(),
            options: vec![Options { learning_rate, weight_decay: 0.0 }],
            refused: None,
        };
        built.join_new_parameters()?;
        Ok(built)
    }

    /// The rule.
    pub fn rule(&self) -> &R {
        &self.rule
    }

    /// Sets options of one group, also of one that has no variables yet: those added to it later have them.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) for one that is out of range, [`FixedMomentum`](Error::FixedMomentum) for a momentum,
    /// which belongs to the rule; no option is changed then.
    pub fn set_group_options(&mut self, group: usize, options: crate::GroupOptions) -> Result<()> {
        options.check()?;
        self.add_groups(group + 1);
        match options.apply(self, group)? {
            Some(trainable) => self.set_trainable(group, trainable),
            None => Ok(()),
        }
    }

    /// Freezes a group, or thaws it: see [`TchOptimizer::set_trainable`](crate::TchOptimizer::set_trainable).
    pub fn set_trainable(&mut self, group: usize, trainable: bool) -> Result<()> {
        self.variables.set_trainable(&self.parameters, group, trainable)
    }

    fn add_groups(&mut self, count: usize) {
        let later = self.options[self.groups()];
        self.options.resize(self.options.len().max(count + 1), later);
    }

    fn group_mut(&mut self, group: usize) -> Result<&mut Options> {
        let count = self.groups();
        self.options[..count].get_mut(group).ok_or(Error::Group { group, count })
    }

    fn groups(&self) -> usize {
        self.options.len() - 1
    }

    fn check_parameter(&self, parameter: &Parameter) -> Result<()> {
        if parameter.is_complex() {
            let what = format!("{} is defined for real variables", self.rule.name());
            return Err(Error::ComplexVariable { name: parameter.name.clone(), what });
        }
        self.rule.check_parameter(parameter)
    }

    /// Checks all parameters, after some have joined or changed their type.
    fn check_parameters(&mut self) -> Result<()> {
        let refused = |parameter| self.check_parameter(parameter).is_err();
        self.refused = self.parameters.iter().position(refused);
        self.refuse()
    }

    /// As long as there is a parameter that it can't step.
    fn refuse(&self) -> Result<()> {
        self.refused.map_or(Ok(()), |i| self.check_parameter(&self.parameters[i]))
    }

    /// The gradients of the parameters that take a step; `None` for those without one and for frozen ones.
    fn gradients(&self) -> Result<Vec<Option<Tensor>>> {
        let gradient = |Parameter { name, tensor, .. }: &Parameter| -> Result<Option<Tensor>> {
            let gradient = tensor.f_grad()?;
            if !gradient.defined() || !tensor.requires_grad() {
                return Ok(None);
            }
            if gradient.is_sparse() {
                let (name, optimizer) = (name.clone(), self.rule.name());
                return Err(Error::SparseGradient { name, optimizer });
            }
            Ok(Some(gradient))
        };
        self.parameters.iter().map(gradient).collect()
    }

    fn keys(&self) -> SlotKeys<'_> {
        SlotKeys {
            optimizer: self.rule.name(),
            slots: &self.slots,
            options: &OPTIONS,
            parameters: &self.parameters,
            groups: self.groups(),
        }
    }

    fn read_kept(&self, state: &State, parameter: &Parameter) -> Result<Option<Kept>> {
        let step_key = self.keys().step(parameter);
        let slots: Vec<_> =
            self.slots.iter().map(|slot| (slot, self.keys().slot(slot, parameter))).collect();
        let is_empty = slots.iter().all(|(_, key)| !state.tensors.contains_key(key));
        if is_empty && !state.integers.contains_key(&step_key) {
            return Ok(None);
        }
        let steps = in_range(state, &step_key, 1, MOST_STEPS)?;
        let squares = self.rule.second_moment().map(|(slot, _)| slot);
        let read = |(slot, key): (&&'static str, String)| -> Result<Tensor> {
            let Some(saved) = state.tensors.get(&key) else {
                return Err(Error::StateMissing { key });
            };
            expect_like(&key, saved, &parameter.tensor)?;
            let copy = copy_like(&parameter.tensor, saved)?;
            expect_finite(&key, &copy, squares == Some(*slot))?;
            Ok(copy)
        };
        let slots = slots.into_iter().map(read).collect::<Result<_>>()?;
        Ok(Some(Kept { steps, slots }))
    }

    fn options_into(&self, state: &mut State) {
        for (group, options) in self.options.iter().enumerate() {
            let Options { learning_rate, weight_decay } = *options;
            state.numbers.insert(self.keys().option("learning_rate", group), learning_rate);
            state.numbers.insert(self.keys().option("weight_decay", group), weight_decay);
        }
    }

    fn read_options(&self, state: &State, group: usize) -> Result<Options> {
        let read = |option: &str, check: fn(f64) -> Result<()>| -> Result<f64> {
            let key = self.keys().option(option, group);
            let value = state.number(&key)?;
            check(value).map_err(|error| error.in_entry(&key))?;
            Ok(value)
        };
        Ok(Options {
            learning_rate: read("learning_rate", check_learning_rate)?,
            weight_decay: read("weight_decay", check_weight_decay)?,
        })
    }
}

impl<R: StepRule> InnerOptimizer for RuleOptimizer<R> {
    fn step(&mut self) -> Result<()> {
        self.join_new_parameters()?;
        let _guard = tch::no_grad_guard();
        let mut steps = Vec::with_capacity(self.parameters.len());
        let gradients = self.gradients()?;
        let kept = self.parameters.iter_mut().zip(&mut self.kept);
        for ((parameter, kept), gradient) in kept.zip(gradients) {
            let Some(gradient) = gradient else { continue };
            let weights = &mut parameter.tensor;
            let kept = match kept {
                Some(kept) => kept,
                none => {
                    let zeros = self.slots.iter().map(|_| Ok(weights.f_zeros_like()?));
                    none.insert(Kept { steps: 0, slots: zeros.collect::<Result<_>>()? })
                }
            };
            kept.steps += 1;
            let Options { learning_rate, weight_decay } = self.options[parameter.group];
            let step = Step { number: kept.steps, learning_rate, weight_decay };
            steps.push(ParameterStep { weights, gradient, slots: &mut kept.slots, step });
        }
        self.rule.step_all(&mut steps)
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn join_new_parameters(&mut self) -> Result<()> {
        let new = self.variables.take_new();
        if !new.is_empty() {
            for parameter in new {
                self.add_groups(parameter.group + 1);
                self.parameters.push(parameter);
                self.kept.push(None);
            }
            return self.check_parameters();
        }
        self.refuse()
    }

    fn parameters_recast(&mut self) -> Result<()> {
        self.check_parameters()?;
        for (parameter, kept) in self.parameters.iter().zip(&mut self.kept) {
            let (kind, device) = (parameter.tensor.kind(), parameter.tensor.device());
            for slot in kept.iter_mut().flat_map(|kept| &mut kept.slots) {
                if (slot.kind(), slot.device()) != (kind, device) {
                    *slot = copy_like(&parameter.tensor, slot)?;
                }
            }
        }
        Ok(())
    }

    fn other_names(&self) -> Vec<(String, usize)> {
        self.variables.other_names(&self.parameters)
    }

    fn moment_names(&self) -> Option<Vec<&'static str>> {
        Some(self.rule.moments())
    }

    fn moments(&mut self, parameter: usize) -> Result<Vec<Moment>> {
        let moments = self.rule.moments();
        let slots = self.kept[parameter].iter().flat_map(|kept| &kept.slots);
        let all = self.slots.iter().zip(slots);
        let named = all.filter(|(name, _)| moments.contains(name));
        Ok(named.map(|(name, slot)| Moment { name, tensor: slot.shallow_clone() }).collect())
    }

    fn reset_moments(&mut self, parameter: usize) -> Result<()> {
        self.kept[parameter] = None;
        Ok(())
    }

    fn has_curvature(&self) -> bool {
        self.rule.second_moment().is_some()
    }

    fn curvature(&mut self, parameter: usize) -> Result<Option<Curvature>> {
        let (slot, decay) = self.rule.second_moment().ok_or(Error::NoCurvature)?;
        let Some(kept) = &self.kept[parameter] else { return Ok(None) };
        let found = self.slots.iter().position(|name| *name == slot).ok_or(Error::NoCurvature)?;
        // The mean starts at 0; this corrects that, like Adam's bias correction.
        let scale = 1.0 / (1.0 - decay.powf(kept.steps as f64));
        Ok(Some(Curvature { second_moment: kept.slots[found].shallow_clone(), scale }))
    }

    fn learning_rates(&self) -> Result<Vec<f64>> {
        let groups = &self.options[..self.groups()];
        Ok(groups.iter().map(|options| options.learning_rate).collect())
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        check_learning_rate(learning_rate)?;
        self.options.iter_mut().for_each(|options| options.learning_rate = learning_rate);
        Ok(())
    }

    fn set_learning_rate_group(&mut self, group: usize, learning_rate: f64) -> Result<()> {
        check_learning_rate(learning_rate)?;
        self.group_mut(group)?.learning_rate = learning_rate;
        Ok(())
    }

    fn set_weight_decay(&mut self, weight_decay: f64) -> Result<()> {
        check_weight_decay(weight_decay)?;
        self.options.iter_mut().for_each(|options| options.weight_decay = weight_decay);
        Ok(())
    }

    fn set_weight_decay_of_group(&mut self, group: usize, weight_decay: f64) -> Result<()> {
        check_weight_decay(weight_decay)?;
        self.group_mut(group)?.weight_decay = weight_decay;
        Ok(())
    }

    fn state(&mut self) -> Result<State> {
        let mut state = State::default();
        self.state_into(&mut state)?;
        Ok(state)
    }

    fn state_into(&mut self, state: &mut State) -> Result<()> {
        self.join_new_parameters()?;
        let mut scratch = std::mem::take(state);
        for (parameter, kept) in self.parameters.iter().zip(&self.kept) {
            let Some(kept) = kept else { continue };
            state.integers.insert(self.keys().step(parameter), kept.steps as i64);
            for (slot, tensor) in self.slots.iter().zip(&kept.slots) {
                state.copy_into_reused(self.keys().slot(slot, parameter), tensor, &mut scratch)?;
            }
        }
        state.integers.insert(self.keys().count(), state.tensors.len() as i64);
        self.options_into(state);
        Ok(())
    }

    fn load_state(&mut self, state: &State) -> Result<()> {
        self.join_new_parameters()?;
        let renamed = self.keys().under_own_names(state, &own_names(self));
        let state = renamed.as_ref().unwrap_or(state);
        let kept = self.parameters.iter().map(|parameter| self.read_kept(state, parameter));
        let kept = kept.collect::<Result<_>>()?;
        let options = (0..self.options.len()).map(|group| self.read_options(state, group));
        let options = options.collect::<Result<_>>()?;
        self.keys().refuse_unknown(state)?;
        state.integer(&self.keys().count())?;
        self.keys().refuse_lost(state)?;
        (self.kept, self.options) = (kept, options);
        Ok(())
    }

    fn partial_state(&mut self, state: &State) -> Result<(State, Taken)> {
        self.join_new_parameters()?;
        let mut own = State::default();
        self.options_into(&mut own);
        let renamed = self.keys().under_own_names(state, &own_names(self));
        Ok(self.keys().partial(renamed.as_ref().unwrap_or(state), &own))
    }
}

/// The options of a group in a state.
const OPTIONS: [&str; 2] = ["learning_rate", "weight_decay"];
