//! Restarts of the outer momentum.

use lookahead_sys::arithmetic::fill;

use super::Lookahead;
use crate::{InnerOptimizer, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    /// v ← 0 after a sync whose number is a multiple of [`restart_every`](crate::LookaheadConfig::restart_every).
    pub(super) fn restart_velocity_if_due(&mut self) -> Result<()> {
        let every = self.settings.config.restart_every;
        // No number but 0 is a multiple of 0, and this is after the first sync.
        if self.cycle.syncs.is_multiple_of(every) {
            for velocity in &mut self.velocity {
                fill(velocity, 0.0)?;
            }
        }
        Ok(())
    }
}
