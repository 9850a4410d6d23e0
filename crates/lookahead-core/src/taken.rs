//! What loading a part of a state has taken.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use tch::Tensor;

use crate::Replaced;

/// What [`load_partial`](crate::InnerOptimizer::load_partial) has taken of a state, and what not. It prints as a few
/// lines for a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Taken {
    /// The variables that continue with the state's entries.
    pub variables: BTreeSet<String>,
    /// The model's variables of which the state has nothing, with their shapes. They begin as new ones.
    pub new: BTreeMap<String, Vec<i64>>,
    /// The variables that have another shape in the state: that shape, then the model's. They begin as new ones.
    pub reshaped: BTreeMap<String, (Vec<i64>, Vec<i64>)>,
    /// The state's variables that the model lacks, with their shapes; `None` if the state has no tensor of it.
    pub unknown: BTreeMap<String, Option<Vec<i64>>>,
    /// The keys of other entries that were not taken, for example those of another kind of optimizer.
    pub ignored: BTreeSet<String>,
    /// The settings that the state has replaced, as [`Lookahead::load_state`](crate::Lookahead::load_state) returns
    /// them.
    pub replaced: Vec<Replaced>,
}

impl Taken {
    /// Adds what a part of the optimizer has taken of the state's part `part`.
    pub(crate) fn nest(&mut self, part: &str, inner: Taken) {
        self.variables.extend(inner.variables);
        self.reshaped.extend(inner.reshaped);
        // A shape is known to some parts only.
        for (name, shape) in inner.unknown {
            self.lacks(&name, shape);
        }
        self.ignored.extend(inner.ignored.into_iter().map(|key| format!("{part}/{key}")));
        self.replaced.extend(inner.replaced);
    }

    /// Whether a variable's tensor in the state has the variable's shape; notes it if not.
    pub(crate) fn fits(&mut self, name: &str, found: &Tensor, shape: &[i64]) -> bool {
        // An undefined one has none. Loading refuses it.
        if !found.defined() || found.size() == shape {
            return true;
        }
        self.reshaped.insert(name.to_owned(), (found.size(), shape.to_vec()));
        false
    }

    /// Notes which of the model's variables begin as new ones.
    pub(crate) fn complete(&mut self, model: impl Iterator<Item = (String, Vec<i64>)>) {
        let known =
            |name: &String| self.variables.contains(name) || self.reshaped.contains_key(name);
        self.new = model.filter(|(name, _)| !known(name)).collect();
    }

    /// Notes a variable that the model lacks.
    pub(crate) fn lacks(&mut self, name: &str, shape: Option<Vec<i64>>) {
        let known = self.unknown.entry(name.to_owned()).or_default();
        *known = known.take().or(shape);
    }
}

/// The most names on a line.
const SHOWN: usize = 8;

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variables that continue from the state: {}", self.variables.len())?;
        let new = self.new.iter().map(|(name, shape)| format!("`{name}` {shape:?}"));
        line(f, "New", new.collect())?;
        let reshaped = self.reshaped.iter();
        let reshaped =
            reshaped.map(|(name, (found, now))| format!("`{name}` {found:?}, now {now:?}"));
        line(f, "New, because the state's shape differs", reshaped.collect())?;
        let unknown = self.unknown.iter().map(|(name, shape)| match shape {
            Some(shape) => format!("`{name}` {shape:?}"),
            None => format!("`{name}`"),
        });
        line(f, "Only in the state", unknown.collect())?;
        let ignored = self.ignored.iter().map(|key| format!("`{key}`"));
        line(f, "Ignored entries", ignored.collect())
    }
}

fn line(f: &mut fmt::Formatter<'_>, what: &str, all: Vec<String>) -> fmt::Result {
    if all.is_empty() {
        return Ok(());
    }
    let shown = all[..all.len().min(SHOWN)].join(", ");
    let more = if all.len() > SHOWN { ", …" } else { "" };
    write!(f, "\n{what} ({}): {shown}{more}", all.len())
}
