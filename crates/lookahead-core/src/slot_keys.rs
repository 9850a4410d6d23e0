//! The keys in the state of an optimizer that keeps named tensors, its slots, for each parameter.

use std::collections::HashSet;

use crate::{Error, Parameter, Result, State};

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
