//! Batch normalization's statistics at a sync.

use super::Lookahead;
use crate::{InnerOptimizer, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    /// The statistics move as the weights of the first group do by plain interpolation, with an α of at most 1, so that
    /// variances stay positive. Several processes have their own.
    pub(super) fn sync_statistics(&mut self, alphas: &[f64]) -> Result<()> {
        let alpha = alphas.first().map_or(1.0, |alpha| alpha.min(1.0));
        self.slow_statistics.sync(alpha, self.settings.path.is_foreach())
    }

    /// The first statistic with NaN or infinity, which a sync would bring to the slow ones. All processes react alike.
    pub(super) fn find_non_finite_statistic(&self) -> Result<Option<String>> {
        if !self.settings.config.interpolate_statistics {
            return Ok(None);
        }
        let own = self.slow_statistics.find_non_finite(self.settings.path)?;
        let any = !self.all_agree(own.is_none())?;
        let of_another = || "running statistics of another process".to_owned();
        Ok(any.then(|| own.unwrap_or_else(of_another)))
    }
}
