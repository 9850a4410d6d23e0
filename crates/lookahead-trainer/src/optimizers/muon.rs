//! Muon (Jordan et al., 2024) for the matrices, AdamW for the rest.

use lookahead_core::optimizers::Muon;
use lookahead_core::optimizers::muon::{Precision, ScaleLearningRate};
use lookahead_core::{Composite, InnerOptimizer, Result, RuleOptimizer, TchOptimizer, fused};
use serde::{Deserialize, Serialize};
use tch::nn;

use super::kind::{BETA1, BETA2, EPS, MOMENTUM, OptimizerContext};
use crate::config::key::Key;
use crate::config::kinds::KindOptions;

/// The keys of `[optimizer]` for Muon and, from `beta1` on, for AdamW, which moves the parameters that are not matrices.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MuonOptions {
    /// Momentum.
    pub momentum: f64,
    /// Nesterov's momentum.
    pub nesterov: bool,
    /// The factor of Muon's learning rate. The default is not the library's: with this one the learning rate fits AdamW too.
    pub scale_learning_rate: ScaleLearningRate,
    /// What the orthogonalization computes in.
    pub precision: Precision,
    /// Decay of AdamW's first moment.
    pub beta1: f64,
    /// Decay of AdamW's second moment.
    pub beta2: f64,
    /// Added to AdamW's denominator.
    pub eps: f64,
}

impl Default for MuonOptions {
    fn default() -> Self {
        let Muon { momentum, nesterov, precision, .. } = Muon::default();
        let scale_learning_rate = ScaleLearningRate::MatchRmsAdamw;
        let (beta1, beta2, eps) = (0.9, 0.999, 1e-8);
        MuonOptions { momentum, nesterov, scale_learning_rate, precision, beta1, beta2, eps }
    }
}

impl KindOptions for MuonOptions {
    const KEYS: &'static [Key] = &[
        MOMENTUM,
        Key::switch("nesterov", "Nesterov momentum").example("false"),
        Key::choice(
            "scale_learning_rate",
            &["match_rms_adamw", "original"],
            "the factor of the matrices' learning rate: 0.2 √max(rows, columns), for updates as large as AdamW's, or √max(1, \
             rows / columns)",
        )
        .example("\"original\""),
        Key::choice("precision", &["bf16", "full"], "what the orthogonalization computes in")
            .example("\"full\""),
        BETA1,
        BETA2,
        EPS,
    ];
    const LEARNING_RATE: f64 = 0.001;
    const WEIGHT_DECAY: Option<f64> = Some(0.1);

    fn about(_kind: &str) -> &'static str {
        "Muon for matrices and convolutions, AdamW for the rest"
    }
}

/// Builds it for the trainable variables of `vs`.
///
/// # Errors
/// Those of [`RuleOptimizer::new`] and [`TchOptimizer::new`].
pub fn build(
    options: MuonOptions,
    context: &OptimizerContext,
    vs: &nn::VarStore,
) -> Result<Composite> {
    let MuonOptions { momentum, nesterov, scale_learning_rate, precision, beta1, beta2, eps } =
        options;
    let (lr, wd) = (context.learning_rate, context.weight_decay);
    let rule = Muon::default().momentum(momentum).nesterov(nesterov).precision(precision);
    let rule = rule.scale_learning_rate(scale_learning_rate);
    let muon = |matrices| {
        let mut muon = RuleOptimizer::new(rule, matrices, lr)?;
        muon.set_weight_decay(wd)?;
        Ok(muon)
    };
    let adamw = fused::AdamW { beta1, beta2, wd, eps, amsgrad: false };
    Composite::matrices_and_rest(vs, muon, |rest| TchOptimizer::new(adamw, rest, lr))
}
