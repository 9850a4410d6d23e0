//! The optimizers that tch can build as inner optimizers, with their state.

use lookahead_sys::optimizer::{GroupOptions, Kind, Optimizer, ParameterState};
use tch::{Tensor, nn};

use crate::inner::{Curvature, Moment, own_names, sparse_gradient};
use crate::range::{MOST_STEPS, check_learning_rate, check_momentum, check_weight_decay, require};
use crate::slot_keys::SlotKeys;
use crate::state::{copy_like, expect_finite, expect_like, in_range};
use crate::{Error, InnerOptimizer, Parameter, Result, State, Taken, Variables};

/// Any optimizer that a [`nn::OptimizerConfig`] describes, on the trainable variables of a store, or
/// [some of them](Variables).
///
/// It steps like [`nn::Optimizer`], to the bit, but returns errors where that panics, and gives its state. Useful
/// without Lookahead too.
///
/// ```
/// use lookahead_core::{InnerOptimizer, TchOptimizer};
/// use tch::{Device, nn};
///
/// let vs = nn::VarStore::new(Device::Cpu);
/// let w = vs.root().zeros("w", &[3]);
/// let mut sgd = TchOptimizer::new(nn::sgd(0.9, 0., 0., false), &vs, 0.1)?;
/// (&w - 1.0).square().sum(tch::Kind::Float).backward();
/// sgd.step()?;
/// assert!(sgd.state()?.tensors.contains_key("sgd/momentum_buffer/w"));
/// # Ok::<(), lookahead_core::Error>(())
/// ```
#[derive(Debug)]
pub struct TchOptimizer {
    optimizer: Optimizer,
    variables: Variables,
    parameters: Vec<Parameter>,
    /// A complex variable, which it can't step.
    complex: Option<String>,
}

impl TchOptimizer {
    /// Builds the optimizer for `variables`: a `&VarStore`, or a selection of its [`Variables`]. Variables added later
    /// join before the next step.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting), and [`ComplexVariable`](Error::ComplexVariable) unless it is SGD.
    pub fn new<C: nn::OptimizerConfig>(
        config: C,
        variables: impl Into<Variables>,
        learning_rate: f64,
    ) -> Result<Self> {
        check_learning_rate(learning_rate)?;
        let optimizer = Optimizer::build(&config, learning_rate)?;
        let variables = variables.into();
        let mut built =
            TchOptimizer { optimizer, variables, parameters: Vec::new(), complex: None };
        built.join_new_parameters()?;
        Ok(built)
    }

