//! Lion, the sign of a mean gradient.

use lookahead_sys::{rules, sync::Path};

use super::{check_beta, decay, with_numbers};
use crate::{ParameterStep, Result, StepRule};

/// Lion: every element moves by γ, along the sign of a mean gradient.
///
/// ```text
/// θ ← (1 − γλ) θ
/// θ ← θ − γ sign(β₁ m + (1 − β₁) g)
/// m ← β₂ m + (1 − β₂) g
/// ```
///
/// [Cautious](Self::cautious) Lion moves only the elements whose sign is that of g, and divides their step by their share
/// of the parameter's elements, which counts as 0.001 at least (K. Liang et al., *Cautious Optimizers: Improving Training
/// with One Line of Code*, 2024, arXiv 2411.16085; timm's `clion`). Without an element that agrees only the decay is left.
///
/// The slot `exp_avg` is m. NaN and infinity in g become NaN in θ, so that they are noticed, although their sign is a number.
///
/// X. Chen et al., *Symbolic Discovery of Optimization Algorithms*, NeurIPS 2023, Algorithm 2; rule and defaults are those of
/// timm's `Lion`. Its steps are larger than Adam's: the paper takes a γ 3 to 10 times smaller, and a λ larger by as much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lion {
    /// β₁, the decay of the mean whose sign is taken.
    pub beta1: f64,
    /// β₂, the decay of the mean that is kept.
    pub beta2: f64,
    /// Whether the elements that the gradient opposes stay where they are.
    pub cautious: bool,
}

impl Default for Lion {
    fn default() -> Self {
        Lion { beta1: 0.9, beta2: 0.99, cautious: false }
    }
}

impl Lion {
    setter!(beta1: f64, "Sets the decay of the mean whose sign is taken.");
    setter!(beta2: f64, "Sets the decay of the mean that is kept.");
    setter!(cautious: bool, "Sets whether the elements that the gradient opposes stay where they are.");
}

impl StepRule for Lion {
    fn name(&self) -> &'static str {
        "lion"
    }

    fn slots(&self) -> Vec<&'static str> {
        vec!["exp_avg"]
    }

    fn check(&self) -> Result<()> {
        check_beta("beta1", self.beta1)?;
        check_beta("beta2", self.beta2)
    }

    step_as_all!();

    fn step_all(&self, parameters: &mut [ParameterStep<'_>]) -> Result<()> {
        let Lion { beta1, beta2, cautious } = *self;
        let steps = with_numbers(parameters, |step| {
            let (keep, _) = decay(true, step);
            rules::LionNumbers { beta1, beta2, learning_rate: step.learning_rate, keep, cautious }
        });
        Ok(rules::lion(steps, Path::Auto)?)
    }
}
