//! What Lookahead asks of an inner optimizer.

use std::fmt;

use tch::{Kind, Tensor};

use crate::state::copy_like;
use crate::{Error, Result, State, SyncPath, Taken, clipping};

/// A trainable variable, as an optimizer sees it.
#[derive(Debug)]
pub struct Parameter {
    /// Its name in the variable store, for example `conv1.weight`, which keys its state.
    pub name: String,
    /// Its parameter group. Learning rates may differ between groups.
    pub group: usize,
    /// The variable itself: a handle that shares values and gradient with the model's.
    pub tensor: Tensor,
}

impl Parameter {
    /// Makes its gradient undefined, like tch's `zero_grad`: a step skips it until a backward pass reaches it.
    pub fn zero_grad(&self) -> Result<()> {
        Ok(lookahead_sys::tensor::forget_gradient(&self.tensor)?)
    }

    /// Whether it takes gradients.
    pub(crate) fn is_trained(&self) -> bool {
        self.tensor.requires_grad()
    }

    /// A slow copy on the same device. Half precision is too coarse for φ: a step of α (θ − φ) is often below
    /// its resolution, and φ would never move.
    pub(crate) fn slow_copy(&self) -> Result<Tensor> {
        let fast = &self.tensor;
        if !fast.defined() {
            return Err(Error::Undefined { name: self.name.clone() });
        }
        let _guard = tch::no_grad_guard();
        match fast.kind() {
            Kind::Half | Kind::BFloat16 => Ok(fast.f_to_kind(Kind::Float)?),
            _ => copy_like(fast, fast),
        }
    }

    pub(crate) fn is_complex(&self) -> bool {
        let complex = [Kind::ComplexHalf, Kind::ComplexFloat, Kind::ComplexDouble];
        self.tensor.defined() && complex.contains(&self.tensor.kind())
    }
}

/// The number of parameter groups.
pub(crate) fn group_count(parameters: &[Parameter]) -> usize {
    parameters.iter().map(|parameter| parameter.group + 1).max().unwrap_or(1)
}

/// The number of parameter groups of an optimizer, which may have some without parameters yet.
pub(crate) fn groups_of(inner: &(impl InnerOptimizer + ?Sized)) -> usize {
    let with_options = inner.learning_rates().map_or(0, |rates| rates.len());
    with_options.max(group_count(inner.parameters()))
}

/// The variables that take gradients, of one group or of all.
///
/// # Errors
/// [`Group`](Error::Group) if there is no such group.
pub(crate) fn trained(
    parameters: &[Parameter],
    group: Option<usize>,
) -> Result<impl Iterator<Item = &Tensor>> {
    let count = group_count(parameters);
    match group {
        Some(group) if group >= count => Err(Error::Group { group, count }),
        _ => Ok(parameters
            .iter()
            .filter(move |own| own.is_trained() && group.is_none_or(|group| own.group == group))
            .map(|parameter| &parameter.tensor)),
    }
}

/// The first variable with a sparse gradient, if that is why libtorch refused.
pub(crate) fn sparse_gradient(parameters: &[Parameter], refused: &str) -> Option<String> {
    let is_sparse = |parameter: &&Parameter| {
        let gradient = parameter.tensor.f_grad();
        parameter.tensor.requires_grad() && gradient.is_ok_and(|g| g.defined() && g.is_sparse())
    };
    let found = parameters.iter().find(is_sparse).filter(|_| refused.contains("sparse"));
    found.map(|parameter| parameter.name.clone())
}

/// Other names of parameters, which tied weights have, each with the parameter's own name.
pub(crate) fn own_names(inner: &(impl InnerOptimizer + ?Sized)) -> Vec<(String, String)> {
    let own = |(other, i): (String, usize)| (other, inner.parameters()[i].name.clone());
    inner.other_names().into_iter().map(own).collect()
}

/// The names and shapes of the parameters.
pub(crate) fn shapes(
    inner: &(impl InnerOptimizer + ?Sized),
) -> impl Iterator<Item = (String, Vec<i64>)> {
    inner.parameters().iter().map(|p| (p.name.clone(), p.tensor.size()))
}

/// A running average of gradients that an optimizer keeps for a parameter: a momentum buffer, a first or a second
/// moment.
#[derive(Debug)]
pub struct Moment {
    /// Its name, for example `exp_avg`.
    pub name: &'static str,
    /// The optimizer's own tensor, not a copy, of the parameter's shape.
    pub tensor: Tensor,
}

