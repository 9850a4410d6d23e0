//! A mean of θ as the final model: `[averaging]`.

use serde::{Deserialize, Serialize};

use super::check::{ConfigIssue, format_number, kind_key, require};

/// `[averaging]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AveragingConfig {
    /// Which mean.
    pub kind: AveragingKind,
    /// ema: how much of the mean stays in a step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay: Option<f64>,
    /// polyak, ema: steps that are left out at the start; until then the mean is θ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_step: Option<u64>,
}

/// The means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AveragingKind {
    /// None: the final model is φ, or θ without Lookahead.
    #[default]
    None,
    /// The arithmetic mean of θ after each step (Polyak and Juditsky, 1992).
    Polyak,
    /// An exponential moving average.
    Ema,
}

/// Whether `kind` does not have the key.
pub(super) fn is_foreign(kind: &str, key: &str) -> bool {
    matches!((kind, key), ("none" | "polyak", "decay") | ("none", "start_step"))
}

impl AveragingConfig {
    pub(crate) fn resolve(&mut self, lookahead: bool) -> Result<(), ConfigIssue> {
        let (any, ema) = (self.kind != AveragingKind::None, self.kind == AveragingKind::Ema);
        if any && lookahead {
            return Err(ConfigIssue::new(
                "averaging.kind",
                "`averaging.kind` gives the final model of a run without Lookahead, and with \
                 Lookahead that is φ: take the section `[lookahead]` out (`--set lookahead=false`), \
                 or set `averaging.kind` to none.",
            ));
        }
        kind_key(&mut self.decay, ema, 0.999, "averaging.decay", "the kind ema")?;
        kind_key(&mut self.start_step, any, 0, "averaging.start_step", "the kinds polyak and ema")?;
        let decay = self.decay.unwrap_or(0.0);
        let allowed = "at least 0 and below 1";
        require((0.0..1.0).contains(&decay), "averaging.decay", format_number(decay), allowed)
    }
}
