//! Parameters that keep their first values: `train.freeze`.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use lookahead_core::Variables;

use super::Model;
use crate::nearest::suggestion;
use crate::usage::UsageError;

impl Model {
    /// Freezes the parameters whose names match any of the patterns, in which `*` is any characters. They get no
    /// gradients, and no optimizer that is built afterwards knows them. Tied weights match by each of their names.
    ///
    /// # Errors
    /// If a pattern matches no parameter, or all parameters match. The model is unchanged then.
    pub(crate) fn freeze(&mut self, patterns: &[String]) -> Result<(), UsageError> {
        if patterns.is_empty() {
            return Ok(());
        }
        let mut variables = Variables::new(&self.vs);
        let parameters = variables.take_new();
        let own = parameters.iter().enumerate().map(|(i, parameter)| (parameter.name.clone(), i));
        let names: Vec<(String, usize)> = own.chain(variables.other_names(&parameters)).collect();
        let mut frozen = BTreeSet::new();
        for pattern in patterns {
            let matching = names.iter().filter(|(name, _)| matches(pattern, name));
            let matching: Vec<usize> = matching.map(|(_, i)| *i).collect();
            if matching.is_empty() {
                let names = names.iter().map(|(name, _)| name.as_str());
                return Err(UsageError::new(format!(
                    "`train.freeze` has the pattern `{pattern}`, which matches no parameter of the model. {} `*` is \
                     any characters, and all other characters are themselves.",
                    suggestion(pattern, names)
                )));
            }
            frozen.extend(matching);
        }
        if frozen.len() == parameters.len() {
            return Err(UsageError::new(format!(
                "`train.freeze` is {patterns:?}, which matches all {} parameters. Leave at least one to train.",
                parameters.len()
            )));
        }
        for &i in &frozen {
            let _ = parameters[i].tensor.set_requires_grad(false);
        }
        let mut store = self.vs.variables_.lock().unwrap_or_else(PoisonError::into_inner);
        store.trainable_variables.retain(|variable| variable.tensor.requires_grad());
        drop(store);
        let names = names.into_iter().filter(|(_, i)| frozen.contains(i));
        self.frozen.extend(names.map(|(name, _)| name));
        self.frozen_elements +=
            frozen.iter().map(|&i| parameters[i].tensor.numel() as u64).sum::<u64>();
        Ok(())
    }
}

/// Whether the whole name matches a pattern in which `*` is any characters.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    // The leftmost place of each part leaves most for those after it.
    for part in middle.split('*') {
        let Some((_, after)) = left.split_once(part) else { return false };
        left = after;
    }
    left.ends_with(end)
}

#[cfg(test)]
mod tests;
