//! RAdam, Adam with a rectified adaptive learning rate.

use lookahead_sys::{rules, sync::Path};

use super::{check_beta, check_eps, decay, with_numbers};
use crate::{ParameterStep, Result, StepRule};

/// RAdam: momentum alone until the mean squared gradient can be trusted, then Adam with smaller steps at first, which makes a
/// warm-up of the learning rate needless.
///
/// ```text
/// g ← g + λθ                               decoupled: θ ← (1 − γλ) θ instead
/// m ← β₁ m + (1 − β₁) g                    v ← β₂ v + (1 − β₂) g²
/// ρ∞ = 2/(1 − β₂) − 1                      ρ = ρ∞ − 2t β₂ᵗ/(1 − β₂ᵗ)
/// ρ > 5: r = √((ρ − 4)(ρ − 2) ρ∞ / ((ρ∞ − 4)(ρ∞ − 2) ρ))
///        θ ← θ − γ r m/(1 − β₁ᵗ) · √(1 − β₂ᵗ)/(√v + ε)
/// else:  θ ← θ − γ m/(1 − β₁ᵗ)
/// ```
///
/// The slots `exp_avg` and `exp_avg_sq` are m and v.
///
/// L. Liu et al., *On the Variance of the Adaptive Learning Rate and Beyond*, ICLR 2020, Algorithm 2; rule and defaults are
/// those of PyTorch's `RAdam`. PyTorch's default learning rate is 1e-3.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RAdam {
    /// β₁, the decay of the mean gradient.
    pub beta1: f64,
    /// β₂, the decay of the mean squared gradient.
    pub beta2: f64,
    /// ε, added to the denominator.
    pub eps: f64,
    /// Whether the weight decay is decoupled.
    pub decoupled_weight_decay: bool,
}

impl Default for RAdam {
    fn default() -> Self {
        RAdam { beta1: 0.9, beta2: 0.999, eps: 1e-8, decoupled_weight_decay: false }
    }
}

impl RAdam {
    /// β₁ 0.95 and ε 1e-5, as in Ranger.
    pub const RANGER: RAdam =
        RAdam { beta1: 0.95, beta2: 0.999, eps: 1e-5, decoupled_weight_decay: false };

    setter!(beta1: f64, "Sets the decay of the mean gradient.");
    setter!(beta2: f64, "Sets the decay of the mean squared gradient.");
    setter!(eps: f64, "Sets what is added to the denominator.");
    setter!(decoupled_weight_decay: bool, "Sets whether the weight decay is decoupled.");
}

impl StepRule for RAdam {
    fn name(&self) -> &'static str {
        "radam"
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
        check_eps(self.eps)
    }

    step_as_all!();

    fn step_all(&self, parameters: &mut [ParameterStep<'_>]) -> Result<()> {
        let RAdam { beta1, beta2, eps, .. } = *self;
        let steps = with_numbers(parameters, |step| {
            let t = step.number as f64;
            let decayed = beta2.powf(t);
            let correction2 = 1.0 - decayed;
            let rate = step.learning_rate / (1.0 - beta1.powf(t));
            // ρ is the present length of v's average, ρ∞ its limit. Up to ρ = 4 the variance of 1/√v is infinite.
            let rho_inf = 2.0 / (1.0 - beta2) - 1.0;
            let rho = rho_inf - 2.0 * t * decayed / correction2;
            let rectified = rho > 5.0;
            let rate = if rectified {
                let r =
                    (rho - 4.0) * (rho - 2.0) * rho_inf / ((rho_inf - 4.0) * (rho_inf - 2.0) * rho);
                rate * (r * correction2).sqrt()
            } else {
                rate
            };
            let (keep, l2) = decay(self.decoupled_weight_decay, step);
            rules::RAdamNumbers { beta1, beta2, rate, rectified, eps, l2, keep }
        });
        Ok(rules::radam(steps, Path::Auto)?)
    }
}
