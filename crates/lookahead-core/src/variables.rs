//! The trainable variables of a store, with names and groups.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lookahead_sys::tensor::identity;
use tch::nn;

use crate::Parameter;

/// The trainable variables of a [`nn::VarStore`] with names and groups, in the order in which they were added, as
/// the store grows: what your own inner optimizer begins with. A variable that is listed twice, for example tied
/// weights, is one parameter.
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
    /// How many of the store's trainable variables have been read.
    seen: usize,
    /// The identities of those returned.
    known: HashSet<usize>,
}

impl Variables {
    /// Of `vs`, before any has been taken.
    pub fn new(vs: &nn::VarStore) -> Self {
        Variables { store: vs.variables_.clone(), seen: 0, known: HashSet::new() }
    }

    /// The variables added since the last call. Cheap if there are none.
    pub fn take_new(&mut self) -> Vec<Parameter> {
        let store = lock(&self.store);
        let added = &store.trainable_variables[self.seen.min(store.trainable_variables.len())..];
        if added.is_empty() {
            return Vec::new();
        }
        // tch keeps the order without names, and the names without order. Of several names (tied weights) take
        // the alphabetically first, which is the same in every process.
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

    /// Other names of these parameters in the store, which tied weights have, each with the parameter's index: for
    /// [`InnerOptimizer::other_names`](crate::InnerOptimizer::other_names).
    ///
    /// ```
    /// use lookahead_core::Variables;
    /// let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// let mut variables = Variables::new(&vs);
    /// let w = vs.root().ones("w", &[2]);
    /// let parameters = variables.take_new();
    /// let alias = vs.root().add("alias", w, true);
    /// assert_eq!(variables.other_names(&parameters), [("alias".to_owned(), 0)]);
    /// # let _ = alias;
    /// ```
    pub fn other_names(&self, parameters: &[Parameter]) -> Vec<(String, usize)> {
        let indices: HashMap<usize, usize> =
            parameters.iter().enumerate().map(|(i, p)| (identity(&p.tensor), i)).collect();
        let store = lock(&self.store);
        let all = store.named_variables.iter();
        let named = all.filter_map(|(name, tensor)| Some((name, *indices.get(&identity(tensor))?)));
        let others = named.filter(|(name, i)| **name != parameters[*i].name);
        others.map(|(name, i)| (name.clone(), i)).collect()
    }
}

/// A panic while the store was locked leaves only complete variables behind.
fn lock(store: &Mutex<nn::Variables>) -> MutexGuard<'_, nn::Variables> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
