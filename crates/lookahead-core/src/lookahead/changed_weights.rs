//! θ changed by others than the optimizer: taken as it is, or φ started again from it.

use lookahead_sys::arithmetic::assign;

use super::Lookahead;
use crate::{Error, InnerOptimizer, Parameter, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    /// Makes the slow weights a fresh copy of the fast ones and starts a new cycle: for weights that
    /// were loaded, copied, moved or cast. Outer momentum starts again from 0, and moments that are
    /// pulled back from where they are. After writing to θ on purpose as a part of each step, such as
    /// clipping the weights, call [`accept_fast_weights`](Self::accept_fast_weights) instead.
    ///
    /// ```
    /// # use lookahead_core::{Error, Lookahead};
    /// # let mut vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let w = vs.root().ones("w", &[1]);
    /// let mut opt = Lookahead::builder(tch::nn::Sgd::default()).build(&vs, 0.1)?;
    /// vs.double();
    /// assert!(matches!(opt.step(), Err(Error::FastWeightsChanged { .. })));
    /// opt.reset_slow_weights()?;
    /// opt.step()?;
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`NeverSynced`](Error::NeverSynced) where calls inside cycles keep any sync from happening: more
    /// than 2k inner steps have been dropped since the last one. What libtorch says.
    pub fn reset_slow_weights(&mut self) -> Result<()> {
        self.restore_fast_weights()?;
        let dropped = self.cycle.dropped + self.cycle.phase;
        let too_many = self.cycle.phase > 0 && dropped > self.cycle.k.saturating_mul(2);
        // Where φ can't be kept, there is no other way.
        if too_many && self.corrupted.is_none() && self.first_replaced().is_none() {
            return Err(Error::NeverSynced { steps: dropped, k: self.cycle.k });
        }
        self.inner.join_new_parameters()?;
        self.inner.parameters_recast()?;
        self.velocity.clear();
        self.slow =
            self.inner.parameters().iter().map(Parameter::slow_copy).collect::<Result<_>>()?;
        self.restarted()?;
        self.cycle.dropped = dropped;
        Ok(())
    }

    /// Takes the fast weights as they are, and keeps φ and the phase: the cycle continues, and its sync
    /// moves φ towards them. What to call after changing θ on purpose as a part of the training, such
    /// as after each step: WGAN's weight clipping, a max-norm constraint, spectral normalization.
    ///
    /// ```
    /// # use lookahead_core::Lookahead;
    /// # use tch::{Kind, nn};
    /// # let vs = nn::VarStore::new(tch::Device::Cpu);
    /// let mut w = vs.root().ones("w", &[1]);
    /// let mut opt = Lookahead::builder(nn::Sgd::default()).k(2).alpha(0.5).build(&vs, 0.5)?;
    /// for _ in 0..2 {
    ///     opt.zero_grad()?;
    ///     w.sum(Kind::Float).backward();
    ///     opt.inner_step()?;
    ///     let _ = tch::no_grad(|| w.clamp_min_(0.25));
    ///     opt.accept_fast_weights()?;
    ///     opt.sync_if_due()?;
    /// }
    /// assert_eq!((opt.syncs(), w.double_value(&[0])), (1, 0.625)); // half the way from 1 to 0.25
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`FastWeightsReplaced`](Error::FastWeightsReplaced) where a variable was cast, moved or
    /// reshaped, so that φ no longer fits it.
    pub fn accept_fast_weights(&mut self) -> Result<()> {
        self.restore_fast_weights()?;
        self.refuse_corrupted()?;
        self.refuse_lost_parameters()?;
        if let Some(i) = self.first_replaced() {
            let name = self.inner.parameters()[i].name.clone();
            return Err(Error::FastWeightsReplaced { name });
        }
        let frozen = self.detector.differences(self.inner.parameters())?.frozen;
        self.follow_frozen(&frozen)?;
        self.inner.parameters_accepted()?;
        self.refused = None;
        self.record_versions()?;
        InnerOptimizer::join_new_parameters(self)
    }

    /// The first parameter that φ no longer fits, since it was cast, moved or reshaped.
    fn first_replaced(&self) -> Option<usize> {
        let parameters = self.inner.parameters();
        let known = 0..self.slow.len().min(parameters.len());
        known.into_iter().find(|&i| !self.detector.still_fits(i, parameters))
    }

    /// φ ← θ after a sync around this level has set θ.
    pub(super) fn restart_from_fast_weights(&mut self) -> Result<()> {
        self.restore_fast_weights()?;
        InnerOptimizer::join_new_parameters(self)?;
        for (parameter, slow) in self.inner.parameters().iter().zip(&mut self.slow) {
            assign(slow, &parameter.tensor)?;
        }
        self.inner.parameters_replaced()?;
        self.restarted()
    }

    fn restarted(&mut self) -> Result<()> {
        self.detector.start_over(self.inner.parameters());
        self.slow_version = self.slow_version.wrapping_add(1);
        self.corrupted = None;
        self.begin_cycle()?;
        self.restart_slow_moments()
    }
}
