//! The trainable variables of a store, or some of them, with names and groups.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lookahead_sys::tensor::identity;
use tch::nn;

use crate::{Parameter, Result};

/// The trainable variables of a [`nn::VarStore`], or some of them, with names and groups, in the order in which they
/// were added, as the store grows: what an inner optimizer begins with. A variable that is listed twice, for example
/// tied weights, is one parameter, under the alphabetically first of its names.
///
/// Every optimizer of this crate takes a `&VarStore` for all of its variables, or a `Variables` for a selection.
/// [`matching`](Self::matching) and [`partition`](Self::partition) select; [`group_by`](Self::group_by) assigns groups
/// by name, shape or element type, so that the model need not call [`set_group`](nn::Path::set_group). Both hold for
/// variables that are added later. They apply in the order in which they are called, so a selection after `group_by`
/// sees the new groups. Each function is called once for each variable, so it should depend on the parameter alone.
///
/// ```
/// use lookahead_core::{InnerOptimizer, TchOptimizer, Variables, fused};
/// use tch::{Device, nn};
///
/// let vs = nn::VarStore::new(Device::Cpu);
/// let _ = nn::linear(vs.root() / "fc", 4, 2, Default::default());
/// let variables = Variables::new(&vs).group_by(|p| usize::from(p.name.ends_with("bias")));
/// let mut opt = TchOptimizer::new(fused::AdamW::default(), variables, 1e-3)?;
/// opt.set_learning_rate_group(1, 1e-2)?;
/// assert_eq!(opt.learning_rates()?, [1e-3, 1e-2]);
///
/// // Two optimizers on two parts of one store.
/// let (matrices, rest) = Variables::new(&vs).partition(|p| p.tensor.dim() >= 2);
/// let matrices = TchOptimizer::new(fused::Sgd::default(), matrices, 0.1)?;
/// let rest = TchOptimizer::new(fused::AdamW::default(), rest, 1e-3)?;
/// assert_eq!(matrices.parameters()[0].name, "fc.weight");
/// assert_eq!(rest.parameters()[0].name, "fc.bias");
/// # Ok::<(), lookahead_core::Error>(())
/// ```
///
/// A variable that no optimizer has selected keeps its value. Each optimizer clears the gradients of its own variables
/// only, so with two, call both [`zero_grad`](crate::InnerOptimizer::zero_grad) before a backward pass.
///
/// Your own optimizer takes the variables that are new before each step:
///
/// ```
/// use lookahead_core::Variables;
/// let vs = tch::nn::VarStore::new(tch::Device::Cpu);
/// let mut variables = Variables::new(&vs);
/// let _ = vs.root().ones("w", &[2]);
/// assert_eq!(variables.take_new()[0].name, "w");
/// assert!(variables.take_new().is_empty());
/// ```
#[derive(Clone)]
pub struct Variables {
    store: Arc<Mutex<nn::Variables>>,
    /// How many of the store's trainable variables have been read.
    seen: usize,
    /// The identities of those read.
    known: HashSet<usize>,
    /// What a parameter goes through, in this order, before it is taken.
    rules: Vec<Rule>,
    /// The groups whose variables are frozen.
    frozen: BTreeSet<usize>,
}

/// A selection, or an assignment of groups.
#[derive(Clone)]
enum Rule {
    Matching(Arc<dyn Fn(&Parameter) -> bool + Send + Sync>),
    Group(Arc<dyn Fn(&Parameter) -> usize + Send + Sync>),
}

impl Variables {
    /// All of `vs`, before any has been taken.
    pub fn new(vs: &nn::VarStore) -> Self {
        let (store, known) = (vs.variables_.clone(), HashSet::new());
        Variables { store, seen: 0, known, rules: Vec::new(), frozen: BTreeSet::new() }
    }

    /// Only those for which `predicate` holds.
    ///
    /// ```
    /// use lookahead_core::Variables;
    /// let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// let mut vectors = Variables::new(&vs).matching(|parameter| parameter.tensor.dim() == 1);
    /// let _ = (vs.root().ones("matrix", &[2, 3]), vs.root().ones("vector", &[3]));
    /// let taken = vectors.take_new();
    /// assert_eq!((taken.len(), taken[0].name.as_str()), (1, "vector"));
    /// ```
    #[must_use]
    pub fn matching(self, predicate: impl Fn(&Parameter) -> bool + Send + Sync + 'static) -> Self {
        self.with(Rule::Matching(Arc::new(predicate)))
    }

    /// Those for which `predicate` holds, and the rest. Each variable is in one of the two.
    pub fn partition(
        self,
        predicate: impl Fn(&Parameter) -> bool + Send + Sync + 'static,
    ) -> (Self, Self) {
        let predicate = Arc::new(predicate);
        let holds = predicate.clone();
        let rest = self.clone().matching(move |parameter| !predicate(parameter));
        (self.matching(move |parameter| holds(parameter)), rest)
    }

    /// In the groups that `group` gives, in place of those of the store. Groups are counted from 0.
    #[must_use]
    pub fn group_by(self, group: impl Fn(&Parameter) -> usize + Send + Sync + 'static) -> Self {
        self.with(Rule::Group(Arc::new(group)))
    }

    fn with(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// The variables added since the last call. Cheap if there are none.
    pub fn take_new(&mut self) -> Vec<Parameter> {
        let mut added = self.read_new();
        // With the store unlocked, which a rule may look at.
        added.retain_mut(|parameter| {
            self.rules.iter().all(|rule| match rule {
                Rule::Matching(predicate) => predicate(parameter),
                Rule::Group(group) => {
                    parameter.group = group(parameter);
                    true
                }
            })
        });
        for parameter in added.iter().filter(|parameter| self.frozen.contains(&parameter.group)) {
            let _ = parameter.tensor.set_requires_grad(false);
        }
        added
    }

    /// Freezes a group, or thaws it: sets `requires_grad` of `taken`, the parameters taken so far, in this group, and of
    /// those that join it later. A frozen parameter loses its gradient, so that no optimizer steps it.
    pub fn set_trainable(
        &mut self,
        taken: &[Parameter],
        group: usize,
        trainable: bool,
    ) -> Result<()> {
        if trainable {
            self.frozen.remove(&group);
        } else {
            self.frozen.insert(group);
        }
        for parameter in taken.iter().filter(|parameter| parameter.group == group) {
            let _ = parameter.tensor.f_set_requires_grad(trainable)?;
            if !trainable {
                parameter.zero_grad()?;
            }
        }
        Ok(())
    }

    fn read_new(&mut self) -> Vec<Parameter> {
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

impl From<&nn::VarStore> for Variables {
    fn from(vs: &nn::VarStore) -> Self {
        Variables::new(vs)
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.rules.len();
        f.debug_struct("Variables").field("seen", &self.seen).field("rules", &rules).finish()
    }
}

/// A panic while the store was locked leaves only complete variables behind.
fn lock(store: &Mutex<nn::Variables>) -> MutexGuard<'_, nn::Variables> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
