//! Lookahead as an inner optimizer: a level of a nested one.

use super::Lookahead;
use crate::inner::forward;
use crate::{Curvature, InnerOptimizer, Moment, Parameter, Result, State, Taken};

/// Lookahead is an inner optimizer like any other. One around another is a nested Lookahead, whose outer level
/// counts the steps of the inner one.
impl<O: InnerOptimizer> InnerOptimizer for Lookahead<O> {
    forward! { self => self.inner;
        fn other_names(&self) -> Vec<(String, usize)>;
        fn moment_names(&self) -> Option<Vec<&'static str>>;
        fn moment_names_of(&self, parameter: usize) -> Option<Vec<&'static str>>;
        fn has_curvature(&self) -> bool;
        fn learning_rates(&self) -> Result<Vec<f64>>;
        fn parameters(&self) -> &[Parameter];
    }
    forward! { self => self.inner;
        fn moments(&mut self, parameter: usize) -> Result<Vec<Moment>>;
        fn curvature(&mut self, parameter: usize) -> Result<Option<Curvature>>;
        fn set_weight_decay_of_group(&mut self, group: usize, weight_decay: f64) -> Result<()>;
        fn set_momentum_of_group(&mut self, group: usize, momentum: f64) -> Result<()>;
    }

    fn step(&mut self) -> Result<()> {
        Lookahead::step(self).map(drop)
    }

    fn steps_taken(&self) -> Option<u64> {
        Some(self.cycle.steps)
    }

    fn zero_grad(&mut self) -> Result<()> {
        Lookahead::zero_grad(self)
    }

    fn clip_grad_norm(&mut self, max: f64) -> Result<f64> {
        Lookahead::clip_grad_norm(self, max)
    }

    fn clip_grad_norm_of_group(&mut self, group: usize, max: f64) -> Result<f64> {
        Lookahead::clip_grad_norm_of_group(self, group, max)
    }

    fn clip_grad_value(&mut self, max: f64) -> Result<()> {
        Lookahead::clip_grad_value(self, max)
    }

    fn join_new_parameters(&mut self) -> Result<()> {
        self.inner.join_new_parameters()?;
        self.slow_statistics.join_new()?;
        if self.inner.parameters().len() > self.slow.len() {
            self.record_versions()?;
        }
        Ok(())
    }

    fn parameters_replaced(&mut self) -> Result<()> {
        self.restart_from_fast_weights()
    }

    fn parameters_recast(&mut self) -> Result<()> {
        self.reset_slow_weights()
    }

    fn parameters_accepted(&mut self) -> Result<()> {
        self.accept_fast_weights()
    }

    fn finish(&mut self) -> Result<()> {
        Lookahead::finish(self).map(drop)
    }

    fn reset_moments(&mut self, parameter: usize) -> Result<()> {
        self.slow_moments.retain(|(of, _), _| *of != parameter);
        self.inner.reset_moments(parameter)
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        self.set_lr(learning_rate)
    }

    fn set_learning_rate_group(&mut self, group: usize, learning_rate: f64) -> Result<()> {
        self.set_lr_group(group, learning_rate)
    }

    fn set_weight_decay(&mut self, weight_decay: f64) -> Result<()> {
        Lookahead::set_weight_decay(self, weight_decay)
    }

    fn state(&mut self) -> Result<State> {
        Lookahead::state(self)
    }

    fn state_into(&mut self, state: &mut State) -> Result<()> {
        Lookahead::state_into(self, state)
    }

    fn load_state(&mut self, state: &State) -> Result<()> {
        Lookahead::load_state(self, state).map(drop)
    }

    fn partial_state(&mut self, state: &State) -> Result<(State, Taken)> {
        self.what_fits(state)
    }

    fn load_partial(&mut self, state: &State) -> Result<Taken> {
        Lookahead::load_partial(self, state)
    }
}