/// An estimate of the curvature of the loss in one parameter's elements.
#[derive(Debug)]
pub struct Curvature {
    /// The mean squared gradient of each element: the optimizer's own tensor.
    pub second_moment: Tensor,
    /// Its factor, for example Adam's bias correction.
    pub scale: f64,
}

/// What moves the fast weights: a tch optimizer, Lookahead itself, or your own optimizer.
///
/// For your own a [`StepRule`](crate::StepRule) is enough if it moves one parameter at a time. Otherwise implement the
/// six methods without a body; with those for moments it supports every
/// [`MomentumPolicy`](crate::MomentumPolicy) too.
///
/// A method that fails leaves everything unchanged unless its documentation says otherwise.
pub trait InnerOptimizer {
    /// Takes one step on every parameter that has a gradient. If it fails, some weights may have changed.
    fn step(&mut self) -> Result<()>;

    /// Takes a step as [`step`](Self::step) does, and returns whether all parameters that take gradients are finite after
    /// it, if it can look at them while it writes them. [`Lookahead`](crate::Lookahead) calls this for the last step
    /// before a sync, and checks them itself otherwise. By default `None`: it does not look.
    fn step_and_look(&mut self) -> Result<Option<bool>> {
        self.step()?;
        Ok(None)
    }

    /// The number of steps taken, if it may skip steps, as Lookahead does with
    /// [`NonFinite::SkipStep`](crate::NonFinite::SkipStep): an outer level does not count skipped steps. By
    /// default `None`: it takes every step.
    fn steps_taken(&self) -> Option<u64> {
        None
    }

    /// Makes the gradient of every parameter undefined.
    fn zero_grad(&mut self) -> Result<()> {
        self.join_new_parameters()?;
        self.parameters().iter().try_for_each(Parameter::zero_grad)
    }

