//! `[schedule]` is the library's own [`LearningRateSchedule`](lookahead_core::LearningRateSchedule).

use lookahead_core::Error;
pub use lookahead_core::{
    LearningRateKind as ScheduleKind, LearningRateSchedule as ScheduleConfig,
};
use toml::Table;

use super::bounds::SINGLE;
use super::issue::{ConfigIssue, foreign_key, format_number};
use super::key::Key;

/// The keys of the section.
pub(super) const KEYS: &[Key] = &[
    Key::choice(
        "kind",
        &["constant", "cosine", "steps", "linear", "polynomial", "wsd", "one_cycle"],
        "how the learning rate changes: `cosine`, `linear` and `polynomial` go from `optimizer.lr` to `min_lr` over \
         the whole run; `wsd` does so over its last part only; `one_cycle` rises to `optimizer.lr` and falls to \
         almost 0; `steps` multiplies by `factor` after each milestone",
    )
    .explained(&[
        ("constant", "the same learning rate in every step"),
        ("cosine", "half a cosine wave from `optimizer.lr` to `min_lr` over the whole run"),
        ("steps", "multiplied by `factor` after each milestone, an epoch"),
        ("linear", "a straight line from `optimizer.lr` to `min_lr` over the whole run"),
        ("polynomial", "a power of the remaining part of the run, from `optimizer.lr` to `min_lr`"),
        ("wsd", "warm-up–stable–decay: `optimizer.lr`, and over the last part of the run down to `min_lr`"),
        ("one_cycle", "up to `optimizer.lr`, then down to almost 0 at the end of the run"),
    ])
    .example("\"cosine\""),
    Key::number("min_lr", "the learning rate at the end")
        .at_least(0.0)
        .at_most(SINGLE)
        .allowed("0 to `optimizer.lr`")
        .only(&["cosine", "linear", "polynomial", "wsd"])
        .example("0.001"),
    Key::wholes("milestones", "the epochs after which the learning rate changes")
        .at_least(1.0)
        .not_empty()
        .allowed("epochs from 1, each later than the one before")
        .only(&["steps"])
        .required("[60, 120]"),
    Key::number("factor", "what the learning rate is multiplied by at a milestone")
        .above(0.0)
        .at_most(1.0)
        .only(&["steps"]),
    Key::number("power", "the exponent of the remaining part of the run")
        .above(0.0)
        .only(&["polynomial"])
        .example("2.0"),
    Key::number("decay_fraction", "the part of the run over which the learning rate decays, at its end")
        .above(0.0)
        .at_most(1.0)
        .only(&["wsd"]),
    Key::choice(
        "decay_shape",
        &["linear", "sqrt", "cosine"],
        "the shape of the decay; `sqrt` is 1 − √q after the part q of it",
    )
    .only(&["wsd"])
    .example("\"sqrt\""),
    Key::number("pct_start", "the part of the run over which the learning rate rises")
        .at_least(0.0)
        .at_most(1.0)
        .only(&["one_cycle"]),
    Key::number("div_factor", "`optimizer.lr` divided by the learning rate of the first step")
        .at_least(1.0)
        .only(&["one_cycle"]),
    Key::number(
        "final_div_factor",
        "the learning rate of the first step divided by that of the last",
    )
    .at_least(1.0)
    .only(&["one_cycle"]),
    Key::choice("anneal", &["cosine", "linear"], "the shape of the rise and of the fall")
        .only(&["one_cycle"])
        .example("\"linear\""),
    Key::whole(
        "warmup_steps",
        "steps over which the learning rate grows linearly to its full value, multiplied with the curve",
    )
    .at_least(0.0)
    .example("500"),
];

/// The defaults of a kind; of an unknown one, those of the section.
pub(super) fn of_kind(kind: &str) -> ScheduleConfig {
    let table = Table::from_iter([("kind".to_owned(), kind.into())]);
    let mut own: ScheduleConfig = table.try_into().unwrap_or_default();
    // Milestones have no default, and are needed.
    own.milestones = (own.kind == ScheduleKind::Steps).then(|| vec![1]);
    let _ = own.resolve(f64::MAX);
    own
}

/// Fills in defaults and checks ranges.
pub(super) fn resolve(schedule: &mut ScheduleConfig, lr: f64) -> Result<(), ConfigIssue> {
    if schedule.kind == ScheduleKind::Steps
        && schedule.milestones.as_ref().is_none_or(Vec::is_empty)
    {
        return Err(ConfigIssue::new(
            "schedule.kind",
            "`schedule.kind` is steps, but `schedule.milestones` has no epoch after which the learning \
             rate changes. Give some, for example [60, 120, 160], or choose another kind.",
        ));
    }
    schedule.resolve(lr).map_err(|refused| match refused {
        Error::LearningRateSchedule { key, found, allowed } => {
            let allowed = match key {
                "min_lr" => format!("0 to `optimizer.lr`, which is {}", format_number(lr)),
                _ => allowed,
            };
            let key = format!("schedule.{key}");
            let message = format!("`{key}` is {found}. Use {allowed}.");
            ConfigIssue::new(key, message)
        }
        Error::LearningRateKey { key, .. } => foreign_key("schedule", key, KEYS),
        other => ConfigIssue::new("schedule.kind", other.to_string()),
    })
}

#[cfg(test)]
mod tests;
