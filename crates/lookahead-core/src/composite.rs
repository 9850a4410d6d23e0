//! Several inner optimizers, each on a part of the parameters, as one.

use std::collections::{BTreeMap, HashMap};

use lookahead_sys::tensor::identity;

use crate::range::{check_learning_rate, check_momentum, check_weight_decay};
use crate::{Curvature, Error, InnerOptimizer, Moment, Parameter, Result, State, Taken, Variables};

/// Several inner optimizers, each on a part of the parameters, as one: Muon for the matrices and AdamW for the rest, for
/// example. Each parameter is in exactly one part. Around parts of one kind with equal options it is that optimizer on
/// all of them, to the bit.
///
/// A part is an optimizer on a selection of [`Variables`]; [`partition`](Variables::partition) makes two that fit:
///
/// ```
/// use lookahead_core::{Composite, InnerOptimizer, Lookahead, TchOptimizer, Variables, fused};
/// use tch::{Device, Kind, nn};
///
/// let vs = nn::VarStore::new(Device::Cpu);
/// let net = nn::linear(vs.root() / "fc", 4, 2, Default::default());
/// let (biases, rest) = Variables::new(&vs).partition(|p| p.name.ends_with("bias"));
/// let inner = Composite::builder(&vs)
///     .part("biases", TchOptimizer::new(fused::Sgd::default(), biases, 0.1)?)
///     .part("rest", TchOptimizer::new(fused::AdamW::default(), rest, 1e-3)?)
///     .build()?;
/// let mut opt = Lookahead::around(inner).build()?;
/// # let x = tch::Tensor::ones([3, 4], (Kind::Float, Device::Cpu));
/// opt.backward_step(&x.apply(&net).sum(Kind::Float))?;
/// assert!(opt.state()?.tensors.contains_key("inner/rest/adamw/exp_avg/fc.weight"));
/// # Ok::<(), lookahead_core::Error>(())
/// ```
///
/// A parameter keeps its group. If two parts have parameters in one group, options that are set for the group hold in
/// both, and [`learning_rates`](InnerOptimizer::learning_rates) has the rate of the first of its parameters;
/// [`part`](Self::part) gives each part's own. [`set_learning_rate`](InnerOptimizer::set_learning_rate) sets all groups
/// to one rate, times their [scales](CompositeBuilder::learning_rate_scale), so that a schedule keeps them. A setter that one part refuses has changed the parts before it.
///
/// The keys of its state begin with the names of the parts. A step fails as that of a part does, and then the parts
/// before it have moved.
#[derive(Debug)]
pub struct Composite {
    parts: Vec<Part>,
    /// All that the parts must share out.
    variables: Variables,
    /// In the order of the store, each with the part's own name and group for it.
    parameters: Vec<Parameter>,
    /// Of each parameter: its part, and its index there.
    places: Vec<(usize, usize)>,
    /// Variables that are in no part, or in two.
    unplaced: Vec<Parameter>,
    own: OwnOptions,
}

/// What groups keep when an option is set for all.
#[derive(Debug, Default)]
struct OwnOptions {
    learning_rate_scales: BTreeMap<usize, f64>,
    weight_decays: BTreeMap<usize, f64>,
}

#[derive(Debug)]
struct Part {
    name: String,
    optimizer: Box<dyn InnerOptimizer>,
    /// How many of its parameters have a place.
    placed: usize,
}

/// Builds a [`Composite`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct CompositeBuilder {
    variables: Variables,
    parts: Vec<Part>,
    own: OwnOptions,
}

impl CompositeBuilder {
    /// Adds a part: an optimizer on some of the variables, and its name, with which the keys of its state begin.
    pub fn part(mut self, name: &str, optimizer: impl InnerOptimizer + 'static) -> Self {
        let optimizer = Box::new(optimizer);
        self.parts.push(Part { name: name.to_owned(), optimizer, placed: 0 });
        self
    }

    /// Sets what a group's learning rate is times that of all: [`set_learning_rate`](InnerOptimizer::set_learning_rate),
    /// which a schedule calls, gives the group `scale` times the rate. [`build`](Self::build) multiplies the group's
    /// present rate.
    ///
    /// ```
    /// use lookahead_core::{Composite, InnerOptimizer, TchOptimizer, fused};
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// let _ = (vs.root().ones("a", &[2]), vs.root().set_group(1).ones("b", &[2]));
    /// let sgd = TchOptimizer::new(fused::Sgd::default(), &vs, 0.5)?;
    /// let mut opt = Composite::builder(&vs).part("all", sgd).learning_rate_scale(1, 0.5).build()?;
    /// assert_eq!(opt.learning_rates()?, [0.5, 0.25]);
    /// opt.set_learning_rate(0.125)?;
    /// assert_eq!(opt.learning_rates()?, [0.125, 0.0625]);
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    pub fn learning_rate_scale(mut self, group: usize, scale: f64) -> Self {
        self.own.learning_rate_scales.insert(group, scale);
        self
    }

