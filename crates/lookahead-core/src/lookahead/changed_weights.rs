//! θ changed by other code: accept it and keep φ, or restart φ from it.

use lookahead_sys::arithmetic::assign;

use super::Lookahead;
use crate::{Error, InnerOptimizer, Parameter, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    /// Copies the fast weights to the slow ones and begins a new cycle. Call it after loading, copying, moving
    /// or casting weights. Outer momentum restarts from 0, and pulled-back moments from their present values.
    /// If each step of the training changes θ, for example by weight clipping, call
    /// [`accept_fast_weights`](Self::accept_fast_weights) instead.
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
    /// [`NeverSynced`](Error::NeverSynced) if calls inside cycles have dropped more than 2k inner steps since
    /// the last sync, so that none would ever happen.
    pub fn reset_slow_weights(&mut self) -> Result<()> {
        self.restore_fast_weights()?;
        let dropped = self.cycle.dropped + self.cycle.phase;
        let too_many = self.cycle.phase > 0 && dropped > self.cycle.k.saturating_mul(2);
        // If φ can't be kept, there is no alternative.
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

    /// Accepts the fast weights as they are now, and keeps φ and the phase: the cycle continues, and its sync
    /// moves φ towards them. Call it after each deliberate change of θ that is part of the training: WGAN's
    /// weight clipping, a max-norm constraint, spectral normalization.
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
    /// [`FastWeightsReplaced`](Error::FastWeightsReplaced) if a variable was cast, moved or reshaped, so that
    /// φ no longer fits it.
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

    /// The first parameter that was cast, moved or reshaped, so that φ no longer fits it.
    fn first_replaced(&self) -> Option<usize> {
        let parameters = self.inner.parameters();
        let known = 0..self.slow.len().min(parameters.len());
        known.into_iter().find(|&i| !self.detector.still_fits(i, parameters))
    }

    /// φ ← θ, after the sync of an outer level has set θ.
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
        self.slow_statistics.restart_from_fast()?;
        self.begin_cycle()?;
        self.restart_slow_moments()
    }
}