    /// The kind's name, for example `adamw`.
    pub fn name(&self) -> &'static str {
        self.optimizer.kind().name()
    }

    /// Sets the momentum of all present and later groups; for Adam and AdamW β₁.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) outside 0 ≤ momentum < 1.
    pub fn set_momentum(&mut self, momentum: f64) -> Result<()> {
        check_momentum(momentum)?;
        self.change_all_groups(|options| options.momentum = momentum)
    }

    /// Sets the weight decay of all present and later groups.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) if it is negative, NaN or infinite.
    pub fn set_weight_decay(&mut self, weight_decay: f64) -> Result<()> {
        check_weight_decay(weight_decay)?;
        self.change_all_groups(|options| options.weight_decay = weight_decay)
    }

    /// Sets options of one group, also of one that has no variables yet: those added to it later have them.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) for one that is out of range; nothing is changed then.
    pub fn set_group_options(&mut self, group: usize, options: crate::GroupOptions) -> Result<()> {
        options.check()?;
        self.optimizer.add_groups(group + 1)?;
        match options.apply(self, group)? {
            Some(trainable) => self.set_trainable(group, trainable),
            None => Ok(()),
        }
    }

    /// Freezes a group, or thaws it, by its variables' `requires_grad`, also of those added later. A frozen variable
    /// takes no gradient and keeps its value; its moments stay for when it is thawed. In Lookahead φ is θ for it: freeze
    /// between two cycles, or the steps of this one are in φ. It is not part of the optimizer's state, and
    /// [`unfreeze`](nn::VarStore::unfreeze) thaws all variables.
    pub fn set_trainable(&mut self, group: usize, trainable: bool) -> Result<()> {
        self.variables.set_trainable(&self.parameters, group, trainable)
    }

    fn change_group(&mut self, group: usize, change: impl Fn(&mut GroupOptions)) -> Result<()> {
        let count = self.optimizer.groups();
        if group >= count {
            return Err(Error::Group { group, count });
        }
        let mut options = self.optimizer.group_options(group)?;
        change(&mut options);
        Ok(self.optimizer.set_group_options(group, options)?)
    }

    fn change_all_groups(&mut self, change: impl Fn(&mut GroupOptions)) -> Result<()> {
        // The last holds the options of later groups.
        for group in 0..=self.optimizer.groups() {
            let mut options = self.optimizer.group_options(group)?;
            change(&mut options);
            self.optimizer.set_group_options(group, options)?;
        }
        Ok(())
    }

    /// For complex variables libtorch's C++ optimizers use the magnitude of the squared gradient or fail, unlike
    /// PyTorch's, which treat them as pairs of real numbers. SGD's step is the same either way.
    fn refuse_complex(&self) -> Result<()> {
        let Some(name) = self.complex.clone() else { return Ok(()) };
        let what = format!("{} steps complex variables differently from PyTorch", self.name());
        Err(Error::ComplexVariable { name, what })
    }

    fn find_complex(&self) -> Option<String> {
        if self.optimizer.kind() == Kind::Sgd {
            return None;
        }
        self.parameters.iter().find(|p| p.is_complex()).map(|parameter| parameter.name.clone())
    }

    /// Names the variable if a sparse gradient made a step fail.
    fn explained(&self, refused: lookahead_sys::Error) -> Error {
        let optimizer = match self.optimizer.kind() {
            Kind::Sgd => "sgd with weight decay",
            kind => kind.name(),
        };
        match sparse_gradient(&self.parameters, &refused.to_string()) {
            Some(name) => Error::SparseGradient { name, optimizer },
            None => refused.into(),
        }
    }

    fn refuse_unknown_kind(&self) -> Result<()> {
        match self.optimizer.kind() {
            Kind::Unknown => Err(Error::UnknownKind),
            _ => Ok(()),
        }
    }

    fn keys(&self) -> SlotKeys<'_> {
        SlotKeys {
            optimizer: self.name(),
            slots: self.optimizer.kind().slots(),
            options: &OPTIONS,
            parameters: &self.parameters,
            groups: self.optimizer.groups(),
        }
    }

    fn options_into(&self, state: &mut State) -> Result<()> {
        for group in 0..=self.optimizer.groups() {
            let options = self.optimizer.group_options(group)?;
            let values = [options.learning_rate, options.momentum, options.weight_decay];
            for (option, value) in OPTIONS.into_iter().zip(values) {
                state.numbers.insert(self.keys().option(option, group), value);
            }
        }
        Ok(())
    }

    fn read_options(&self, state: &State, group: usize) -> Result<GroupOptions> {
        let read = |option: &str, check: &dyn Fn(f64) -> Result<()>| -> Result<f64> {
            let key = self.keys().option(option, group);
            let value = state.number(&key)?;
            check(value).map_err(|error| error.in_entry(&key))?;
            Ok(value)
        };
        let momentum = |momentum: f64| match self.optimizer.kind() {
            Kind::Adam | Kind::AdamW => check_momentum(momentum),
            // libtorch builds these even with a momentum of 1 or more, and then saves it.
            _ => {
                let holds = momentum.is_finite() && momentum >= 0.0;
                require(holds, "momentum", momentum, "a finite number of at least 0")
            }
        };
        Ok(GroupOptions {
            learning_rate: read("learning_rate", &check_learning_rate)?,
            momentum: read("momentum", &momentum)?,
            weight_decay: read("weight_decay", &check_weight_decay)?,
        })
    }

    /// Reads and checks one parameter's state. Either all entries that the options require exist, or none: then
    /// the parameter has had no gradient yet.
    fn read_parameter(
        &self,
        state: &State,
        parameter: &Parameter,
        required: &[bool],
    ) -> Result<Option<ParameterState>> {
        let kind = self.optimizer.kind();
        let step_key = self.keys().step(parameter);
        let saved: Vec<(String, Option<&Tensor>)> = kind
            .slots()
            .iter()
            .map(|slot| self.keys().slot(slot, parameter))
            .map(|key| (key.clone(), state.tensors.get(&key)))
            .collect();
        if saved.iter().all(|(_, tensor)| tensor.is_none())
            && !state.integers.contains_key(&step_key)
        {
            return Ok(None);
        }
        let counts = kind.counts_steps();
        let step = if counts { in_range(state, &step_key, 1, MOST_STEPS)? as i64 } else { 0 };
        let mut slots = Vec::with_capacity(saved.len());
        for (((key, tensor), required), slot) in saved.into_iter().zip(required).zip(kind.slots()) {
            // The momentum may have been set after the buffer was made, or before.
            let optional = key.contains("/momentum_buffer/");
            slots.push(match tensor {
                Some(tensor) if *required || optional => {
                    expect_like(&key, tensor, &parameter.tensor)?;
                    let copy = copy_like(&parameter.tensor, tensor)?;
                    expect_finite(&key, &copy, SQUARES.contains(slot))?;
                    Some(copy)
                }
                Some(_) => return Err(Error::StateUnexpected { key }),
                None if *required && !optional => return Err(Error::StateMissing { key }),
                None => None,
            });
        }
        Ok(Some(ParameterState { step, slots }))
    }
}

