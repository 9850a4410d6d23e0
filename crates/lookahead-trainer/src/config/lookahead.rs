//! `[lookahead]` is the library's own [`LookaheadConfig`]. Here a preset is filled in, and the section checked against
//! the inner optimizer.

use lookahead_core::optimizers::RAdam;
use lookahead_core::{Error, LookaheadConfig, MomentumPolicy, Preset, Schedule};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

use super::issue::{ConfigIssue, listed};
use super::key::{Key, ValueType};
use super::kinds::Kinds;
use super::optimizer::{self, OptimizerConfig};

/// The keys of the section.
pub(super) const KEYS: &[Key] = &[
    Key::choice(
        "preset",
        &["lookahead", "snoo", "diloco", "muloco", "ranger"],
        "the settings of a member of the family, which other keys override; given by `--set`, they take the place of the \
         config's. lookahead has the defaults; \
         snoo k 100, `alpha` 0.8, Nesterov momentum 0.75; diloco 500, 0.7, 0.9; muloco 30, 0.7, 0.6 with `alpha` inside; \
         ranger 6, 0.5, and under `[optimizer]` radam with `lr` 0.001, `beta1` 0.95 and `eps` 1e-5. \
         The run's own config has these keys in its place",
    )
    .explained(&[
        ("lookahead", "the original (Zhang et al., 2019): plain interpolation"),
        ("snoo", "the step-K Nesterov outer optimizer"),
        ("diloco", "distributed low-communication training, whose outer step is Nesterov momentum"),
        ("muloco", "DiLoCo for Muon as the inner optimizer: `alpha` is a factor of what enters the velocity"),
        ("ranger", "RAdam in Lookahead"),
    ])
    .default("none")
    .example("\"snoo\""),
    Key::whole(
        "k",
        "synchronization period: inner steps between syncs. A new k holds from the next cycle",
    )
    .at_least(1.0),
    Key::number(
        "alpha",
        "slow step size α; 1 is exactly the inner optimizer. With `outer_momentum` it is the outer learning rate and, \
         as with `extrapolate`, may be up to 100",
    )
    .above(0.0)
    .at_most(100.0)
    .allowed("above 0, up to 1"),
    Key::switch(
        "extrapolate",
        "`alpha` may exceed 1 without `outer_momentum` too: a sync moves φ beyond θ",
    )
    .example("true"),
    Key::number(
        "adaptive_alpha",
        "the smallest α that may be chosen at each sync from the curvature; replaces `alpha`. 0 is off. Needs \
         second moments: adam, adamw, rmsprop, nadam, radam or adan",
    )
    .at_least(0.0)
    .at_most(1.0)
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
    .at_least(0.0)
    .below(1.0)
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
    .at_least(0.0)
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
    .at_least(0.0)
    .example("50"),
    Key::switch(
        "interpolate_statistics",
        "a sync interpolates batch normalization's running statistics with the weights, as K. Jordan's airbench does; \
         φ is then evaluated and saved with theirs, unless `recalibrate` computes them",
    )
    .example("true"),
    Key::new(
        "alpha_schedule",
        ValueType::Schedule,
        "how `alpha` changes from its value. To another value `to` in `steps` steps, by default the whole run: \
         `{ kind = \"linear\", to = 1.0 }`, `{ kind = \"cosine\", to = 0.2, steps = 5000 }` or \
         `{ kind = \"power\", to = 0.226, power = 3 }`, by the power of the part done. Or multiplied every N steps: \
         `{ kind = \"steps\", factor = 0.5, every = 1000 }`. `ctl set lookahead.alpha` ends it for all \
         parameters: a group with its own `alpha` has that one again",
    )
    .allowed("linear, cosine, power or steps")
    .default("constant")
    .example("{ kind = \"power\", to = 0.226, power = 3 }"),
    Key::new(
        "k_schedule",
        ValueType::Schedule,
        "how `k` changes from its value, as `alpha_schedule` says it. A cycle has the k of its first step, rounded",
    )
    .allowed("linear, cosine, power or steps")
    .default("constant")
    .example("{ kind = \"linear\", to = 20 }"),
];

