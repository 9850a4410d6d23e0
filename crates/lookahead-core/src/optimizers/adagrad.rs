//! Adagrad, with learning rates that fall where gradients were large.

use lookahead_sys::{rules, sync::Path};

use super::{check_eps, with_numbers};
use crate::range::check_single;
use crate::{ParameterStep, Result, StepRule};

/// Adagrad: each element's learning rate falls with the sum of its squared gradients.
///
/// ```text
/// g ← g + λθ
/// s ← s + g²                               s is the initial value before the first step
/// θ ← θ − γ/(1 + (t − 1) η) · g/(√s + ε)
/// ```
///
/// The slot `sum` is s. It is a sum, not a mean: pulling it back interpolates sums of different lengths, and it gives no curvature for
/// [`adaptive_alpha`](crate::Builder::adaptive_alpha).
///
/// J. Duchi, E. Hazan, Y. Singer, *Adaptive Subgradient Methods for Online Learning and Stochastic Optimization*, JMLR 12, 2011;
/// rule and defaults are those of PyTorch's `Adagrad`. PyTorch's default learning rate is 1e-2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adagrad {
    /// η, the decay of the learning rate with the number of steps.
    pub lr_decay: f64,
    /// The sum before the first step.
    pub initial_accumulator_value: f64,
    /// ε, added to the denominator.
    pub eps: f64,
}

impl Default for Adagrad {
    fn default() -> Self {
        Adagrad { lr_decay: 0.0, initial_accumulator_value: 0.0, eps: 1e-10 }
    }
}

impl Adagrad {
    setter!(lr_decay: f64, "Sets the decay of the learning rate with the number of steps.");
    setter!(initial_accumulator_value: f64, "Sets the sum before the first step.");
    setter!(eps: f64, "Sets what is added to the denominator.");
}

impl StepRule for Adagrad {
    fn name(&self) -> &'static str {
        "adagrad"
    }

    fn slots(&self) -> Vec<&'static str> {
        vec!["sum"]
    }

    fn check(&self) -> Result<()> {
        check_single("lr_decay", self.lr_decay)?;
        check_single("initial_accumulator_value", self.initial_accumulator_value)?;
        check_eps(self.eps)
    }

    step_as_all!();

    fn step_all(&self, parameters: &mut [ParameterStep<'_>]) -> Result<()> {
        let Adagrad { lr_decay, initial_accumulator_value, eps } = *self;
        let steps = with_numbers(parameters, |step| {
            let initial = if step.number == 1 { initial_accumulator_value } else { 0.0 };
            let rate = step.learning_rate / (1.0 + (step.number - 1) as f64 * lr_decay);
            rules::AdagradNumbers { rate, l2: step.weight_decay, initial, eps }
        });
        Ok(rules::adagrad(steps, Path::Auto)?)
    }
}
