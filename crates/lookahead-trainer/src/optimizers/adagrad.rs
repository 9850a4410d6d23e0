//! Adagrad (Duchi, Hazan, Singer, 2011).

use lookahead_core::optimizers::Adagrad;
use lookahead_core::{Result, RuleOptimizer};
use serde::{Deserialize, Serialize};
use tch::nn;

use super::kind::{EPS, OptimizerContext, of_rule};
use crate::config::issue::ConfigIssue;
use crate::config::key::Key;
use crate::config::kinds::KindOptions;
use crate::config::optimizer::require_single;

/// The keys of `[optimizer]` for this optimizer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdagradOptions {
    /// Decay of the learning rate with the number of steps.
    pub lr_decay: f64,
    /// The sum of squares before the first step.
    pub initial_accumulator_value: f64,
    /// Added to the denominator.
    pub eps: f64,
}

impl Default for AdagradOptions {
    fn default() -> Self {
        let Adagrad { lr_decay, initial_accumulator_value, eps } = Adagrad::default();
        AdagradOptions { lr_decay, initial_accumulator_value, eps }
    }
}

impl KindOptions for AdagradOptions {
    const KEYS: &'static [Key] = &[
        Key::number("lr_decay", "divides the learning rate by 1 + N lr_decay after N steps")
            .allowed("0 to 3.4e38"),
        Key::number("initial_accumulator_value", "the sum of squares before the first step")
            .allowed("0 to 3.4e38"),
        EPS,
    ];

    fn about(_kind: &str) -> &'static str {
        "learning rates that fall with the sum of squared gradients"
    }

    fn check(&self) -> std::result::Result<(), ConfigIssue> {
        require_single("optimizer.lr_decay", self.lr_decay)?;
        require_single("optimizer.initial_accumulator_value", self.initial_accumulator_value)?;
        require_single("optimizer.eps", self.eps)
    }
}

/// Builds it for the trainable variables of `vs`.
///
/// # Errors
/// Those of [`RuleOptimizer::new`].
pub fn build(
    options: AdagradOptions,
    context: &OptimizerContext,
    vs: &nn::VarStore,
) -> Result<RuleOptimizer<Adagrad>> {
    let AdagradOptions { lr_decay, initial_accumulator_value, eps } = options;
    of_rule(Adagrad { lr_decay, initial_accumulator_value, eps }, context, vs)
}
