//! Norms to monitor a training: of θ − φ, and of the gradient.

use lookahead_sys::norm;
use tch::Tensor;

use super::Lookahead;
use crate::{InnerOptimizer, Result};

/// The norms of one trained variable.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VariableNorms {
    /// Its name in the variable store, for example `conv1.weight`.
    pub name: String,
    /// ‖θ − φ‖₂ of this variable.
    pub distance: f64,
    /// The norm of its current gradient, after clipping; 0 without one.
    pub gradient: f64,
}

impl<O: InnerOptimizer> Lookahead<O> {
    /// ‖θ − φ‖₂, the distance of the fast weights from the slow ones, over all trained variables together; 0
    /// just after a sync. Skips frozen variables. Reads a value back, so on a GPU the program waits.
    ///
    /// ```
    /// # use lookahead_core::Lookahead;
    /// # use tch::{Kind, Tensor};
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let w = vs.root().zeros("w", &[2]);
    /// let mut opt = Lookahead::builder(tch::nn::Sgd::default()).k(2).build(&vs, 0.5)?;
    /// opt.backward_step(&(&w * Tensor::from_slice(&[6f32, 8.])).sum(Kind::Float))?;
    /// assert_eq!(opt.distance()?, 5.0);
    /// assert_eq!(opt.gradient_norm()?, Some(10.0));
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`FastWeightsChanged`](crate::Error::FastWeightsChanged) if other code wrote to θ.
    pub fn distance(&mut self) -> Result<f64> {
        self.check_invariants()?;
        let trained = self.inner.parameters().iter().zip(&self.slow);
        let trained = trained.filter(|(parameter, _)| parameter.is_trained());
        Ok(norm::distance(trained.map(|(parameter, slow)| (&parameter.tensor, slow)))?)
    }

    /// The norm of the current gradient, over all trained variables together; `None` if none of them has one.
    /// After a step it is that step's gradient, until it is zeroed.
    pub fn gradient_norm(&mut self) -> Result<Option<f64>> {
        self.restore_fast_weights()?;
        let gradients: Vec<Tensor> =
            self.trained_tensors().map(Tensor::f_grad).collect::<Result<_, _>>()?;
        if !gradients.iter().any(Tensor::defined) {
            return Ok(None);
        }
        Ok(Some(norm::gradient_norm(self.trained_tensors())?))
    }

    /// [`distance`](Lookahead::distance) and [`gradient_norm`](Lookahead::gradient_norm) of each trained variable by
    /// itself, in the optimizer's order. Reads all distances back at once, and all gradient norms.
    ///
    /// ```
    /// # use lookahead_core::Lookahead;
    /// # use tch::{Kind, Tensor};
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let w = vs.root().zeros("w", &[2]);
    /// let mut opt = Lookahead::builder(tch::nn::Sgd::default()).k(2).build(&vs, 0.5)?;
    /// opt.backward_step(&(&w * Tensor::from_slice(&[6f32, 8.])).sum(Kind::Float))?;
    /// let norms = &opt.variable_norms()?[0];
    /// assert_eq!((&*norms.name, norms.distance, norms.gradient), ("w", 5.0, 10.0));
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`FastWeightsChanged`](crate::Error::FastWeightsChanged) if other code wrote to θ.
    pub fn variable_norms(&mut self) -> Result<Vec<VariableNorms>> {
        self.check_invariants()?;
        self.restore_fast_weights()?;
        let trained = self.inner.parameters().iter().zip(&self.slow);
        let trained: Vec<_> = trained.filter(|(parameter, _)| parameter.is_trained()).collect();
        let pairs = trained.iter().map(|(parameter, slow)| (&parameter.tensor, *slow));
        let distances = norm::distances(pairs)?;
        let gradients = trained.iter().map(|(parameter, _)| parameter.tensor.f_grad());
        let gradients: Vec<Tensor> = gradients.collect::<Result<_, _>>()?;
        let defined = gradients.iter().filter(|gradient| gradient.defined());
        let mut norms = norm::norms(defined)?.into_iter();
        let found = trained.iter().zip(distances).zip(&gradients);
        Ok(found
            .map(|(((parameter, _), distance), gradient)| VariableNorms {
                name: parameter.name.clone(),
                distance,
                gradient: if gradient.defined() { norms.next().unwrap_or(0.0) } else { 0.0 },
            })
            .collect())
    }
}