/// Reads the section: the settings of its preset, if it has one, and the keys that override them.
pub(super) fn read<'de, D: Deserializer<'de>>(
    section: D,
) -> Result<Option<LookaheadConfig>, D::Error> {
    let mut table = Table::deserialize(section)?;
    if let Some(preset) = settings_of_preset(&table).map_err(D::Error::custom)? {
        table.remove("preset");
        for (key, value) in preset {
            table.entry(key).or_insert(value);
        }
    }
    table.try_into().map(Some).map_err(D::Error::custom)
}

/// The preset that sets keys of `[optimizer]`.
pub(crate) const PRESET_WITH_OPTIMIZER: &str = "ranger";

/// What a preset sets, as a config.
pub(crate) fn config_of_preset(name: &str) -> Table {
    let section = Table::from_iter([("preset".to_owned(), Value::from(name))]);
    let mut settings = settings_of_preset(&section).ok().flatten().unwrap_or_default();
    settings.retain(|key, _| OF_PRESETS.contains(&key));
    let mut config = Table::from_iter([("lookahead".to_owned(), Value::Table(section))]);
    let optimizer = optimizer_of_preset(&config);
    config.insert("lookahead".to_owned(), Value::Table(settings));
    config.extend(optimizer.map(|own| ("optimizer".to_owned(), Value::Table(own))));
    config
}

/// All settings of a section's preset, if it has one.
fn settings_of_preset(section: &Table) -> Result<Option<Table>, String> {
    let Some(preset) = preset(section)? else { return Ok(None) };
    Table::try_from(preset.config()).map(Some).map_err(|error| error.to_string())
}

fn preset(section: &Table) -> Result<Option<Preset>, String> {
    let Some(preset) = section.get("preset") else { return Ok(None) };
    preset.clone().try_into().map(Some).map_err(|error| format!("{error}"))
}

/// What the preset of a config's `[lookahead]` sets under `[optimizer]`, if it sets something there.
fn optimizer_of_preset(config: &Table) -> Option<Table> {
    let section = config.get("lookahead")?.as_table()?;
    let Some(Preset::Ranger) = preset(section).ok()? else { return None };
    let RAdam { beta1, eps, .. } = RAdam::RANGER;
    Some(Table::from_iter([
        ("kind".to_owned(), "radam".into()),
        ("lr".to_owned(), 0.001.into()),
        ("beta1".to_owned(), beta1.into()),
        ("eps".to_owned(), eps.into()),
    ]))
}

/// The kind that the preset sets in a section `[optimizer]` that has none.
pub(super) fn kind_of_optimizer(config: &Table) -> Option<String> {
    let preset = optimizer_of_preset(config)?;
    let section = config.get("optimizer")?.as_table()?;
    let kind = preset["kind"].as_str().filter(|_| !section.contains_key("kind"))?;
    Some(kind.to_owned())
}

/// Adds what the preset sets under `[optimizer]`. The config's own keys stay.
pub(super) fn add_optimizer(config: &mut Table) {
    let Some(preset) = optimizer_of_preset(config) else { return };
    let section = config.entry("optimizer").or_insert_with(|| Table::new().into());
    let Some(section) = section.as_table_mut() else { return };
    if section.get("kind").is_none_or(|kind| *kind == preset["kind"]) {
        for (key, value) in preset {
            section.entry(key).or_insert(value);
        }
    }
}

/// Refuses an inner optimizer that is not the preset's.
pub(super) fn check_optimizer(config: &Table) -> Result<(), ConfigIssue> {
    let Some(preset) = optimizer_of_preset(config) else { return Ok(()) };
    let own = config.get("optimizer").and_then(|section| section.get("kind"));
    let Some(own) = own.and_then(Value::as_str).filter(|own| preset["kind"].as_str() != Some(own))
    else {
        return Ok(());
    };
    Err(ConfigIssue::new(
        "lookahead.preset",
        format!(
            "`lookahead.preset` is ranger, which is RAdam in Lookahead, and `optimizer.kind` is {own}. Remove \
             `optimizer.kind` or set it to radam, or use another preset."
        ),
    ))
}

