//! An averaged optimizer as an inner optimizer.

use super::AveragedOptimizer;
use crate::averaging_rule::AveragingRule;
use crate::inner::forward;
use crate::{Curvature, InnerOptimizer, Moment, Parameter, Result, State, Taken};

/// It is an inner optimizer like any other: for a Lookahead around it, or for another average.
impl<O: InnerOptimizer, R: AveragingRule> InnerOptimizer for AveragedOptimizer<O, R> {
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
        fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()>;
        fn set_learning_rate_group(&mut self, group: usize, learning_rate: f64) -> Result<()>;
        fn set_weight_decay(&mut self, weight_decay: f64) -> Result<()>;
        fn set_weight_decay_of_group(&mut self, group: usize, weight_decay: f64) -> Result<()>;
        fn set_momentum_of_group(&mut self, group: usize, momentum: f64) -> Result<()>;
    }

    fn step(&mut self) -> Result<()> {
        self.take_step()
    }

    fn steps_taken(&self) -> Option<u64> {
        self.inner.steps_taken().map(|_| self.steps)
    }

    fn zero_grad(&mut self) -> Result<()> {
        self.restore_weights()?;
        self.inner.zero_grad()
    }

    fn join_new_parameters(&mut self) -> Result<()> {
        self.inner.join_new_parameters()?;
        if self.inner.parameters().len() == self.kept.len() {
            return Ok(());
        }
        self.at_inner_point(|_| Ok(()))?;
        self.record_versions()
    }

    fn parameters_replaced(&mut self) -> Result<()> {
        self.restart_from_model()
    }

    fn parameters_recast(&mut self) -> Result<()> {
        self.restart()
    }

    fn parameters_accepted(&mut self) -> Result<()> {
        self.accept_weights()
    }

    fn finish(&mut self) -> Result<()> {
        AveragedOptimizer::finish(self)
    }

    fn reset_moments(&mut self, parameter: usize) -> Result<()> {
        self.inner.reset_moments(parameter)?;
        self.reset_average(parameter)
    }

    fn state(&mut self) -> Result<State> {
        let mut state = State::default();
        self.save_into(&mut state)?;
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
