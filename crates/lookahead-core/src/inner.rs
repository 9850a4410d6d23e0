//! What Lookahead asks of an inner optimizer.

use tch::{Kind, Tensor};

use crate::state::copy_like;
use crate::{Error, Result, State};

/// A trainable variable, as an optimizer sees it.
#[derive(Debug)]
pub struct Parameter {
    /// Its name in the variable store, such as `conv1.weight`: what its state is filed under.
    pub name: String,
    /// Its parameter group, by which learning rates may differ.
    pub group: usize,
    /// The variable itself: a handle that shares values and gradient with the model's.
    pub tensor: Tensor,
}

impl Parameter {
    /// Makes its gradient undefined, as tch's `zero_grad` does: the next step skips it unless
    /// a backward pass reaches it first.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn zero_grad(&self) -> Result<()> {
        Ok(lookahead_sys::tensor::forget_gradient(&self.tensor)?)
    }

    /// Whether it takes gradients.
    pub(crate) fn is_trained(&self) -> bool {
        self.tensor.requires_grad()
    }

    /// A slow copy, beside it on its device. Half precision can't hold φ: a step of α (θ − φ) is often
    /// below its resolution, and φ would never move.
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

/// The first variable with a sparse gradient, if it is why libtorch refused in these words.
pub(crate) fn sparse_gradient(parameters: &[Parameter], refused: &str) -> Option<String> {
    let is_sparse = |parameter: &&Parameter| {
        let gradient = parameter.tensor.f_grad();
        parameter.tensor.requires_grad() && gradient.is_ok_and(|g| g.defined() && g.is_sparse())
    };
    let found = parameters.iter().find(is_sparse).filter(|_| refused.contains("sparse"));
    found.map(|parameter| parameter.name.clone())
}

/// A running average of gradients that an optimizer keeps for a parameter: a momentum buffer, a
/// first or a second moment.
#[derive(Debug)]
pub struct Moment {
    /// Its name, such as `exp_avg`.
    pub name: &'static str,
    /// The optimizer's own tensor, of the parameter's shape: a handle that shares its memory.
    pub tensor: Tensor,
}

/// An estimate of the curvature of the loss in one parameter's elements.
#[derive(Debug)]
pub struct Curvature {
    /// The mean squared gradient of each element: the optimizer's own tensor.
    pub second_moment: Tensor,
    /// What to multiply it by, such as Adam's bias correction.
    pub scale: f64,
}

/// Whatever moves the fast weights: an optimizer of tch, Lookahead itself, or one of your own.
///
/// One of your own needs the methods without a body, six of them; with those of the moments it
/// follows every [`MomentumPolicy`](crate::MomentumPolicy) too. `examples/ranger` in this crate's
/// folder is a complete one: RAdam in plain Rust on tensors, with Lookahead around it.
pub trait InnerOptimizer {
    /// Takes one step on every parameter that has a gradient.
    ///
    /// # Errors
    /// Whatever keeps it from stepping; the weights may have been changed in part.
    fn step(&mut self) -> Result<()>;

    /// How many steps it has taken, where it may leave steps out, as a Lookahead does with
    /// [`NonFinite::SkipStep`](crate::NonFinite::SkipStep): one that was left out does not count
    /// around it either. `None`, unless implemented: it takes every step.
    fn steps_taken(&self) -> Option<u64> {
        None
    }

    /// Forgets the gradient of every parameter.
    ///
    /// # Errors
    /// Whatever libtorch says.
    fn zero_grad(&mut self) -> Result<()> {
        self.join_new_parameters()?;
        self.parameters().iter().try_for_each(Parameter::zero_grad)
    }

    /// The parameters that it moves. Those known once keep their places; new ones come last.
    fn parameters(&self) -> &[Parameter];

    /// Takes on variables that were added to the model since the last call. Called before each
    /// step, so it must be cheap where nothing was added.
    ///
    /// # Errors
    /// Whatever keeps it from taking one on.
    fn join_new_parameters(&mut self) -> Result<()> {
        Ok(())
    }

    /// Told after a sync around it has set the parameters' values. An optimizer that keeps copies
    /// of the values, as Lookahead does, starts again from the new ones; buffers of gradients are
    /// kept.
    ///
    /// # Errors
    /// Whatever libtorch says.
    fn parameters_replaced(&mut self) -> Result<()> {
        Ok(())
    }

    /// Told after the parameters were cast or moved to another device on purpose: buffers that it
    /// keeps beside them go along.
    ///
    /// # Errors
    /// Whatever libtorch says.
    fn parameters_recast(&mut self) -> Result<()> {
        Ok(())
    }

    /// Called after the parameters' values were changed between two steps on purpose, by others than this
    /// optimizer, and are to stay: an optimizer that watches for such changes takes them as they are.
    ///
    /// # Errors
    /// Whatever libtorch says.
    fn parameters_accepted(&mut self) -> Result<()> {
        Ok(())
    }

    /// Called before the last sync of a Lookahead around it: an optimizer with cycles of its own, as
    /// Lookahead is, ends the present one with its sync.
    ///
    /// # Errors
    /// Whatever keeps it from ending it.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    /// Other names of the parameters, as tied weights have them, each with the parameter's place: a
    /// state that was saved under one of them is taken.
    fn other_names(&self) -> Vec<(String, usize)> {
        Vec::new()
    }