    /// Sets the weight decay of a group, which keeps it when [`set_weight_decay`](InnerOptimizer::set_weight_decay) sets
    /// that of all.
    pub fn weight_decay_of_group(mut self, group: usize, weight_decay: f64) -> Self {
        self.own.weight_decays.insert(group, weight_decay);
        self
    }

    /// Builds it.
    ///
    /// # Errors
    /// [`InNoPart`](Error::InNoPart) or [`InTwoParts`](Error::InTwoParts) for a variable,
    /// [`NotShared`](Error::NotShared) if a part has a variable that is not the composite's, and
    /// [`Setting`](Error::Setting) for a bad name of a part, a scale or a weight decay; [`Group`](Error::Group) for one of
    /// a group that no part has.
    pub fn build(self) -> Result<Composite> {
        let CompositeBuilder { variables, parts, own } = self;
        for (i, part) in parts.iter().enumerate() {
            let repeated = parts[..i].iter().any(|earlier| earlier.name == part.name);
            if repeated || part.name.is_empty() || part.name.contains('/') {
                let found = format!("{:?}", part.name);
                let allowed = "a name that no other part has, without `/`";
                return Err(Error::Setting { key: "part", found, allowed });
            }
        }
        let (parameters, places) = (Vec::new(), Vec::new());
        let unplaced = Vec::new();
        let mut built = Composite { parts, variables, parameters, places, unplaced, own };
        built.join_new_parameters()?;
        let rates = built.learning_rates()?;
        for (group, scale) in built.own.learning_rate_scales.clone() {
            let rate = *rates.get(group).ok_or(Error::Group { group, count: rates.len() })?;
            built.set_learning_rate_group(group, rate * scale)?;
        }
        built.set_own_weight_decays()?;
        Ok(built)
    }
}

impl Composite {
    /// A builder for `variables`, a `&VarStore` or a selection of its [`Variables`], all of which must be in a part.
    pub fn builder(variables: impl Into<Variables>) -> CompositeBuilder {
        let (variables, parts) = (variables.into(), Vec::new());
        CompositeBuilder { variables, parts, own: OwnOptions::default() }
    }

    /// One optimizer for the matrices, the variables of two and more dimensions, and one for the rest: parts `matrices`
    /// and `rest`.
    ///
    /// ```
    /// use lookahead_core::{Composite, InnerOptimizer, TchOptimizer, fused};
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// let opt = Composite::matrices_and_rest(
    ///     &vs,
    ///     |matrices| TchOptimizer::new(fused::sgd(0.9, 0.0, 0.0, true), matrices, 0.1),
    ///     |rest| TchOptimizer::new(fused::AdamW::default(), rest, 1e-3),
    /// )?;
    /// assert!(opt.part("rest").is_some());
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of the two functions.
    pub fn matrices_and_rest<A: InnerOptimizer + 'static, B: InnerOptimizer + 'static>(
        variables: impl Into<Variables>,
        matrices: impl FnOnce(Variables) -> Result<A>,
        rest: impl FnOnce(Variables) -> Result<B>,
    ) -> Result<Self> {
        let all = variables.into();
        let parts = all.clone().partition(|parameter| parameter.tensor.dim() >= 2);
        let builder = Composite::builder(all).part("matrices", matrices(parts.0)?);
        builder.part("rest", rest(parts.1)?).build()
    }

    /// The optimizer of a part, by the part's name.
    pub fn part(&self, name: &str) -> Option<&dyn InnerOptimizer> {
        self.parts.iter().find(|part| part.name == name).map(|part| &*part.optimizer)
    }

    /// The optimizer of a part, by the part's name, to change its settings.
    pub fn part_mut(&mut self, name: &str) -> Option<&mut (dyn InnerOptimizer + 'static)> {
        self.parts.iter_mut().find(|part| part.name == name).map(|part| &mut *part.optimizer)
    }

