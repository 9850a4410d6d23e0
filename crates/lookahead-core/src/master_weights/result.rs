//! The model at the result of an average inside.

use super::MasterWeights;
use crate::averaging_rule::AveragingRule;
use crate::swapped_weights::SwappedWeights;
use crate::{AveragedOptimizer, InnerOptimizer, Result};

impl<O: InnerOptimizer, R: AveragingRule> MasterWeights<AveragedOptimizer<O, R>> {
    /// Runs `f` with the result of the training, rounded, in the model, then restores the model's own weights, even if
    /// `f` panics.
    ///
    /// # Errors
    /// As [`AveragedOptimizer::with_result`].
    pub fn with_result<T>(&mut self, f: impl FnOnce() -> T) -> Result<T> {
        self.check()?;
        let (trained, results, version) = self.inner.result_for_model()?;
        let swapped = SwappedWeights::begin(&self.parameters, trained, &results, version)?;
        let outcome = swapped.during(&self.parameters, f);
        outcome.map_err(|error| self.inner.swap_failed(error))
    }
}
