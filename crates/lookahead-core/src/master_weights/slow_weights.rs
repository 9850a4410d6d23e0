//! The model at the φ of a Lookahead inside.

use super::MasterWeights;
use crate::swapped_weights::SwappedWeights;
use crate::{Error, InnerOptimizer, Lookahead, Result};

impl<O: InnerOptimizer> MasterWeights<Lookahead<O>> {
    /// Runs `f` with the slow weights, rounded, in the model, then restores the fast ones, even if `f` panics.
    ///
    /// # Errors
    /// As [`Lookahead::with_slow_weights`].
    pub fn with_slow_weights<T>(&mut self, f: impl FnOnce() -> T) -> Result<T> {
        self.check()?;
        let (trained, slow, version) = self.inner.slow_for_model()?;
        let swapped = SwappedWeights::begin(&self.parameters, trained, slow, version)?;
        let outcome = swapped.during(&self.parameters, f);
        if let Err(Error::SlowWeightsChanged { name }) = &outcome {
            self.inner.note_corrupted(name);
        }
        outcome
    }

    /// Ends the training: a last sync if one is due or inner steps were taken since the last, and the model at φ. Returns
    /// whether it synced: see [`Lookahead::finish`].
    ///
    /// # Errors
    /// As [`Lookahead::finish`].
    pub fn finish(&mut self) -> Result<bool> {
        self.with_inner(Lookahead::finish)
    }
}
