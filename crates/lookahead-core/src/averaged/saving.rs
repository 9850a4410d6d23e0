//! Saving and loading the state.

use std::collections::HashSet;

use tch::Tensor;

use super::AveragedOptimizer;
use super::inner_point::first_value;
use crate::averaging_rule::AveragingRule;
use crate::inner::own_names;
use crate::mutation_detector::frozen;
use crate::range::MOST_STEPS;
use crate::state::{copy_like, expect_finite, expect_like, in_range};
use crate::{Error, InnerOptimizer, Result, State};

pub(super) const STEPS: &str = "steps";
pub(super) const INNER: &str = "inner";

impl<O: InnerOptimizer, R: AveragingRule> AveragedOptimizer<O, R> {
    pub(super) fn save_into(&mut self, state: &mut State) -> Result<()> {
        self.check_invariants()?;
        let mut scratch = std::mem::take(state);
        let mut inner = scratch.take_part(INNER);
        // New parameters join here.
        self.at_inner_point(|optimizer| optimizer.state_into(&mut inner))?;
        self.record_versions()?;
        for (parameter, kept) in self.inner.parameters().iter().zip(&self.kept) {
            for (slot, tensor) in R::SLOTS.iter().zip(kept) {
                let key = format!("{}/{}", slot.key, parameter.name);
                state.copy_into_reused(key, tensor, &mut scratch)?;
            }
        }
        let steps = i64::try_from(self.steps).unwrap_or(MOST_STEPS);
        state.integers.insert(STEPS.to_owned(), steps);
        self.rule.save(state);
        state.nest(INNER, inner);
        Ok(())
    }

    pub(super) fn load(&mut self, state: &State) -> Result<()> {
        self.restore_weights()?;
        self.at_inner_point(|_| Ok(()))?;
        let heads: Vec<String> = R::SLOTS.iter().map(|slot| slot.key.to_owned()).collect();
        let renamed = state.under_own_names(&heads, &own_names(&self.inner));
        let state = renamed.as_ref().unwrap_or(state);

        let steps = in_range(state, STEPS, 0, MOST_STEPS)?;
        let rule = self.rule.loaded(state)?;
        let kept = self.read_kept(state)?;
        let names: HashSet<&str> =
            self.inner.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
        let is_inner = |key: &str| key.split_once('/').is_some_and(|(part, _)| part == INNER);
        state.refuse_unknown(
            |tensor| match tensor.split_once('/') {
                Some((INNER, _)) => true, // the inner optimizer checks its own
                Some((slot, name)) => {
                    R::SLOTS.iter().any(|known| known.key == slot) && names.contains(name)
                }
                None => false,
            },
            |integer| integer == STEPS || is_inner(integer) || rule.has_entry(integer),
            |number| is_inner(number) || rule.has_entry(number),
        )?;
        let before = std::mem::replace(&mut self.kept, kept);
        // The last call that can fail; it changes nothing if it does.
        let loaded = self.at_inner_point(|inner| inner.load_state(&state.part(INNER)));
        if let Err(error) = loaded {
            self.kept = before;
            return Err(error.in_part(INNER));
        }
        (self.steps, self.rule) = (steps, rule);
        (self.corrupted, self.refused) = (None, None);
        self.result_version = self.result_version.wrapping_add(1);
        self.detector.start_over(self.inner.parameters());
        self.record_versions()
    }

    fn read_kept(&self, state: &State) -> Result<Vec<Vec<Tensor>>> {
        let parameters = self.inner.parameters();
        let read = |(parameter, frozen): (&crate::Parameter, bool)| -> Result<Vec<Tensor>> {
            let read_slot = |slot| -> Result<Tensor> {
                let first = first_value(slot, parameter)?;
                let key = format!("{}/{}", slot.key, parameter.name);
                let Some(saved) = state.tensors.get(&key) else {
                    return Err(Error::StateMissing { key });
                };
                expect_like(&key, saved, &first)?;
                let copy = copy_like(&first, saved)?;
                expect_finite(&key, &copy, false)?;
                // The slots of a frozen variable follow it.
                Ok(if frozen { first } else { copy })
            };
            R::SLOTS.iter().map(read_slot).collect()
        };
        parameters.iter().zip(frozen(parameters)).map(read).collect()
    }
}
