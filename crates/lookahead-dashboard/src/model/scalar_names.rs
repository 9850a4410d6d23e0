//! The names of the numbers that runs log.

use std::collections::BTreeMap;

/// Names, each with an index that it keeps.
#[derive(Debug, Default)]
pub(crate) struct ScalarNames {
    /// In the order in which they came, which is that of their indices.
    names: Vec<String>,
    /// The index of each, in alphabetical order: names are looked up with each event and listed in each frame.
    indices: BTreeMap<String, usize>,
}

impl ScalarNames {
    /// Adds a name unless it is known.
    pub(crate) fn add(&mut self, name: &str) {
        if !self.indices.contains_key(name) {
            self.indices.insert(name.to_owned(), self.names.len());
            self.names.push(name.to_owned());
        }
    }

    /// The name with this index; empty if there is none.
    pub(crate) fn get(&self, index: usize) -> &str {
        self.names.get(index).map_or("", String::as_str)
    }

    pub(crate) fn index_of(&self, name: &str) -> Option<usize> {
        self.indices.get(name).copied()
    }

    /// All indices, in the alphabetical order of their names.
    pub(crate) fn sorted(&self) -> impl Iterator<Item = usize> {
        self.indices.values().copied()
    }
}
