//! The keys in the state of an optimizer that keeps named tensors, its slots, for each parameter.

use std::collections::HashSet;

use tch::Tensor;

use crate::{Error, Parameter, Result, State, Taken};

/// The keys of one optimizer's state: `sgd/momentum_buffer/conv1.weight`, `sgd/learning_rate/0`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SlotKeys<'a> {
    /// The optimizer's name.
    pub(crate) optimizer: &'static str,
    /// The names of the slots.
    pub(crate) slots: &'a [&'static str],
    /// The names of the options of a group.
    pub(crate) options: &'static [&'static str],
    pub(crate) parameters: &'a [Parameter],
    /// The number of groups.
    pub(crate) groups: usize,
}

impl SlotKeys<'_> {
    /// The key of a slot of a parameter.
    pub(crate) fn slot(&self, slot: &str, parameter: &Parameter) -> String {
        format!("{}/{slot}/{}", self.optimizer, parameter.name)
    }

    /// The key of the number of steps of a parameter.
    pub(crate) fn step(&self, parameter: &Parameter) -> String {
        self.slot("step", parameter)
    }

    /// The key of an option of a group; that of later groups has the number after the last.
    pub(crate) fn option(&self, option: &str, group: usize) -> String {
        let group = if group == self.groups { "later".to_owned() } else { group.to_string() };
        format!("{}/{option}/{group}", self.optimizer)
    }

    /// The key of the number of tensors. Without it a lost tensor would look like one that was never made.
    pub(crate) fn count(&self) -> String {
        format!("{}/tensors", self.optimizer)
    }

    /// The state with entries of tied weights under the names that they have here.
    pub(crate) fn under_own_names(
        &self,
        state: &State,
        names: &[(String, String)],
    ) -> Option<State> {
        let entries = self.slots.iter().chain(&["step"]);
        let heads: Vec<String> =
            entries.map(|entry| format!("{}/{entry}", self.optimizer)).collect();
        state.under_own_names(&heads, names)
    }

    /// An error for the first entry with another key.
    pub(crate) fn refuse_unknown(&self, state: &State) -> Result<()> {
        let of_parameters = |entries: &[&str]| -> HashSet<String> {
            let all = self.parameters.iter();
            all.flat_map(|parameter| entries.iter().map(|entry| self.slot(entry, parameter)))
                .collect()
        };
        let (tensors, integers) = (of_parameters(self.slots), of_parameters(&["step"]));
        let of_group = |group| self.options.iter().map(move |option| self.option(option, group));
        let numbers: HashSet<String> = (0..=self.groups).flat_map(of_group).collect();
        state.refuse_unknown(
            |key| tensors.contains(key),
            |key| integers.contains(key) || key == self.count(),
            |key| numbers.contains(key),
        )
    }

    /// What fits of a state of another model, with the options that it lacks from `own`, this optimizer's state. Of a
    /// variable all entries are taken, or none.
    pub(crate) fn partial(&self, state: &State, own: &State) -> (State, Taken) {
        let (mut fits, mut taken) = (State::default(), Taken::default());
        for group in 0..=self.groups {
            for key in self.options.iter().map(|option| self.option(option, group)) {
                if let Some(value) = state.numbers.get(&key).or_else(|| own.numbers.get(&key)) {
                    fits.numbers.insert(key, *value);
                }
            }
        }
        for parameter in self.parameters {
            let (name, shape) = (&parameter.name, parameter.tensor.size());
            let keys = self.slots.iter().map(|slot| self.slot(slot, parameter));
            let saved = keys.filter_map(|key| Some((state.tensors.get(&key)?, key)));
            let saved: Vec<(&Tensor, String)> = saved.collect();
            if !saved.iter().all(|(tensor, _)| taken.fits(name, tensor, &shape)) {
                continue;
            }
            let step = self.step(parameter);
            if let Some(count) = state.integers.get(&step) {
                fits.integers.insert(step, *count);
                taken.variables.insert(name.clone());
            }
            for (tensor, key) in saved {
                fits.tensors.insert(key, tensor.shallow_clone());
                taken.variables.insert(name.clone());
            }
        }
        fits.integers.insert(self.count(), fits.tensors.len() as i64);
        self.note_rest(state, &fits, &mut taken);
        (fits, taken)
    }

    /// Notes the variables that the model lacks, and other entries.
    fn note_rest(&self, state: &State, fits: &State, taken: &mut Taken) {
        let own: HashSet<&str> = self.parameters.iter().map(|p| p.name.as_str()).collect();
        let variable = |key: &str, entries: &[&str]| -> Option<String> {
            let rest = key.strip_prefix(self.optimizer)?.strip_prefix('/')?;
            let name = |entry: &&str| rest.strip_prefix(*entry)?.strip_prefix('/');
            entries.iter().find_map(name).map(str::to_owned)
        };
        for (key, tensor) in &state.tensors {
            match variable(key, self.slots) {
                Some(name) if own.contains(name.as_str()) => {}
                Some(name) => taken.lacks(&name, tensor.defined().then(|| tensor.size())),
                None => drop(taken.ignored.insert(key.clone())),
            }
        }
        for key in state.integers.keys().filter(|key| **key != self.count()) {
            match variable(key, &["step"]) {
                Some(name) if own.contains(name.as_str()) => {}
                Some(name) => taken.lacks(&name, None),
                None => drop(taken.ignored.insert(key.clone())),
            }
        }
        let numbers = state.numbers.keys().filter(|key| !fits.numbers.contains_key(*key));
        taken.ignored.extend(numbers.cloned());
    }

    /// An error if a state has lost tensors. One of an earlier version has no number of them.
    pub(crate) fn refuse_lost(&self, state: &State) -> Result<()> {
        let (key, found) = (self.count(), state.tensors.len() as i64);
        let Some(&count) = state.integers.get(&key) else { return Ok(()) };
        if count == found {
            return Ok(());
        }
        let of = |parameter| self.slots.iter().map(move |slot| self.slot(slot, parameter));
        let mut lost = self.parameters.iter().flat_map(of);
        Err(match lost.find(|key| !state.tensors.contains_key(key)) {
            Some(key) if found < count => Error::StateMissing { key },
            _ => {
                let allowed = format!("{found}, the number of tensors that the state has");
                Error::StateRange { key, found: count.to_string(), allowed }
            }
        })
    }
}
