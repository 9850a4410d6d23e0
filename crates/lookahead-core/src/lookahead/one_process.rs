//! What `workers.rs` does without the feature `distributed`: there is no other process.

use tch::Tensor;

use super::Lookahead;
use crate::{InnerOptimizer, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    pub(super) fn set_distance_from_mean(&mut self, _squared: f64) {}

    pub(super) fn has_others(&self) -> bool {
        false
    }

    pub(super) fn broadcast_fast_weights(&mut self) -> Result<()> {
        Ok(())
    }

    pub(super) fn all_agree(&self, condition: bool) -> Result<bool> {
        Ok(condition)
    }

    pub(super) fn first_of_all(&self, own: Option<usize>) -> Result<Option<usize>> {
        Ok(own)
    }

    pub(super) fn common_alpha(&self, own: f64) -> Result<f64> {
        Ok(own)
    }

    pub(super) fn average(&mut self) -> Result<()> {
        Ok(())
    }

    pub(super) fn means(&self) -> (&[Tensor], bool) {
        (&[], false)
    }

    pub(super) fn find_non_finite_mean(&self) -> Result<Option<String>> {
        Ok(None)
    }
}
