//! The optimizers that tch can build, as inner optimizers with their state.

use std::collections::HashSet;

use lookahead_sys::optimizer::{GroupOptions, Kind, Optimizer, ParameterState};
use tch::{Tensor, nn};

use crate::inner::{Curvature, Moment, sparse_gradient};
use crate::range::{MOST_STEPS, check_learning_rate, check_momentum, check_weight_decay};
use crate::state::{copy_like, expect_finite, expect_like, in_range};
use crate::{Error, InnerOptimizer, Parameter, Result, State, Variables};

/// Any optimizer that a [`nn::OptimizerConfig`] describes, on all trainable variables of a store.
///
/// It steps as [`nn::Optimizer`] does, to the bit, returns errors where that panics, and gives its
/// state. It is useful without Lookahead too.
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
    /// A variable that it can't step.
    complex: Option<String>,
}

impl TchOptimizer {
    /// Builds the optimizer for the trainable variables of `vs`; those added later join before
    /// the next step.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting), [`ComplexVariable`](Error::ComplexVariable) for any but SGD,
    /// or what libtorch says of the configuration.
    pub fn new<C: nn::OptimizerConfig>(
        config: C,
        vs: &nn::VarStore,
        learning_rate: f64,
    ) -> Result<Self> {
        check_learning_rate(learning_rate)?;
        let optimizer = Optimizer::build(&config, learning_rate)?;
        let variables = Variables::new(vs);
        let mut built =
            TchOptimizer { optimizer, variables, parameters: Vec::new(), complex: None };
        built.join_new_parameters()?;
        Ok(built)
    }

