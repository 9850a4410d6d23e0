//! A state of another model: what fits of it.

use std::collections::HashSet;

use tch::Tensor;

use super::AveragedOptimizer;
use super::inner_point::first_value;
use super::saving::{INNER, STEPS};
use crate::averaging_rule::AveragingRule;
use crate::inner::own_names;
use crate::range::MOST_STEPS;
use crate::state::in_range;
use crate::{InnerOptimizer, Result, State, Taken};

impl<O: InnerOptimizer, R: AveragingRule> AveragedOptimizer<O, R> {
    /// What fits of a state of another model. The averages of a new variable begin at its present values.
    pub(super) fn what_fits(&mut self, state: &State) -> Result<(State, Taken)> {
        self.restore_weights()?;
        let heads: Vec<String> = R::SLOTS.iter().map(|slot| slot.key.to_owned()).collect();
        let part = state.part(INNER);
        let (inner, of_inner) = self.at_inner_point(|inner| inner.partial_state(&part))?;
        let renamed = state.under_own_names(&heads, &own_names(&self.inner));
        let state = renamed.as_ref().unwrap_or(state);
        let (mut fits, mut taken) = (State::default(), Taken::default());
        self.fit_settings(state, &mut fits)?;
        for parameter in self.inner.parameters() {
            let (name, shape) = (&parameter.name, parameter.tensor.size());
            let key = |head: &str| format!("{head}/{name}");
            let saved: Option<Vec<&Tensor>> =
                heads.iter().map(|head| state.tensors.get(&key(head))).collect();
            let saved = saved.filter(|all| all.iter().all(|slot| taken.fits(name, slot, &shape)));
            if saved.is_some() {
                taken.variables.insert(name.clone());
            }
            for (i, slot) in R::SLOTS.iter().enumerate() {
                let tensor = match &saved {
                    Some(all) => all[i].shallow_clone(),
                    None => first_value(slot, parameter)?,
                };
                fits.tensors.insert(key(slot.key), tensor);
            }
        }
        self.note_rest(state, &fits, &mut taken);
        taken.nest(INNER, of_inner);
        fits.nest(INNER, inner);
        Ok((fits, taken))
    }

    /// The steps and what the rule keeps besides: the state's, or the present ones if it has none.
    fn fit_settings(&self, state: &State, fits: &mut State) -> Result<()> {
        let (steps, rule) = if state.integers.contains_key(STEPS) {
            (in_range(state, STEPS, 0, MOST_STEPS)?, self.rule.loaded(state)?)
        } else {
            (self.steps, self.rule.clone())
        };
        fits.integers.insert(STEPS.to_owned(), i64::try_from(steps).unwrap_or(MOST_STEPS));
        rule.save(fits);
        Ok(())
    }

    /// Notes the variables that the model lacks, and other entries.
    fn note_rest(&self, state: &State, fits: &State, taken: &mut Taken) {
        let parameters = self.inner.parameters();
        let own: HashSet<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
        for (key, tensor) in &state.tensors {
            match key.split_once('/') {
                Some((INNER, _)) => {}
                Some((slot, name)) if R::SLOTS.iter().any(|known| known.key == slot) => {
                    if !own.contains(name) {
                        taken.lacks(name, tensor.defined().then(|| tensor.size()));
                    }
                }
                _ => drop(taken.ignored.insert(key.clone())),
            }
        }
        let is_inner = |key: &str| key.split_once('/').is_some_and(|(part, _)| part == INNER);
        let integers = state.integers.keys().filter(|key| !fits.integers.contains_key(*key));
        let numbers = state.numbers.keys().filter(|key| !fits.numbers.contains_key(*key));
        taken.ignored.extend(integers.chain(numbers).filter(|key| !is_inner(key)).cloned());
    }
}
