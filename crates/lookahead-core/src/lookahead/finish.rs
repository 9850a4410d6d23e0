//! The end of a training: a last sync, and the model at φ.

use super::Lookahead;
use crate::{InnerOptimizer, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    /// Ends the training: syncs if inner steps were taken since the last sync, and leaves the model at φ, the
    /// result. Returns whether it synced. No step is lost: the last cycle is only shorter than k. Just after a
    /// sync nothing changes. Without [`final_sync`](crate::LookaheadConfig::final_sync) it calls
    /// [`discard_cycle`](Self::discard_cycle) instead.
    ///
    /// In a nested Lookahead the inner level syncs first. A further step begins a new cycle from φ. To continue
    /// the training as if it had not ended, save its state before this call.
    ///
    /// ```
    /// # use lookahead_core::Lookahead;
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let w = vs.root().ones("w", &[1]);
    /// let mut opt = Lookahead::builder(tch::nn::Sgd::default()).k(5).alpha(0.5).build(&vs, 0.25)?;
    /// opt.backward_step(&w.sum(tch::Kind::Float))?;
    /// assert_eq!(w.double_value(&[0]), 0.75);
    /// assert!(opt.finish()?);
    /// assert_eq!(w.double_value(&[0]), 0.875); // half the way from φ, which was 1
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`sync_if_due`](Self::sync_if_due): NaN and infinity never reach φ, and the policy
    /// [`NonFinite::RollBack`](crate::NonFinite::RollBack) leaves the model at φ without a sync.
    pub fn finish(&mut self) -> Result<bool> {
        self.check_invariants()?;
        if self.cycle.phase == 0 || !self.settings.config.final_sync {
            // Just after a sync θ is already φ, unless other values were accepted since.
            self.discard_cycle()?;
            return Ok(false);
        }
        let finished = self.inner.finish();
        // The inner level's writes are not from outside.
        self.record_versions()?;
        finished?;
        self.sync_now()
    }

    /// Discards the inner steps since the last sync, and leaves the model at φ. Unlike
    /// [`roll_back`](Self::roll_back) it refuses to discard what other code wrote to θ. A further step begins a
    /// new cycle from φ.
    ///
    /// # Errors
    /// [`FastWeightsChanged`](crate::Error::FastWeightsChanged) if other code wrote to θ.
    pub fn discard_cycle(&mut self) -> Result<()> {
        self.check_invariants()?;
        self.restart_from_slow_weights()?;
        self.begin_cycle()
    }
}