    /// Scales the gradients of all trained parameters by one factor so that their joint L2 norm is at most `max`,
    /// and returns the norm before: 0 without gradients. Skips frozen parameters.
    ///
    /// If a gradient holds NaN or infinity, the norm is returned as it is, and the gradients stay unchanged: don't
    /// step. (A [`Lookahead`](crate::Lookahead::clip_grad_norm) applies its policy then.)
    ///
    /// On the CPU it is one pass over the gradients, and one more if they are scaled. Squares are summed in f64, so
    /// the norm of finite gradients is finite.
    ///
    /// ```
    /// use lookahead_core::{InnerOptimizer, TchOptimizer, fused};
    /// # use tch::{Kind, Tensor};
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let w = vs.root().zeros("w", &[2]);
    /// let mut opt = TchOptimizer::new(fused::Sgd::default(), &vs, 0.1)?;
    /// (&w * Tensor::from_slice(&[30f32, 40.])).sum(Kind::Float).backward();
    /// assert_eq!(opt.clip_grad_norm(5.0)?, 50.0);
    /// assert!((w.grad().double_value(&[0]) - 3.0).abs() < 1e-5);
    /// opt.step()?;
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) unless `max` is a positive number.
    fn clip_grad_norm(&mut self, max: f64) -> Result<f64> {
        self.join_new_parameters()?;
        clipping::clip_norm(trained(self.parameters(), None)?, max, SyncPath::Auto)
    }

    /// As [`clip_grad_norm`](Self::clip_grad_norm), for the gradients of one parameter group.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) unless `max` is a positive number, [`Group`](Error::Group) if there is no such
    /// group.
    fn clip_grad_norm_of_group(&mut self, group: usize, max: f64) -> Result<f64> {
        self.join_new_parameters()?;
        clipping::clip_norm(trained(self.parameters(), Some(group))?, max, SyncPath::Auto)
    }

    /// Clips the elements of every gradient to `-max..=max`; NaN stays NaN. Skips parameters without one; refuses
    /// sparse gradients.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) unless `max` is a positive number.
    fn clip_grad_value(&mut self, max: f64) -> Result<()> {
        self.join_new_parameters()?;
        let own = self.parameters().iter().map(|parameter| &parameter.tensor);
        clipping::clip_value(own, max, SyncPath::Auto)
    }

    /// The parameters that it moves. They keep their order; new ones come last.
    fn parameters(&self) -> &[Parameter];

    /// Adds the variables that were added to the model since the last call. Called before each step, so it must
    /// be cheap if there are none.
    fn join_new_parameters(&mut self) -> Result<()> {
        Ok(())
    }

    /// Called after a sync around it has set the parameters' values. An optimizer that keeps copies of the
    /// values, as Lookahead does, restarts from the new ones and keeps its gradient averages.
    fn parameters_replaced(&mut self) -> Result<()> {
        Ok(())
    }

    /// Called after the parameters were cast or moved to another device on purpose. It converts its buffers.
    fn parameters_recast(&mut self) -> Result<()> {
        Ok(())
    }

    /// Called after other code changed the parameters' values on purpose between two steps. An optimizer that
    /// detects such changes accepts them.
    fn parameters_accepted(&mut self) -> Result<()> {
        Ok(())
    }

    /// Called before the last sync of a Lookahead around it. An optimizer with its own cycles, as Lookahead is,
    /// ends the present one with its sync.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    /// Other names of the parameters, which tied weights have, each with the parameter's index. A state saved
    /// under one of them can be loaded.
    fn other_names(&self) -> Vec<(String, usize)> {
        Vec::new()
    }

    /// The names of the moments that it keeps with its present options; empty for SGD without momentum. By
    /// default `None`: it can't give them.
    fn moment_names(&self) -> Option<Vec<&'static str>> {
        None
    }

    /// The names of the moments that it keeps for one parameter, if they differ between parameters as in a
    /// [`Composite`](crate::Composite). By default those of [`moment_names`](Self::moment_names).
    fn moment_names_of(&self, parameter: usize) -> Option<Vec<&'static str>> {
        let _ = parameter;
        self.moment_names()
    }

    /// The moments of a parameter, by its index in [`parameters`](Self::parameters), without those that don't
    /// exist before its first gradient. The caller may change their values. By default
    /// [`NoMoments`](crate::Error::NoMoments).
    fn moments(&mut self, parameter: usize) -> Result<Vec<Moment>> {
        let _ = parameter;
        Err(Error::NoMoments { policy: "this" })
    }

    /// Resets what it keeps for a parameter, including the step count, to the state before its first step. By
    /// default [`NoMoments`](crate::Error::NoMoments).
    fn reset_moments(&mut self, parameter: usize) -> Result<()> {
        let _ = parameter;
        Err(Error::NoMoments { policy: "this" })
    }

    /// Whether it gives a [`curvature`](Self::curvature).
    fn has_curvature(&self) -> bool {
        false
    }

    /// The second moment of a parameter; `Ok(None)` before its first gradient. By default
    /// [`NoCurvature`](crate::Error::NoCurvature).
    fn curvature(&mut self, parameter: usize) -> Result<Option<Curvature>> {
        let _ = parameter;
        Err(Error::NoCurvature)
    }

    /// The learning rate of each parameter group.
    fn learning_rates(&self) -> Result<Vec<f64>>;

    /// Sets the learning rate of all groups. Refuses negative, NaN and infinite ones.
    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        let mut groups = 0..self.learning_rates()?.len();
        groups.try_for_each(|group| self.set_learning_rate_group(group, learning_rate))
    }

    /// Sets the learning rate of one group. Refuses a group that does not exist.
    fn set_learning_rate_group(&mut self, group: usize, learning_rate: f64) -> Result<()>;

    /// Sets the weight decay of all present and later groups. Refuses negative, NaN and infinite ones. By default
    /// [`FixedWeightDecay`](crate::Error::FixedWeightDecay).
    fn set_weight_decay(&mut self, weight_decay: f64) -> Result<()> {
        let _ = weight_decay;
        Err(Error::FixedWeightDecay)
    }

    /// Sets the weight decay of one group. Refuses a group that does not exist. By default
    /// [`FixedWeightDecay`](crate::Error::FixedWeightDecay).
    fn set_weight_decay_of_group(&mut self, group: usize, weight_decay: f64) -> Result<()> {
        let _ = (group, weight_decay);
        Err(Error::FixedWeightDecay)
    }

    /// Sets the momentum of one group; of Adam and AdamW β₁. Refuses a group that does not exist, and numbers outside
    /// 0 ≤ momentum < 1. By default [`FixedMomentum`](crate::Error::FixedMomentum).
    fn set_momentum_of_group(&mut self, group: usize, momentum: f64) -> Result<()> {
        let _ = (group, momentum);
        Err(Error::FixedMomentum)
    }

    /// Everything that its next steps depend on, except the parameters' values, in separate memory.
    fn state(&mut self) -> Result<State>;

    /// [`state`](Self::state) that may reuse the memory of an earlier state: see [`State::copy_into_reused`].
    /// After an error `state` is incomplete. By default it does not reuse memory.
    fn state_into(&mut self, state: &mut State) -> Result<()> {
        *state = self.state()?;
        Ok(())
    }

    /// Restores a [`state`](Self::state) of the same model and options. Refuses a missing or unexpected entry and
    /// one of the wrong shape.
    fn load_state(&mut self, state: &State) -> Result<()>;

    /// What [`load_partial`](Self::load_partial) loads of a state of another model: a state that
    /// [`load_state`](Self::load_state) accepts, with all that fits and what the present model needs besides. By default
    /// [`NoPartialState`](crate::Error::NoPartialState).
    fn partial_state(&mut self, state: &State) -> Result<(State, Taken)> {
        let _ = state;
        Err(Error::NoPartialState)
    }

    /// Restores what fits of a [`state`](Self::state) of another model, for example of one with a layer less or more, and
    /// returns what was taken. A variable that the state lacks, or has in another shape, begins as a new one. Load the
    /// model's weights first. Refuses what [`load_state`](Self::load_state) refuses in the entries that fit.
    fn load_partial(&mut self, state: &State) -> Result<Taken> {
        let (fits, mut taken) = self.partial_state(state)?;
        self.load_state(&fits)?;
        taken.complete(shapes(self));
        Ok(taken)
    }
}

