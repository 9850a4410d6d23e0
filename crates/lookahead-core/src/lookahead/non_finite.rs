//! NaN and infinity: found before they reach φ, and undone.

use lookahead_sys::arithmetic::{all_finite, gradients_finite};
use lookahead_sys::sync::Path;
use tch::Tensor;

use super::Lookahead;
use crate::{InnerOptimizer, MomentumPolicy, NonFinite, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    /// Takes the fast weights back to the slow ones and starts a new cycle: what they did since the
    /// last sync is dropped. Moments that hold NaN or infinity are reset, as far
    /// as the inner optimizer gives its moments; the others are kept. What other code wrote to θ
    /// meanwhile is dropped with it.
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
    ///
    /// # Errors
    /// What libtorch says.
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
        // Also of one that was frozen since: what it did in this cycle is dropped with the rest.
        self.restart_from_slow_weights(self.trained().collect())?;
        self.begin_cycle()
    }

    pub(super) fn gradients_are_finite(&self) -> Result<bool> {
        let trained = self.inner.parameters().iter().filter(|parameter| parameter.is_trained());
        let parameters = trained.map(|parameter| &parameter.tensor);
        Ok(gradients_finite(parameters, self.settings.path)?)
    }

    /// The first variable whose θ, or whose moments where they are pulled back, hold NaN or
    /// infinity that would reach φ.
    pub(super) fn find_non_finite(&mut self) -> Result<Option<String>> {
        if self.settings.config.non_finite == NonFinite::Unchecked {
            return Ok(None);
        }
        let others = self.has_others();
        if let Some(name) = others.then(|| self.find_non_finite_mean()).transpose()?.flatten() {
            return Ok(Some(name));
        }
        let trained: Vec<usize> = self.trained().collect();
        let mut moments: Vec<(usize, Tensor)> = Vec::new();
        if self.settings.config.momentum_policy == MomentumPolicy::Pullback {
            for &i in &trained {
                moments.extend(self.inner.moments(i)?.into_iter().map(|moment| (i, moment.tensor)));
            }
        }
        let parameters = self.inner.parameters();
        // What is averaged has been looked at.
        let own = if others { &[] } else { &trained[..] };
        let fast = own.iter().map(|&i| (i, &parameters[i].tensor));
        let all = fast.chain(moments.iter().map(|(i, moment)| (*i, moment)));
        let mut first = first_non_finite(all, self.settings.path)?;
        // Moments are each process's own, and what is done about them is the same for all.
        if self.settings.config.momentum_policy == MomentumPolicy::Pullback {
            first = self.first_of_all(first)?;
        }
        Ok(first.map(|i| parameters[i].name.clone()))
    }
}

/// What belongs to the first tensor that holds NaN or infinity. Usually there is none, which one pass
/// over all of them finds.
pub(super) fn first_non_finite<'a, T>(
    tensors: impl Iterator<Item = (T, &'a Tensor)> + Clone,
    path: Path,
) -> Result<Option<T>> {
    if all_finite(tensors.clone().map(|(_, tensor)| tensor), path)? {
        return Ok(None);
    }
    for (of, tensor) in tensors {
        if !all_finite([tensor], path)? {
            return Ok(Some(of));
        }
    }
    Ok(None)
}
