//! The end of a training: a last sync, and the model at φ.

use super::Lookahead;
use crate::{InnerOptimizer, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    /// Ends the training: makes a last sync if any inner step has been taken since the last one, and
    /// leaves the model at φ, which is the result. Returns whether it synced. No step is thrown away:
    /// the last cycle is only shorter than k. Just after a sync nothing changes. Without
    /// [`final_sync`](crate::LookaheadConfig::final_sync) it is [`discard_cycle`](Self::discard_cycle).
    ///
    /// Of a nested Lookahead the inner level makes its last sync first. To be able to continue the
    /// training as if it had not ended, save its state before this call, not after. Another step after
    /// it starts a new cycle from φ.
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
    /// As [`sync_if_due`](Self::sync_if_due): θ that holds NaN or infinity never reaches φ, and
    /// the policy [`NonFinite::RollBack`](crate::NonFinite::RollBack) leaves the model at φ without
    /// a sync.
    pub fn finish(&mut self) -> Result<bool> {
        self.check_invariants()?;
        if self.cycle.phase == 0 || !self.settings.config.final_sync {
            // Just after a sync θ is φ already, unless other values were accepted since the sync.
            self.discard_cycle()?;
            return Ok(false);
        }
        let finished = self.inner.finish();
        // What the inner level wrote is not from outside.
        self.record_versions()?;
        finished?;
        self.sync_now()
    }

    /// Drops what the fast weights did since the last sync, and leaves the model at φ as that sync
    /// left it. Unlike [`roll_back`](Self::roll_back) it refuses to drop what others wrote to θ.
    /// Another step after this starts a new cycle from φ.
    ///
    /// ```
    /// # use lookahead_core::Lookahead;
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let w = vs.root().ones("w", &[1]);
    /// let mut opt = Lookahead::builder(tch::nn::Sgd::default()).k(5).build(&vs, 0.25)?;
    /// opt.backward_step(&w.sum(tch::Kind::Float))?;
    /// opt.discard_cycle()?;
    /// assert_eq!(w.double_value(&[0]), 1.0); // no sync yet: φ is where it began
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`FastWeightsChanged`](crate::Error::FastWeightsChanged) if something other than the optimizer
    /// wrote to θ, which this would undo.
    pub fn discard_cycle(&mut self) -> Result<()> {
        self.check_invariants()?;
        self.restart_from_slow_weights(self.trained().collect())?;
        self.begin_cycle()
    }
}
