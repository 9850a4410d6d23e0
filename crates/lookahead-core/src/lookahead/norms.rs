//! Norms that tell how a training goes: of θ − φ, and of the gradient.

use tch::{Kind, Tensor};

use super::{Lookahead, is_trained};
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
    /// [`FastWeightsChanged`](crate::Error::FastWeightsChanged) where somebody else wrote to θ, or
    /// what libtorch says.
    pub fn distance(&mut self) -> Result<f64> {
        self.ready()?;
        let _guard = tch::no_grad_guard();
        let trained = self.inner.parameters().iter().zip(&self.slow);
        // φ is of single precision at least, and so is the difference.
        let differences = trained
            .filter(|(parameter, _)| is_trained(parameter))
            .map(|(parameter, slow)| Ok(parameter.tensor.f_sub(slow)?));
        Ok(norm(differences)?.unwrap_or(0.0))
    }

    /// The norm of the gradient that the variables hold, over all trainable ones together; `None`
    /// where none of them has one. After a step it is the step's, until it is zeroed.
    ///
    /// # Errors
    /// What libtorch says, such as of a sparse gradient.
    pub fn gradient_norm(&mut self) -> Result<Option<f64>> {
        self.put_fast_weights_back()?;
        let _guard = tch::no_grad_guard();
        let trained = self.inner.parameters().iter().filter(|parameter| is_trained(parameter));
        norm(trained.map(|parameter| parameter.tensor.grad()).filter(Tensor::defined).map(Ok))
    }
}

/// The L2 norm of tensors taken together, in single precision at least; `None` of no tensor.
fn norm(tensors: impl Iterator<Item = Result<Tensor>>) -> Result<Option<f64>> {
    let mut norms = Vec::new();
    for tensor in tensors {
        let tensor = tensor?;
        // Half precision holds no norm above 65,504.
        let wide = if tensor.kind() == Kind::Double { Kind::Double } else { Kind::Float };
        norms.push(tensor.f_norm_scalaropt_dtype(2, wide)?.f_to_kind(Kind::Double)?);
    }
    let Some(first) = norms.first() else { return Ok(None) };
    let device = first.device();
    for norm in &mut norms {
        *norm = norm.f_to_device(device)?;
    }
    // The one value that is read back.
    Ok(Some(f64::try_from(Tensor::f_stack(&norms, 0)?.f_norm()?)?))
}
