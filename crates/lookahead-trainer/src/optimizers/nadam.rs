//! NAdam (Dozat, 2016): Adam with Nesterov's momentum.

use lookahead_core::optimizers::NAdam;
use lookahead_core::{Result, RuleOptimizer};
use serde::{Deserialize, Serialize};
use tch::nn;

use super::kind::{BETA1, BETA2, DECOUPLED, EPS, OptimizerContext, of_rule};
use crate::config::bounds::SINGLE;
use crate::config::key::Key;
use crate::config::kinds::KindOptions;

/// The keys of `[optimizer]` for this optimizer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NAdamOptions {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// How fast the momentum grows.
    pub momentum_decay: f64,
    /// Whether the weight decay acts on the weights themselves.
    pub decoupled_weight_decay: bool,
}

impl Default for NAdamOptions {
    fn default() -> Self {
        let NAdam { beta1, beta2, eps, momentum_decay, decoupled_weight_decay } = NAdam::default();
        NAdamOptions { beta1, beta2, eps, momentum_decay, decoupled_weight_decay }
    }
}

impl KindOptions for NAdamOptions {
    const KEYS: &'static [Key] = &[
        BETA1,
        BETA2,
        EPS,
        Key::number("momentum_decay", "how fast the momentum grows from beta1 / 2 to beta1")
            .at_least(0.0)
            .at_most(SINGLE),
        DECOUPLED,
    ];
    const LEARNING_RATE: f64 = 0.001;
    const SECOND_MOMENTS: bool = true;

    fn about(_kind: &str) -> &'static str {
        "Adam with Nesterov momentum"
    }
}

/// Builds it for the trainable variables of `vs`.
///
/// # Errors
/// Those of [`RuleOptimizer::new`].
pub fn build(
    options: NAdamOptions,
    context: &OptimizerContext,
    vs: &nn::VarStore,
) -> Result<RuleOptimizer<NAdam>> {
    let NAdamOptions { beta1, beta2, eps, momentum_decay, decoupled_weight_decay } = options;
    of_rule(NAdam { beta1, beta2, eps, momentum_decay, decoupled_weight_decay }, context, vs)
}
