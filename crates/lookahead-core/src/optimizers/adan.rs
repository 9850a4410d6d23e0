//! Adan, with a mean of the gradient's changes.

use lookahead_sys::{rules, sync::Path};

use super::{check_beta, check_eps, with_numbers};
use crate::{ParameterStep, Result, StepRule};

/// Adan: the step follows the mean gradient and, as Nesterov's momentum would, the mean change of the gradient.
///
/// ```text
/// d = g − p                                p is the previous gradient; d is 0 at the first step
/// m ← β₁ m + (1 − β₁) g                    v ← β₂ v + (1 − β₂) d
/// n ← β₃ n + (1 − β₃) (g + β₂ d)²          p ← g
/// θ ← θ − γ (m/(1 − β₁ᵗ) + β₂ v/(1 − β₂ᵗ)) / (√(n/(1 − β₃ᵗ)) + ε)
/// θ ← θ / (1 + γλ)                         without `proximal`: θ ← (1 − γλ) θ before the step instead
/// ```
///
/// The slots `exp_avg`, `exp_avg_diff` and `exp_avg_sq` are m, v and n; `previous_gradient` is p, which a
/// [`MomentumPolicy`](crate::MomentumPolicy) does not interpolate.
///
/// X. Xie et al., *Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models*, TPAMI 2024, Algorithm 1. Rule
/// and defaults are those of timm's `Adan`, whose default learning rate is 1e-3, but each parameter counts its own steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adan {
    /// β₁, the decay of the mean gradient.
    pub beta1: f64,
    /// β₂, the decay of the mean change.
    pub beta2: f64,
    /// β₃, the decay of the mean square.
    pub beta3: f64,
    /// ε, added to the denominator.
    pub eps: f64,
    /// Whether the weight decay divides θ after the step, as the paper's proximal step does, instead of multiplying it before.
    pub proximal: bool,
}

impl Default for Adan {
    fn default() -> Self {
        Adan { beta1: 0.98, beta2: 0.92, beta3: 0.99, eps: 1e-8, proximal: true }
    }
}

impl Adan {
    setter!(beta1: f64, "Sets the decay of the mean gradient.");
    setter!(beta2: f64, "Sets the decay of the mean change.");
    setter!(beta3: f64, "Sets the decay of the mean square.");
    setter!(eps: f64, "Sets what is added to the denominator.");
    setter!(proximal: bool, "Sets whether the weight decay divides after the step.");
}

impl StepRule for Adan {
    fn name(&self) -> &'static str {
        "adan"
    }

    fn slots(&self) -> Vec<&'static str> {
        vec!["exp_avg", "exp_avg_diff", "exp_avg_sq", "previous_gradient"]
    }

    fn moments(&self) -> Vec<&'static str> {
        vec!["exp_avg", "exp_avg_diff", "exp_avg_sq"]
    }

    fn second_moment(&self) -> Option<(&'static str, f64)> {
        Some(("exp_avg_sq", self.beta3))
    }

    fn check(&self) -> Result<()> {
        check_beta("beta1", self.beta1)?;
        check_beta("beta2", self.beta2)?;
        check_beta("beta3", self.beta3)?;
        check_eps(self.eps)
    }

    step_as_all!();

    fn step_all(&self, parameters: &mut [ParameterStep<'_>]) -> Result<()> {
        let Adan { beta1, beta2, beta3, eps, proximal } = *self;
        let steps = with_numbers(parameters, |step| {
            let (rate, t) = (step.learning_rate, step.number as f64);
            let decay = rate * step.weight_decay;
            let (before, after) = if proximal { (1.0, 1.0 + decay) } else { (1.0 - decay, 1.0) };
            rules::AdanNumbers {
                beta1,
                beta2,
                beta3,
                along_mean: rate / (1.0 - beta1.powf(t)),
                along_diff: rate * beta2 / (1.0 - beta2.powf(t)),
                root3: (1.0 - beta3.powf(t)).sqrt(),
                eps,
                before,
                after,
                fresh: step.number == 1,
            }
        });
        Ok(rules::adan(steps, Path::Auto)?)
    }
}
