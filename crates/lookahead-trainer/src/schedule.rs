//! The learning rate over time: `[schedule]`.

use serde::{Deserialize, Serialize};

use crate::check::{Invalid, kind_key, require, shown};

/// `[schedule]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// The curve that the learning rate follows.
    pub kind: Kind,
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
pub enum Kind {
    /// The same in every step.
    #[default]
    Constant,
    /// Half a cosine wave from `optimizer.lr` at the first step to `min_lr` after the last
    /// (Loshchilov and Hutter, 2017, without restarts).
    Cosine,
    /// Divided at given epochs.
    Steps,
}

/// Keys that `kind` does not have.
pub(crate) fn foreign_keys(kind: &str) -> Option<Vec<&'static str>> {
    const MIN_LR: &str = "schedule.min_lr";
    const OF_STEPS: [&str; 2] = ["schedule.milestones", "schedule.factor"];
    match kind {
        "constant" => Some([&[MIN_LR][..], &OF_STEPS].concat()),
        "cosine" => Some(OF_STEPS.to_vec()),
        "steps" => Some(vec![MIN_LR]),
        _ => None,
    }
}

/// Where in a run a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Steps taken before it.
    pub step: u64,
    /// Steps of the whole run.
    pub total: u64,
    /// Epochs completed before it.
    pub epoch: u64,
}

impl ScheduleConfig {
    /// Fills in defaults and checks ranges.
    pub(crate) fn resolve(&mut self, lr: f64) -> Result<(), Invalid> {
        let cosine = self.kind == Kind::Cosine;
        kind_key(&mut self.min_lr, cosine, 0.0, "schedule.min_lr", "the cosine schedule")?;
        if let Some(min_lr) = self.min_lr {
            let allowed = format!("from 0 to optimizer.lr, which is {}", shown(lr));
            let fits = (0.0..=lr).contains(&min_lr);
            require(fits, "schedule.min_lr", shown(min_lr), &allowed)?;
        }
        let steps = self.kind == Kind::Steps;
        let schedule = "the steps schedule";
        if steps && self.milestones.as_ref().is_none_or(Vec::is_empty) {
            return Err(Invalid::new(
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
        require(factor > 0.0 && factor <= 1.0, "schedule.factor", shown(factor), allowed)
    }

    /// The learning rate of a step.
    pub fn learning_rate(&self, lr: f64, at: At) -> f64 {
        let curve = match self.kind {
            Kind::Constant => lr,
            Kind::Cosine => {
                let least = self.min_lr.unwrap_or(0.0);
                let progress = at.step as f64 / at.total.max(1) as f64;
                least + (lr - least) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
            Kind::Steps => {
                let passed = self.milestones.iter().flatten().filter(|&&epoch| epoch <= at.epoch);
                lr * self.factor.unwrap_or(1.0).powi(passed.count() as i32)
            }
        };
        match at.step + 1 < self.warmup_steps {
            true => curve * (at.step + 1) as f64 / self.warmup_steps as f64,
            false => curve,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_starts_at_lr_passes_the_middle_and_ends_at_the_least() {
        let (kind, min_lr) = (Kind::Cosine, Some(0.02));
        let schedule = ScheduleConfig { kind, min_lr, ..ScheduleConfig::default() };
        let at = |step| schedule.learning_rate(0.1, At { step, total: 100, epoch: 0 });
        assert!((at(0) - 0.1).abs() < 1e-12);
        assert!((at(50) - 0.06).abs() < 1e-12);
        assert!((at(25) - (0.02 + 0.08 * 0.5 * (1.0 + 0.5f64.sqrt()))).abs() < 1e-12);
        assert!((at(100) - 0.02).abs() < 1e-12);
    }

    #[test]
    fn constant_is_constant() {
        let schedule = ScheduleConfig::default();
        assert_eq!(schedule.learning_rate(0.1, At { step: 7, total: 100, epoch: 0 }), 0.1);
    }

    #[test]
    fn it_is_divided_after_so_many_epochs() {
        let mut schedule = ScheduleConfig {
            kind: Kind::Steps,
            milestones: Some(vec![60, 120, 160]),
            factor: Some(0.2),
            ..ScheduleConfig::default()
        };
        schedule.resolve(0.1).unwrap();
        let at = |epoch| schedule.learning_rate(0.1, At { step: epoch * 10, total: 2000, epoch });
        for (epoch, expected) in
            [(0, 0.1), (59, 0.1), (60, 0.02), (119, 0.02), (120, 0.004), (199, 0.0008)]
        {
            assert!((at(epoch) - expected).abs() < 1e-12, "{epoch}: {}", at(epoch));
        }
        schedule.milestones = Some(vec![60, 60]);
        let said = schedule.resolve(0.1).unwrap_err().message;
        assert!(said.contains("`schedule.milestones` is [60, 60]"), "{said}");
        schedule.milestones = None;
        let said = schedule.resolve(0.1).unwrap_err().message;
        assert!(said.contains("has no epoch"), "{said}");
    }

    #[test]
    fn it_grows_in_equal_parts_at_the_start() {
        let schedule = ScheduleConfig { warmup_steps: 4, ..ScheduleConfig::default() };
        let at = |step| schedule.learning_rate(1.0, At { step, total: 100, epoch: 0 });
        assert_eq!([0, 1, 2, 3, 4].map(at), [0.25, 0.5, 0.75, 1.0, 1.0]);
    }
}
