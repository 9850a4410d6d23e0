//! Gradients clipped before a step, and what happens when they can't be.

use lookahead_sys::arithmetic::{self, gradients_finite};
use lookahead_sys::norm;

use super::Lookahead;
use crate::range::check_limit;
use crate::{Error, InnerOptimizer, NonFinite, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    /// Clips the elements of every gradient to `-max..=max`. Variables without one are left out.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) unless `max` is a positive number, or what libtorch says,
    /// such as of a sparse gradient.
    pub fn clip_grad_value(&mut self, max: f64) -> Result<()> {
        check_limit(max)?;
        self.restore_fast_weights()?;
        self.inner.join_new_parameters()?;
        let parameters = self.inner.parameters().iter().map(|parameter| &parameter.tensor);
        Ok(arithmetic::clip_value(parameters, max)?)
    }

    /// Scales the gradients of all trainable variables by one factor so that their L2 norm, taken over all
    /// of them together, is at most `max`, and returns the norm before: 0 if no variable has a gradient. A
    /// frozen variable that still has one is left out.
    ///
    /// Gradients that hold NaN or infinity have no norm to scale by. The norm is then returned as it is, and
    /// the gradients are left alone. The next step does not take them: with [`NonFinite::SkipStep`] it is
    /// skipped, with [`NonFinite::RollBack`] θ goes back to φ at once, otherwise, and among several
    /// processes, it is the error [`NonFiniteGradient`](Error::NonFiniteGradient). [`zero_grad`](Self::zero_grad),
    /// or whatever else makes them finite, ends that.
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
    /// [`Setting`](Error::Setting) unless `max` is a positive number, or what libtorch says.
    pub fn clip_grad_norm(&mut self, max: f64) -> Result<f64> {
        check_limit(max)?;
        self.restore_fast_weights()?;
        self.inner.join_new_parameters()?;
        let trained = self.inner.parameters().iter().filter(|parameter| parameter.is_trained());
        let norm = norm::clip_norm(trained.map(|parameter| &parameter.tensor), max)?;
        self.unclipped = !norm.is_finite();
        Ok(norm)
    }

    /// Whether a step may be taken after gradients could not be clipped: only if they have become finite
    /// since. Otherwise the policy acts.
    pub(super) fn may_step_unclipped(&mut self) -> Result<bool> {
        let Some(name) = self.find_non_finite_gradient()? else {
            self.unclipped = false;
            return Ok(true);
        };
        // One of several processes that goes back alone would no longer be in step with the others.
        if self.settings.config.non_finite != NonFinite::RollBack || self.has_others() {
            let what = "it could not be clipped by its norm, and the step was not taken";
            return Err(Error::NonFiniteGradient { name, what });
        }
        self.non_finite += 1;
        self.roll_back()?;
        Ok(false)
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
