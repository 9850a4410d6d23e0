//! The learning rate over time: `[schedule]`.

use crate::config::schedule::{ScheduleConfig, ScheduleKind};

/// The position of a step in a run.
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
    /// The learning rate of a step.
    pub fn learning_rate(&self, lr: f64, at: At) -> f64 {
        let curve = match self.kind {
            ScheduleKind::Constant => lr,
            ScheduleKind::Cosine => {
                let least = self.min_lr.unwrap_or(0.0);
                let progress = at.step as f64 / at.total.max(1) as f64;
                least + (lr - least) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
            ScheduleKind::Steps => {
                let passed = self.milestones.iter().flatten().filter(|&&epoch| epoch <= at.epoch);
                lr * self.factor.unwrap_or(1.0).powi(passed.count() as i32)
            }
        };
        if at.step + 1 < self.warmup_steps {
            return curve * (at.step + 1) as f64 / self.warmup_steps as f64;
        }
        curve
    }
}

#[cfg(test)]
mod tests;
