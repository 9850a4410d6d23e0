//! Adan (Xie et al., 2024).

use lookahead_core::optimizers::Adan;
use lookahead_core::{Result, RuleOptimizer};
use serde::{Deserialize, Serialize};
use tch::nn;

use super::kind::{BETA1, EPS, OptimizerContext, of_rule};
use crate::config::key::Key;
use crate::config::kinds::KindOptions;

/// The keys of `[optimizer]` for this optimizer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdanOptions {
    /// Decay of the mean gradient.
    pub beta1: f64,
    /// Decay of the mean change of the gradient.
    pub beta2: f64,
    /// Decay of the mean square.
    pub beta3: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Whether the weight decay divides the weights after the step.
    pub proximal: bool,
}

impl Default for AdanOptions {
    fn default() -> Self {
        let Adan { beta1, beta2, beta3, eps, proximal } = Adan::default();
        AdanOptions { beta1, beta2, beta3, eps, proximal }
    }
}

impl KindOptions for AdanOptions {
    const KEYS: &'static [Key] = &[
        BETA1,
        Key::number("beta2", "decay of the mean change of the gradient").at_least(0.0).below(1.0),
        Key::number("beta3", "decay of the second moment").at_least(0.0).below(1.0),
        EPS,
        Key::switch(
            "proximal",
            "the weight decay divides the weights after the step; false multiplies them before it",
        )
        .example("false"),
    ];
    const LEARNING_RATE: f64 = 0.001;
    const SECOND_MOMENTS: bool = true;

    fn about(_kind: &str) -> &'static str {
        "Adam with a mean of the gradient's changes"
    }
}

/// Builds it for the trainable variables of `vs`.
///
/// # Errors
/// Those of [`RuleOptimizer::new`].
pub fn build(
    options: AdanOptions,
    context: &OptimizerContext,
    vs: &nn::VarStore,
) -> Result<RuleOptimizer<Adan>> {
    let AdanOptions { beta1, beta2, beta3, eps, proximal } = options;
    of_rule(Adan { beta1, beta2, beta3, eps, proximal }, context, vs)
}
