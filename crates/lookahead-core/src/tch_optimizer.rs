//! The optimizers that tch can build, as inner optimizers with their state.

use std::collections::HashSet;

use lookahead_sys::optimizer::{Optimizer, ParameterState};
use tch::{Tensor, nn};

use crate::inner::check_learning_rate;
use crate::state::{copy_like, expect_like};
use crate::variables::TrainableVariables;
use crate::{Error, InnerOptimizer, Parameter, Result, State};

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
    variables: TrainableVariables,
    parameters: Vec<Parameter>,
}

impl TchOptimizer {
    /// Builds the optimizer for the trainable variables of `vs`; those added later join before
    /// the next step.
    ///
    /// # Errors
    /// [`LearningRate`](Error::LearningRate), or what libtorch says of the configuration.
    pub fn new<C: nn::OptimizerConfig>(
        config: C,
        vs: &nn::VarStore,
        learning_rate: f64,
    ) -> Result<Self> {
        check_learning_rate(learning_rate)?;
        let optimizer = Optimizer::build(&config, learning_rate)?;
        let variables = TrainableVariables::new(vs);
        let mut built = TchOptimizer { optimizer, variables, parameters: Vec::new() };
        built.join_new_parameters()?;
        Ok(built)
    }

    /// The kind's name, such as `adamw`.
    pub fn name(&self) -> &'static str {
        self.optimizer.kind().name()
    }

    /// Sets the momentum of all groups: β₁ for Adam and AdamW.
    ///
    /// # Errors
    /// What libtorch says of it.
    pub fn set_momentum(&mut self, momentum: f64) -> Result<()> {
        Ok(self.optimizer.options().set_momentum(momentum)?)
    }

    /// Sets the weight decay of all groups.
    ///
    /// # Errors
    /// What libtorch says of it.
    pub fn set_weight_decay(&mut self, weight_decay: f64) -> Result<()> {
        Ok(self.optimizer.options().set_weight_decay(weight_decay)?)
    }

    fn refuse_unknown_kind(&self) -> Result<()> {
        if self.optimizer.kind().slots().is_empty() {
            let reason = "The state of this kind of C++ optimizer is not known.".to_owned();
            return Err(Error::NoState { reason });
        }
        Ok(())
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
        let step = if kind.counts_steps() { state.integer(&step_key)? } else { 0 };
        if step < 0 {
            let allowed = "at least 0".to_owned();
            return Err(Error::StateRange { key: step_key, found: step.to_string(), allowed });
        }
        let mut slots = Vec::with_capacity(saved.len());
        for ((key, tensor), required) in saved.into_iter().zip(required) {
            slots.push(match (tensor, required) {
                (Some(tensor), true) => {
                    expect_like(&key, tensor, &parameter.tensor)?;
                    Some(copy_like(&parameter.tensor, tensor)?)
                }
                (None, false) => None,
                (Some(_), false) => return Err(Error::StateUnexpected { key }),
                (None, true) => return Err(Error::StateMissing { key }),
            });
        }
        Ok(Some(ParameterState { step, slots }))
    }
}

impl InnerOptimizer for TchOptimizer {
    fn step(&mut self) -> Result<()> {
        self.join_new_parameters()?;
        Ok(self.optimizer.step()?)
    }

    fn zero_grad(&mut self) -> Result<()> {
        self.join_new_parameters()?;
        Ok(self.optimizer.zero_grad()?)
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn join_new_parameters(&mut self) -> Result<()> {
        for parameter in self.variables.take_new() {
            self.optimizer.add_parameter(&parameter.tensor, parameter.group)?;
            self.parameters.push(parameter);
        }
        Ok(())
    }

    fn learning_rates(&self) -> Result<Vec<f64>> {
        Ok(self.optimizer.learning_rates()?)
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        check_learning_rate(learning_rate)?;
        Ok(self.optimizer.options().set_learning_rate(learning_rate)?)
    }

    fn set_learning_rate_group(&mut self, group: usize, learning_rate: f64) -> Result<()> {
        check_learning_rate(learning_rate)?;
        let count = self.optimizer.learning_rates()?.len();
        if group >= count {
            return Err(Error::Group { group, count });
        }
        Ok(self.optimizer.options().set_learning_rate_group(group, learning_rate)?)
    }

    fn state(&mut self) -> Result<State> {
        self.join_new_parameters()?;
        self.refuse_unknown_kind()?;
        let mut state = State::default();
        let kind = self.optimizer.kind();
        for parameter in &self.parameters {
            let Some(kept) = self.optimizer.parameter_state(&parameter.tensor)? else { continue };
            if kind.counts_steps() {
                state.integers.insert(self.step_key(parameter), kept.step);
            }
            for (slot, tensor) in kind.slots().iter().zip(kept.slots) {
                if let Some(tensor) = tensor {
                    let copy = copy_like(&tensor, &tensor)?;
                    state.tensors.insert(self.slot_key(slot, parameter), copy);
                }
            }
        }
        for (group, rate) in self.learning_rates()?.into_iter().enumerate() {
            state.numbers.insert(format!("{}/learning_rate/{group}", self.name()), rate);
        }
        Ok(state)
    }

    fn load_state(&mut self, state: &State) -> Result<()> {
        self.join_new_parameters()?;
        self.refuse_unknown_kind()?;
        let required = self.optimizer.required_slots()?;
        let states = self
            .parameters
            .iter()
            .map(|parameter| self.read_parameter(state, parameter, &required))
            .collect::<Result<Vec<_>>>()?;
        let rate_key = |group: usize| format!("{}/learning_rate/{group}", self.name());
        let rates = (0..self.learning_rates()?.len())
            .map(|group| {
                let rate = state.number(&rate_key(group))?;
                check_learning_rate(rate)?;
                Ok(rate)
            })
            .collect::<Result<Vec<_>>>()?;

        let slots = self.optimizer.kind().slots();
        let known: HashSet<String> = self
            .parameters
            .iter()
            .flat_map(|parameter| {
                slots
                    .iter()
                    .map(|slot| self.slot_key(slot, parameter))
                    .chain([self.step_key(parameter)])
                    .collect::<Vec<_>>()
            })
            .chain((0..rates.len()).map(rate_key))
            .collect();
        state.refuse_unknown(|key| known.contains(key))?;

        for (parameter, state) in self.parameters.iter().zip(states) {
            self.optimizer.set_parameter_state(&parameter.tensor, state)?;
        }
        for (group, rate) in rates.into_iter().enumerate() {
            self.optimizer.options().set_learning_rate_group(group, rate)?;
        }
        Ok(())
    }
}
