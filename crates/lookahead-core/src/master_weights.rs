//! Half-precision weights that are trained in single precision.

mod result;
mod saving;
mod slow_weights;

use std::collections::HashMap;

use lookahead_sys::arithmetic::assign;
use lookahead_sys::tensor::{forget_gradient, identity, set_gradient};
use tch::{Device, Kind, Tensor, nn};

use crate::inner::forward;
use crate::mutation_detector::{Differences, MutationDetector};
use crate::{Curvature, Error, InnerOptimizer, Moment, Parameter, Result, State, Taken, Variables};

/// Trains bfloat16 and half-precision weights in single precision: each has an f32 *master*, which the inner
/// optimizer steps, with moments in f32, and the model's weights are the masters rounded.
///
/// ```text
/// g₃₂ ← g₁₆                                gradients of the model's weights
/// m ← m + A(g₃₂)                           the inner optimizer steps the masters
/// θ₁₆ ← round(m)
/// ```
///
/// A bfloat16 number has eight significant bits: a step below 0.2 % of a weight is lost there, and kept in its master
/// until the steps add up. Weights of other types have no master; the inner optimizer steps them as they are.
///
/// `build` gets a store with the masters, under the model's names and groups:
///
/// ```
/// use lookahead_core::{Lookahead, MasterWeights, fused};
/// use tch::{Device, Kind, Tensor, nn, nn::Module};
///
/// let mut vs = nn::VarStore::new(Device::Cpu);
/// let net = nn::linear(vs.root(), 4, 1, Default::default());
/// vs.bfloat16(); // first
/// let mut opt = MasterWeights::new(&vs, |masters| {
///     Lookahead::builder(fused::AdamW::default()).k(5).alpha(0.5).build(masters, 1e-3)
/// })?;
/// # let x = Tensor::ones([8, 4], (Kind::BFloat16, Device::Cpu));
/// for _ in 0..10 {
///     opt.backward_step(&net.forward(&x).square().mean(Kind::Float))?;
/// }
/// let at_phi = opt.with_slow_weights(|| net.forward(&x))?;
/// assert_eq!(opt.inner().syncs(), 2);
/// # let _ = at_phi;
/// # Ok::<(), lookahead_core::Error>(())
/// ```
///
/// # With Lookahead
/// Put Lookahead and other wrappers inside, as here: φ, the outer momentum and θ at a sync are f32 then, and the
/// masters restart from φ itself. Around this one they would see rounded weights only, and a sync would lose what the
/// masters hold beyond them: [`MasterWeightsInside`](Error::MasterWeightsInside).
///
/// # What to know
/// * Load and cast the model's weights before you build this. Code that writes to them later must call
///   [`accept_weights`](Self::accept_weights), or [`reset_master_weights`](Self::reset_master_weights) after loading.
/// * Call methods of the inner optimizer that move or clip with [`with_inner`](Self::with_inner).
/// * The state has the masters too, and loading one sets the model's weights to them.
/// * It costs four bytes per half-precision weight for the master, and as many for its gradient during a step.
///
/// Source: P. Micikevicius et al., *Mixed Precision Training*, ICLR 2018, section 3.1.
#[derive(Debug)]
pub struct MasterWeights<O: InnerOptimizer> {
    inner: O,
    variables: Variables,
    /// What the inner optimizer steps: masters, and the model's other variables themselves.
    masters: nn::VarStore,
    /// The model's half-precision variables with their masters.
    narrow: Vec<Parameter>,
    wide: Vec<Tensor>,
    /// The model's variables in the inner optimizer's order.
    parameters: Vec<Parameter>,
    detector: MutationDetector,
}