impl InnerOptimizer for TchOptimizer {
    fn step(&mut self) -> Result<()> {
        self.join_new_parameters()?;
        self.optimizer.step().map_err(|refused| self.explained(refused))
    }

    fn step_and_look(&mut self) -> Result<Option<bool>> {
        self.join_new_parameters()?;
        self.optimizer.step_and_look().map_err(|refused| self.explained(refused))
    }

    fn zero_grad(&mut self) -> Result<()> {
        self.join_new_parameters()?;
        Ok(self.optimizer.zero_grad()?)
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn join_new_parameters(&mut self) -> Result<()> {
        let new = self.variables.take_new();
        if !new.is_empty() {
            for parameter in new {
                self.optimizer.add_parameter(&parameter.tensor, parameter.group)?;
                self.parameters.push(parameter);
            }
            self.complex = self.find_complex();
        }
        self.refuse_complex()
    }

    fn parameters_recast(&mut self) -> Result<()> {
        self.complex = self.find_complex();
        self.refuse_complex()?;
        for parameter in &self.parameters {
            let Some(kept) = self.optimizer.parameter_state(&parameter.tensor)? else { continue };
            let (kind, device) = (parameter.tensor.kind(), parameter.tensor.device());
            let fits = |slot: &Tensor| slot.kind() == kind && slot.device() == device;
            if kept.slots.iter().flatten().all(fits) {
                continue;
            }
            let recast = |slot: Option<Tensor>| match slot {
                Some(slot) => copy_like(&parameter.tensor, &slot).map(Some),
                None => Ok(None),
            };
            let slots = kept.slots.into_iter().map(recast).collect::<Result<_>>()?;
            let state = ParameterState { step: kept.step, slots };
            self.optimizer.set_parameter_state(&parameter.tensor, Some(state))?;
        }
        Ok(())
    }

    fn other_names(&self) -> Vec<(String, usize)> {
        self.variables.other_names(&self.parameters)
    }

    fn moment_names(&self) -> Option<Vec<&'static str>> {
        let required = self.optimizer.required_slots().ok()?;
        let all = self.optimizer.kind().slots().iter().zip(required);
        Some(all.filter(|(_, required)| *required).map(|(name, _)| *name).collect())
    }

    fn moments(&mut self, parameter: usize) -> Result<Vec<Moment>> {
        let tensor = &self.parameters[parameter].tensor;
        let Some(mut kept) = self.optimizer.parameter_state(tensor)? else { return Ok(Vec::new()) };
        if kept.slots.iter().flatten().any(Tensor::is_sparse) {
            // libtorch's own SGD begins with a sparse buffer for sparse gradients, and continues with a dense one.
            for slot in kept.slots.iter_mut().flatten() {
                *slot = slot.f_to_dense(None, false)?;
            }
            let slots = kept.slots.iter().map(|s| s.as_ref().map(Tensor::shallow_clone)).collect();
            let state = ParameterState { step: kept.step, slots };
            self.optimizer.set_parameter_state(tensor, Some(state))?;
        }
        let all = self.optimizer.kind().slots().iter().zip(kept.slots);
        Ok(all.filter_map(|(name, tensor)| Some(Moment { name, tensor: tensor? })).collect())
    }

    fn reset_moments(&mut self, parameter: usize) -> Result<()> {
        let tensor = &self.parameters[parameter].tensor;
        Ok(self.optimizer.set_parameter_state(tensor, None)?)
    }

    fn has_curvature(&self) -> bool {
        self.optimizer.kind().second_moment().is_some()
    }