    /// Finds the part of each unplaced variable.
    fn place(&mut self) -> Result<()> {
        let mut found: HashMap<usize, Vec<(usize, usize)>> = HashMap::new();
        for (p, part) in self.parts.iter().enumerate() {
            let parameters = part.optimizer.parameters().iter().enumerate().skip(part.placed);
            for (i, parameter) in parameters {
                found.entry(identity(&parameter.tensor)).or_default().push((p, i));
            }
        }
        let mut places = Vec::with_capacity(self.unplaced.len());
        for Parameter { name, tensor, .. } in &self.unplaced {
            let name = name.clone();
            match found.remove(&identity(tensor)).unwrap_or_default()[..] {
                [place] => places.push(place),
                [] => return Err(Error::InNoPart { name }),
                [(first, _), (second, _), ..] => {
                    let [first, second] = [first, second].map(|p| self.parts[p].name.clone());
                    return Err(Error::InTwoParts { name, first, second });
                }
            }
        }
        if let Some((p, i)) = found.into_values().flatten().min() {
            let part = &self.parts[p];
            let name = part.optimizer.parameters()[i].name.clone();
            return Err(Error::NotShared { name, part: part.name.clone() });
        }
        for (p, i) in places {
            let Parameter { name, group, tensor } = &self.parts[p].optimizer.parameters()[i];
            let (name, group, tensor) = (name.clone(), *group, tensor.shallow_clone());
            self.parameters.push(Parameter { name, group, tensor });
            self.places.push((p, i));
        }
        self.unplaced.clear();
        self.parts.iter_mut().for_each(|part| part.placed = part.optimizer.parameters().len());
        Ok(())
    }

    fn set_own_weight_decays(&mut self) -> Result<()> {
        let all = self.own.weight_decays.clone();
        all.into_iter().try_for_each(|(group, own)| self.set_weight_decay_of_group(group, own))
    }

    fn each(&mut self, call: impl Fn(&mut dyn InnerOptimizer) -> Result<()>) -> Result<()> {
        self.parts.iter_mut().try_for_each(|part| call(&mut *part.optimizer))
    }

    /// Calls the parts that have the group.
    fn each_with_group(
        &mut self,
        group: usize,
        call: impl Fn(&mut dyn InnerOptimizer) -> Result<()>,
    ) -> Result<()> {
        let count = self.learning_rates()?.len();
        if group >= count {
            return Err(Error::Group { group, count });
        }
        for part in &mut self.parts {
            if group < part.optimizer.learning_rates()?.len() {
                call(&mut *part.optimizer)?;
            }
        }
        Ok(())
    }
}

impl InnerOptimizer for Composite {
    fn step(&mut self) -> Result<()> {
        self.join_new_parameters()?;
        self.each(|part| part.step())
    }

    fn step_and_look(&mut self) -> Result<Option<bool>> {
        self.join_new_parameters()?;
        let mut finite = Some(true);
        for part in &mut self.parts {
            let of_part = part.optimizer.step_and_look()?;
            finite = finite.zip(of_part).map(|(all, own)| all && own);
        }
        Ok(finite)
    }

    fn steps_taken(&self) -> Option<u64> {
        self.parts.iter().map(|part| part.optimizer.steps_taken()).sum()
    }

    fn zero_grad(&mut self) -> Result<()> {
        self.join_new_parameters()?;
        self.each(|part| part.zero_grad())
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn join_new_parameters(&mut self) -> Result<()> {
        self.each(|part| part.join_new_parameters())?;
        self.unplaced.extend(self.variables.take_new());
        let is_placed = |part: &Part| part.placed == part.optimizer.parameters().len();
        if self.unplaced.is_empty() && self.parts.iter().all(is_placed) {
            return Ok(());
        }
        self.place()
    }

    fn parameters_replaced(&mut self) -> Result<()> {
        self.each(|part| part.parameters_replaced())
    }

    fn parameters_recast(&mut self) -> Result<()> {
        self.each(|part| part.parameters_recast())
    }

    fn parameters_accepted(&mut self) -> Result<()> {
        self.each(|part| part.parameters_accepted())
    }

    fn finish(&mut self) -> Result<()> {
        self.each(|part| part.finish())
    }

    fn other_names(&self) -> Vec<(String, usize)> {
        self.variables.other_names(&self.parameters)
    }

    fn moment_names(&self) -> Option<Vec<&'static str>> {
        let mut all = Vec::new();
        for part in &self.parts {
            for name in part.optimizer.moment_names()? {
                if !all.contains(&name) {
                    all.push(name);
                }
            }
        }
        Some(all)
    }

