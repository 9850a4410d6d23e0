//! RMSprop (Hinton, 2012).

use lookahead_core::{Result, TchOptimizer, fused};
use serde::{Deserialize, Serialize};
use tch::nn;

use super::kind::{EPS, FUSED, MOMENTUM, OptimizerContext};
use crate::config::key::Key;
use crate::config::kinds::KindOptions;

/// The keys of `[optimizer]` for this optimizer. Each but `smoothing` means what it means in libtorch.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmsPropOptions {
    /// Whether one kernel updates all parameters together, instead of libtorch's own loop.
    pub fused: bool,
    /// Decay of the squared gradient's average, which libtorch calls alpha.
    pub smoothing: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Momentum.
    pub momentum: f64,
    /// Subtract the mean gradient.
    pub centered: bool,
}

impl Default for RmsPropOptions {
    fn default() -> Self {
        RmsPropOptions { fused: true, smoothing: 0.99, eps: 1e-8, momentum: 0.0, centered: false }
    }
}

impl KindOptions for RmsPropOptions {
    const KEYS: &'static [Key] = &[
        FUSED,
        Key::number("smoothing", "decay of the mean squared gradient, which libtorch calls alpha")
            .at_least(0.0)
            .below(1.0),
        EPS,
        MOMENTUM,
        Key::switch("centered", "subtract the mean gradient").example("true"),
    ];
    const LEARNING_RATE: f64 = 0.001;
    const SECOND_MOMENTS: bool = true;

    fn about(_kind: &str) -> &'static str {
        "RMSprop"
    }
}

/// Builds it for the trainable variables of `vs`.
///
/// # Errors
/// Those of [`TchOptimizer::new`].
pub fn build(
    options: RmsPropOptions,
    context: &OptimizerContext,
    vs: &nn::VarStore,
) -> Result<TchOptimizer> {
    let RmsPropOptions { fused, smoothing: alpha, eps, momentum, centered } = options;
    let (lr, wd) = (context.learning_rate, context.weight_decay);
    if fused {
        TchOptimizer::new(fused::RmsProp { alpha, eps, wd, momentum, centered }, vs, lr)
    } else {
        TchOptimizer::new(nn::RmsProp { alpha, eps, wd, momentum, centered }, vs, lr)
    }
}