impl<O: InnerOptimizer> MasterWeights<O> {
    /// For all variables of a `&VarStore`, or a selection of [`Variables`]. `build` builds the inner optimizer for a store
    /// that holds masters in their place.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn new(
        variables: impl Into<Variables>,
        build: impl FnOnce(&nn::VarStore) -> Result<O>,
    ) -> Result<Self> {
        let mut variables = variables.into();
        let masters = nn::VarStore::new(Device::Cpu);
        let (mut narrow, mut wide) = (Vec::new(), Vec::new());
        add_masters(&mut variables, &masters, &mut narrow, &mut wide)?;
        let inner = build(&masters)?;
        let (parameters, detector) = (Vec::new(), MutationDetector::default());
        let mut built =
            MasterWeights { inner, variables, masters, narrow, wide, parameters, detector };
        built.join_new_parameters()?;
        built.detector.remember(&built.narrow)?;
        Ok(built)
    }

    /// The inner optimizer, to read. To move weights use [`with_inner`](Self::with_inner).
    pub fn inner(&self) -> &O {
        &self.inner
    }

    /// Calls `f` with the inner optimizer, whose parameters are the masters with their gradients, then rounds the masters
    /// into the model: for methods that clip, move weights or change settings. The masters' gradients are those of this call:
    /// clip and step in one.
    ///
    /// ```
    /// # use lookahead_core::{Lookahead, MasterWeights, fused};
    /// # let mut vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let w = vs.root().ones("w", &[2]);
    /// # vs.bfloat16();
    /// # let mut opt = MasterWeights::new(&vs, |masters| Lookahead::builder(fused::Sgd::default()).build(masters, 0.1))?;
    /// w.sum(tch::Kind::Float).backward();
    /// opt.with_inner(|lookahead| {
    ///     lookahead.clip_grad_norm(1.0)?; // in f32
    ///     lookahead.step()
    /// })?;
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `f`; [`MasterWeightsOutdated`](Error::MasterWeightsOutdated) if other code wrote to the weights,
    /// [`SparseGradient`](Error::SparseGradient) for a sparse gradient of a half-precision weight.
    pub fn with_inner<T>(&mut self, f: impl FnOnce(&mut O) -> Result<T>) -> Result<T> {
        self.check()?;
        self.pass_gradients()?;
        let outcome = f(&mut self.inner);
        // Also after a failure, which may have moved some masters.
        self.round()?;
        outcome
    }

    /// Computes the gradients of `loss` and takes a step.
    ///
    /// # Errors
    /// As [`with_inner`](Self::with_inner), those of the inner optimizer, and libtorch's for a loss that is not a scalar.
    pub fn backward_step(&mut self, loss: &Tensor) -> Result<()> {
        self.zero_grad()?;
        loss.f_backward()?;
        self.step()
    }

    /// Accepts the model's weights as they are now: a master whose rounded value differs from its weight is set to the
    /// weight, and all others keep their precision. Call it after each deliberate change, for example by clipping.
    ///
    /// # Errors
    /// Those of the inner optimizer's [`parameters_accepted`](InnerOptimizer::parameters_accepted).
    pub fn accept_weights(&mut self) -> Result<()> {
        self.join_new_parameters()?;
        for (parameter, wide) in self.narrow.iter().zip(&self.wide) {
            follow(&parameter.tensor, wide)?;
        }
        self.pass_freezes();
        self.inner.parameters_accepted()?;
        self.remember()
    }

    /// Copies the model's weights to the masters, after they were loaded, copied, moved or cast. The inner optimizer
    /// restarts from them as after a cast; Lookahead resets φ.
    ///
    /// # Errors
    /// Those of the inner optimizer's [`parameters_recast`](InnerOptimizer::parameters_recast).
    pub fn reset_master_weights(&mut self) -> Result<()> {
        self.join_new_parameters()?;
        self.refuse_without_master()?;
        for (parameter, wide) in self.narrow.iter().zip(&self.wide) {
            wide.shallow_clone().f_set_data(&parameter.slow_copy()?)?;
        }
        self.inner.parameters_recast()?;
        self.remember()
    }

    /// Checks what must hold before the masters are used.
    fn check(&mut self) -> Result<()> {
        self.join_new_parameters()?;
        self.refuse_without_master()?;
        let frozen = self.differences()?;
        for &i in &frozen {
            follow(&self.narrow[i].tensor, &self.wide[i])?;
        }
        self.pass_freezes();
        if frozen.is_empty() { Ok(()) } else { self.remember() }
    }

    /// Those that were frozen, thawed, or written to while frozen. An error if a trained one was written to.
    fn differences(&self) -> Result<Vec<usize>> {
        let Differences { written, frozen } = self.detector.differences(&self.narrow)?;
        match written {
            Some(i) => Err(Error::MasterWeightsOutdated { name: self.narrow[i].name.clone() }),
            None => Ok(frozen),
        }
    }

    /// A variable that was cast to half precision later would be stepped there.
    fn refuse_without_master(&self) -> Result<()> {
        let stepped = self.parameters.iter().zip(self.inner.parameters());
        let mut lacking = stepped.filter(|(parameter, stepped)| {
            is_narrow(&parameter.tensor) && identity(&parameter.tensor) == identity(&stepped.tensor)
        });
        match lacking.next() {
            Some((parameter, _)) => Err(Error::NoMasterWeights { name: parameter.name.clone() }),
            None => Ok(()),
        }
    }

    /// Freezes and thaws masters with their variables.
    fn pass_freezes(&self) {
        for (parameter, wide) in self.narrow.iter().zip(&self.wide) {
            if parameter.is_trained() != wide.requires_grad() {
                let _ = wide.set_requires_grad(parameter.is_trained());
            }
        }
    }

    fn pass_gradients(&self) -> Result<()> {
        for (Parameter { name, tensor, .. }, wide) in self.narrow.iter().zip(&self.wide) {
            let gradient = tensor.f_grad()?;
            if !gradient.defined() {
                forget_gradient(wide)?;
            } else if gradient.is_sparse() {
                let (name, optimizer) = (name.clone(), "a step on master weights");
                return Err(Error::SparseGradient { name, optimizer });
            } else {
                set_gradient(wide, &gradient.f_to_kind(wide.kind())?)?;
            }
        }
        Ok(())
    }

    /// θ₁₆ ← round(m), and the masters' gradients are freed.
    fn round(&mut self) -> Result<()> {
        for (parameter, wide) in self.narrow.iter().zip(&self.wide) {
            forget_gradient(wide)?;
            if parameter.is_trained() {
                assign(&mut parameter.tensor.shallow_clone(), wide)?;
            }
        }
        self.remember()
    }

    fn remember(&mut self) -> Result<()> {
        self.detector.start_over(&self.narrow);
        self.detector.remember(&self.narrow).map(drop)
    }
}

