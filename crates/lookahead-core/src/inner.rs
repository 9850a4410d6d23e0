//! What Lookahead asks of an inner optimizer.

use tch::Tensor;

use crate::{Result, State};

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

/// Whatever moves the fast weights: an optimizer of tch, Lookahead itself, or one of your own.
pub trait InnerOptimizer {
    /// Takes one step on every parameter that has a gradient.
    ///
    /// # Errors
    /// Whatever keeps it from stepping; the weights may have been changed in part.
    fn step(&mut self) -> Result<()>;

    /// Forgets the gradient of every parameter.
    ///
    /// # Errors
    /// Whatever libtorch says.
    fn zero_grad(&mut self) -> Result<()>;

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

    /// The learning rate of each parameter group.
    ///
    /// # Errors
    /// Where it can't be told.
    fn learning_rates(&self) -> Result<Vec<f64>>;

    /// Sets the learning rate of all groups.
    ///
    /// # Errors
    /// [`LearningRate`](crate::Error::LearningRate) for a negative or non-finite one.
    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()>;

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

    /// Takes on a state that [`state`](Self::state) gave for the same model and options.
    ///
    /// # Errors
    /// Where an entry is missing, unexpected or of the wrong shape; nothing is changed then.
    fn load_state(&mut self, state: &State) -> Result<()>;
}

pub(crate) fn check_learning_rate(learning_rate: f64) -> Result<()> {
    if learning_rate.is_finite() && learning_rate >= 0.0 {
        Ok(())
    } else {
        Err(crate::Error::LearningRate(learning_rate))
    }
}
