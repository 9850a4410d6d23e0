//! `[lookahead]`: k, α, and what else may be chosen.

use lookahead_core::{Builder, MomentumPolicy, NonFinite, OuterMomentum};
use serde::{Deserialize, Serialize};

use super::{Kind, OptimizerConfig};
use crate::check::{Invalid, require, shown};

/// `[lookahead]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LookaheadConfig {
    /// Synchronization period: inner steps between syncs.
    pub k: u64,
    /// Slow step size.
    pub alpha: f64,
    /// The least α of the adaptive choice; 0 is off.
    pub adaptive_alpha: f64,
    /// What becomes of the inner optimizer's moments at a sync.
    pub momentum_policy: Moments,
    /// Momentum of the outer optimizer, whose learning rate is `alpha`; 0 is plain interpolation.
    pub outer_momentum: f64,
    /// Nesterov's form of it.
    pub outer_nesterov: bool,
    /// What to do about values that are no finite numbers.
    pub non_finite: Diverging,
    /// Whether a run that ends inside a cycle ends with a last sync; else its last steps are dropped.
    pub final_sync: bool,
    /// Training batches from which the statistics of batch normalization are computed for φ, before
    /// it is evaluated or saved; 0 leaves it θ's.
    pub recalibrate: usize,
}

/// What becomes of the inner optimizer's moments at a sync.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moments {
    /// They are kept.
    #[default]
    Maintain,
    /// They are forgotten.
    Reset,
    /// They are interpolated as the weights are.
    Pullback,
}

/// What to do about values that are no finite numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Diverging {
    /// The run ends.
    #[default]
    Error,
    /// A step with such a loss or gradient is not taken.
    SkipStep,
    /// θ goes back to φ.
    RollBack,
}

impl Default for LookaheadConfig {
    fn default() -> Self {
        LookaheadConfig {
            k: 5,
            alpha: 0.5,
            adaptive_alpha: 0.0,
            momentum_policy: Moments::Maintain,
            outer_momentum: 0.0,
            outer_nesterov: false,
            non_finite: Diverging::Error,
            final_sync: true,
            recalibrate: 0,
        }
    }
}

impl LookaheadConfig {
    /// Checks ranges, and what the inner optimizer can follow.
    pub(crate) fn check(&self, inner: &OptimizerConfig) -> Result<(), Invalid> {
        require(self.k >= 1, "lookahead.k", self.k, "at least 1: inner steps between syncs")?;
        let alpha = self.alpha;
        let allowed = "more than 0 and at most 1: at 0 the slow weights never move, and at 1 \
                       Lookahead is exactly its inner optimizer";
        require(alpha > 0.0 && alpha <= 1.0, "lookahead.alpha", shown(alpha), allowed)?;
        let low = self.adaptive_alpha;
        let allowed = "from 0, which is off, to 1: the least α that may be chosen";
        require((0.0..=1.0).contains(&low), "lookahead.adaptive_alpha", shown(low), allowed)?;
        let momentum = self.outer_momentum;
        let allowed = "at least 0, which is plain interpolation, and below 1";
        let within = (0.0..1.0).contains(&momentum);
        require(within, "lookahead.outer_momentum", shown(momentum), allowed)?;
        if low > 0.0 && momentum > 0.0 {
            return Err(Invalid::new(
                "lookahead.adaptive_alpha",
                "`lookahead.adaptive_alpha` chooses the step of plain interpolation, and \
                 `lookahead.outer_momentum` puts another rule in its place: set one of them to 0.",
            ));
        }
        if low > 0.0 && inner.kind == Kind::Sgd {
            return Err(Invalid::new(
                "lookahead.adaptive_alpha",
                "`lookahead.adaptive_alpha` needs the second moments of adam, adamw or rmsprop, \
                 which stand for the curvature: choose one of these as `optimizer.kind`, or set it \
                 to 0.",
            ));
        }
        let bare_sgd = inner.kind == Kind::Sgd && inner.momentum == Some(0.0);
        if self.momentum_policy != Moments::Maintain && bare_sgd {
            return Err(Invalid::new(
                "lookahead.momentum_policy",
                "`lookahead.momentum_policy` has nothing to act on, since `optimizer.momentum` is \
                 0: set a momentum, or leave the policy at `maintain`, which is the same here.",
            ));
        }
        Ok(())
    }

    /// Tells a builder all of it.
    pub(crate) fn configure<Source>(&self, builder: Builder<Source>) -> Builder<Source> {
        let builder = builder
            .k(self.k)
            .alpha(self.alpha)
            .momentum_policy(match self.momentum_policy {
                Moments::Maintain => MomentumPolicy::Maintain,
                Moments::Reset => MomentumPolicy::Reset,
                Moments::Pullback => MomentumPolicy::Pullback,
            })
            .outer_momentum(OuterMomentum {
                momentum: self.outer_momentum,
                nesterov: self.outer_nesterov,
            })
            .non_finite(match self.non_finite {
                Diverging::Error => NonFinite::Error,
                Diverging::SkipStep => NonFinite::SkipStep,
                Diverging::RollBack => NonFinite::RollBack,
            });
        match self.adaptive_alpha > 0.0 {
            true => builder.adaptive_alpha(self.adaptive_alpha),
            false => builder,
        }
    }
}
