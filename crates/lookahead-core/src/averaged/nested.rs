//! An averaged optimizer as an inner optimizer.

use super::AveragedOptimizer;
use crate::averaging_rule::AveragingRule;
use crate::{Curvature, InnerOptimizer, Moment, Parameter, Result, State, Taken};

/// It is an inner optimizer like any other: for a Lookahead around it, or for another average.
impl<O: InnerOptimizer, R: AveragingRule> InnerOptimizer for AveragedOptimizer<O, R> {
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

    fn parameters(&self) -> &[Parameter] {
        self.inner.parameters()
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

    fn other_names(&self) -> Vec<(String, usize)> {
        self.inner.other_names()
    }

    fn moment_names(&self) -> Option<Vec<&'static str>> {
        self.inner.moment_names()
    }

    fn moment_names_of(&self, parameter: usize) -> Option<Vec<&'static str>> {
        self.inner.moment_names_of(parameter)
    }

    fn moments(&mut self, parameter: usize) -> Result<Vec<Moment>> {
        self.inner.moments(parameter)
    }

    fn reset_moments(&mut self, parameter: usize) -> Result<()> {
        self.inner.reset_moments(parameter)?;
        self.reset_average(parameter)
    }

    fn has_curvature(&self) -> bool {
        self.inner.has_curvature()
    }

    fn curvature(&mut self, parameter: usize) -> Result<Option<Curvature>> {
        self.inner.curvature(parameter)
    }

    fn learning_rates(&self) -> Result<Vec<f64>> {
        self.inner.learning_rates()
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        self.inner.set_learning_rate(learning_rate)
    }

    fn set_learning_rate_group(&mut self, group: usize, learning_rate: f64) -> Result<()> {
        self.inner.set_learning_rate_group(group, learning_rate)
    }

    fn set_weight_decay(&mut self, weight_decay: f64) -> Result<()> {
        self.inner.set_weight_decay(weight_decay)
    }

    fn set_weight_decay_of_group(&mut self, group: usize, weight_decay: f64) -> Result<()> {
        self.inner.set_weight_decay_of_group(group, weight_decay)
    }

    fn set_momentum_of_group(&mut self, group: usize, momentum: f64) -> Result<()> {
        self.inner.set_momentum_of_group(group, momentum)
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
