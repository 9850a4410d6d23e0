//! Adagrad (Duchi, Hazan, Singer, 2011).

use lookahead_core::optimizers::Adagrad;
use lookahead_core::{Result, RuleOptimizer};
use serde::{Deserialize, Serialize};
use tch::nn;

use super::kind::{EPS, OptimizerContext, of_rule};
use crate::config::bounds::SINGLE;
use crate::config::key::Key;
use crate::config::kinds::KindOptions;

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
            .at_least(0.0)
            .at_most(SINGLE),
        Key::number("initial_accumulator_value", "the sum of squares before the first step")
            .at_least(0.0)
            .at_most(SINGLE),
        EPS,
    ];
    const LEARNING_RATE: f64 = 0.01;

    fn about(_kind: &str) -> &'static str {
        "learning rates that fall with the sum of squared gradients"
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
