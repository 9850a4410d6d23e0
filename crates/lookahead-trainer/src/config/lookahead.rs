//! `[lookahead]` is the library's own [`LookaheadConfig`]. Here it is checked against the inner optimizer.

use lookahead_core::{Error, LookaheadConfig, MomentumPolicy};

use super::issue::{ConfigIssue, listed};
use super::key::Key;
use super::kinds::Kinds;
use super::optimizer::{self, OptimizerConfig};

/// The keys of the section.
pub(super) const KEYS: &[Key] = &[

    Key::whole(
        "k",
        "synchronization period: inner steps between syncs. A new k holds from the next cycle",
    )
    .allowed("1 or more"),
    Key::number(
        "alpha",
        "slow step size α; 1 is exactly the inner optimizer. With `outer_momentum` it is the outer learning rate and, \
         as with `extrapolate`, may be up to 100",
    )
    .allowed("above 0, up to 1"),
    Key::switch(
        "extrapolate",
        "`alpha` may exceed 1 without `outer_momentum` too: a sync moves φ beyond θ",
    )
    .example("true"),
    Key::number(
        "adaptive_alpha",
        "the smallest α that may be chosen at each sync from the curvature; replaces `alpha`. 0 is off. Needs \
         second moments: adam, adamw or rmsprop",
    )
    .allowed("0 to 1")
    .example("0.5"),
    Key::choice(
        "momentum_policy",
        &["maintain", "reset", "pullback"],
        "what happens to the inner optimizer's moments at a sync: they are kept, set to 0, or averaged as the \
         weights are",
    )
    .example("\"pullback\""),
    Key::number(
        "outer_momentum",
        "momentum of an outer SGD whose learning rate is `alpha`; 0 is plain interpolation",
    )
    .allowed("0 to below 1")
    .example("0.9"),
    Key::switch(
        "outer_nesterov",
        "Nesterov momentum in the outer step. DiLoCo uses `alpha` 0.7, `outer_momentum` 0.9, `outer_nesterov` true",
    )
    .example("true"),
    Key::choice(
        "alpha_placement",
        &["outside", "inside"],
        "where `alpha` is in the outer momentum: a factor of the step, as in SNOO and DiLoCo, or of what enters the \
         velocity, as in MuLoCo. The same unless `alpha` changes",
    )
    .example("\"inside\""),
    Key::whole(
        "restart_every",
        "syncs after which the outer momentum restarts from 0. 0 never restarts it",
    )
    .allowed("0 or more")
    .example("10"),
    Key::choice(
        "non_finite",
        &["error", "skip_step", "roll_back"],
        "on NaN or infinity: end the run, skip the step, or return θ to φ. The run ends after 100 of them without \
         a sync in between",
    )
    .example("\"roll_back\""),
    Key::switch(
        "final_sync",
        "a run that ends inside a cycle ends with a sync; false drops its last steps. The last checkpoint is taken \
         before that sync, so a run that is given more steps continues as a longer one would have",
    )
    .example("false"),
    Key::whole(
        "recalibrate",
        "training batches used to compute batch normalization's statistics at φ before φ is evaluated or saved. 0 \
         is off: they are θ's",
    )
    .allowed("0 or more")
    .example("50"),
];

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