impl fmt::Debug for dyn InnerOptimizer + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InnerOptimizer").field("parameters", &self.parameters()).finish()
    }
}

/// Methods that call those of another optimizer: `forward! { self => self.inner; fn …; }`. A wrapper that left out one
/// with a body would have the trait's default.
macro_rules! forward {
    ($self:ident => $to:expr; $(fn $name:ident(&self $(, $value:ident: $type:ty)*) -> $result:ty;)*) => {
        $(fn $name(&$self $(, $value: $type)*) -> $result {
            $to.$name($($value),*)
        })*
    };
    ($self:ident => $to:expr; $(fn $name:ident(&mut self $(, $value:ident: $type:ty)*) -> $result:ty;)*) => {
        $(fn $name(&mut $self $(, $value: $type)*) -> $result {
            $to.$name($($value),*)
        })*
    };
}
pub(crate) use forward;

/// To choose the kind of inner optimizer at run time: `Lookahead<Box<dyn InnerOptimizer>>`.
impl<O: InnerOptimizer + ?Sized> InnerOptimizer for Box<O> {
    forward! { self => (**self);
        fn steps_taken(&self) -> Option<u64>;
        fn parameters(&self) -> &[Parameter];
        fn other_names(&self) -> Vec<(String, usize)>;
        fn moment_names(&self) -> Option<Vec<&'static str>>;
        fn moment_names_of(&self, parameter: usize) -> Option<Vec<&'static str>>;
        fn has_curvature(&self) -> bool;
        fn learning_rates(&self) -> Result<Vec<f64>>;
    }
    forward! { self => (**self);
        fn step(&mut self) -> Result<()>;
        fn step_and_look(&mut self) -> Result<Option<bool>>;
        fn zero_grad(&mut self) -> Result<()>;
        fn clip_grad_norm(&mut self, max: f64) -> Result<f64>;
        fn clip_grad_norm_of_group(&mut self, group: usize, max: f64) -> Result<f64>;
        fn clip_grad_value(&mut self, max: f64) -> Result<()>;
        fn join_new_parameters(&mut self) -> Result<()>;
        fn parameters_replaced(&mut self) -> Result<()>;
        fn parameters_recast(&mut self) -> Result<()>;
        fn parameters_accepted(&mut self) -> Result<()>;
        fn finish(&mut self) -> Result<()>;
        fn moments(&mut self, parameter: usize) -> Result<Vec<Moment>>;
        fn reset_moments(&mut self, parameter: usize) -> Result<()>;
        fn curvature(&mut self, parameter: usize) -> Result<Option<Curvature>>;
        fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()>;
        fn set_learning_rate_group(&mut self, group: usize, learning_rate: f64) -> Result<()>;
        fn set_weight_decay(&mut self, weight_decay: f64) -> Result<()>;
        fn set_weight_decay_of_group(&mut self, group: usize, weight_decay: f64) -> Result<()>;
        fn set_momentum_of_group(&mut self, group: usize, momentum: f64) -> Result<()>;
        fn state(&mut self) -> Result<State>;
        fn state_into(&mut self, state: &mut State) -> Result<()>;
        fn load_state(&mut self, state: &State) -> Result<()>;
        fn partial_state(&mut self, state: &State) -> Result<(State, Taken)>;
        fn load_partial(&mut self, state: &State) -> Result<Taken>;
    }
}
