//! `[lookahead]` is the library's own [`LookaheadConfig`]. Here it is checked against the inner optimizer.

use lookahead_core::{Error, LookaheadConfig, MomentumPolicy};

use super::issue::ConfigIssue;
use super::optimizer::{OptimizerConfig, OptimizerKind};

/// Checks ranges, and that the inner optimizer has what the settings act on.
pub(crate) fn check(config: &LookaheadConfig, inner: &OptimizerConfig) -> Result<(), ConfigIssue> {
    config.check().map_err(in_section)?;
    if config.adaptive_alpha > 0.0 && inner.kind == OptimizerKind::Sgd {
        return Err(ConfigIssue::new(
            "lookahead.adaptive_alpha",
            "`lookahead.adaptive_alpha` needs the second moments of adam, adamw or rmsprop, which \
             estimate the curvature. Set `optimizer.kind` to one of these, or \
             `lookahead.adaptive_alpha` to 0.",
        ));
    }
    let bare_sgd = inner.kind == OptimizerKind::Sgd && inner.momentum == Some(0.0);
    if config.momentum_policy != MomentumPolicy::Maintain && bare_sgd {
        return Err(ConfigIssue::new(
            "lookahead.momentum_policy",
            "`lookahead.momentum_policy` has no effect, since `optimizer.momentum` is 0. Set a momentum, or \
             use `maintain`.",
        ));
    }
    Ok(())
}

/// The library's error as that of the section's key.
fn in_section(refused: Error) -> ConfigIssue {
    match refused {
        Error::Setting { key, found, allowed } => ConfigIssue::new(
            match key {
                "k" => "lookahead.k",
                "alpha" => "lookahead.alpha",
                "adaptive_alpha" => "lookahead.adaptive_alpha",
                "outer_momentum" => "lookahead.outer_momentum",
                _ => "lookahead",
            },
            format!("`lookahead.{key}` is {found}. Use {allowed}."),
        ),
        Error::AdaptiveWith { .. } => ConfigIssue::new(
            "lookahead.adaptive_alpha",
            "`lookahead.adaptive_alpha` chooses the step of plain interpolation, which \
             `lookahead.outer_momentum` replaces. Set one of them to 0.",
        ),
        other => ConfigIssue::new("lookahead", other.to_string()),
    }
}