/// Adds the store's new variables to `masters`: those in half precision as a master, all others themselves.
fn add_masters(
    variables: &mut Variables,
    masters: &nn::VarStore,
    narrow: &mut Vec<Parameter>,
    wide: &mut Vec<Tensor>,
) -> Result<()> {
    let new = variables.take_new();
    if new.is_empty() {
        return Ok(());
    }
    let others = variables.other_names(&new);
    for (i, parameter) in new.into_iter().enumerate() {
        let is_trained = parameter.is_trained();
        let has_master = is_narrow(&parameter.tensor);
        let stepped =
            if has_master { parameter.slow_copy()? } else { parameter.tensor.shallow_clone() };
        let others = others.iter().filter(|(_, of)| *of == i).map(|(name, _)| name);
        for name in [&parameter.name].into_iter().chain(others) {
            let (folder, name) = name.rsplit_once('.').unwrap_or(("", name));
            let root = masters.root().set_group(parameter.group);
            let folders = folder.split('.').filter(|part| !part.is_empty());
            let path = folders.fold(root, |path, part| path.sub(part));
            let _ = path.add(name, stepped.shallow_clone(), true);
        }
        let _ = stepped.set_requires_grad(is_trained);
        if has_master {
            narrow.push(parameter);
            wide.push(stepped);
        }
    }
    Ok(())
}

fn is_narrow(tensor: &Tensor) -> bool {
    tensor.defined() && matches!(tensor.kind(), Kind::Half | Kind::BFloat16)
}

