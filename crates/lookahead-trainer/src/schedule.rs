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
}

/// Keys that `kind` does not have.
pub(crate) fn foreign_keys(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "constant" => Some(&["min_lr"]),
        _ => None,
    }
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
        Ok(())
    }

    /// The learning rate of step `step`, counted from 0, of `total`.
    pub fn learning_rate(&self, lr: f64, step: u64, total: u64) -> f64 {
        match self.kind {
            Kind::Constant => lr,
            Kind::Cosine => {
                let least = self.min_lr.unwrap_or(0.0);
                let progress = step as f64 / total.max(1) as f64;
                least + (lr - least) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_starts_at_lr_passes_the_middle_and_ends_at_the_least() {
        let schedule = ScheduleConfig { kind: Kind::Cosine, min_lr: Some(0.02) };
        let at = |step| schedule.learning_rate(0.1, step, 100);
        assert!((at(0) - 0.1).abs() < 1e-12);
        assert!((at(50) - 0.06).abs() < 1e-12);
        assert!((at(25) - (0.02 + 0.08 * 0.5 * (1.0 + 0.5f64.sqrt()))).abs() < 1e-12);
        assert!((at(100) - 0.02).abs() < 1e-12);
    }

    #[test]
    fn constant_is_constant() {
        let schedule = ScheduleConfig::default();
        assert_eq!(schedule.learning_rate(0.1, 7, 100), 0.1);
    }
}
