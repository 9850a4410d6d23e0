//! The learning rate over time: `[schedule]`.

use serde::{Deserialize, Serialize};
use toml::Table;

use super::issue::{ConfigIssue, format_number, require, resolve_kind_key};
use super::key::Key;

/// `[schedule]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// The curve that the learning rate follows.
    pub kind: ScheduleKind,
    /// cosine: the learning rate at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_lr: Option<f64>,
    /// steps: epochs after which the learning rate is multiplied by `factor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milestones: Option<Vec<u64>>,
    /// steps: the factor at each milestone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// Steps over which the learning rate grows linearly to its full value, multiplied with the curve.
    pub warmup_steps: u64,
}

/// The curves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// The same in every step.
    #[default]
    Constant,
    /// Half a cosine wave from `optimizer.lr` at the first step to `min_lr` after the last
    /// (Loshchilov and Hutter, 2017, without restarts).
    Cosine,
    /// Multiplied by a factor at given epochs.
    Steps,
}

/// The keys of the section.
pub(super) const KEYS: &[Key] = &[

    Key::choice(
        "kind",
        &["constant", "cosine", "steps"],
        "how the learning rate changes: `cosine` goes from `optimizer.lr` to `min_lr` over the whole run; `steps` \
         multiplies by `factor` after each milestone",
    )
    .example("\"cosine\""),
    Key::number("min_lr", "the learning rate at the end")
        .allowed("0 to `optimizer.lr`")
        .only(&["cosine"])
        .example("0.001"),
    Key::wholes("milestones", "the epochs after which the learning rate changes")
        .allowed("epochs from 1, each later than the one before")
        .only(&["steps"])
        .required("[60, 120]"),
    Key::number("factor", "what the learning rate is multiplied by at a milestone")
        .allowed("above 0, up to 1")
        .only(&["steps"]),
    Key::whole(
        "warmup_steps",
        "steps over which the learning rate grows linearly to its full value",
    )
    .allowed("0 or more")
    .example("500"),
];

impl ScheduleConfig {
    /// The defaults of a kind; of an unknown one, those of the section.
    pub(super) fn of_kind(kind: &str) -> Self {
        let table = Table::from_iter([("kind".to_owned(), kind.into())]);
        let mut own: Self = table.try_into().unwrap_or_default();
        // Milestones have no default, and are needed.
        own.milestones = (own.kind == ScheduleKind::Steps).then(|| vec![1]);
        let _ = own.resolve(f64::MAX);
        own
    }

    /// Fills in defaults and checks ranges.
    pub(crate) fn resolve(&mut self, lr: f64) -> Result<(), ConfigIssue> {
        let kind = match self.kind {
            ScheduleKind::Constant => "constant",
            ScheduleKind::Cosine => "cosine",
            ScheduleKind::Steps => "steps",
        };
        if self.kind == ScheduleKind::Steps && self.milestones.as_ref().is_none_or(Vec::is_empty) {
            return Err(ConfigIssue::new(
                "schedule.kind",
                "`schedule.kind` is steps, but `schedule.milestones` has no epoch after which the learning \
                 rate changes. Give some, for example [60, 120, 160], or choose another kind.",
            ));
        }
        resolve_kind_key(&mut self.min_lr, 0.0, ("schedule", "min_lr"), KEYS, kind)?;
        resolve_kind_key(&mut self.milestones, vec![], ("schedule", "milestones"), KEYS, kind)?;
        resolve_kind_key(&mut self.factor, 0.1, ("schedule", "factor"), KEYS, kind)?;
        if let Some(min_lr) = self.min_lr {
            let allowed = format!("0 to `optimizer.lr`, which is {}", format_number(lr));
            let fits = (0.0..=lr).contains(&min_lr);
            require(fits, "schedule.min_lr", format_number(min_lr), &allowed)?;
        }
        if let Some(milestones) = &self.milestones {
            let fits = milestones.is_sorted_by(|a, b| a < b) && milestones[0] > 0;
            let allowed = "epochs from 1, each later than the one before";
            require(fits, "schedule.milestones", format!("{milestones:?}"), allowed)?;
        }
        let factor = self.factor.unwrap_or(1.0);
        let allowed = "a number above 0, up to 1";
        require(factor > 0.0 && factor <= 1.0, "schedule.factor", format_number(factor), allowed)
    }
}
