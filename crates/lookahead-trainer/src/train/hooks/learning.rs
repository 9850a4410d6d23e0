//! Whether a training learns anything: its losses, which are finite, against those of guessing.
//!
//! The loss at the end of an epoch is the mean over its last quarter. It is compared with that of guessing
//! among all classes or symbols alike, their logarithm, and with the first step's. Two cases are
//! reported, once in a process and at the end:
//!
//! - It is far above guessing and the first step's: the training diverged.
//! - It is no better than guessing, at the end of the second epoch or later, or of the run. Before that, and
//!   while the learning rate warms up, this is normal.

use std::collections::VecDeque;

use crate::config::check::format_number;
use crate::config::data::DataConfig;
use crate::data::Problem;
use crate::observer::lines;
use crate::train::setup::Training;

/// Steps before which a run is too short to judge whether it diverged, and whether it learns.
const FEWEST: [u64; 2] = [20, 50];
/// A loss this many times that of guessing, and the first step's, is of a model that is sure of what is wrong.
const FAR: f64 = 1.2;
/// A loss above this part of that of guessing is no better: batches differ.
const NO_BETTER: f64 = 0.995;
/// Labels of which more are wrong can't be told from guesses.
const MOST_NOISE: f64 = 0.5;

/// The losses of a training in this process, as far as they tell whether it learns.
#[derive(Debug)]
pub(super) struct LearningCheck {
    /// The loss of guessing; none where nothing is classified.
    chance: Option<f64>,
    /// Whether a loss near that of guessing means anything.
    is_noisy: bool,
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

impl LearningCheck {
    pub(super) fn new(problem: &Problem, data: &DataConfig, steps_per_epoch: u64) -> Self {
        let choices = match problem {
            Problem::Images { classes, .. } => Some(*classes),
            Problem::Text { symbols, .. } => Some(*symbols),
            Problem::Quadratic { .. } => None,
        };
        LearningCheck {
            chance: choices.filter(|count| *count > 1).map(|count| (count as f64).ln()),
            is_noisy: data.label_noise() > MOST_NOISE,
            first: f64::NAN,
            highest: f64::NEG_INFINITY,
            recent: VecDeque::new(),
            most: (steps_per_epoch / 4).clamp(5, 1000) as usize,
            steps: 0,
            warned: false,
        }
    }

    /// Takes the loss of a step in.
    pub(super) fn take(&mut self, loss: f64) {
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

    /// What to warn of at the end of an epoch; only once.
    pub(super) fn warning(&mut self, t: &Training) -> Option<String> {
        let may_judge = t.batches.epoch() >= 2 && is_warm(t);
        let fault = self.fault(may_judge).filter(|_| !self.warned)?;
        self.warned = true;
        Some(format!("At the end of epoch {} {}", t.batches.epoch(), self.in_words(t, fault)))
    }

    /// What is wrong at the end of a run, as a clause, if anything is.
    pub(super) fn fault_at_the_end(&self, t: &Training) -> Option<String> {
        Some(self.in_words(t, self.fault(is_warm(t))?))
    }

    fn in_words(&self, t: &Training, fault: Fault) -> String {
        let (first, highest) = (self.first, self.highest);
        let lr = format_number(t.config.optimizer.lr);
        let (shown_loss, guessing) =
            (lines::loss, |chance| format!("guessing ({})", lines::loss(chance)));
        match fault {
            Fault::Diverged { loss, chance } => format!(
                "the loss is {}, above that of {} and the first step's ({}): the training diverged. Start again \
                 with a smaller `optimizer.lr` than {lr}.",
                shown_loss(loss),
                guessing(chance),
                shown_loss(first)
            ),
            Fault::LearnsNothing { loss, chance } => {
                let remedy = if highest > FAR * first.max(chance) {
                    format!("It rose to {} on the way: use a smaller", shown_loss(highest))
                } else {
                    "It has hardly moved: check that the labels belong to the inputs, and use a larger"
                        .to_owned()
                };
                format!(
                    "the loss is {}, no better than that of {}: the model has learned nothing. {remedy} \
                     `optimizer.lr` than {lr}.",
                    shown_loss(loss),
                    guessing(chance)
                )
            }
        }
    }
}

fn is_warm(t: &Training) -> bool {
    t.state.step > 2 * t.config.schedule.warmup_steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learning(losses: impl IntoIterator<Item = f64>) -> LearningCheck {
        let problem = Problem::Images { shape: [1, 8, 8], classes: 10 };
        let mut learning = LearningCheck::new(&problem, &DataConfig::default(), 40);
        losses.into_iter().for_each(|loss| learning.take(loss));
        learning
    }

    #[test]
    fn what_diverges_is_told_early_and_what_learns_never() {
        let high = learning((0..25).map(|i| if i == 0 { 2.4 } else { 500.0 + f64::from(i % 3) }));
        assert!(matches!(high.fault(false), Some(Fault::Diverged { loss, .. }) if loss > 400.0));
        // A bad start that gets better, a spike that is over, a loss that falls slowly, a few steps.
        let falling = learning((0..25).map(|i| 50.0 - f64::from(i)));
        assert_eq!(falling.fault(false), None);
        let spike = learning((0..60).map(|i| if i < 20 { 80.0 } else { 1.5 }));
        assert_eq!(spike.fault(true), None);
        let slow = learning((0..200).map(|i| 2.35 - 0.0004 * f64::from(i)));
        assert_eq!(slow.fault(true), None);
        assert_eq!(learning([2.4, 90.0, 80.0]).fault(true), None);
    }

    #[test]
    fn what_stays_at_chance_is_told_when_it_can_be_judged() {
        let dead = || learning((0..80).map(|i| 2.303 + 0.001 * f64::from(i % 5)));
        assert_eq!(dead().fault(false), None);
        assert!(matches!(dead().fault(true), Some(Fault::LearnsNothing { .. })));
        let noisy = LearningCheck { is_noisy: true, ..dead() };
        assert_eq!(noisy.fault(true), None);
        let nothing_to_guess = LearningCheck { chance: None, ..dead() };
        assert_eq!(nothing_to_guess.fault(true), None);
    }
}