    fn moment_names_of(&self, parameter: usize) -> Option<Vec<&'static str>> {
        let (part, index) = self.places[parameter];
        self.parts[part].optimizer.moment_names_of(index)
    }

    fn moments(&mut self, parameter: usize) -> Result<Vec<Moment>> {
        let (part, index) = self.places[parameter];
        self.parts[part].optimizer.moments(index)
    }

    fn reset_moments(&mut self, parameter: usize) -> Result<()> {
        let (part, index) = self.places[parameter];
        self.parts[part].optimizer.reset_moments(index)
    }

    /// Whether all parts do.
    fn has_curvature(&self) -> bool {
        self.parts.iter().all(|part| part.optimizer.has_curvature())
    }

    fn curvature(&mut self, parameter: usize) -> Result<Option<Curvature>> {
        let (part, index) = self.places[parameter];
        self.parts[part].optimizer.curvature(index)
    }

    fn learning_rates(&self) -> Result<Vec<f64>> {
        let parts = self.parts.iter().map(|part| part.optimizer.learning_rates());
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let count = parts.iter().map(Vec::len).max().unwrap_or(1);
        let of_group = |group| {
            let is_in = |(parameter, _): &(&Parameter, _)| parameter.group == group;
            let mut placed = self.parameters.iter().zip(&self.places);
            let of_parameter = placed.find(is_in).map(|(_, (part, _))| &parts[*part]);
            // A group without parameters is in some part all the same.
            let rates = of_parameter.or_else(|| parts.iter().find(|rates| group < rates.len()));
            rates.and_then(|rates| rates.get(group)).copied()
        };
        Ok((0..count).filter_map(of_group).collect())
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        check_learning_rate(learning_rate)?;
        let scales = self.own.learning_rate_scales.clone();
        scales.values().try_for_each(|scale| check_learning_rate(learning_rate * scale))?;
        self.each(|part| part.set_learning_rate(learning_rate))?;
        scales.into_iter().try_for_each(|(group, scale)| {
            self.set_learning_rate_group(group, learning_rate * scale)
        })
    }

    fn set_learning_rate_group(&mut self, group: usize, learning_rate: f64) -> Result<()> {
        check_learning_rate(learning_rate)?;
        self.each_with_group(group, |part| part.set_learning_rate_group(group, learning_rate))
    }

    fn set_weight_decay(&mut self, weight_decay: f64) -> Result<()> {
        check_weight_decay(weight_decay)?;
        self.each(|part| part.set_weight_decay(weight_decay))?;
        self.set_own_weight_decays()
    }

    fn set_weight_decay_of_group(&mut self, group: usize, weight_decay: f64) -> Result<()> {
        check_weight_decay(weight_decay)?;
        self.each_with_group(group, |part| part.set_weight_decay_of_group(group, weight_decay))
    }

    fn set_momentum_of_group(&mut self, group: usize, momentum: f64) -> Result<()> {
        check_momentum(momentum)?;
        self.each_with_group(group, |part| part.set_momentum_of_group(group, momentum))
    }

    fn state(&mut self) -> Result<State> {
        let mut state = State::default();
        self.state_into(&mut state)?;
        Ok(state)
    }

    fn state_into(&mut self, state: &mut State) -> Result<()> {
        self.join_new_parameters()?;
        let mut scratch = std::mem::take(state);
        for Part { name, optimizer, .. } in &mut self.parts {
            let mut part = scratch.take_part(name);
            optimizer.state_into(&mut part)?;
            state.nest(name, part);
        }
        Ok(())
    }

    fn load_state(&mut self, state: &State) -> Result<()> {
        self.join_new_parameters()?;
        let is_of_a_part = |key: &str| {
            let name = key.split_once('/').map(|(name, _)| name);
            self.parts.iter().any(|part| Some(part.name.as_str()) == name)
        };
        state.refuse_unknown(is_of_a_part, is_of_a_part, is_of_a_part)?;
        // A part checks its state as it loads it, so the parts before one that refuses must go back.
        let mut before = Vec::with_capacity(self.parts.len());
        let loaded = self.parts.iter_mut().try_for_each(|Part { name, optimizer, .. }| {
            let own = optimizer.state()?;
            optimizer.load_state(&state.part(name)).map_err(|error| error.in_part(name))?;
            before.push(own);
            Ok(())
        });
        if loaded.is_err() {
            for (part, before) in self.parts.iter_mut().zip(before) {
                part.optimizer.load_state(&before)?;
            }
        }
        loaded
    }

    fn partial_state(&mut self, state: &State) -> Result<(State, Taken)> {
        self.join_new_parameters()?;
        let (mut fits, mut taken) = (State::default(), Taken::default());
        for Part { name, optimizer, .. } in &mut self.parts {
            let (part, of_part) = optimizer.partial_state(&state.part(name))?;
            fits.nest(name, part);
            taken.nest(name, of_part);
        }
        let keys = state.tensors.keys().chain(state.integers.keys()).chain(state.numbers.keys());
        let part_of = |key: &str| key.split_once('/').map(|(part, _)| part.to_owned());
        let is_known = |key: &&String| part_of(key).is_some_and(|name| self.part(&name).is_some());
        taken.ignored.extend(keys.filter(|key| !is_known(key)).cloned());
        Ok((fits, taken))
    }
}
