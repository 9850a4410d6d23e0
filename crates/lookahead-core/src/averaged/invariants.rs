//! What must hold between two calls: the model's weights are in it and unchanged by other code, and the slots of
//! frozen variables follow them.

use lookahead_sys::arithmetic::{all_finite, assign};

use super::AveragedOptimizer;
use crate::averaging_rule::{AveragingRule, Begins};
use crate::mutation_detector::Differences;
use crate::{Error, InnerOptimizer, Result};

impl<O: InnerOptimizer, R: AveragingRule> AveragedOptimizer<O, R> {
    pub(super) fn check_invariants(&mut self) -> Result<()> {
        self.restore_weights()?;
        self.refuse_corrupted()?;
        let parameters = self.inner.parameters();
        let (known, now) = (self.kept.len(), parameters.len());
        if now < known {
            return Err(Error::ParametersGone { known, now });
        }
        let Differences { written, frozen } = self.detector.differences(parameters)?;
        if let Some(i) = written {
            return Err(Error::WeightsChanged { name: parameters[i].name.clone() });
        }
        self.follow_frozen(&frozen)
    }

    /// Sets the slots to the weights for variables that were frozen, thawed, or written to while frozen.
    pub(super) fn follow_frozen(&mut self, indices: &[usize]) -> Result<()> {
        if indices.is_empty() {
            return Ok(());
        }
        let parameters = self.inner.parameters();
        if let Some(i) = indices.iter().find(|i| !self.detector.still_fits(**i, parameters)) {
            return Err(Error::WeightsChanged { name: parameters[*i].name.clone() });
        }
        self.detector.notice_frozen(parameters, indices);
        self.record_versions()
    }

    pub(super) fn refuse_corrupted(&self) -> Result<()> {
        match &self.corrupted {
            Some(name) => Err(Error::ResultChanged { name: name.clone() }),
            None => Ok(()),
        }
    }

    /// Accepts the model's weights as they are now.
    pub(super) fn record_versions(&mut self) -> Result<()> {
        for i in self.detector.remember(self.inner.parameters())? {
            self.set_to_weights(i, |begins| begins != Begins::Zero)?;
        }
        Ok(())
    }

    /// Copies a parameter's weights to those of its slots that `which` selects.
    pub(super) fn set_to_weights(
        &mut self,
        parameter: usize,
        which: impl Fn(Begins) -> bool,
    ) -> Result<()> {
        let weights = &self.inner.parameters()[parameter].tensor;
        let slots = self.kept.get_mut(parameter).into_iter().flatten().zip(R::SLOTS);
        for (kept, _) in slots.filter(|(_, slot)| which(slot.begins)) {
            assign(kept, weights)?;
        }
        self.result_version = self.result_version.wrapping_add(1);
        Ok(())
    }

    /// The indices of the parameters that are not frozen.
    pub(super) fn trained(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        (0..self.inner.parameters().len()).filter(|&i| self.is_trained(i))
    }

    pub(super) fn is_trained(&self, index: usize) -> bool {
        !self.detector.is_frozen(index)
    }

    pub(super) fn has_gradient(&self, index: usize) -> bool {
        self.inner.parameters()[index].tensor.grad().defined()
    }

    /// The name of the first of these parameters in which the inner optimizer has left NaN or infinity.
    pub(super) fn first_non_finite(
        &self,
        indices: impl Iterator<Item = usize>,
    ) -> Result<Option<String>> {
        let parameters = self.inner.parameters();
        for i in indices {
            let left = match R::INNER_POINT {
                Some(slot) => &self.kept[i][slot],
                None => &parameters[i].tensor,
            };
            if !all_finite([left], self.path)? {
                return Ok(Some(parameters[i].name.clone()));
            }
        }
        Ok(None)
    }
}
