//! An already built tch optimizer as an inner optimizer, without its state.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lookahead_sys::tensor::identity;
use tch::nn;

use crate::inner::{group_count, sparse_gradient};
use crate::range::check_learning_rate;
use crate::{Error, InnerOptimizer, Parameter, Result, State, Variables};

/// A [`nn::Optimizer`] that is already built. It trains like any other, but can't give its state, because tch keeps
/// the C++ object private. Where tch panics, this returns an error after the panic's message on stderr.
#[derive(Debug)]
pub struct WrappedOptimizer {
    optimizer: nn::Optimizer,
    variables: Variables,
    parameters: Vec<Parameter>,
    /// A complex variable, which it may step wrongly.
    complex: Option<String>,
}

impl WrappedOptimizer {
    /// Wraps an optimizer that was built for `vs`.
    ///
    /// # Errors
    /// [`OtherStore`](Error::OtherStore) if it was built for other variables,
    /// [`ComplexVariable`](Error::ComplexVariable) for complex ones.
    pub fn new(optimizer: nn::Optimizer, vs: &nn::VarStore) -> Result<Self> {
        let ours: HashSet<usize> = vs.trainable_variables().iter().map(identity).collect();
        let its: HashSet<usize> = optimizer.trainable_variables().iter().map(identity).collect();
        if ours != its {
            return Err(Error::OtherStore);
        }
        let mut variables = Variables::new(vs);
        let parameters = variables.take_new();
        let mut wrapped = WrappedOptimizer { optimizer, variables, parameters, complex: None };
        wrapped.complex = wrapped.find_complex();
        wrapped.refuse_complex()?;
        Ok(wrapped)
    }

    /// For complex variables only SGD agrees with PyTorch, and this optimizer's kind is unknown.
    fn refuse_complex(&self) -> Result<()> {
        let Some(name) = self.complex.clone() else { return Ok(()) };
        let what = "an optimizer that is already built may step it differently from PyTorch";
        Err(Error::ComplexVariable { name, what: what.to_owned() })
    }

    fn find_complex(&self) -> Option<String> {
        self.parameters.iter().find(|p| p.is_complex()).map(|parameter| parameter.name.clone())
    }

    /// Runs one of tch's methods, which panics if libtorch throws.
    fn guarded(&mut self, call: &'static str, run: impl FnOnce(&mut nn::Optimizer)) -> Result<()> {
        catch_unwind(AssertUnwindSafe(|| run(&mut self.optimizer))).map_err(|panic| {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no reason given.");
            let sentence = text.split("\\nException raised from").next().unwrap_or(text);
            Error::WrappedFailed { call, message: sentence.to_owned() }
        })
    }
}

impl InnerOptimizer for WrappedOptimizer {
    fn step(&mut self) -> Result<()> {
        self.guarded("step", nn::Optimizer::step).map_err(|failed| {
            match sparse_gradient(&self.parameters, &failed.to_string()) {
                Some(name) => Error::SparseGradient { name, optimizer: "the wrapped optimizer" },
                None => failed,
            }
        })
    }

    fn zero_grad(&mut self) -> Result<()> {
        self.guarded("zero_grad", nn::Optimizer::zero_grad)
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn join_new_parameters(&mut self) -> Result<()> {
        // tch's optimizer finds them itself in its step.
        let new = self.variables.take_new();
        if !new.is_empty() {
            self.parameters.extend(new);
            self.complex = self.find_complex();
        }
        self.refuse_complex()
    }

    fn learning_rates(&self) -> Result<Vec<f64>> {
        Err(Error::Unreachable { what: "learning rate" })
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        check_learning_rate(learning_rate)?;
        self.guarded("set_lr", |optimizer| optimizer.set_lr(learning_rate))
    }

    fn set_learning_rate_group(&mut self, group: usize, learning_rate: f64) -> Result<()> {
        check_learning_rate(learning_rate)?;
        let count = group_count(&self.parameters);
        if group >= count {
            return Err(Error::Group { group, count });
        }
        self.guarded("set_lr_group", |optimizer| optimizer.set_lr_group(group, learning_rate))
    }

    fn state(&mut self) -> Result<State> {
        Err(Error::Unreachable { what: "state" })
    }

    fn load_state(&mut self, _state: &State) -> Result<()> {
        Err(Error::Unreachable { what: "state" })
    }
}
