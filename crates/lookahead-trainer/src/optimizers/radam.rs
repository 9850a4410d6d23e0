//! RAdam (Liu et al., 2020): Adam with a rectified adaptive learning rate.

use lookahead_core::optimizers::RAdam;
use lookahead_core::{Result, RuleOptimizer};
use serde::{Deserialize, Serialize};
use tch::nn;

use super::kind::{BETA1, BETA2, DECOUPLED, EPS, OptimizerContext, of_rule};
use crate::config::key::Key;
use crate::config::kinds::KindOptions;

/// The keys of `[optimizer]` for this optimizer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RAdamOptions {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Whether the weight decay acts on the weights themselves.
    pub decoupled_weight_decay: bool,
}

impl Default for RAdamOptions {
    fn default() -> Self {
        let RAdam { beta1, beta2, eps, decoupled_weight_decay } = RAdam::default();
        RAdamOptions { beta1, beta2, eps, decoupled_weight_decay }
    }
}

impl KindOptions for RAdamOptions {
    const KEYS: &'static [Key] = &[BETA1, BETA2, EPS, DECOUPLED];
    const LEARNING_RATE: f64 = 0.001;
    const SECOND_MOMENTS: bool = true;

    fn about(_kind: &str) -> &'static str {
        "Adam that warms up by itself; in Lookahead, Ranger"
    }
}

/// Builds it for the trainable variables of `vs`.
///
/// # Errors
/// Those of [`RuleOptimizer::new`].
pub fn build(
    options: RAdamOptions,
    context: &OptimizerContext,
    vs: &nn::VarStore,
) -> Result<RuleOptimizer<RAdam>> {
    let RAdamOptions { beta1, beta2, eps, decoupled_weight_decay } = options;
    of_rule(RAdam { beta1, beta2, eps, decoupled_weight_decay }, context, vs)
}
