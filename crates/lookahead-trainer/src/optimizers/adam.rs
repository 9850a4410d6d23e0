//! Adam (Kingma and Ba, 2015), and AdamW: Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

use lookahead_core::optimizers::CautiousAdam;
use lookahead_core::{InnerOptimizer, Result, RuleOptimizer, TchOptimizer, fused};
use serde::{Deserialize, Serialize};
use tch::nn;

use super::kind::{BETA1, BETA2, CAUTIOUS, EPS, FUSED, OptimizerContext, of_rule};
use crate::config::issue::ConfigIssue;
use crate::config::key::Key;
use crate::config::kinds::KindOptions;

/// The keys of `[optimizer]` for Adam. Each means what it means in libtorch.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamOptions {
    /// Whether one kernel updates all parameters together, instead of libtorch's own loop.
    pub fused: bool,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Use the maximum of the second moment.
    pub amsgrad: bool,
    /// Leave out what the gradient opposes. Not written if off, so that configs stay those of versions without it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cautious: bool,
}

impl Default for AdamOptions {
    fn default() -> Self {
        let (beta1, beta2, eps) = (0.9, 0.999, 1e-8);
        AdamOptions { fused: true, beta1, beta2, eps, amsgrad: false, cautious: false }
    }
}

impl KindOptions for AdamOptions {
    const KEYS: &'static [Key] = &[
        FUSED,
        BETA1,
        BETA2,
        EPS,
        Key::switch("amsgrad", "keep the maximum of the second moment").example("true"),
        CAUTIOUS,
    ];
    const LEARNING_RATE: f64 = 0.001;
    const SECOND_MOMENTS: bool = true;

    fn about(_kind: &str) -> &'static str {
        "Adam"
    }

    fn check(&self) -> std::result::Result<(), ConfigIssue> {
        if self.cautious && (self.amsgrad || !self.fused) {
            return Err(ConfigIssue::new(
                "optimizer.cautious",
                "`optimizer.cautious` is not available with `optimizer.amsgrad` or without `optimizer.fused`. Remove these, or \
                 `optimizer.cautious`.",
            ));
        }
        Ok(())
    }
}

/// The keys of `[optimizer]` for AdamW: those of Adam.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AdamWOptions(AdamOptions);

impl KindOptions for AdamWOptions {
    const KEYS: &'static [Key] = AdamOptions::KEYS;
    const LEARNING_RATE: f64 = 0.001;
    const SECOND_MOMENTS: bool = true;
    const WEIGHT_DECAY: Option<f64> = Some(0.01);

    fn about(_kind: &str) -> &'static str {
        "Adam with decoupled weight decay"
    }

    fn check(&self) -> std::result::Result<(), ConfigIssue> {
        self.0.check()
    }
}

/// Builds Adam for the trainable variables of `vs`.
///
/// # Errors
/// Those of [`TchOptimizer::new`].
pub fn build_adam(
    options: AdamOptions,
    context: &OptimizerContext,
    vs: &nn::VarStore,
) -> Result<Box<dyn InnerOptimizer>> {
    let AdamOptions { fused, beta1, beta2, eps, amsgrad, cautious } = options;
    let (lr, wd) = (context.learning_rate, context.weight_decay);
    if cautious {
        return Ok(Box::new(build_cautious(&options, context, vs, false)?));
    }
    Ok(Box::new(if fused {
        TchOptimizer::new(fused::Adam { beta1, beta2, wd, eps, amsgrad }, vs, lr)?
    } else {
        TchOptimizer::new(nn::Adam { beta1, beta2, wd, eps, amsgrad }, vs, lr)?
    }))
}

/// Builds AdamW for the trainable variables of `vs`.
///
/// # Errors
/// Those of [`TchOptimizer::new`].
pub fn build_adamw(
    AdamWOptions(options): AdamWOptions,
    context: &OptimizerContext,
    vs: &nn::VarStore,
) -> Result<Box<dyn InnerOptimizer>> {
    let AdamOptions { fused, beta1, beta2, eps, amsgrad, cautious } = options;
    let (lr, wd) = (context.learning_rate, context.weight_decay);
    if cautious {
        return Ok(Box::new(build_cautious(&options, context, vs, true)?));
    }
    Ok(Box::new(if fused {
        TchOptimizer::new(fused::AdamW { beta1, beta2, wd, eps, amsgrad }, vs, lr)?
    } else {
        TchOptimizer::new(nn::AdamW { beta1, beta2, wd, eps, amsgrad }, vs, lr)?
    }))
}

fn build_cautious(
    options: &AdamOptions,
    context: &OptimizerContext,
    vs: &nn::VarStore,
    decoupled_weight_decay: bool,
) -> Result<RuleOptimizer<CautiousAdam>> {
    let AdamOptions { beta1, beta2, eps, .. } = *options;
    of_rule(CautiousAdam { beta1, beta2, eps, decoupled_weight_decay }, context, vs)
}
