//! Stochastic gradient descent.

use lookahead_core::{Result, TchOptimizer, fused};
use serde::{Deserialize, Serialize};
use tch::nn;

use super::kind::{FUSED, MOMENTUM, OptimizerContext};
use crate::config::issue::ConfigIssue;
use crate::config::key::Key;
use crate::config::kinds::KindOptions;

/// The keys of `[optimizer]` for this optimizer. Each means what it means in libtorch.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SgdOptions {
    /// Whether one kernel updates all parameters together, instead of libtorch's own loop.
    pub fused: bool,
    /// Momentum.
    pub momentum: f64,
    /// Damping of the momentum.
    pub dampening: f64,
    /// Nesterov's momentum.
    pub nesterov: bool,
}

impl Default for SgdOptions {
    fn default() -> Self {
        SgdOptions { fused: true, momentum: 0.9, dampening: 0.0, nesterov: false }
    }
}

impl KindOptions for SgdOptions {
    const KEYS: &'static [Key] = &[
        FUSED,
        MOMENTUM,
        Key::number("dampening", "the part of the gradient that the momentum leaves out")
            .at_least(0.0)
            .below(1.0)
            .example("0.1"),
        Key::switch("nesterov", "Nesterov momentum, with a momentum above 0 and no dampening")
            .example("true"),
    ];

    fn about(_kind: &str) -> &'static str {
        "stochastic gradient descent, with momentum"
    }

    fn check(&self) -> std::result::Result<(), ConfigIssue> {
        if self.nesterov && (self.momentum == 0.0 || self.dampening != 0.0) {
            return Err(ConfigIssue::new(
                "optimizer.nesterov",
                "`optimizer.nesterov` needs a momentum above 0 and a dampening of 0. Set those, or remove \
                 `optimizer.nesterov`.",
            ));
        }
        Ok(())
    }

    fn keeps_moments(&self) -> bool {
        self.momentum > 0.0
    }
}

/// Builds it for the trainable variables of `vs`.
///
/// # Errors
/// Those of [`TchOptimizer::new`].
pub fn build(
    options: SgdOptions,
    context: &OptimizerContext,
    vs: &nn::VarStore,
) -> Result<TchOptimizer> {
    let SgdOptions { fused, momentum, dampening, nesterov } = options;
    let (lr, weight_decay) = (context.learning_rate, context.weight_decay);
    if fused {
        TchOptimizer::new(fused::sgd(momentum, dampening, weight_decay, nesterov), vs, lr)
    } else {
        TchOptimizer::new(nn::sgd(momentum, dampening, weight_decay, nesterov), vs, lr)
    }
}
