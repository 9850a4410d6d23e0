//! Lion (Chen et al., 2023).

use lookahead_core::optimizers::Lion;
use lookahead_core::{Result, RuleOptimizer};
use serde::{Deserialize, Serialize};
use tch::nn;

use super::kind::{CAUTIOUS, OptimizerContext, of_rule};
use crate::config::key::Key;
use crate::config::kinds::KindOptions;

/// The keys of `[optimizer]` for this optimizer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LionOptions {
    /// Decay of the mean gradient whose sign is the step.
    pub beta1: f64,
    /// Decay of the mean gradient that is kept.
    pub beta2: f64,
    /// Leave out what the gradient opposes. Not written if off, as in [`AdamOptions`](super::adam::AdamOptions).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cautious: bool,
}

impl Default for LionOptions {
    fn default() -> Self {
        let Lion { beta1, beta2, cautious } = Lion::default();
        LionOptions { beta1, beta2, cautious }
    }
}

impl KindOptions for LionOptions {
    const KEYS: &'static [Key] = &[
        Key::number("beta1", "decay of the mean gradient whose sign is the step")
            .at_least(0.0)
            .below(1.0),
        Key::number("beta2", "decay of the mean gradient that is kept").at_least(0.0).below(1.0),
        CAUTIOUS,
    ];
    const LEARNING_RATE: f64 = 0.0001;

    fn about(_kind: &str) -> &'static str {
        "the sign of a mean gradient; takes a smaller learning rate than Adam"
    }
}

/// Builds it for the trainable variables of `vs`.
///
/// # Errors
/// Those of [`RuleOptimizer::new`].
pub fn build(
    options: LionOptions,
    context: &OptimizerContext,
    vs: &nn::VarStore,
) -> Result<RuleOptimizer<Lion>> {
    let LionOptions { beta1, beta2, cautious } = options;
    of_rule(Lion { beta1, beta2, cautious }, context, vs)
}