/// Sets the elements of a master whose rounded value is not the weight's to the weight.
fn follow(weight: &Tensor, wide: &Tensor) -> Result<()> {
    let _guard = tch::no_grad_guard();
    let same = wide.f_to_kind(weight.kind())?.f_eq_tensor(weight)?;
    let followed = wide.f_where_self(&same, &weight.f_to_kind(wide.kind())?)?;
    Ok(assign(&mut wide.shallow_clone(), &followed)?)
}

impl<O: InnerOptimizer> InnerOptimizer for MasterWeights<O> {
    forward! { self => self.inner;
        fn moment_names(&self) -> Option<Vec<&'static str>>;
        fn moment_names_of(&self, parameter: usize) -> Option<Vec<&'static str>>;
        fn has_curvature(&self) -> bool;
        fn learning_rates(&self) -> Result<Vec<f64>>;
        fn steps_taken(&self) -> Option<u64>;
    }
    forward! { self => self.inner;
        fn moments(&mut self, parameter: usize) -> Result<Vec<Moment>>;
        fn reset_moments(&mut self, parameter: usize) -> Result<()>;
        fn curvature(&mut self, parameter: usize) -> Result<Option<Curvature>>;
        fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()>;
        fn set_learning_rate_group(&mut self, group: usize, learning_rate: f64) -> Result<()>;
        fn set_weight_decay(&mut self, weight_decay: f64) -> Result<()>;
        fn set_weight_decay_of_group(&mut self, group: usize, weight_decay: f64) -> Result<()>;
        fn set_momentum_of_group(&mut self, group: usize, momentum: f64) -> Result<()>;
    }

    fn step(&mut self) -> Result<()> {
        self.with_inner(O::step)
    }

    fn zero_grad(&mut self) -> Result<()> {
        self.join_new_parameters()?;
        self.narrow.iter().try_for_each(Parameter::zero_grad)?;
        self.inner.zero_grad()
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn join_new_parameters(&mut self) -> Result<()> {
        let known = self.narrow.len();
        add_masters(&mut self.variables, &self.masters, &mut self.narrow, &mut self.wide)?;
        if self.narrow.len() > known {
            // Otherwise what other code wrote would be taken as known below.
            self.differences()?;
            self.detector.remember(&self.narrow)?;
        }
        self.inner.join_new_parameters()?;
        let new = &self.inner.parameters()[self.parameters.len()..];
        if new.is_empty() {
            return Ok(());
        }
        let narrow: HashMap<usize, &Parameter> =
            self.wide.iter().map(identity).zip(&self.narrow).collect();
        let model = |stepped: &Parameter| {
            let own = narrow.get(&identity(&stepped.tensor)).copied().unwrap_or(stepped);
            let (name, group) = (stepped.name.clone(), stepped.group);
            Parameter { name, group, tensor: own.tensor.shallow_clone() }
        };
        self.parameters.extend(new.iter().map(model));
        Ok(())
    }

    fn parameters_replaced(&mut self) -> Result<()> {
        if let Some(parameter) = self.narrow.first() {
            return Err(Error::MasterWeightsInside { name: parameter.name.clone() });
        }
        self.inner.parameters_replaced()
    }

    fn parameters_recast(&mut self) -> Result<()> {
        self.reset_master_weights()
    }

    fn parameters_accepted(&mut self) -> Result<()> {
        self.accept_weights()
    }

    fn finish(&mut self) -> Result<()> {
        self.with_inner(O::finish)
    }

    fn other_names(&self) -> Vec<(String, usize)> {
        self.variables.other_names(&self.parameters)
    }

    fn state(&mut self) -> Result<State> {
        let mut state = State::default();
        self.state_into(&mut state)?;
        Ok(state)
    }

    fn state_into(&mut self, state: &mut State) -> Result<()> {
        self.save_into(state)
    }

    fn load_state(&mut self, state: &State) -> Result<()> {
        self.load(state)
    }

    fn partial_state(&mut self, state: &State) -> Result<(State, Taken)> {
        self.what_fits(state)
    }
}
