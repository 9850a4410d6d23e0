//! An inner optimizer of the program's own: SGD with momentum that uses only the sign of each element.
//!
//! J. Bernstein, Y.-X. Wang, K. Azizzadenesheli, A. Anandkumar, *signSGD: Compressed Optimisation for Non-Convex
//! Problems*, 2018.

use lookahead_core::tch_ext::arithmetic::{lerp, scale};
use lookahead_core::{Result, RuleOptimizer, Step, StepRule};
use lookahead_trainer::{ConfigIssue, KindOptions, OptimizerContext, require};
use serde::{Deserialize, Serialize};
use tch::{Tensor, nn};

/// The keys of `[optimizer]` for this optimizer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignOptions {
    /// The decay of the momentum.
    pub momentum: f64,
}

impl Default for SignOptions {
    fn default() -> Self {
        SignOptions { momentum: 0.9 }
    }
}

impl KindOptions for SignOptions {
    fn check(&self) -> std::result::Result<(), ConfigIssue> {
        let momentum = self.momentum;
        require((0.0..1.0).contains(&momentum), "optimizer.momentum", momentum, "0 to below 1")
    }
}

/// m ← β m + (1 − β) g; θ ← θ − lr · sign(m).
#[derive(Debug)]
pub struct Sign {
    beta: f64,
}

/// Builds it for the trainable variables of `vs`.
pub fn build(
    options: SignOptions,
    context: &OptimizerContext,
    vs: &nn::VarStore,
) -> Result<RuleOptimizer<Sign>> {
    RuleOptimizer::new(Sign { beta: options.momentum }, vs, context.learning_rate)
}

impl StepRule for Sign {
    fn name(&self) -> &'static str {
        "sign"
    }

    fn slots(&self) -> Vec<&'static str> {
        vec!["momentum"]
    }

    fn step(
        &self,
        weights: &mut Tensor,
        gradient: &Tensor,
        slots: &mut [Tensor],
        step: Step,
    ) -> Result<()> {
        let [momentum] = slots else { unreachable!("one slot") };
        lerp(momentum, gradient, 1.0 - self.beta)?;
        let mut update = momentum.f_sign()?;
        scale(&mut update, step.learning_rate)?;
        let _ = weights.f_sub_(&update)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_laws_of_inner_optimizers() {
        let build = |vs: &nn::VarStore| RuleOptimizer::new(Sign { beta: 0.9 }, vs, 0.1);
        lookahead_core::laws::check(build).unwrap();
    }
}
