//! Clipping gradients, and the policy for gradients that can't be clipped.

use lookahead_sys::arithmetic::gradients_finite;
use tch::Tensor;

use super::Lookahead;
use crate::inner::trained;
use crate::{Error, InnerOptimizer, NonFinite, Result, clipping};

impl<O: InnerOptimizer> Lookahead<O> {
    /// Clips the elements of every gradient to `-max..=max`. Skips variables without one; refuses sparse
    /// gradients.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) unless `max` is a positive number.
    pub fn clip_grad_value(&mut self, max: f64) -> Result<()> {
        self.restore_fast_weights()?;
        self.inner.join_new_parameters()?;
        let own = self.inner.parameters().iter().map(|own| &own.tensor);
        clipping::clip_value(own, max, self.settings.path)
    }

    /// Scales the gradients of all trained variables by one factor so that their joint L2 norm is at most
    /// `max`, and returns the norm before: 0 if no variable has a gradient. Skips frozen variables.
    ///
    /// If a gradient holds NaN or infinity, the norm is returned as it is and the gradients stay unchanged.
    /// The next step does not use them: [`NonFinite::SkipStep`] skips it, [`NonFinite::RollBack`] sets θ back
    /// to φ at once, and otherwise, or with several processes, it is the error
    /// [`NonFiniteGradient`](Error::NonFiniteGradient), until [`zero_grad`](Self::zero_grad) or other code
    /// makes the gradients finite.
    ///
    /// ```
    /// # use lookahead_core::Lookahead;
    /// # use tch::{Kind, Tensor};
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let w = vs.root().zeros("w", &[2]);
    /// let mut opt = Lookahead::builder(tch::nn::Sgd::default()).build(&vs, 0.1)?;
    /// (&w * Tensor::from_slice(&[30f32, 40.])).sum(Kind::Float).backward();
    /// assert_eq!(opt.clip_grad_norm(5.0)?, 50.0);
    /// assert!((w.grad().double_value(&[0]) - 3.0).abs() < 1e-5);
    /// opt.clip_grad_value(1.0)?;
    /// assert_eq!(w.grad().double_value(&[1]), 1.0);
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) unless `max` is a positive number.
    pub fn clip_grad_norm(&mut self, max: f64) -> Result<f64> {
        self.clip_norm(None, max)
    }

    /// As [`clip_grad_norm`](Self::clip_grad_norm), for the gradients of one parameter group.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) unless `max` is a positive number, [`Group`](Error::Group) if there is no such
    /// group.
    pub fn clip_grad_norm_of_group(&mut self, group: usize, max: f64) -> Result<f64> {
        self.clip_norm(Some(group), max)
    }

    fn clip_norm(&mut self, group: Option<usize>, max: f64) -> Result<f64> {
        self.restore_fast_weights()?;
        self.inner.join_new_parameters()?;
        let trained = trained(self.inner.parameters(), group)?;
        let norm = clipping::clip_norm(trained, max, self.settings.path)?;
        // A process that rolled back alone would no longer be in step with the others.
        let finite = match self.settings.config.non_finite {
            NonFinite::RollBack => self.all_agree(norm.is_finite())?,
            _ => norm.is_finite(),
        };
        // Another group may be finite; a step looks at all gradients then.
        self.unclipped = !finite || self.unclipped && group.is_some();
        Ok(norm)
    }

    /// Whether a step may be taken although the gradients could not be clipped: only if they are finite by now.
    /// Otherwise applies the policy.
    pub(super) fn may_step_unclipped(&mut self) -> Result<bool> {
        let found = self.find_non_finite_gradient()?;
        let rolls_back = self.settings.config.non_finite == NonFinite::RollBack;
        if rolls_back && !self.all_agree(found.is_none())? {
            self.non_finite_count += 1;
            self.roll_back()?;
            return Ok(false);
        }
        let Some(name) = found else {
            self.unclipped = false;
            return Ok(true);
        };
        let what = "it could not be clipped by its norm, and the step was not taken";
        Err(Error::NonFiniteGradient { name, what })
    }

    /// The variables that take gradients.
    pub(super) fn trained_tensors(&self) -> impl Iterator<Item = &Tensor> {
        let trained = self.inner.parameters().iter().filter(|parameter| parameter.is_trained());
        trained.map(|parameter| &parameter.tensor)
    }

    pub(super) fn find_non_finite_gradient(&self) -> Result<Option<String>> {
        for parameter in self.inner.parameters().iter().filter(|parameter| parameter.is_trained()) {
            if !gradients_finite([&parameter.tensor], self.settings.path)? {
                return Ok(Some(parameter.name.clone()));
            }
        }
        Ok(None)
    }
}
