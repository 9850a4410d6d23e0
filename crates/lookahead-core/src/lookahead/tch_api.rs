//! The methods of tch's own optimizer, with errors instead of panics.

use tch::Tensor;
#[cfg(doc)]
use tch::nn;

use super::Lookahead;
#[cfg(doc)]
use crate::Error;
use crate::{InnerOptimizer, Result, TchOptimizer};

/// The methods of [`nn::Optimizer`].
impl<O: InnerOptimizer> Lookahead<O> {
    /// Makes the gradients of the fast weights undefined.
    pub fn zero_grad(&mut self) -> Result<()> {
        self.restore_fast_weights()?;
        self.unclipped = false;
        self.inner.zero_grad()
    }

    /// Computes the gradients of `loss` and takes a [`step`](Self::step); returns whether it synced.
    ///
    /// # Errors
    /// As [`step`](Self::step), and libtorch's for a loss that is not a scalar or has no graph.
    pub fn backward_step(&mut self, loss: &Tensor) -> Result<bool> {
        self.backward(loss)?;
        self.step()
    }

    /// [`backward_step`](Self::backward_step) with [`clip_grad_value`](Self::clip_grad_value).
    ///
    /// # Errors
    /// As these two.
    pub fn backward_step_clip(&mut self, loss: &Tensor, max: f64) -> Result<bool> {
        self.backward(loss)?;
        self.clip_grad_value(max)?;
        self.step()
    }

    /// [`backward_step`](Self::backward_step) with [`clip_grad_norm`](Self::clip_grad_norm).
    ///
    /// # Errors
    /// As these two.
    pub fn backward_step_clip_norm(&mut self, loss: &Tensor, max: f64) -> Result<bool> {
        self.backward(loss)?;
        self.clip_grad_norm(max)?;
        self.step()
    }

    fn backward(&mut self, loss: &Tensor) -> Result<()> {
        self.zero_grad()?;
        loss.f_backward()?;
        Ok(())
    }

    /// Sets the learning rate of all parameter groups.
    ///
    /// ```
    /// # use lookahead_core::{InnerOptimizer, Lookahead};
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let _ = (vs.root().ones("a", &[1]), vs.root().set_group(1).ones("b", &[1]));
    /// let mut opt = Lookahead::builder(tch::nn::Sgd::default()).build(&vs, 0.1)?;
    /// opt.set_lr(0.2)?;
    /// opt.set_lr_group(1, 0.05)?;
    /// assert_eq!(opt.inner().learning_rates()?, [0.2, 0.05]);
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) if it is negative, NaN or infinite.
    pub fn set_lr(&mut self, learning_rate: f64) -> Result<()> {
        self.inner.set_learning_rate(learning_rate)
    }

    /// Sets the learning rate of one parameter group.
    ///
    /// # Errors
    /// As [`set_lr`](Self::set_lr), and [`Group`](Error::Group) if there is no such group.
    pub fn set_lr_group(&mut self, group: usize, learning_rate: f64) -> Result<()> {
        self.inner.set_learning_rate_group(group, learning_rate)
    }

    /// Sets the weight decay of all parameter groups.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) if it is negative, NaN or infinite,
    /// [`FixedWeightDecay`](Error::FixedWeightDecay) if the inner optimizer can't change it.
    pub fn set_weight_decay(&mut self, weight_decay: f64) -> Result<()> {
        self.inner.set_weight_decay(weight_decay)
    }

    /// The fast weights, in the inner optimizer's order.
    pub fn trainable_variables(&self) -> Vec<Tensor> {
        self.inner.parameters().iter().map(|parameter| parameter.tensor.shallow_clone()).collect()
    }
}

impl Lookahead<TchOptimizer> {
    /// Sets the momentum of all parameter groups; for Adam and AdamW β₁.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) outside 0 ≤ momentum < 1.
    pub fn set_momentum(&mut self, momentum: f64) -> Result<()> {
        self.inner.set_momentum(momentum)
    }
}
