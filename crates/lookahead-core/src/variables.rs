//! The trainable variables of a store, with their names and groups, in the order in which they
//! were added.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lookahead_sys::tensor::identity;
use tch::nn;

use crate::Parameter;

/// The trainable variables of a [`nn::VarStore`], with their names and groups in the order in which
/// they were added, read again as the store grows: what an inner optimizer of your own begins with.
/// A variable that is listed twice, as tied weights may be, is one parameter.
///
/// ```
/// use lookahead_core::Variables;
/// let vs = tch::nn::VarStore::new(tch::Device::Cpu);
/// let mut variables = Variables::new(&vs);
/// let _ = vs.root().ones("w", &[2]);
/// assert_eq!(variables.take_new()[0].name, "w");
/// assert!(variables.take_new().is_empty());
/// ```
#[derive(Debug)]
pub struct Variables {
    store: Arc<Mutex<nn::Variables>>,
    /// How many of the store's trainable variables have been looked at.
    seen: usize,
    /// Identities of those returned: a variable that is listed twice is one parameter.
    known: HashSet<usize>,
}

impl Variables {
    /// Those of `vs`; none of them has been taken yet.
    pub fn new(vs: &nn::VarStore) -> Self {
        Variables { store: vs.variables_.clone(), seen: 0, known: HashSet::new() }
    }

    /// The variables added since the last call. Cheap where there is none.
    pub fn take_new(&mut self) -> Vec<Parameter> {
        let store = lock(&self.store);
        let added = &store.trainable_variables[self.seen.min(store.trainable_variables.len())..];
        if added.is_empty() {
            return Vec::new();
        }
        // tch keeps the order without names and the names without order. Of several names for one
        // variable (tied weights) the first of the alphabet is the same in every process.
        let mut names: HashMap<usize, &String> = HashMap::new();
        for (name, tensor) in &store.named_variables {
            let least = names.entry(identity(tensor)).or_insert(name);
            *least = name.min(least);
        }
        let parameters = added
            .iter()
            .enumerate()
            .filter(|(_, variable)| self.known.insert(identity(&variable.tensor)))
            .map(|(i, variable)| Parameter {
                name: names
                    .get(&identity(&variable.tensor))
                    .map_or_else(|| format!("unnamed{}", self.seen + i), |name| (*name).clone()),
                group: variable.group,
                tensor: variable.tensor.shallow_clone(),
            })
            .collect();
        self.seen = store.trainable_variables.len();
        parameters
    }
}

/// A panic elsewhere while the store was locked leaves whole variables behind.
fn lock(store: &Mutex<nn::Variables>) -> MutexGuard<'_, nn::Variables> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
