//! An average as the final model: `[averaging]`.

use lookahead_core::{Extrapolation, LookaheadConfig, NonFinite, Primal, PrimalMean};
use serde::{Deserialize, Serialize};
use toml::Table;

use super::bounds::SINGLE;
use super::distributed::DistributedMode;
use super::issue::{ConfigIssue, foreign_key, is_foreign, resolve_kind_key};
use super::key::Key;

/// `[averaging]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AveragingConfig {
    /// The kind of mean.
    pub kind: AveragingKind,
    /// polyak, ema: which weights. Without Lookahead there is only θ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<AveragedWeights>,
    /// ema: the part of the mean that is kept in a step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay: Option<f64>,
    /// polyak, ema: steps at the start that are not averaged; until then the mean is the weights. ema_nesterov: steps
    /// at the start with β = 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_step: Option<u64>,
    /// primal: the part of the mean that is kept in a step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mu_x: Option<f64>,
    /// primal, schedule_free: the part of the mean in the weights at which the gradient is computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mu_y: Option<f64>,
    /// ema_nesterov: β, how far ahead of the weights the gradient is computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extrapolation: Option<f64>,
    /// ema_nesterov: the part of the average movement that is kept in a step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma: Option<f64>,
    /// ema_nesterov: the number of steps after which β is 0 again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_step: Option<u64>,
    /// schedule_free: the power of a step's number in its weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r: Option<f64>,
    /// schedule_free: the power of the largest learning rate so far in a step's weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_lr_power: Option<f64>,
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
    /// Primal averaging: the gradient is computed between the optimizer's point and its average.
    Primal,
    /// Primal averaging with a mean of all steps, so that the learning rate need not decay.
    ScheduleFree,
    /// Each step begins ahead of the weights, along their average movement.
    EmaNesterov,
}

/// The weights that a mean is of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AveragedWeights {
    /// θ after each step.
    #[default]
    Fast,
    /// φ after each sync.
    Slow,
}

/// The keys of the section.
pub(super) const KEYS: &[Key] = &[
    Key::choice(
        "kind",
        KINDS,
        "the average that is the final model, also with `[lookahead]`: `polyak` is the mean of what \
         `of` selects, `ema` its exponential moving average. Without `[lookahead]` only: `primal` (GPA), `schedule_free` and `ema_nesterov`, \
         which take part in the training ([outer steps and averages](optimizers.md#outer-steps-and-averages))",
    )
    .explained(&[
        ("none", "no average: the final model is the slow weights, or without `[lookahead]` the weights"),
        ("polyak", "the arithmetic mean of the weights (Polyak and Juditsky, 1992)"),
        ("ema", "an exponential moving average of the weights"),
        ("primal", "primal averaging (GPA): the gradient is taken between the optimizer's point and its average"),
        ("schedule_free", "primal averaging with a mean of all steps, so that the learning rate need not decay"),
        ("ema_nesterov", "each step begins ahead of the weights, along their average movement"),
    ])
    .example("\"ema\""),
    Key::choice(
        "of",
        &["fast", "slow"],
        "what is averaged: θ after each step, or φ after each sync, which needs `[lookahead]` and is the default with it",
    )
    .default("fast; with `[lookahead]` slow")
    .only(&["polyak", "ema"])
    .example("\"fast\""),
    Key::number("decay", "the fraction of the mean that remains after a step, or after a sync: with `of` slow by default 0.995")
        .at_least(0.0)
        .below(1.0)
        .only(&["ema"]),
    Key::whole(
        "start_step",
        "steps left out at the start, during which the mean is θ, or `extrapolation` 0",
    )
    .at_least(0.0)
    .only(&["polyak", "ema", "ema_nesterov"])
    .example("1000"),
    Key::number("mu_x", "the fraction of the average that remains after a step")
        .at_least(0.0)
        .below(1.0)
        .only(&["primal"]),
    Key::number(
        "mu_y",
        "the fraction of the average in the weights of which the gradient is taken; the authors of schedule_free call it β",
    )
    .at_least(0.0)
    .at_most(1.0)
    .only(&["primal", "schedule_free"])
    .example("0.9"),
    Key::number("extrapolation", "β, how many average movements ahead of the weights the gradient is taken")
        .at_least(0.0)
        .at_most(SINGLE)
        .only(&["ema_nesterov"]),
    Key::number("gamma", "the fraction of the average movement that remains after a step")
        .at_least(0.0)
        .below(1.0)
        .only(&["ema_nesterov"]),
    Key {
        default: "never",
        ..Key::whole("end_step", "the step from which on `extrapolation` is 0, for example where the learning rate begins to fall")
    }
    .at_least(0.0)
    .only(&["ema_nesterov"])
    .example("1000"),
    Key::number("r", "the power of its number in a step's weight")
        .at_least(0.0)
        .at_most(100.0)
        .only(&["schedule_free"]),
    Key::number("weight_lr_power", "the power of the largest learning rate so far in a step's weight")
        .at_least(0.0)
        .at_most(100.0)
        .only(&["schedule_free"]),
];

/// In the order of [`AveragingKind`].
const KINDS: &[&str] = &["none", "polyak", "ema", "primal", "schedule_free", "ema_nesterov"];

