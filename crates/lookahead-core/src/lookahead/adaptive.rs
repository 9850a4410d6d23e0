//! α chosen at each sync: the best one on a quadratic model of the loss between φ and θ. lookahead-sys,
//! `cpp/adaptive.cc`, derives it.

use lookahead_sys::sync::{Term, adaptive_slow_step_size};
use tch::Tensor;

use super::Lookahead;
use crate::{Curvature, Error, InnerOptimizer, NonFinite, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    /// [`sync_if_due`](Self::sync_if_due) with a fresh gradient for the adaptive α: if a sync is due, it calls
    /// `loss` with θ in the model, computes the gradient, and clears it after the sync. Without adaptive α it
    /// does not call `loss`.
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
    ///     opt.sync_with(&loss)?; // calls `loss` at every k-th step only
    /// }
    /// assert!(opt.alpha_used().unwrap() >= 0.2);
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`sync_if_due`](Self::sync_if_due), and [`NonFiniteGradient`](Error::NonFiniteGradient).
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

    /// The α of each parameter group for the sync that is due.
    pub(super) fn alphas_of_sync(&mut self) -> Result<Vec<f64>> {
        let groups = self.group_count();
        Ok(match self.settings.config.adaptive_low() {
            Some(low) => {
                let own = self.adaptive_alpha(low)?;
                vec![self.common_alpha(own)?; groups]
            }
            None => (0..groups).map(|group| self.alpha_of_group(group)).collect(),
        })
    }

    /// The best α on the quadratic model, clipped to `low..=1`.
    fn adaptive_alpha(&mut self, low: f64) -> Result<f64> {
        let mut curvatures = Vec::with_capacity(self.slow.len());
        for i in 0..self.slow.len() {
            curvatures.push(self.inner.curvature(i)?);
        }
        let (means, differences) = self.means();
        let parameters = self.inner.parameters();
        let terms = self.trained().enumerate().filter_map(|(nth, i)| {
            let Curvature { second_moment, scale } = curvatures[i].as_ref()?;
            let (slow, fast, mean) = (&self.slow[i], &parameters[i].tensor, means.get(nth));
            Some(Term { slow, fast, mean, second_moment, scale: *scale })
        });
        let best = adaptive_slow_step_size(terms, differences)?;
        if !best.is_finite() && self.settings.config.non_finite != NonFinite::Unchecked {
            // Otherwise it would look like a missing gradient.
            if let Some(name) = self.find_non_finite_gradient()? {
                let what = "the adaptive alpha can't be chosen by it, and the sync was not made";
                return Err(Error::NonFiniteGradient { name, what });
            }
        }
        // If it is undefined, the smallest step is safe. `clamp` would keep NaN.
        Ok(if best.is_nan() { low } else { best.clamp(low, 1.0) })
    }
}
