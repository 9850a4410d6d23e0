//! What must hold between two calls: θ is in the model and unchanged by other code, every parameter has a slow
//! copy, and φ equals θ for frozen variables.

use lookahead_sys::arithmetic::{all_finite, assign};

use super::Lookahead;
use crate::mutation_detector::Differences;
use crate::{Error, InnerOptimizer, NonFinite, Parameter, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    /// Checks what must hold before θ or φ is used.
    pub(super) fn check_invariants(&mut self) -> Result<()> {
        self.restore_fast_weights()?;
        self.refuse_corrupted()?;
        self.refuse_lost_parameters()?;
        self.refuse_outside_writes()?;
        let known = self.slow.len();
        InnerOptimizer::join_new_parameters(self)?;
        // A new trained parameter means that frozen ones are frozen for training, not for an evaluation.
        if self.slow.len() > known { self.refuse_outside_writes() } else { Ok(()) }
    }

    /// A step of the inner optimizer, after which θ is known again. Returns whether it was taken.
    pub(super) fn step_inner(&mut self) -> Result<bool> {
        let before = self.inner.steps_taken();
        let stepped = if self.look_is_due() {
            self.inner.step_and_look()
        } else {
            self.inner.step().map(|()| None)
        };
        // libtorch's optimizers step a frozen variable that still has a gradient, and leave no trace.
        let parameters = self.inner.parameters();
        let moved = |i: &usize| !self.is_trained(*i) && parameters[*i].tensor.grad().defined();
        let moved: Vec<usize> = (0..self.detector.len()).filter(moved).collect();
        self.detector.follow(&moved);
        // Even after a failure, the inner optimizer's writes are not from outside.
        self.record_versions()?;
        self.detector.known_finite = stepped? == Some(true);
        // A nested level may have skipped it.
        Ok(before.is_none() || before != self.inner.steps_taken())
    }

    /// Whether the sync after the next step has to know that θ is finite.
    fn look_is_due(&self) -> bool {
        let is_last = self.cycle.phase + 1 >= self.cycle.k;
        is_last && !self.has_others() && self.settings.config.non_finite != NonFinite::Unchecked
    }

    fn refuse_outside_writes(&mut self) -> Result<()> {
        let parameters = self.inner.parameters();
        let Differences { written, frozen } = self.detector.differences(parameters)?;
        if let Some(i) = written {
            return Err(Error::FastWeightsChanged { name: parameters[i].name.clone() });
        }
        self.follow_frozen(&frozen)
    }

    /// Sets φ to θ for variables that were frozen, thawed, or written to while frozen. `indices` are those
    /// that the detector found.
    pub(super) fn follow_frozen(&mut self, indices: &[usize]) -> Result<()> {
        if indices.is_empty() {
            return Ok(());
        }
        let parameters = self.inner.parameters();
        for &i in indices {
            let Parameter { name, tensor, .. } = &parameters[i];
            if !self.detector.still_fits(i, parameters) {
                return Err(Error::FastWeightsChanged { name: name.clone() });
            }
            // Frozen inside a cycle: θ differs between processes there, and includes this cycle's steps.
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
        self.detector.notice_frozen(parameters, indices);
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

    /// The indices of the parameters that a sync moves: all but the frozen ones.
    pub(super) fn trained(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        (0..self.inner.parameters().len()).filter(|&i| self.is_trained(i))
    }

    pub(super) fn is_trained(&self, index: usize) -> bool {
        !self.detector.is_frozen(index)
    }

    /// Accepts θ as it is now, after adding the slow copies of new parameters.
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
