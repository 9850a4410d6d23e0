//! A mean of the weights as the final model: `[averaging]`.

use serde::{Deserialize, Serialize};
use toml::Table;

use super::issue::{ConfigIssue, format_number, require, resolve_kind_key};
use super::key::Key;

/// `[averaging]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AveragingConfig {
    /// The kind of mean.
    pub kind: AveragingKind,
    /// ema: the part of the mean that is kept in a step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay: Option<f64>,
    /// polyak, ema: steps at the start that are not averaged; until then the mean is the weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_step: Option<u64>,
}

/// The kinds of mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AveragingKind {
    /// No mean: the final model is the slow weights, or without Lookahead the weights.
    #[default]
    None,
    /// The arithmetic mean of the weights after each step (Polyak and Juditsky, 1992).
    Polyak,
    /// An exponential moving average.
    Ema,
}

/// The keys of the section.
pub(super) const KEYS: &[Key] = &[
    Key::choice(
        "kind",
        &["none", "polyak", "ema"],
        "`polyak` is the mean of θ after each step, `ema` an exponential moving average",
    )
    .example("\"ema\""),
    Key::number("decay", "the fraction of the mean that remains after a step")
        .allowed("0 to below 1")
        .only(&["ema"]),
    Key::whole("start_step", "steps left out at the start, during which the mean is θ")
        .allowed("0 or more")
        .only(&["polyak", "ema"])
        .example("1000"),
];

impl AveragingConfig {
    /// The defaults of a kind; of an unknown one, those of the section.
    pub(super) fn of_kind(kind: &str) -> Self {
        let table = Table::from_iter([("kind".to_owned(), kind.into())]);
        let mut own: Self = table.try_into().unwrap_or_default();
        // Defaults are in range.
        let _ = own.resolve(false);
        own
    }

    /// Fills in defaults and checks ranges.
    pub(crate) fn resolve(&mut self, lookahead: bool) -> Result<(), ConfigIssue> {
        let kind = match self.kind {
            AveragingKind::None => "none",
            AveragingKind::Polyak => "polyak",
            AveragingKind::Ema => "ema",
        };
        if self.kind != AveragingKind::None && lookahead {
            return Err(ConfigIssue::new(
                "averaging.kind",
                format!(
                    "`averaging.kind` is {kind}, which works only without Lookahead: with it, the slow weights \
                     are the final model. Set `averaging.kind` to none, or remove `[lookahead]` (`--set \
                     lookahead=false`)."
                ),
            ));
        }
        resolve_kind_key(&mut self.decay, 0.999, ("averaging", "decay"), KEYS, kind)?;
        resolve_kind_key(&mut self.start_step, 0, ("averaging", "start_step"), KEYS, kind)?;
        let decay = self.decay.unwrap_or(0.0);
        let fits = (0.0..1.0).contains(&decay);
        require(fits, "averaging.decay", format_number(decay), "0 to below 1")
    }
}
