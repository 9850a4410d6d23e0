//! The inner optimizers that programs run on.

use super::program::Mover;
use crate::common::{AnyConfig, Inner};
use lookahead_core::{
    Error, InnerOptimizer, Lookahead, Moment, Parameter, Result, State, TchOptimizer, Variables,
    fused,
};
use tch::nn::{self, OptimizerConfig};
use tch::{Tensor, no_grad};

pub(super) const LEARNING_RATE: f64 = 0.05;

/// θ and the momentum after a step of SGD with momentum, each operation in θ's own element type.
pub(super) fn own_step(
    fast: &Tensor,
    gradient: &Tensor,
    momentum: Option<&Tensor>,
) -> (Tensor, Tensor) {
    let momentum = match momentum {
        Some(momentum) => momentum * 0.75 + gradient,
        None => gradient.copy(),
    };
    (fast - &momentum * LEARNING_RATE, momentum)
}

/// The tests' own inner optimizer.
pub(super) struct Own {
    pub(super) variables: Variables,
    pub(super) parameters: Vec<Parameter>,
    pub(super) momenta: Vec<Option<Tensor>>,
}

impl Own {
    pub(super) fn new(vs: &nn::VarStore) -> Result<Own> {
        let mut own =
            Own { variables: Variables::new(vs), parameters: Vec::new(), momenta: Vec::new() };
        own.join_new_parameters()?;
        Ok(own)
    }

    pub(super) fn key(parameter: &Parameter) -> String {
        format!("own/momentum/{}", parameter.name)
    }
}

impl InnerOptimizer for Own {
    fn step(&mut self) -> Result<()> {
        self.join_new_parameters()?;
        let _guard = tch::no_grad_guard();
        for (Parameter { tensor, .. }, kept) in self.parameters.iter().zip(&mut self.momenta) {
            let gradient = tensor.grad();
            if gradient.defined() && tensor.requires_grad() {
                let (next, momentum) = own_step(tensor, &gradient, kept.as_ref());
                tensor.shallow_clone().copy_(&next);
                *kept = Some(momentum);
            }
        }
        Ok(())
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn join_new_parameters(&mut self) -> Result<()> {
        self.parameters.extend(self.variables.take_new());
        self.momenta.resize_with(self.parameters.len(), || None);
        Ok(())
    }

    fn moment_names(&self) -> Option<Vec<&'static str>> {
        Some(vec!["momentum"])
    }

    fn moments(&mut self, parameter: usize) -> Result<Vec<Moment>> {
        let kept = self.momenta[parameter].iter();
        Ok(kept.map(|m| Moment { name: "momentum", tensor: m.shallow_clone() }).collect())
    }

    fn reset_moments(&mut self, parameter: usize) -> Result<()> {
        self.momenta[parameter] = None;
        Ok(())
    }

    fn learning_rates(&self) -> Result<Vec<f64>> {
        Ok(vec![LEARNING_RATE])
    }

    fn set_learning_rate_group(&mut self, _group: usize, _learning_rate: f64) -> Result<()> {
        Err(Error::Unreachable { what: "learning rate" })
    }

    fn state(&mut self) -> Result<State> {
        let mut state = State::default();
        for (parameter, kept) in self.parameters.iter().zip(&self.momenta) {
            if let Some(momentum) = kept {
                state.tensors.insert(Own::key(parameter), momentum.contiguous().copy());
            }
        }
        Ok(state)
    }

    fn load_state(&mut self, state: &State) -> Result<()> {
        // In θ's layout, as before: with another one the sync takes another path, which rounds differently.
        let read = |parameter: &Parameter| {
            let saved = state.tensors.get(&Own::key(parameter))?;
            let mut momentum = no_grad(|| parameter.tensor.zeros_like());
            momentum.copy_(saved);
            Some(momentum)
        };
        self.momenta = self.parameters.iter().map(read).collect();
        Ok(())
    }
}

impl Mover {
    pub(super) fn build(self, vs: &nn::VarStore) -> Result<Box<dyn InnerOptimizer>> {
        fn tchs<C: OptimizerConfig>(
            config: C,
            vs: &nn::VarStore,
        ) -> Result<Box<dyn InnerOptimizer>> {
            Ok(Box::new(TchOptimizer::new(config, vs, LEARNING_RATE)?))
        }
        match self {
            Mover::Own => Ok(Box::new(Own::new(vs)?)),
            Mover::Tch(inner) => tchs(AnyConfig(inner), vs),
            Mover::Fused(inner) => tchs(FusedConfig(inner), vs),
            Mover::Nested => {
                let sgd = AnyConfig(Inner::Sgd);
                let level = Lookahead::builder(sgd).k(2).alpha(0.5).build(vs, LEARNING_RATE)?;
                Ok(Box::new(level))
            }
        }
    }

    /// Adam's and RMSprop's ε of 1e-8 is 0 in half precision, so a gradient of 0 gives NaN.
    pub(super) fn takes_half_precision(self) -> bool {
        match self {
            Mover::Own | Mover::Nested => true,
            Mover::Tch(inner) | Mover::Fused(inner) => inner == Inner::Sgd,
        }
    }
}

/// [`AnyConfig`] for the fused optimizers.
#[derive(Debug, Clone, Copy)]
pub(super) struct FusedConfig(pub(super) Inner);

impl OptimizerConfig for FusedConfig {
    fn build_copt(&self, lr: f64) -> Result<tch::COptimizer, tch::TchError> {
        match self.0 {
            Inner::Sgd => fused::sgd(0.9, 0.0, 1e-4, true).build_copt(lr),
            Inner::Adam => fused::Adam::default().amsgrad(true).build_copt(lr),
            Inner::AdamW => fused::AdamW::default().amsgrad(true).build_copt(lr),
            Inner::RmsProp => fused::rms_prop(0.99, 1e-8, 0.0, 0.9, true).build_copt(lr),
        }
    }
}
