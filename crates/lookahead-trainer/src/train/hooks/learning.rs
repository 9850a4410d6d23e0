//! Whether a training learns anything: its finite losses against the loss of guessing.
//!
//! The loss at the end of an epoch is the mean over its last quarter. It is compared with the loss of a model that
//! guesses without looking at the inputs, and with the first step's. For classes and tokens such a model gives all the
//! same probability, and its loss is the logarithm of their number; for numbers it predicts their mean. Two cases are reported, once in a process and at the end:
//!
//! - It is far above both: the training diverged.
//! - It is no better than guessing, at the end of the second epoch or later, or of the run. Before that, and
//!   during the warm-up of the learning rate, this is normal.

use std::collections::VecDeque;

use lookahead_run::event::{Event, RunEnded, Status};
use lookahead_run::format;

use crate::config::Config;
use crate::config::data::DataConfig;
use crate::config::issue::format_number;
use crate::train::hook::{Hook, HookContext, InnerStep};

/// Steps before which a run is too short to judge whether it diverged, and whether it learns.
const FEWEST: [u64; 2] = [20, 50];
/// A loss this many times that of guessing, and the first step's, is of a model that is confident and wrong.
const FAR: f64 = 1.2;
/// A loss above this fraction of that of guessing is no better: batches differ.
const NO_BETTER: f64 = 0.995;
/// With more noise than this, labels can't be distinguished from guesses.
const MOST_NOISE: f64 = 0.5;

/// The losses of a training in this process, as far as they show whether it learns.
#[derive(Debug)]
pub(super) struct LearningCheck {
    /// The loss of guessing, if the loss has one.
    chance: Option<f64>,
    /// Whether a loss near that of guessing means nothing.
    is_noisy: bool,
    steps_per_epoch: u64,
    first: f64,
    highest: f64,
    /// The last ones, a quarter of an epoch.
    recent: VecDeque<f64>,
    most: usize,
    steps: u64,
    warned: bool,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    Diverged { loss: f64, chance: f64 },
    LearnsNothing { loss: f64, chance: f64 },
}

impl Hook for LearningCheck {
    fn name(&self) -> &'static str {
        "learning"
    }

    fn on_event(
        &mut self,
        _: &mut HookContext<'_>,
        _step: u64,
        event: &Event,
    ) -> anyhow::Result<()> {
        match event {
            Event::Step(step) => self.add(step.loss),
            // They are of steps that are dropped.
            Event::RolledBack(_) => self.recent.clear(),
            _ => {}
        }
        Ok(())
    }

    /// Warns at the end of an epoch, once, by the losses that have been read: it waits for no device.
    fn after_inner_step(
        &mut self,
        context: &mut HookContext<'_>,
        _: &InnerStep,
    ) -> anyhow::Result<()> {
        if context.state.cursor > 0 || self.warned {
            return Ok(());
        }
        let (epoch, step) = (context.state.epoch, context.state.step);
        if let Some(fault) = self.fault(epoch >= 2 && self.is_warm(context.config, step)) {
            self.warned = true;
            let clause = self.describe(fault, context.config.optimizer.lr);
            context.warn(format!("At the end of epoch {epoch} {clause}"));
        }
        Ok(())
    }

    /// Reports it again at the end of a run that took all its steps.
    fn finish(&mut self, context: &mut HookContext<'_>, ended: &mut RunEnded) {
        let fault = self.fault(self.is_warm(context.config, context.state.step));
        if let (Some(fault), Status::Finished) = (fault, ended.status) {
            let clause = self.describe(fault, context.config.optimizer.lr);
            ended.message = Some(match ended.message.take() {
                Some(message) => format!("{message}; {clause}"),
                None => clause,
            });
        }
    }
}

impl LearningCheck {
    pub(super) fn new(chance: Option<f64>, data: &DataConfig, steps_per_epoch: u64) -> Self {
        LearningCheck {
            chance,
            is_noisy: data.label_noise() > MOST_NOISE,
            steps_per_epoch,
            first: f64::NAN,
            highest: f64::NEG_INFINITY,
            recent: VecDeque::new(),
            most: (steps_per_epoch / 4).clamp(5, 1000) as usize,
            steps: 0,
            warned: false,
        }
    }

    /// Adds the loss of a step.
    fn add(&mut self, loss: f64) {
        if !loss.is_finite() {
            return;
        }
        if self.steps == 0 {
            self.first = loss;
        }
        self.steps += 1;
        self.highest = self.highest.max(loss);
        if self.recent.len() == self.most {
            self.recent.pop_front();
        }
        self.recent.push_back(loss);
    }

    fn fault(&self, may_judge: bool) -> Option<Fault> {
        let chance = self.chance?;
        let loss = self.recent.iter().sum::<f64>() / self.recent.len() as f64;
        let [to_diverge, to_learn] = FEWEST.map(|fewest| self.steps >= fewest);
        if to_diverge && loss > FAR * chance.max(self.first) {
            return Some(Fault::Diverged { loss, chance });
        }
        let learns_nothing = loss >= NO_BETTER * chance && !(self.is_noisy && loss < FAR * chance);
        (to_learn && may_judge && learns_nothing).then_some(Fault::LearnsNothing { loss, chance })
    }

    /// Whether the learning rate reached its largest value long enough ago.
    fn is_warm(&self, config: &Config, step: u64) -> bool {
        let total = config.train.total_steps(self.steps_per_epoch).unwrap_or(u64::MAX);
        step > config.schedule.rising_steps(total).saturating_mul(2)
    }

    /// The fault as a clause, with a remedy.
    fn describe(&self, fault: Fault, lr: f64) -> String {
        let (first, highest, lr) = (self.first, self.highest, format_number(lr));
        match fault {
            Fault::Diverged { loss, chance } => format!(
                "the loss is {}, above that of guessing ({}) and the first step's ({}): the training diverged. \
                 Start again with a smaller `optimizer.lr` than {lr}.",
                format::loss(loss),
                format::loss(chance),
                format::loss(first)
            ),
            Fault::LearnsNothing { loss, chance } => {
                let remedy = if highest > FAR * first.max(chance) {
                    format!("It rose to {} on the way: use a smaller", format::loss(highest))
                } else {
                    "It has hardly moved: check that the labels belong to the inputs, and use a larger"
                        .to_owned()
                };
                format!(
                    "the loss is {}, no better than that of guessing ({}): the model has learned nothing. \
                     {remedy} `optimizer.lr` than {lr}.",
                    format::loss(loss),
                    format::loss(chance)
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
