//! NAdam, Adam with Nesterov's momentum.

use lookahead_sys::{rules, sync::Path};

use super::{check_beta, check_eps, decay, with_numbers};
use crate::range::check_single;
use crate::{ParameterStep, Result, StepRule};

/// NAdam: Adam whose momentum looks ahead, as Nesterov's does.
///
/// ```text
/// g ← g + λθ                               decoupled: θ ← (1 − γλ) θ instead
/// μₜ = β₁ (1 − 0.96^(tψ) / 2)              Mₜ = μ₁ μ₂ … μₜ
/// m ← β₁ m + (1 − β₁) g                    v ← β₂ v + (1 − β₂) g²
/// θ ← θ − γ ((1 − μₜ)/(1 − Mₜ) g + μₜ₊₁/(1 − Mₜ₊₁) m) / (√(v/(1 − β₂ᵗ)) + ε)
/// ```
///
/// The slots `exp_avg` and `exp_avg_sq` are m and v. Mₜ is computed from t, so it is no part of the state.
///
/// T. Dozat, *Incorporating Nesterov Momentum into Adam*, ICLR 2016 workshop; rule and defaults are those of PyTorch's
/// `NAdam`, which keeps Mₜ in single precision. PyTorch's default learning rate is 2e-3.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NAdam {
    /// β₁, the decay of the mean gradient.
    pub beta1: f64,
    /// β₂, the decay of the mean squared gradient.
    pub beta2: f64,
    /// ε, added to the denominator.
    pub eps: f64,
    /// ψ, how fast μₜ grows from β₁/2 to β₁.
    pub momentum_decay: f64,
    /// Whether the weight decay is decoupled.
    pub decoupled_weight_decay: bool,
}

impl Default for NAdam {
    fn default() -> Self {
        NAdam {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            momentum_decay: 4e-3,
            decoupled_weight_decay: false,
        }
    }
}

impl NAdam {
    setter!(beta1: f64, "Sets the decay of the mean gradient.");
    setter!(beta2: f64, "Sets the decay of the mean squared gradient.");
    setter!(eps: f64, "Sets what is added to the denominator.");
    setter!(momentum_decay: f64, "Sets how fast the momentum grows.");
    setter!(decoupled_weight_decay: bool, "Sets whether the weight decay is decoupled.");

    pub(super) fn mu(&self, t: u64) -> f64 {
        self.beta1 * (1.0 - 0.5 * 0.96f64.powf(t as f64 * self.momentum_decay))
    }

    /// Mₜ, or 0 if 1 − Mₜ is 1.
    pub(super) fn mu_product(&self, t: u64) -> f64 {
        let mut product = 1.0;
        for i in 1..=t {
            product *= self.mu(i);
            if product < f64::EPSILON / 4.0 {
                return 0.0;
            }
        }
        product
    }
}

impl StepRule for NAdam {
    fn name(&self) -> &'static str {
        "nadam"
    }

    fn slots(&self) -> Vec<&'static str> {
        vec!["exp_avg", "exp_avg_sq"]
    }

    fn second_moment(&self) -> Option<(&'static str, f64)> {
        Some(("exp_avg_sq", self.beta2))
    }

    fn check(&self) -> Result<()> {
        check_beta("beta1", self.beta1)?;
        check_beta("beta2", self.beta2)?;
        check_eps(self.eps)?;
        check_single("momentum_decay", self.momentum_decay)
    }

    step_as_all!();

    fn step_all(&self, parameters: &mut [ParameterStep<'_>]) -> Result<()> {
        let NAdam { beta1, beta2, eps, .. } = *self;
        // Most parameters have the same number.
        let mut last = (0, 1.0);
        let steps = with_numbers(parameters, |step| {
            let t = step.number;
            if last.0 != t {
                last = (t, self.mu_product(t));
            }
            let (mu, mu_next, product) = (self.mu(t), self.mu(t + 1), last.1);
            let (keep, l2) = decay(self.decoupled_weight_decay, step);
            rules::NAdamNumbers {
                beta1,
                beta2,
                along_gradient: step.learning_rate * (1.0 - mu) / (1.0 - product),
                along_mean: step.learning_rate * mu_next / (1.0 - product * mu_next),
                correction2: 1.0 - beta2.powf(t as f64),
                eps,
                l2,
                keep,
            }
        });
        Ok(rules::nadam(steps, Path::Auto)?)
    }
}
