//! A finished optimizer of tch's, as an inner optimizer without a state.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tch::nn;

use crate::inner::check_learning_rate;
use crate::variables::TrainableVariables;
use crate::{Error, InnerOptimizer, Parameter, Result, State};

/// A [`nn::Optimizer`] that somebody else built. It trains like any other; its state can't be
/// reached, since tch keeps the C++ object of a finished optimizer to itself.
#[derive(Debug)]
pub struct WrappedOptimizer {
    optimizer: nn::Optimizer,
    variables: TrainableVariables,
    parameters: Vec<Parameter>,
}

impl WrappedOptimizer {
    /// Wraps an optimizer that was built for `vs`.
    pub fn new(optimizer: nn::Optimizer, vs: &nn::VarStore) -> Self {
        let mut variables = TrainableVariables::new(vs);
        let parameters = variables.take_new();
        WrappedOptimizer { optimizer, variables, parameters }
    }

    /// Runs a method of tch's that panics where libtorch throws.
    fn guarded<T>(&mut self, call: impl FnOnce(&mut nn::Optimizer) -> T) -> Result<T> {
        catch_unwind(AssertUnwindSafe(|| call(&mut self.optimizer))).map_err(|panic| {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("it gave no reason.");
            let sentence = text.split("\\nException raised from").next().unwrap_or(text);
            Error::WrappedPanicked(sentence.to_owned())
        })
    }

    fn no_state<T>() -> Result<T> {
        let reason = "The state of a tch optimizer that is already built can't be reached, \
                      because tch keeps its pointer private."
            .to_owned();
        Err(Error::NoState { reason })
    }
}

impl InnerOptimizer for WrappedOptimizer {
    fn step(&mut self) -> Result<()> {
        self.guarded(nn::Optimizer::step)
    }

    fn zero_grad(&mut self) -> Result<()> {
        self.guarded(nn::Optimizer::zero_grad)
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn join_new_parameters(&mut self) -> Result<()> {
        // tch's optimizer finds them by itself in its step.
        self.parameters.extend(self.variables.take_new());
        Ok(())
    }

    fn learning_rates(&self) -> Result<Vec<f64>> {
        Self::no_state()
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        check_learning_rate(learning_rate)?;
        self.guarded(|optimizer| optimizer.set_lr(learning_rate))
    }

    fn set_learning_rate_group(&mut self, group: usize, learning_rate: f64) -> Result<()> {
        check_learning_rate(learning_rate)?;
        self.guarded(|optimizer| optimizer.set_lr_group(group, learning_rate))
    }

    fn state(&mut self) -> Result<State> {
        Self::no_state()
    }

    fn load_state(&mut self, _state: &State) -> Result<()> {
        Self::no_state()
    }
}
