//! The learning rate over time: `[schedule]`.

use serde::{Deserialize, Serialize};

use super::check::{ConfigIssue, format_number, kind_key, require};

/// `[schedule]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// The curve that the learning rate follows.
    pub kind: ScheduleKind,
    /// Cosine: the learning rate at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_lr: Option<f64>,
    /// Steps: epochs after which the learning rate is multiplied by `factor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milestones: Option<Vec<u64>>,
    /// Steps: what it is multiplied by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// Steps over which the learning rate grows from its first part to all of it, in equal parts; what
    /// the curve says holds beside it.
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
    /// Divided at given epochs.
    Steps,
}

/// Whether `kind` does not have the key.
pub(super) fn is_foreign(kind: &str, key: &str) -> bool {
    match key {
        "min_lr" => matches!(kind, "constant" | "steps"),
        "milestones" | "factor" => matches!(kind, "constant" | "cosine"),
        _ => false,
    }
}

impl ScheduleConfig {
    /// Fills in defaults and checks ranges.
    pub(crate) fn resolve(&mut self, lr: f64) -> Result<(), ConfigIssue> {
        let cosine = self.kind == ScheduleKind::Cosine;
        kind_key(&mut self.min_lr, cosine, 0.0, "schedule.min_lr", "the cosine schedule")?;
        if let Some(min_lr) = self.min_lr {
            let allowed = format!("from 0 to optimizer.lr, which is {}", format_number(lr));
            let fits = (0.0..=lr).contains(&min_lr);
            require(fits, "schedule.min_lr", format_number(min_lr), &allowed)?;
        }
        let steps = self.kind == ScheduleKind::Steps;
        let schedule = "the steps schedule";
        if steps && self.milestones.as_ref().is_none_or(Vec::is_empty) {
            return Err(ConfigIssue::new(
                "schedule.kind",
                "`schedule.kind` is steps, and `schedule.milestones` has no epoch after which the \
                 learning rate changes: give some, such as [60, 120, 160], or choose another kind.",
            ));
        }
        kind_key(&mut self.milestones, steps, vec![], "schedule.milestones", schedule)?;
        kind_key(&mut self.factor, steps, 0.1, "schedule.factor", schedule)?;
        if let Some(milestones) = &self.milestones {
            let fits = milestones.is_sorted_by(|a, b| a < b) && milestones[0] > 0;
            let allowed = "epochs from 1 on, each later than the one before";
            require(fits, "schedule.milestones", format!("{milestones:?}"), allowed)?;
        }
        let factor = self.factor.unwrap_or(1.0);
        let allowed = "more than 0 and at most 1";
        require(factor > 0.0 && factor <= 1.0, "schedule.factor", format_number(factor), allowed)
    }
}
