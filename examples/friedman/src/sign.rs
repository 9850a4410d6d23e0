//! An inner optimizer of the program's own: SGD with momentum that uses only the sign of each element.
//!
//! J. Bernstein, Y.-X. Wang, K. Azizzadenesheli, A. Anandkumar, *signSGD: Compressed Optimisation for Non-Convex
//! Problems*, 2018.

use lookahead_core::{
    Error, InnerOptimizer, Parameter, Result, State, Variables, check_learning_rate,
};
use lookahead_trainer::{ConfigIssue, KindOptions, OptimizerContext, require};
use serde::{Deserialize, Serialize};
use tch::{Tensor, nn};

/// The keys of `[optimizer]` for this optimizer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignOptions {
    /// The decay of the momentum.
    pub momentum: f64,
}

impl Default for SignOptions {
    fn default() -> Self {
        SignOptions { momentum: 0.9 }
    }
}

impl KindOptions for SignOptions {
    fn check(&self) -> std::result::Result<(), ConfigIssue> {
        let momentum = self.momentum;
        require((0.0..1.0).contains(&momentum), "optimizer.momentum", momentum, "0 to below 1")
    }
}

/// m ← β m + (1 − β) g; θ ← θ − lr · sign(m).
#[derive(Debug)]
pub struct Sign {
    parameters: Vec<Parameter>,
    /// One for each parameter.
    momenta: Vec<Tensor>,
    learning_rate: f64,
    beta: f64,
}

/// Builds it for the trainable variables of `vs`.
pub fn build(options: SignOptions, context: &OptimizerContext, vs: &nn::VarStore) -> Result<Sign> {
    let parameters = Variables::new(vs).take_new();
    let zeros = |parameter: &Parameter| Ok(parameter.tensor.f_detach()?.f_zeros_like()?);
    Ok(Sign {
        momenta: parameters.iter().map(zeros).collect::<Result<_>>()?,
        parameters,
        learning_rate: context.learning_rate,
        beta: options.momentum,
    })
}

impl InnerOptimizer for Sign {
    fn step(&mut self) -> Result<()> {
        let _guard = tch::no_grad_guard();
        for (parameter, momentum) in self.parameters.iter().zip(&mut self.momenta) {
            let gradient = parameter.tensor.grad();
            if gradient.defined() {
                let new = gradient.f_mul(&Tensor::from(1.0 - self.beta))?;
                *momentum = momentum.f_mul(&Tensor::from(self.beta))?.f_add(&new)?;
                let update = momentum.f_sign()?.f_mul(&Tensor::from(self.learning_rate))?;
                let _ = parameter.tensor.shallow_clone().f_sub_(&update)?;
            }
        }
        Ok(())
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn learning_rates(&self) -> Result<Vec<f64>> {
        Ok(vec![self.learning_rate])
    }

    fn set_learning_rate_group(&mut self, _: usize, learning_rate: f64) -> Result<()> {
        check_learning_rate(learning_rate)?;
        self.learning_rate = learning_rate;
        Ok(())
    }

    fn state(&mut self) -> Result<State> {
        let mut state = State::default();
        for (parameter, momentum) in self.parameters.iter().zip(&self.momenta) {
            state.tensors.insert(format!("sign/{}", parameter.name), momentum.copy());
        }
        Ok(state)
    }

    fn load_state(&mut self, state: &State) -> Result<()> {
        let saved = self.parameters.iter().map(|parameter| {
            let key = format!("sign/{}", parameter.name);
            state.tensors.get(&key).map(Tensor::copy).ok_or(Error::StateMissing { key })
        });
        self.momenta = saved.collect::<Result<_>>()?;
        Ok(())
    }
}
