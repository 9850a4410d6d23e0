//! The weights changed by other code, the way back after NaN, and the end of the training.

use lookahead_sys::arithmetic::{all_finite, assign, fill};
use tch::{Kind, Tensor};

use super::AveragedOptimizer;
use super::inner_point::first_value;
use crate::averaging_rule::{AveragingRule, Begins};
use crate::state::copy_like;
use crate::{Error, InnerOptimizer, Result};

impl<O: InnerOptimizer, R: AveragingRule> AveragedOptimizer<O, R> {
    /// Begins again from the weights that are in the model now. Call it after loading, copying, moving or casting
    /// weights. The inner optimizer's moments are kept.
    ///
    /// ```
    /// # use lookahead_core::{Error, InnerOptimizer, Primal, PrimalAveraging, TchOptimizer, fused};
    /// # let mut vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let w = vs.root().ones("w", &[1]);
    /// let sgd = TchOptimizer::new(fused::Sgd::default(), &vs, 0.5)?;
    /// let mut opt = PrimalAveraging::new(sgd, Primal::default())?;
    /// vs.double();
    /// assert!(matches!(opt.step(), Err(Error::WeightsChanged { .. })));
    /// opt.restart()?;
    /// opt.step()?;
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`NonFiniteStep`](Error::NonFiniteStep) if the weights hold NaN or infinity.
    pub fn restart(&mut self) -> Result<()> {
        self.restore_weights()?;
        self.refuse_non_finite_model()?;
        let _guard = tch::no_grad_guard();
        for (parameter, kept) in self.inner.parameters().iter().zip(&mut self.kept) {
            for (slot, kept) in R::SLOTS.iter().zip(kept) {
                let mut next = first_value(slot, parameter)?;
                if slot.begins != Begins::Weights {
                    next = copy_like(&next, kept)?;
                }
                *kept = next;
            }
        }
        self.detector.start_over(self.inner.parameters());
        self.at_inner_point(InnerOptimizer::parameters_recast)?;
        self.restarted()
    }

    /// Accepts the weights as they are now: the average and the inner optimizer's point move by the same
    /// difference, and the training continues. Call it after each deliberate change that is part of the training,
    /// for example weight clipping.
    ///
    /// # Errors
    /// [`WeightsReplaced`](Error::WeightsReplaced) if a variable was cast, moved or reshaped,
    /// [`NonFiniteStep`](Error::NonFiniteStep) if the weights hold NaN or infinity.
    pub fn accept_weights(&mut self) -> Result<()> {
        self.restore_weights()?;
        self.refuse_corrupted()?;
        self.refuse_non_finite_model()?;
        let parameters = self.inner.parameters();
        let mut known = 0..self.kept.len().min(self.detector.len());
        if let Some(i) = known.find(|&i| !self.detector.still_fits(i, parameters)) {
            return Err(Error::WeightsReplaced { name: parameters[i].name.clone() });
        }
        // All others stay to the bit.
        let written = self.detector.written(parameters)?;
        let frozen = self.detector.differences(parameters)?.frozen;
        self.follow_frozen(&frozen)?;
        let _guard = tch::no_grad_guard();
        for i in written {
            if self.is_trained(i) {
                self.shift(i)?;
            }
        }
        self.at_inner_point(InnerOptimizer::parameters_accepted)?;
        self.record_versions()
    }

    /// Moves the slots of a parameter as far as other code has moved its weights.
    fn shift(&mut self, index: usize) -> Result<()> {
        let Some(before) = self.rule.model(&self.kept[index])? else { return Ok(()) };
        let now = &self.inner.parameters()[index].tensor;
        if now.f_equal(&before)? {
            return Ok(());
        }
        let wide = match now.kind() {
            Kind::Half | Kind::BFloat16 => Kind::Float,
            other => other,
        };
        let difference = now.f_to_kind(wide)?.f_sub(&before.f_to_kind(wide)?)?;
        for (slot, kept) in R::SLOTS.iter().zip(&mut self.kept[index]) {
            if slot.begins == Begins::Weights {
                let moved = kept.f_to_kind(wide)?.f_add(&difference)?;
                assign(kept, &moved)?;
            }
        }
        self.result_version = self.result_version.wrapping_add(1);
        Ok(())
    }

    /// Sets the model back to the result, and begins again from it, for example after
    /// [`NonFiniteStep`](Error::NonFiniteStep). Moments that hold NaN or infinity are reset, if the inner optimizer
    /// gives its moments; the others are kept.
    ///
    /// ```
    /// # use lookahead_core::{Primal, PrimalAveraging, TchOptimizer, fused};
    /// # use tch::Kind;
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let w = vs.root().ones("w", &[1]);
    /// let sgd = TchOptimizer::new(fused::sgd(0.9, 0., 0., false), &vs, 0.5)?;
    /// let mut opt = PrimalAveraging::new(sgd, Primal::default())?;
    /// let refused = opt.backward_step(&(&w * f64::NAN).sum(Kind::Float)).unwrap_err();
    /// assert!(refused.to_string().contains("roll_back()"));
    /// opt.roll_back()?;
    /// assert_eq!(w.double_value(&[0]), 1.0);
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    pub fn roll_back(&mut self) -> Result<()> {
        self.restore_weights()?;
        self.refuse_corrupted()?;
        if self.inner.moment_names().is_some() {
            let path = self.path;
            self.at_inner_point(|inner| {
                for parameter in 0..inner.parameters().len() {
                    let moments = inner.moments(parameter)?;
                    if !all_finite(moments.iter().map(|moment| &moment.tensor), path)? {
                        inner.reset_moments(parameter)?;
                    }
                }
                Ok(())
            })?;
        }
        self.set_model_to_result()?;
        self.restart_from_model()
    }

    /// Ends the training and leaves the model at the result. A further step begins again from it. To continue the
    /// training as if it had not ended, save its state before this call.
    ///
    /// # Errors
    /// [`WeightsChanged`](Error::WeightsChanged) if other code wrote to the weights.
    pub fn finish(&mut self) -> Result<()> {
        self.check_invariants()?;
        self.set_model_to_result()?;
        if R::ENDS_INNER {
            self.inner.parameters_accepted()?;
            self.inner.finish()?;
            self.refuse_non_finite_model()?;
        }
        self.restart_from_model()
    }

    /// Sets what is kept for a parameter to what it was before its first step, from its present weights.
    pub(super) fn reset_average(&mut self, parameter: usize) -> Result<()> {
        let Some(kept) = self.kept.get_mut(parameter) else { return Ok(()) };
        for (slot, kept) in R::SLOTS.iter().zip(kept) {
            match slot.begins {
                Begins::Weights => assign(kept, &self.inner.parameters()[parameter].tensor)?,
                Begins::Zero => fill(kept, 0.0)?,
                Begins::FirstWeights => {}
            }
        }
        self.result_version = self.result_version.wrapping_add(1);
        self.inner_restarts = true;
        self.reset.insert(parameter);
        if self.reset.len() == self.kept.len() {
            self.rule.restart();
        }
        Ok(())
    }

    fn set_model_to_result(&mut self) -> Result<()> {
        let _guard = tch::no_grad_guard();
        for i in self.trained().filter(|i| *i < self.kept.len()) {
            let mut weights = self.inner.parameters()[i].tensor.shallow_clone();
            assign(&mut weights, &self.kept[i][R::RESULT])?;
        }
        Ok(())
    }

    /// Begins again from the model's weights, which have the same types as before.
    pub(super) fn restart_from_model(&mut self) -> Result<()> {
        self.restore_weights()?;
        for i in 0..self.kept.len() {
            self.set_to_weights(i, |begins| begins == Begins::Weights)?;
        }
        self.at_inner_point(InnerOptimizer::parameters_replaced)?;
        self.detector.start_over(self.inner.parameters());
        self.restarted()
    }

    fn restarted(&mut self) -> Result<()> {
        self.rule.restart();
        self.result_version = self.result_version.wrapping_add(1);
        (self.corrupted, self.refused) = (None, None);
        self.record_versions()
    }

    fn refuse_non_finite_model(&self) -> Result<()> {
        let tensors: Vec<&Tensor> = self.inner.parameters().iter().map(|p| &p.tensor).collect();
        if all_finite(tensors, self.path)? {
            return Ok(());
        }
        for parameter in self.inner.parameters() {
            if !all_finite([&parameter.tensor], self.path)? {
                return Err(Error::NonFiniteStep { name: parameter.name.clone() });
            }
        }
        Ok(())
    }
}