    /// The kind's name, such as `adamw`.
    pub fn name(&self) -> &'static str {
        self.optimizer.kind().name()
    }

    /// Sets the momentum of all groups, and of those made later: β₁ for Adam and AdamW.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) outside 0 ≤ momentum < 1.
    pub fn set_momentum(&mut self, momentum: f64) -> Result<()> {
        check_momentum(momentum)?;
        self.change_all_groups(|options| options.momentum = momentum)
    }

    /// Sets the weight decay of all groups, and of those made later.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) for a negative or non-finite one.
    pub fn set_weight_decay(&mut self, weight_decay: f64) -> Result<()> {
        check_weight_decay(weight_decay)?;
        self.change_all_groups(|options| options.weight_decay = weight_decay)
    }

    fn change_all_groups(&mut self, change: impl Fn(&mut GroupOptions)) -> Result<()> {
        // One more than there are: the options of groups made later.
        for group in 0..=self.optimizer.groups() {
            let mut options = self.optimizer.group_options(group)?;
            change(&mut options);
            self.optimizer.set_group_options(group, options)?;
        }
        Ok(())
    }

    /// On complex variables libtorch's C++ optimizers step by the magnitude of the squared gradient or fail,
    /// unlike PyTorch's, which take them for pairs of real numbers. SGD's step is the same either way.
    fn refuse_complex(&self) -> Result<()> {
        let Some(name) = self.complex.clone() else { return Ok(()) };
        let what =
            format!("{} steps complex variables by other formulas than PyTorch", self.name());
        Err(Error::ComplexVariable { name, what })
    }

    fn find_complex(&self) -> Option<String> {
        if self.optimizer.kind() == Kind::Sgd {
            return None;
        }
        self.parameters.iter().find(|p| p.is_complex()).map(|parameter| parameter.name.clone())
    }

    /// Names the variable whose sparse gradient is why a step failed.
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

    /// The name of an option of a group, or of the groups made later, in a state.
    fn option_key(&self, option: &str, group: usize) -> String {
        let group = match group == self.optimizer.groups() {
            true => "later".to_owned(),
            false => group.to_string(),
        };
        format!("{}/{option}/{group}", self.name())
    }

    fn read_options(&self, state: &State, group: usize) -> Result<GroupOptions> {
        let read = |option| state.number(&self.option_key(option, group));
        let [learning_rate, momentum, weight_decay] = OPTIONS.map(read);
        let (learning_rate, momentum, weight_decay) = (learning_rate?, momentum?, weight_decay?);
        let entry = |option| self.option_key(option, group);
        let [of_rate, of_momentum, of_decay] = OPTIONS.map(entry);
        check_learning_rate(learning_rate).map_err(|error| error.in_entry(&of_rate))?;
        check_weight_decay(weight_decay).map_err(|error| error.in_entry(&of_decay))?;
        match self.optimizer.kind() {
            Kind::Adam | Kind::AdamW => {
                check_momentum(momentum).map_err(|error| error.in_entry(&of_momentum))?;
            }
            // libtorch builds these with a momentum of 1 or more, and what was built can be saved.
            _ if momentum.is_finite() && momentum >= 0.0 => {}
            _ => {
                let allowed = "a finite number of at least 0".to_owned();
                let found = momentum.to_string();
                return Err(Error::StateRange { key: of_momentum, found, allowed });
            }
        }
        Ok(GroupOptions { learning_rate, momentum, weight_decay })
    }

    /// How many tensors a state has; those of earlier versions don't tell.
    fn count_key(&self) -> String {
        format!("{}/tensors", self.name())
    }

    /// The state with the entries of tied weights under the names that they have here, where they have
    /// others.
    fn under_own_names(&self, state: &State) -> Option<State> {
        let others = self.other_names();
        let own = |(other, i): (String, usize)| (other, self.parameters[i].name.clone());
        let names: Vec<(String, String)> = others.into_iter().map(own).collect();
        let entries = self.optimizer.kind().slots().iter().chain(&["step"]);
        let heads: Vec<String> = entries.map(|entry| format!("{}/{entry}", self.name())).collect();
        (!names.is_empty()).then(|| state.under_own_names(&heads, &names))
    }

    /// An error where a state has fewer tensors than it says, which could pass for parameters that never
    /// had a gradient.
    fn refuse_lost(&self, state: &State) -> Result<()> {
        let (key, found) = (self.count_key(), state.tensors.len() as i64);
        let Some(&count) = state.integers.get(&key) else { return Ok(()) };
        if count == found {
            return Ok(());
        }
        let slots = self.optimizer.kind().slots();
        let keys = self
            .parameters
            .iter()
            .flat_map(|parameter| slots.iter().map(move |slot| self.slot_key(slot, parameter)));
        let mut lost = keys.filter(|key| !state.tensors.contains_key(key));
        Err(match lost.next() {
            Some(key) if found < count => Error::StateMissing { key },
            _ => {
                let allowed = format!("{found}, the number of tensors that the state has");
                Error::StateRange { key, found: count.to_string(), allowed }
            }
        })
    }

    fn slot_key(&self, slot: &str, parameter: &Parameter) -> String {
        format!("{}/{slot}/{}", self.name(), parameter.name)
    }

    fn step_key(&self, parameter: &Parameter) -> String {
        self.slot_key("step", parameter)
    }

    /// Reads one parameter's state out of `state` and checks it, without changing anything.
    /// Either all entries that the options ask for are there, or none is: the parameter never had
    /// a gradient.
    fn read_parameter(
        &self,
        state: &State,
        parameter: &Parameter,
        required: &[bool],
    ) -> Result<Option<ParameterState>> {
        let kind = self.optimizer.kind();
        let step_key = self.step_key(parameter);
        let saved: Vec<(String, Option<&Tensor>)> = kind
            .slots()
            .iter()
            .map(|slot| self.slot_key(slot, parameter))
            .map(|key| (key.clone(), state.tensors.get(&key)))
            .collect();
        if saved.iter().all(|(_, tensor)| tensor.is_none())
            && !state.integers.contains_key(&step_key)
        {
            return Ok(None);
        }
        let step = match kind.counts_steps() {
            true => in_range(state, &step_key, 1, MOST_STEPS)? as i64,
            false => 0,
        };
        let mut slots = Vec::with_capacity(saved.len());
        for (((key, tensor), required), slot) in saved.into_iter().zip(required).zip(kind.slots()) {
            // The momentum may have been set since the buffer was made, or before one was.
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
            // libtorch's own SGD begins so where gradients are sparse, and steps on with a dense buffer.
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
        // The average starts at 0; this takes that out, as Adam's bias correction does.
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
        let count = self.optimizer.groups();
        if group >= count {
            return Err(Error::Group { group, count });
        }
        let options = self.optimizer.group_options(group)?;
        Ok(self.optimizer.set_group_options(group, GroupOptions { learning_rate, ..options })?)
    }

    fn state(&mut self) -> Result<State> {
        let mut state = State::default();
        self.state_into(&mut state)?;
        Ok(state)
    }

    fn state_into(&mut self, state: &mut State) -> Result<()> {
        self.join_new_parameters()?;
        self.refuse_unknown_kind()?;
        let mut earlier = std::mem::take(state);
        let kind = self.optimizer.kind();
        for parameter in &self.parameters {
            let Some(kept) = self.optimizer.parameter_state(&parameter.tensor)? else { continue };
            if kind.counts_steps() {
                state.integers.insert(self.step_key(parameter), kept.step);
            }
            for (slot, tensor) in kind.slots().iter().zip(kept.slots) {
                if let Some(tensor) = tensor {
                    state.copy_into_reused(
                        self.slot_key(slot, parameter),
                        &tensor,
                        &mut earlier,
                    )?;
                }
            }
        }
        // Else a momentum buffer that is lost would pass for one that was never made.
        state.integers.insert(self.count_key(), state.tensors.len() as i64);
        for group in 0..=self.optimizer.groups() {
            let GroupOptions { learning_rate, momentum, weight_decay } =
                self.optimizer.group_options(group)?;
            for (option, value) in OPTIONS.into_iter().zip([learning_rate, momentum, weight_decay])
            {
                state.numbers.insert(self.option_key(option, group), value);
            }
        }
        Ok(())
    }

    fn load_state(&mut self, state: &State) -> Result<()> {
        self.join_new_parameters()?;
        self.refuse_unknown_kind()?;
        let slots = self.optimizer.kind().slots();
        let renamed = self.under_own_names(state);
        let state = renamed.as_ref().unwrap_or(state);
        let required = self.optimizer.required_slots()?;
        let states = self
            .parameters
            .iter()
            .map(|parameter| self.read_parameter(state, parameter, &required))
            .collect::<Result<Vec<_>>>()?;
        let groups = 0..=self.optimizer.groups();
        let options = groups
            .clone()
            .map(|group| self.read_options(state, group))
            .collect::<Result<Vec<_>>>()?;

        let names = |of: &[&str]| -> HashSet<String> {
            let all = self.parameters.iter();
            all.flat_map(|parameter| of.iter().map(|slot| self.slot_key(slot, parameter))).collect()
        };
        let (tensors, integers) = (names(slots), names(&["step"]));
        let numbers: HashSet<String> =
            groups.flat_map(|group| OPTIONS.map(|option| self.option_key(option, group))).collect();
        state.refuse_unknown(
            |tensor| tensors.contains(tensor),
            |integer| integers.contains(integer) || integer == self.count_key(),
            |number| numbers.contains(number),
        )?;
        self.refuse_lost(state)?;

        for (parameter, state) in self.parameters.iter().zip(states) {
            self.optimizer.set_parameter_state(&parameter.tensor, state)?;
        }
        for (group, options) in options.into_iter().enumerate() {
            self.optimizer.set_group_options(group, options)?;
        }
        Ok(())
    }
}

/// Slots that hold means of squares.
const SQUARES: [&str; 3] = ["exp_avg_sq", "max_exp_avg_sq", "square_avg"];

/// The options of a group that a state holds.
const OPTIONS: [&str; 3] = ["learning_rate", "momentum", "weight_decay"];
