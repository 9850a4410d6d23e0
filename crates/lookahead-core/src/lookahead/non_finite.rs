//! NaN and infinity: detected before they reach φ, and rolled back.

use lookahead_sys::arithmetic::{all_finite, gradients_finite};
use lookahead_sys::sync::Path;
use tch::Tensor;

use super::Lookahead;
use crate::{Error, InnerOptimizer, NonFinite, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    /// Sets the fast weights back to the slow ones and begins a new cycle. This discards the inner steps since
    /// the last sync, and what other code wrote to θ meanwhile. Moments that hold NaN or infinity are reset, if
    /// the inner optimizer gives its moments; the others are kept.
    ///
    /// ```
    /// use lookahead_core::Lookahead;
    /// use tch::{Device, Kind, nn};
    ///
    /// let vs = nn::VarStore::new(Device::Cpu);
    /// let w = vs.root().ones("w", &[1]);
    /// let mut opt = Lookahead::builder(nn::sgd(0.9, 0., 0., false)).k(1).build(&vs, 0.1)?;
    /// let refused = opt.backward_step(&(&w * f64::NAN).sum(Kind::Float)).unwrap_err();
    /// assert!(refused.to_string().contains("roll_back()"));
    /// opt.roll_back()?;
    /// assert_eq!(w.double_value(&[0]), 1.0);
    /// opt.backward_step(&w.sum(Kind::Float))?; // the momentum was reset with it
    /// assert!((w.double_value(&[0]) - 0.95).abs() < 1e-6);
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    pub fn roll_back(&mut self) -> Result<()> {
        self.restore_fast_weights()?;
        self.refuse_corrupted()?;
        InnerOptimizer::join_new_parameters(self)?;
        if self.inner.moment_names().is_some() {
            for parameter in 0..self.inner.parameters().len() {
                let moments = self.inner.moments(parameter)?;
                if !all_finite(moments.iter().map(|moment| &moment.tensor), self.settings.path)? {
                    self.inner.reset_moments(parameter)?;
                    self.slow_moments.retain(|(of, _), _| *of != parameter);
                }
            }
        }
        // Includes variables frozen in this cycle, whose steps are discarded too.
        self.restart_from_slow_weights()?;
        self.begin_cycle()
    }

    /// Whether the gradients allow an inner step. If not, applies the policy.
    pub(super) fn may_step(&mut self) -> Result<bool> {
        if self.settings.config.non_finite == NonFinite::SkipStep {
            let finite = gradients_finite(self.trained_tensors(), self.settings.path)?;
            if !self.all_agree(finite)? {
                self.non_finite_count += 1;
                return Ok(false);
            }
        }
        Ok(!self.unclipped || self.may_step_unclipped()?)
    }

    /// Whether θ and the moments to pull back are finite, all of them, before φ sees any. If not, applies the
    /// policy.
    pub(super) fn may_sync(&mut self) -> Result<bool> {
        let Some(name) = self.find_non_finite()? else { return Ok(true) };
        if self.settings.config.non_finite != NonFinite::RollBack {
            return Err(Error::NonFinite { name });
        }
        self.non_finite_count += 1;
        self.roll_back()?;
        Ok(false)
    }

    /// The first variable whose θ, or a moment of which that is pulled back, holds NaN or infinity.
    fn find_non_finite(&mut self) -> Result<Option<String>> {
        if self.settings.config.non_finite == NonFinite::Unchecked {
            return Ok(None);
        }
        if let Some(name) = self.find_non_finite_statistic()? {
            return Ok(Some(name));
        }
        let others = self.has_others();
        if let Some(name) = others.then(|| self.find_non_finite_mean()).transpose()?.flatten() {
            return Ok(Some(name));
        }
        let trained: Vec<usize> = self.trained().collect();
        let mut moments: Vec<(usize, Tensor)> = Vec::new();
        if self.pulls_back() {
            for &i in &trained {
                moments.extend(self.inner.moments(i)?.into_iter().map(|moment| (i, moment.tensor)));
            }
        }
        let parameters = self.inner.parameters();
        // Averaged weights have been checked, and so have those that the last step looked at.
        let own = if others || self.detector.known_finite { &[] } else { &trained[..] };
        let fast = own.iter().map(|&i| (i, &parameters[i].tensor));
        let all = fast.chain(moments.iter().map(|(i, moment)| (*i, moment)));
        let mut first = first_non_finite(all, self.settings.path)?;
        // Moments differ between processes, which must all react alike.
        if self.pulls_back() {
            first = self.first_of_all(first)?;
        }
        Ok(first.map(|i| parameters[i].name.clone()))
    }
}

/// The key of the first tensor that holds NaN or infinity. Usually there is none, and one pass over all of them
/// tells.
pub(super) fn first_non_finite<'a, T>(
    tensors: impl Iterator<Item = (T, &'a Tensor)> + Clone,
    path: Path,
) -> Result<Option<T>> {
    if all_finite(tensors.clone().map(|(_, tensor)| tensor), path)? {
        return Ok(None);
    }
    for (key, tensor) in tensors {
        if !all_finite([tensor], path)? {
            return Ok(Some(key));
        }
    }
    Ok(None)
}
