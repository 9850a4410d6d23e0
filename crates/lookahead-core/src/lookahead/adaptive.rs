//! α chosen at each sync: the best one on a quadratic model of the loss between φ and θ. The model
//! and its derivation are in lookahead-sys, `cpp/adaptive.cc`.

use lookahead_sys::sync::{Term, adaptive_slow_step_size};
use tch::Tensor;

use super::Lookahead;
use crate::{Curvature, Error, InnerOptimizer, NonFinite, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    /// As [`sync_if_due`](Self::sync_if_due), with a fresh gradient for the adaptive α: where a sync
    /// is due, `loss` is called with θ in the model, and its gradient taken. It is forgotten after.
    /// Where α is not chosen adaptively, `loss` is not called.
    ///
    /// ```
    /// use lookahead_core::{Lookahead, fused};
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let w = vs.root().ones("w", &[2]);
    /// # let loss = || w.square().sum(tch::Kind::Float);
    /// let mut opt = Lookahead::builder(fused::Adam::default()).adaptive_alpha(0.2).build(&vs, 0.1)?;
    /// for _ in 0..10 {
    ///     opt.zero_grad()?;
    ///     loss().backward();
    ///     opt.inner_step()?;
    ///     opt.sync_with(&loss)?; // does nothing but in every k-th step
    /// }
    /// assert!(opt.alpha_used().unwrap() >= 0.2);
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`sync_if_due`](Self::sync_if_due), [`NonFiniteGradient`](Error::NonFiniteGradient), and what
    /// libtorch says of the loss.
    pub fn sync_with(&mut self, loss: impl FnOnce() -> Tensor) -> Result<bool> {
        self.restore_fast_weights()?;
        if !self.sync_is_due() {
            return Ok(false);
        }
        if self.settings.config.adaptive_low().is_none() {
            return self.sync_if_due();
        }
        self.inner.zero_grad()?;
        loss().f_backward()?;
        let synced = self.sync_if_due();
        self.inner.zero_grad()?;
        synced
    }

    /// The best α on the quadratic model, at least `low` and at most 1.
    pub(super) fn adaptive_alpha(&mut self, low: f64) -> Result<f64> {
        let mut curvatures = Vec::with_capacity(self.slow.len());
        for i in 0..self.slow.len() {
            curvatures.push(self.inner.curvature(i)?);
        }
        let (means, differences) = self.means();
        let parameters = self.inner.parameters();
        let terms = self.trained().enumerate().filter_map(|(place, i)| {
            let Curvature { second_moment, scale } = curvatures[i].as_ref()?;
            let (slow, fast, mean) = (&self.slow[i], &parameters[i].tensor, means.get(place));
            Some(Term { slow, fast, mean, second_moment, scale: *scale })
        });
        let best = adaptive_slow_step_size(terms, differences)?;
        if !best.is_finite() && self.settings.config.non_finite != NonFinite::Unchecked {
            // Not to be taken for a gradient that is missing.
            if let Some(name) = self.find_non_finite_gradient()? {
                let what = "the adaptive alpha can't be chosen by it, and the sync was not made";
                return Err(Error::NonFiniteGradient { name, what });
            }
        }
        // If it is undefined the smallest step is the safe one; the clip leaves NaN as it is.
        Ok(if best.is_nan() { low } else { best.clamp(low, 1.0) })
    }
}
