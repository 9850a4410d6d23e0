//! Adam that drops what the gradient opposes.

use lookahead_sys::{rules, sync::Path};

use super::{check_beta, check_eps, decay, with_numbers};
use crate::{ParameterStep, Result, StepRule};

/// Cautious Adam and AdamW: a step leaves out the elements that the present gradient opposes, and the others grow for
/// them.
///
/// ```text
/// θ ← (1 − γλ) θ                           not decoupled: g ← g + λθ instead
/// m ← β₁ m + (1 − β₁) g                    v ← β₂ v + (1 − β₂) g²
/// M = 1 where m g > 0, else 0              s = max(mean of M, 0.001)
/// θ ← θ − γ M/s · m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε)
/// ```
///
/// The mean is over the elements of one parameter. The slots `exp_avg` and `exp_avg_sq` are m and v.
///
/// K. Liang et al., *Cautious Optimizers: Improving Training with One Line of Code*, 2024, arXiv 2411.16085. The rule is
/// that of timm's `cadamw`; the defaults are those of PyTorch's `AdamW`.
///
/// ```
/// use lookahead_core::optimizers::CautiousAdam;
/// use lookahead_core::{InnerOptimizer, RuleOptimizer};
/// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
/// # let w = vs.root().ones("w", &[2]);
/// let mut opt = RuleOptimizer::new(CautiousAdam::default(), &vs, 0.1)?;
/// opt.set_weight_decay(0.01)?;
/// w.square().sum(tch::Kind::Float).backward();
/// opt.step()?;
/// assert!((w.double_value(&[0]) - 0.899).abs() < 1e-6);
/// # Ok::<(), lookahead_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CautiousAdam {
    /// β₁, the decay of the mean gradient.
    pub beta1: f64,
    /// β₂, the decay of the mean squared gradient.
    pub beta2: f64,
    /// ε, added to the denominator.
    pub eps: f64,
    /// Whether the weight decay is decoupled, as AdamW's is.
    pub decoupled_weight_decay: bool,
}

impl Default for CautiousAdam {
    fn default() -> Self {
        CautiousAdam { beta1: 0.9, beta2: 0.999, eps: 1e-8, decoupled_weight_decay: true }
    }
}

impl CautiousAdam {
    setter!(beta1: f64, "Sets the decay of the mean gradient.");
    setter!(beta2: f64, "Sets the decay of the mean squared gradient.");
    setter!(eps: f64, "Sets what is added to the denominator.");
    setter!(decoupled_weight_decay: bool, "Sets whether the weight decay is decoupled.");
}

impl StepRule for CautiousAdam {
    fn name(&self) -> &'static str {
        "cautious_adam"
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
        let CautiousAdam { beta1, beta2, eps, .. } = *self;
        let steps = with_numbers(parameters, |step| {
            let t = step.number as f64;
            let rate = step.learning_rate / (1.0 - beta1.powf(t));
            let correction2 = 1.0 - beta2.powf(t);
            let (keep, l2) = decay(self.decoupled_weight_decay, step);
            rules::CAdamNumbers { beta1, beta2, rate, correction2, eps, l2, keep }
        });
        Ok(rules::cautious_adam(steps, Path::Auto)?)
    }
}