/// Puts the settings of the preset in its place, as a run's own config has them.
pub(crate) fn expand_preset(config: &mut Table) {
    add_optimizer(config);
    let Some(section) = config.get_mut("lookahead").and_then(Value::as_table_mut) else { return };
    let (Ok(Some(preset)), Ok(defaults)) =
        (settings_of_preset(section), Table::try_from(LookaheadConfig::default()))
    else {
        return;
    };
    section.remove("preset");
    for (key, value) in preset.into_iter().filter(|(key, value)| defaults.get(key) != Some(value)) {
        section.entry(key).or_insert(value);
    }
}

/// The keys of `[lookahead]` in which members of the family differ.
const OF_PRESETS: [&str; 5] = ["k", "alpha", "alpha_placement", "outer_momentum", "outer_nesterov"];

/// Removes the keys that a preset sets, for a preset that comes from the command line. Returns a sentence on those that
/// had other values.
pub(super) fn replace_by_preset(config: &mut Table) -> Option<String> {
    let section = config.get("lookahead")?.as_table()?;
    let settings = settings_of_preset(section).ok()??;
    let optimizer = optimizer_of_preset(config).unwrap_or_default();
    let of_optimizer: Vec<&str> = optimizer.keys().map(String::as_str).collect();
    let mut replaced = Vec::new();
    for (name, keys, preset) in
        [("lookahead", &OF_PRESETS[..], &settings), ("optimizer", &of_optimizer, &optimizer)]
    {
        let Some(section) = config.get_mut(name).and_then(Value::as_table_mut) else { continue };
        for key in keys {
            let own = section.remove(*key).filter(|own| preset.get(*key) != Some(own));
            replaced.extend(own.map(|own| format!("`{name}.{key}` = {own}")));
        }
    }
    (!replaced.is_empty())
        .then(|| format!("The preset overrides the config's {}.", replaced.join(", ")))
}

/// Checks ranges, and that the inner optimizer has what the settings act on.
pub(super) fn check(
    config: &LookaheadConfig,
    inner: &OptimizerConfig,
    kinds: &Kinds,
) -> Result<(), ConfigIssue> {
    check_ranges(config)?;
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
    // A group with a kind of its own may have moments.
    let has_other_kinds =
        || inner.groups(kinds).is_ok_and(|all| all.iter().any(|group| group.kind.is_some()));
    if config.momentum_policy != MomentumPolicy::Maintain
        && !kind.keeps_moments(&inner.options)
        && !has_other_kinds()
    {
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

/// Checks what the library does, so that an error names the key.
fn check_ranges(config: &LookaheadConfig) -> Result<(), ConfigIssue> {
    let constant = LookaheadConfig {
        alpha_schedule: Schedule::Constant,
        k_schedule: Schedule::Constant,
        ..config.clone()
    };
    constant.check().map_err(in_section)?;
    let (alpha_schedule, k_schedule) = (config.alpha_schedule, config.k_schedule);
    LookaheadConfig { alpha_schedule, ..constant.clone() }
        .check()
        .map_err(|refused| in_schedule("lookahead.alpha_schedule", refused))?;
    LookaheadConfig { k_schedule, ..constant }
        .check()
        .map_err(|refused| in_schedule("lookahead.k_schedule", refused))
}

/// The library's error as that of a schedule.
fn in_schedule(name: &'static str, refused: Error) -> ConfigIssue {
    let message = match refused {
        // The value that it leads to.
        Error::Setting { found, allowed, .. } => {
            format!("`to` of `{name}` is {found}. Use {allowed}.")
        }
        Error::Schedule { key, found, allowed } => {
            format!("`{key}` of `{name}` is {found}. Use {allowed}.")
        }
        Error::AdaptiveWith { .. } => format!(
            "`lookahead.adaptive_alpha` chooses α at each sync, and so does `{name}`. Set the one to 0, or remove the \
             other."
        ),
        other => other.to_string(),
    };
    ConfigIssue::new(name, message)
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

#[cfg(test)]
mod tests;
