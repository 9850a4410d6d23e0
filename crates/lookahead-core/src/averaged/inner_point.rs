//! The inner optimizer at its own point: the model's variables hold that point's memory while it works, so that
//! nothing is copied.

use lookahead_sys::tensor::{fingerprints, set_version};
use tch::Tensor;

use super::AveragedOptimizer;
use crate::averaging_rule::{AveragingRule, Begins, Slot};
use crate::state::copy_like;
use crate::{Error, InnerOptimizer, Parameter, Result};

/// A variable's own values, while the inner optimizer's are in it.
struct Held {
    index: usize,
    values: Tensor,
    version: u32,
}

impl<O: InnerOptimizer, R: AveragingRule> AveragedOptimizer<O, R> {
    /// Calls `work` with the inner optimizer at its point, after new parameters have joined. The model's weights
    /// return afterwards, even if it fails.
    pub(super) fn at_inner_point<T>(
        &mut self,
        work: impl FnOnce(&mut O) -> Result<T>,
    ) -> Result<T> {
        let _guard = tch::no_grad_guard();
        let mut held = Vec::new();
        let known = self.trained().filter(|i| *i < self.kept.len()).collect();
        let entered = self.enter(known, &mut held).and_then(|()| self.join(&mut held));
        let done = entered.and_then(|()| work(&mut self.inner));
        let left = self.leave(held);
        let value = done?;
        left?;
        Ok(value)
    }

    fn enter(&mut self, indices: Vec<usize>, held: &mut Vec<Held>) -> Result<()> {
        let Some(slot) = R::INNER_POINT else { return Ok(()) };
        let parameters = self.inner.parameters();
        let prints = fingerprints(indices.iter().map(|&i| &parameters[i].tensor))?;
        for (index, print) in indices.into_iter().zip(prints) {
            let tensor = &parameters[index].tensor;
            held.push(Held { index, values: tensor.f_data()?, version: print.version });
            tensor.shallow_clone().f_set_data(&self.kept[index][slot])?;
            set_version(tensor, self.inner_versions[index])?;
        }
        Ok(())
    }

    /// Adds what is kept for new parameters.
    fn join(&mut self, held: &mut Vec<Held>) -> Result<()> {
        self.inner.join_new_parameters()?;
        let parameters = self.inner.parameters();
        let new = self.kept.len()..parameters.len();
        for parameter in &parameters[new.clone()] {
            let slots = R::SLOTS.iter().map(|slot| first_value(slot, parameter));
            self.kept.push(slots.collect::<Result<_>>()?);
            self.inner_versions.push(0);
        }
        if R::INNER_POINT.is_some() && !new.is_empty() {
            self.enter(new.filter(|&i| self.is_trained(i)).collect(), held)?;
            // It has the same values in other memory, which an inner optimizer that detects changes must know.
            self.inner_point_moved = true;
        }
        if std::mem::take(&mut self.inner_point_moved) {
            self.inner.parameters_accepted()?;
        }
        if std::mem::take(&mut self.inner_restarts) {
            self.inner.parameters_replaced()?;
        }
        Ok(())
    }

    fn leave(&mut self, held: Vec<Held>) -> Result<()> {
        let Some(slot) = R::INNER_POINT else { return Ok(()) };
        let parameters = self.inner.parameters();
        let mut outcome = Ok(());
        let now = fingerprints(held.iter().map(|held| &parameters[held.index].tensor))?;
        for (Held { index, values, version }, now) in held.into_iter().zip(now) {
            let tensor = &parameters[index].tensor;
            self.inner_versions[index] = now.version;
            let mut back = || -> Result<()> {
                let kept = &mut self.kept[index][slot];
                if tensor.data_ptr() != kept.data_ptr() {
                    *kept = tensor.f_data()?; // an optimizer that replaces the memory
                }
                tensor.shallow_clone().f_set_data(&values)?;
                Ok(set_version(tensor, version)?)
            };
            outcome = outcome.and(back());
        }
        outcome
    }
}

/// A slot before the first step.
pub(super) fn first_value(slot: &Slot, parameter: &Parameter) -> Result<Tensor> {
    let copy = if slot.wide { parameter.slow_copy()? } else { narrow_copy(parameter)? };
    if slot.begins == Begins::Zero { Ok(copy.f_zeros_like()?) } else { Ok(copy) }
}

fn narrow_copy(parameter: &Parameter) -> Result<Tensor> {
    if !parameter.tensor.defined() {
        return Err(Error::Undefined { name: parameter.name.clone() });
    }
    copy_like(&parameter.tensor, &parameter.tensor)
}
