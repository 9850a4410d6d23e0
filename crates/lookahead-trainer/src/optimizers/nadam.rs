//! NAdam (Dozat, 2016): Adam with Nesterov's momentum.

use lookahead_core::optimizers::NAdam;
use lookahead_core::{Result, RuleOptimizer};
use serde::{Deserialize, Serialize};
use tch::nn;

use super::kind::{BETA1, BETA2, DECOUPLED, EPS, OptimizerContext, of_rule};
use crate::config::issue::ConfigIssue;
use crate::config::key::Key;
use crate::config::kinds::KindOptions;
use crate::config::optimizer::{require_decay, require_single};

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
            .allowed("0 to 3.4e38"),
        DECOUPLED,
    ];
    const SECOND_MOMENTS: bool = true;

    fn about(_kind: &str) -> &'static str {
        "Adam with Nesterov momentum"
    }

    fn check(&self) -> std::result::Result<(), ConfigIssue> {
        require_decay("optimizer.beta1", self.beta1)?;
        require_decay("optimizer.beta2", self.beta2)?;
        require_single("optimizer.eps", self.eps)?;
        require_single("optimizer.momentum_decay", self.momentum_decay)
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
