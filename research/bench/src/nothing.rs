//! An inner optimizer whose steps cost nothing, so that what is around it is timed.

use lookahead_core::tch_ext::arithmetic::scale;
use lookahead_core::{InnerOptimizer, Parameter, Result, State};
use tch::Tensor;

/// An inner optimizer whose steps do nothing, or multiply θ by a factor.
#[derive(Debug)]
pub(crate) struct Nothing {
    parameters: Vec<Parameter>,
    /// What a step multiplies θ by.
    pub(crate) factor: f64,
}

impl Nothing {
    pub(crate) fn new(weights: &[Tensor]) -> Self {
        let parameter = |(i, tensor): (usize, &Tensor)| Parameter {
            name: format!("weight{i}"),
            group: 0,
            tensor: tensor.shallow_clone(),
        };
        Nothing { parameters: weights.iter().enumerate().map(parameter).collect(), factor: 1.0 }
    }
}

impl InnerOptimizer for Nothing {
    fn step(&mut self) -> Result<()> {
        if self.factor != 1.0 {
            for parameter in &mut self.parameters {
                scale(&mut parameter.tensor, self.factor)?;
            }
        }
        Ok(())
    }

    fn zero_grad(&mut self) -> Result<()> {
        Ok(())
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn learning_rates(&self) -> Result<Vec<f64>> {
        Ok(vec![0.0])
    }

    fn set_learning_rate(&mut self, _: f64) -> Result<()> {
        Ok(())
    }

    fn set_learning_rate_group(&mut self, _: usize, _: f64) -> Result<()> {
        Ok(())
    }

    fn state(&mut self) -> Result<State> {
        Ok(State::default())
    }

    fn load_state(&mut self, _: &State) -> Result<()> {
        Ok(())
    }
}
