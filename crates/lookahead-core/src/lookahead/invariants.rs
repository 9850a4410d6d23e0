//! What must hold between two calls: θ in its place and not written to from outside, a slow copy for
//! every parameter, and φ equal to θ where a variable is frozen.

use lookahead_sys::arithmetic::{all_finite, assign};

use super::Lookahead;
use crate::mutation_detector::Differences;
use crate::{Error, InnerOptimizer, NonFinite, Parameter, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    /// What must hold before θ or φ is used.
    pub(super) fn check_invariants(&mut self) -> Result<()> {
        self.restore_fast_weights()?;
        self.refuse_corrupted()?;
        self.refuse_lost_parameters()?;
        self.refuse_outside_writes()?;
        let known = self.slow.len();
        InnerOptimizer::join_new_parameters(self)?;
        // With one that is trained, those that are frozen are frozen for the training.
        if self.slow.len() > known { self.refuse_outside_writes() } else { Ok(()) }
    }

    fn refuse_outside_writes(&mut self) -> Result<()> {
        let parameters = self.inner.parameters();
        let Differences { written, frozen } = self.detector.differences(parameters)?;
        if let Some(i) = written {
            return Err(Error::FastWeightsChanged { name: parameters[i].name.clone() });
        }
        self.follow_frozen(&frozen)
    }

    /// Lets φ be θ where a variable was frozen or thawed, or written to while it was frozen. `places` are
    /// those that the watch found.
    pub(super) fn follow_frozen(&mut self, places: &[usize]) -> Result<()> {
        if places.is_empty() {
            return Ok(());
        }
        let parameters = self.inner.parameters();
        for &i in places {
            let Parameter { name, tensor, .. } = &parameters[i];
            if !self.detector.still_fits(i, parameters) {
                return Err(Error::FastWeightsChanged { name: name.clone() });
            }
            // Frozen inside a cycle: θ is each process's own there, and of this cycle's steps.
            if self.is_trained(i) && self.cycle.phase > 0 {
                if self.has_others() {
                    return Err(Error::FrozenInsideCycle { name: name.clone() });
                }
                let checked = self.settings.config.non_finite != NonFinite::Unchecked;
                if checked && !all_finite([tensor], self.settings.path)? {
                    return Err(Error::NonFinite { name: name.clone() });
                }
            }
        }
        self.detector.notice_frozen(parameters, places);
        self.record_versions()
    }

    pub(super) fn refuse_corrupted(&self) -> Result<()> {
        match &self.corrupted {
            Some(name) => Err(Error::SlowWeightsChanged { name: name.clone() }),
            None => Ok(()),
        }
    }

    pub(super) fn refuse_lost_parameters(&self) -> Result<()> {
        let (known, now) = (self.slow.len(), self.inner.parameters().len());
        if now < known { Err(Error::ParametersGone { known, now }) } else { Ok(()) }
    }

    /// The places of the parameters that a sync moves: frozen ones are left alone.
    pub(super) fn trained(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        (0..self.inner.parameters().len()).filter(|&i| self.is_trained(i))
    }

    /// Whether a sync moves the parameter in this place.
    pub(super) fn is_trained(&self, place: usize) -> bool {
        !self.detector.is_frozen(place)
    }

    /// Takes θ as it is now for what Lookahead left, after giving parameters that have joined
    /// their slow copies.
    pub(super) fn record_versions(&mut self) -> Result<()> {
        for parameter in &self.inner.parameters()[self.slow.len()..] {
            self.slow.push(parameter.slow_copy()?);
        }
        if self.settings.config.outer_momentum > 0.0 {
            for slow in &self.slow[self.velocity.len()..] {
                self.velocity.push(slow.f_zeros_like()?);
            }
        }
        let parameters = self.inner.parameters();
        for i in self.detector.remember(parameters)? {
            assign(&mut self.slow[i], &parameters[i].tensor)?;
            self.slow_version = self.slow_version.wrapping_add(1);
        }
        Ok(())
    }
}
