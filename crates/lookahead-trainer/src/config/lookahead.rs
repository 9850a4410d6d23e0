//! `[lookahead]` is the library's own [`LookaheadConfig`]. Here it is checked against the inner optimizer.

use lookahead_core::{Error, LookaheadConfig, MomentumPolicy};

use super::issue::{ConfigIssue, listed};
use super::kinds::Kinds;
use super::optimizer::{self, OptimizerConfig};

/// Checks ranges, and that the inner optimizer has what the settings act on.
pub(super) fn check(
    config: &LookaheadConfig,
    inner: &OptimizerConfig,
    kinds: &Kinds,
) -> Result<(), ConfigIssue> {
    config.check().map_err(in_section)?;
    let kind = optimizer::section(kinds).find(&inner.kind)?;
    if config.adaptive_alpha > 0.0 && !kind.second_moments {
        let fitting = kinds.optimizers.iter().filter(|kind| kind.second_moments);
        let fitting: Vec<&str> = fitting.map(|kind| kind.name).collect();
        return Err(ConfigIssue::new(
            "lookahead.adaptive_alpha",
            format!(
                "`lookahead.adaptive_alpha` needs second moments, which estimate the curvature, and {} keeps none. \
                 Set `lookahead.adaptive_alpha` to 0, or choose an `optimizer.kind` that keeps them: {}.",
                kind.name,
                listed(&fitting)
            ),
        ));
    }
    if config.momentum_policy != MomentumPolicy::Maintain && !kind.keeps_moments(&inner.options) {
        let has_no_effect = "`lookahead.momentum_policy` has no effect, since";
        let message = if kind.has("momentum") {
            format!("{has_no_effect} `optimizer.momentum` is 0. Set a momentum, or use `maintain`.")
        } else {
            format!("{has_no_effect} {} keeps no moments. Use `maintain`.", kind.name)
        };
        return Err(ConfigIssue::new("lookahead.momentum_policy", message));
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