impl AveragingConfig {
    /// The defaults of a kind; of an unknown one, those of the section.
    pub(super) fn of_kind(kind: &str) -> Self {
        let table = Table::from_iter([("kind".to_owned(), kind.into())]);
        let mut own: Self = table.try_into().unwrap_or_default();
        // Defaults are in range.
        let _ = own.resolve(None);
        own
    }

    /// Fills in defaults and checks ranges.
    pub(crate) fn resolve(
        &mut self,
        lookahead: Option<&LookaheadConfig>,
    ) -> Result<(), ConfigIssue> {
        let kind = KINDS[self.kind as usize];
        self.resolve_weights(lookahead, kind)?;
        let decay = if self.of == Some(AveragedWeights::Slow) { 0.995 } else { 0.999 };
        resolve_kind_key(&mut self.decay, decay, ("averaging", "decay"), KEYS, kind)?;
        resolve_kind_key(&mut self.start_step, 0, ("averaging", "start_step"), KEYS, kind)?;
        let mu_y = if self.kind == AveragingKind::Primal { 0.7 } else { 0.9 };
        for (value, default, name) in [
            (&mut self.mu_x, 0.9967, "mu_x"),
            (&mut self.mu_y, mu_y, "mu_y"),
            (&mut self.extrapolation, 0.3, "extrapolation"),
            (&mut self.gamma, 0.99, "gamma"),
            (&mut self.r, 0.0, "r"),
            (&mut self.weight_lr_power, 2.0, "weight_lr_power"),
        ] {
            resolve_kind_key(value, default, ("averaging", name), KEYS, kind)?;
        }
        if is_foreign(KEYS, kind, "end_step") {
            resolve_kind_key(&mut self.end_step, 0, ("averaging", "end_step"), KEYS, kind)?;
        }
        Ok(())
    }

    /// Settles which weights are averaged, and refuses what does not fit Lookahead.
    fn resolve_weights(
        &mut self,
        lookahead: Option<&LookaheadConfig>,
        kind: &str,
    ) -> Result<(), ConfigIssue> {
        if self.of.is_some() && is_foreign(KEYS, kind, "of") {
            return Err(foreign_key("averaging", "of", KEYS));
        }
        let Some(lookahead) = lookahead else {
            if self.of == Some(AveragedWeights::Slow) {
                return Err(ConfigIssue::new(
                    "averaging.of",
                    "`averaging.of` is slow, and without Lookahead there are no slow weights. Set it to fast, or add \
                     `[lookahead]`.",
                ));
            }
            return Ok(());
        };
        match self.kind {
            AveragingKind::None => return Ok(()),
            AveragingKind::Polyak | AveragingKind::Ema => {}
            _ => {
                return Err(ConfigIssue::new(
                    "averaging.kind",
                    format!(
                        "`averaging.kind` is {kind}, which works only without Lookahead. Set it to none, polyak or \
                         ema, or remove `[lookahead]` (`--set lookahead=false`)."
                    ),
                ));
            }
        }
        let of = *self.of.get_or_insert(AveragedWeights::Slow);
        if of == AveragedWeights::Fast && lookahead.non_finite == NonFinite::RollBack {
            return Err(ConfigIssue::new(
                "averaging.of",
                "`averaging.of` is fast and `lookahead.non_finite` roll_back, so a NaN would be in the mean before it is \
                 rolled back. Set `averaging.of` to slow, or `lookahead.non_finite` to skip_step or error.",
            ));
        }
        for (is_set, key, off) in [
            (lookahead.recalibrate > 0, "lookahead.recalibrate", "0"),
            (lookahead.interpolate_statistics, "lookahead.interpolate_statistics", "false"),
        ] {
            if is_set {
                return Err(ConfigIssue::new(
                    key,
                    format!(
                        "`{key}` is for the statistics of the slow weights, and with `averaging.kind` {kind} the final \
                         model is the average. Set `{key}` to {off}, or `averaging.kind` to none."
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Refuses a mean that would be another one in each process.
    pub(crate) fn check_processes(&self, mode: DistributedMode) -> Result<(), ConfigIssue> {
        if mode == DistributedMode::Local && self.of == Some(AveragedWeights::Fast) {
            return Err(ConfigIssue::new(
                "averaging.of",
                "`averaging.of` is fast, and with `distributed.mode` local each process has fast weights of its own. Set \
                 `averaging.of` to slow, or `distributed.mode` to data_parallel.",
            ));
        }
        Ok(())
    }

    /// The settings of primal averaging, if the run uses it.
    pub(crate) fn primal(&self) -> Option<Primal> {
        let mean = match self.kind {
            AveragingKind::Primal => PrimalMean::Exponential { mu_x: self.mu_x? },
            AveragingKind::ScheduleFree => {
                PrimalMean::ScheduleFree { r: self.r?, weight_lr_power: self.weight_lr_power? }
            }
            _ => return None,
        };
        Some(Primal::new(mean, self.mu_y?))
    }

    /// The settings of EMA-Nesterov, if the run uses it.
    pub(crate) fn extrapolation(&self) -> Option<Extrapolation> {
        let is_nesterov = self.kind == AveragingKind::EmaNesterov;
        is_nesterov.then(|| Extrapolation {
            beta: self.extrapolation.unwrap_or(0.0),
            gamma: self.gamma.unwrap_or(0.0),
            start_step: self.start_step.unwrap_or(0),
            end_step: self.end_step,
        })
    }
}

#[cfg(test)]
mod tests;