    /// The names of the moments that it keeps with its present options; none for SGD without
    /// momentum. `None`, unless implemented, says that it can't give them.
    fn moment_names(&self) -> Option<Vec<&'static str>> {
        None
    }

    /// The moments of one parameter, by its place among [`parameters`](Self::parameters); those
    /// that were not made yet, since it has had no gradient, are missing. Whoever asks may change
    /// their values.
    ///
    /// # Errors
    /// [`NoMoments`](crate::Error::NoMoments), unless implemented.
    fn moments(&mut self, parameter: usize) -> Result<Vec<Moment>> {
        let _ = parameter;
        Err(Error::NoMoments { policy: "this" })
    }

    /// Forgets what it keeps for one parameter, step count included, as before its first step.
    ///
    /// # Errors
    /// [`NoMoments`](crate::Error::NoMoments), unless implemented.
    fn reset_moments(&mut self, parameter: usize) -> Result<()> {
        let _ = parameter;
        Err(Error::NoMoments { policy: "this" })
    }

    /// Whether [`curvature`](Self::curvature) can be had.
    fn has_curvature(&self) -> bool {
        false
    }

    /// The second moment of one parameter; `Ok(None)` before its first gradient.
    ///
    /// # Errors
    /// [`NoCurvature`](crate::Error::NoCurvature), unless implemented.
    fn curvature(&mut self, parameter: usize) -> Result<Option<Curvature>> {
        let _ = parameter;
        Err(Error::NoCurvature)
    }

    /// The learning rate of each parameter group.
    ///
    /// # Errors
    /// If it is unknown.
    fn learning_rates(&self) -> Result<Vec<f64>>;

    /// Sets the learning rate of all groups.
    ///
    /// # Errors
    /// [`Setting`](crate::Error::Setting) for a negative or non-finite one.
    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        let mut groups = 0..self.learning_rates()?.len();
        groups.try_for_each(|group| self.set_learning_rate_group(group, learning_rate))
    }

    /// Sets the learning rate of one group.
    ///
    /// # Errors
    /// As [`set_learning_rate`](Self::set_learning_rate), and [`Group`](crate::Error::Group) where
    /// there is no such group.
    fn set_learning_rate_group(&mut self, group: usize, learning_rate: f64) -> Result<()>;

    /// All that decides its next steps, apart from the parameters' values, sharing no memory with it.
    ///
    /// # Errors
    /// [`Unreachable`](crate::Error::Unreachable) or [`UnknownKind`](crate::Error::UnknownKind) where it can't be reached.
    fn state(&mut self) -> Result<State>;

    /// As [`state`](Self::state), over an earlier state, in whose memory the new tensors may go: see
    /// [`State::copy_into_reused`]. By default that memory is let go.
    ///
    /// # Errors
    /// As [`state`](Self::state); what `state` holds is of no use then.
    fn state_into(&mut self, state: &mut State) -> Result<()> {
        *state = self.state()?;
        Ok(())
    }

    /// Takes on a state that [`state`](Self::state) gave for the same model and options.
    ///
    /// # Errors
    /// Where an entry is missing, unexpected or of the wrong shape; nothing is changed then.
    fn load_state(&mut self, state: &State) -> Result<()>;
}

/// So that the kind of inner optimizer can be chosen while running: `Lookahead<Box<dyn InnerOptimizer>>`.
impl<O: InnerOptimizer + ?Sized> InnerOptimizer for Box<O> {
    fn step(&mut self) -> Result<()> {
        (**self).step()
    }
    fn steps_taken(&self) -> Option<u64> {
        (**self).steps_taken()
    }
    fn zero_grad(&mut self) -> Result<()> {
        (**self).zero_grad()
    }
    fn parameters(&self) -> &[Parameter] {
        (**self).parameters()
    }
    fn join_new_parameters(&mut self) -> Result<()> {
        (**self).join_new_parameters()
    }
    fn parameters_replaced(&mut self) -> Result<()> {
        (**self).parameters_replaced()
    }
    fn parameters_recast(&mut self) -> Result<()> {
        (**self).parameters_recast()
    }
    fn parameters_accepted(&mut self) -> Result<()> {
        (**self).parameters_accepted()
    }
    fn finish(&mut self) -> Result<()> {
        (**self).finish()
    }
    fn other_names(&self) -> Vec<(String, usize)> {
        (**self).other_names()
    }
    fn moment_names(&self) -> Option<Vec<&'static str>> {
        (**self).moment_names()
    }
    fn moments(&mut self, parameter: usize) -> Result<Vec<Moment>> {
        (**self).moments(parameter)
    }
    fn reset_moments(&mut self, parameter: usize) -> Result<()> {
        (**self).reset_moments(parameter)
    }
    fn has_curvature(&self) -> bool {
        (**self).has_curvature()
    }
    fn curvature(&mut self, parameter: usize) -> Result<Option<Curvature>> {
        (**self).curvature(parameter)
    }
    fn learning_rates(&self) -> Result<Vec<f64>> {
        (**self).learning_rates()
    }
    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        (**self).set_learning_rate(learning_rate)
    }
    fn set_learning_rate_group(&mut self, group: usize, learning_rate: f64) -> Result<()> {
        (**self).set_learning_rate_group(group, learning_rate)
    }
    fn state(&mut self) -> Result<State> {
        (**self).state()
    }
    fn state_into(&mut self, state: &mut State) -> Result<()> {
        (**self).state_into(state)
    }
    fn load_state(&mut self, state: &State) -> Result<()> {
        (**self).load_state(state)
    }
}