    fn curvature(&mut self, parameter: usize) -> Result<Option<Curvature>> {
        let slot = self.optimizer.kind().second_moment().ok_or(Error::NoCurvature)?;
        let Parameter { tensor, group, .. } = &self.parameters[parameter];
        let Some(mut kept) = self.optimizer.parameter_state(tensor)? else { return Ok(None) };
        let decay = self.optimizer.second_moment_decay(*group)?;
        // The average starts at 0; this corrects that, like Adam's bias correction.
        let steps = i32::try_from(kept.step).unwrap_or(i32::MAX);
        let scale = 1.0 / (1.0 - decay.powi(steps));
        let second_moment = kept.slots.swap_remove(slot);
        Ok(second_moment.map(|second_moment| Curvature { second_moment, scale }))
    }

    fn learning_rates(&self) -> Result<Vec<f64>> {
        let rate = |group| Ok(self.optimizer.group_options(group)?.learning_rate);
        (0..self.optimizer.groups()).map(rate).collect()
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        check_learning_rate(learning_rate)?;
        self.change_all_groups(|options| options.learning_rate = learning_rate)
    }

    fn set_learning_rate_group(&mut self, group: usize, learning_rate: f64) -> Result<()> {
        check_learning_rate(learning_rate)?;
        self.change_group(group, |options| options.learning_rate = learning_rate)
    }

    fn set_weight_decay(&mut self, weight_decay: f64) -> Result<()> {
        TchOptimizer::set_weight_decay(self, weight_decay)
    }

    fn set_weight_decay_of_group(&mut self, group: usize, weight_decay: f64) -> Result<()> {
        check_weight_decay(weight_decay)?;
        self.change_group(group, |options| options.weight_decay = weight_decay)
    }

    fn set_momentum_of_group(&mut self, group: usize, momentum: f64) -> Result<()> {
        check_momentum(momentum)?;
        self.change_group(group, |options| options.momentum = momentum)
    }

    fn state(&mut self) -> Result<State> {
        let mut state = State::default();
        self.state_into(&mut state)?;
        Ok(state)
    }

    fn state_into(&mut self, state: &mut State) -> Result<()> {
        self.join_new_parameters()?;
        self.refuse_unknown_kind()?;
        let mut scratch = std::mem::take(state);
        let kind = self.optimizer.kind();
        for parameter in &self.parameters {
            let Some(kept) = self.optimizer.parameter_state(&parameter.tensor)? else { continue };
            if kind.counts_steps() {
                state.integers.insert(self.keys().step(parameter), kept.step);
            }
            for (slot, tensor) in kind.slots().iter().zip(kept.slots) {
                if let Some(tensor) = tensor {
                    let key = self.keys().slot(slot, parameter);
                    state.copy_into_reused(key, &tensor, &mut scratch)?;
                }
            }
        }
        state.integers.insert(self.keys().count(), state.tensors.len() as i64);
        self.options_into(state)
    }

    fn load_state(&mut self, state: &State) -> Result<()> {
        self.join_new_parameters()?;
        self.refuse_unknown_kind()?;
        let renamed = self.keys().under_own_names(state, &own_names(self));
        let state = renamed.as_ref().unwrap_or(state);
        let required = self.optimizer.required_slots()?;
        let states = self
            .parameters
            .iter()
            .map(|parameter| self.read_parameter(state, parameter, &required))
            .collect::<Result<Vec<_>>>()?;
        let groups = 0..=self.optimizer.groups();
        let options =
            groups.map(|group| self.read_options(state, group)).collect::<Result<Vec<_>>>()?;

        self.keys().refuse_unknown(state)?;
        self.keys().refuse_lost(state)?;

        for (parameter, state) in self.parameters.iter().zip(states) {
            self.optimizer.set_parameter_state(&parameter.tensor, state)?;
        }
        for (group, options) in options.into_iter().enumerate() {
            self.optimizer.set_group_options(group, options)?;
        }
        Ok(())
    }

    fn partial_state(&mut self, state: &State) -> Result<(State, Taken)> {
        self.join_new_parameters()?;
        self.refuse_unknown_kind()?;
        let mut own = State::default();
        self.options_into(&mut own)?;
        let renamed = self.keys().under_own_names(state, &own_names(self));
        Ok(self.keys().partial(renamed.as_ref().unwrap_or(state), &own))
    }
}

/// Slots that hold means of squares.
const SQUARES: [&str; 3] = ["exp_avg_sq", "max_exp_avg_sq", "square_avg"];

/// The options of a group in a state.
const OPTIONS: [&str; 3] = ["learning_rate", "momentum", "weight_decay"];
