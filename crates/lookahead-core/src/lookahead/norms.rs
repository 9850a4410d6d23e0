//! Norms that tell how a training goes: of θ − φ, and of the gradient.

use lookahead_sys::norm;
use tch::Tensor;

use super::Lookahead;
use crate::{InnerOptimizer, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    /// ‖θ − φ‖₂, how far the fast weights are from the slow ones, over all trainable variables
    /// together; 0 just after a sync. Frozen variables, which a sync leaves alone, don't count. One
    /// value is read back, so on a GPU the program waits for the device.
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
    /// [`FastWeightsChanged`](crate::Error::FastWeightsChanged) if other code wrote to θ, or
    /// what libtorch says.
    pub fn distance(&mut self) -> Result<f64> {
        self.check_invariants()?;
        let trained = self.inner.parameters().iter().zip(&self.slow);
        let trained = trained.filter(|(parameter, _)| parameter.is_trained());
        Ok(norm::distance(trained.map(|(parameter, slow)| (&parameter.tensor, slow)))?)
    }

    /// The norm of the gradient that the variables hold, over all trainable ones together; `None`
    /// where none of them has one. After a step it is the step's, until it is zeroed.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn gradient_norm(&mut self) -> Result<Option<f64>> {
        self.restore_fast_weights()?;
        let trained = self.inner.parameters().iter().filter(|parameter| parameter.is_trained());
        let mut gradients: Vec<Tensor> =
            trained.map(|parameter| parameter.tensor.f_grad()).collect::<Result<_, _>>()?;
        gradients.retain(Tensor::defined);
        Ok(if gradients.is_empty() { None } else { Some(norm::norm(&gradients)?) })
    }
}
