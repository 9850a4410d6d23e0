//! Notices a training that goes wrong by its losses, and warns, stops it or has it rolled back, as `[watchdog]` says.
//!
//! | module | what it finds |
//! |---|---|
//! | [`spike`] | a loss far above the recent ones |
//! | [`plateau`] | a loss that no longer falls |
//! | [`stall`] | a step that does not end |
//!
//! Of a single process each loss is judged once it is read. Several processes have a loss each, and must do the same: at
//! the end of a cycle they exchange their losses, and each judges the means. The reaction comes before the sync, so
//! that the slow weights take no part of a cycle that is rolled back.
//!
//! A roll-back, whatever its cause, also drops what the detectors saw of the cycle: with the losses near its end, those
//! from φ on would look like a spike.

pub mod plateau;
pub mod spike;
pub mod stall;

use lookahead_run::event::{Event, RollBackCause};
use lookahead_run::format;
use serde::{Deserialize, Serialize};

use self::plateau::{PlateauDetector, SeenMeans};
use self::spike::{SeenLosses, SpikeDetector};
use crate::config::watchdog::{WatchdogAction, WatchdogConfig};
use crate::train::hook::{Hook, HookContext, InnerStep};

/// Judges the losses of a training.
#[derive(Debug)]
pub struct WatchdogHook {
    config: WatchdogConfig,
    spike: SpikeDetector,
    plateau: PlateauDetector,
    losses: Losses,
    /// What the detectors had seen when the cycle began.
    at_sync: Seen,
}

/// What the detectors keep of the losses.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Seen {
    spike: SeenLosses,
    plateau: SeenMeans,
}

/// Losses that are not judged yet, since the other processes' are needed too, from the oldest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Losses {
    /// Means over all processes, those that are NaN or infinity left out.
    means: Vec<f64>,
    /// After those, this process's own.
    #[serde(skip)]
    own: Vec<f64>,
}

/// What a checkpoint holds of it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Saved {
    #[serde(flatten)]
    seen: Seen,
    losses: Losses,
    at_sync: Seen,
}

impl WatchdogHook {
    /// `chance` is the loss of guessing, if it is known.
    pub(super) fn new(config: &WatchdogConfig, chance: Option<f64>) -> Self {
        WatchdogHook {
            spike: SpikeDetector::new(config.spike_window, config.spike_deviations, chance),
            plateau: PlateauDetector::new(config.plateau_steps),
            losses: Losses::default(),
            at_sync: Seen::default(),
            config: config.clone(),
        }
    }

    fn is_on(&self) -> bool {
        [self.config.spike, self.config.plateau].iter().any(|of| *of != WatchdogAction::Off)
    }

    fn seen(&self) -> Seen {
        Seen { spike: self.spike.seen().clone(), plateau: self.plateau.seen().clone() }
    }

    /// Drops the losses of the cycle.
    fn roll_back(&mut self) {
        self.spike.roll_back(&self.at_sync.spike);
        self.plateau.roll_back(&self.at_sync.plateau);
        self.losses = Losses::default();
    }

    /// Judges the loss of a step.
    fn judge(&mut self, context: &mut HookContext<'_>, loss: f64) {
        if let Some(found) = self.spike.judge(loss) {
            let reason = format!(
                "The loss jumped to {}: the median of the recent ones is {}, and above {} is a spike (`watchdog.spike`)",
                number(found.loss),
                number(found.median),
                number(found.limit)
            );
            let is_first = match self.config.spike {
                WatchdogAction::Note => found.is_news,
                _ => found.is_first,
            };
            react(context, self.config.spike, RollBackCause::Spike, reason, is_first);
        }
        if let Some(found) = self.plateau.judge(loss) {
            let reason = format!(
                "The loss no longer falls: its mean over {} steps is {}, and the lowest so far was {} (`watchdog.plateau`)",
                format::count(self.config.plateau_steps),
                number(found.mean),
                number(found.lowest)
            );
            react(context, self.config.plateau, RollBackCause::Plateau, reason, found.is_first);
        }
    }

    /// Exchanges the losses of this process for the means over all.
    fn exchange(&mut self, context: &HookContext<'_>) -> anyhow::Result<()> {
        let own = std::mem::take(&mut self.losses.own);
        if !own.is_empty() {
            let means = context.workers.means(&own)?;
            self.losses.means.extend(means.into_iter().filter(|mean| mean.is_finite()));
        }
        Ok(())
    }
}

/// A loss: one that is tiny is not 0.
fn number(loss: f64) -> String {
    format::significant(loss, 4)
}

/// Does what an action says. What lasts is noted once, and rolled back as often as it is found.
fn react(
    context: &mut HookContext<'_>,
    action: WatchdogAction,
    cause: RollBackCause,
    reason: String,
    is_first: bool,
) {
    match action {
        WatchdogAction::Off => {}
        WatchdogAction::Note if is_first => context.warn(format!("{reason}.")),
        WatchdogAction::Stop if is_first => context.request_stop(reason),
        WatchdogAction::Note | WatchdogAction::Stop => {}
        WatchdogAction::RollBack => context.request_roll_back_because(cause, reason),
    }
}

impl Hook for WatchdogHook {
    fn name(&self) -> &'static str {
        "watchdog"
    }

    fn on_event(
        &mut self,
        context: &mut HookContext<'_>,
        _step: u64,
        event: &Event,
    ) -> anyhow::Result<()> {
        match event {
            _ if !self.is_on() => {}
            Event::Step(step) => {
                if step.phase == 1 {
                    self.at_sync = self.seen();
                }
                if context.workers.is_single() {
                    self.judge(context, step.loss);
                } else {
                    self.losses.own.push(step.loss);
                }
            }
            Event::RolledBack(_) => self.roll_back(),
            _ => {}
        }
        Ok(())
    }

    fn after_inner_step(
        &mut self,
        context: &mut HookContext<'_>,
        _: &InnerStep,
    ) -> anyhow::Result<()> {
        if context.processes_decide() {
            self.exchange(context)?;
            for loss in std::mem::take(&mut self.losses.means) {
                self.judge(context, loss);
            }
        }
        Ok(())
    }

    fn before_checkpoint(&mut self, context: &mut HookContext<'_>) -> anyhow::Result<()> {
        // Rank 0's state is that of all. They are judged when they would be without the checkpoint.
        self.exchange(context)
    }

    fn state(&self) -> Option<serde_json::Value> {
        let (losses, at_sync) = (self.losses.clone(), self.at_sync.clone());
        let saved = Saved { seen: self.seen(), losses, at_sync };
        self.is_on().then(|| serde_json::to_value(saved).ok()).flatten()
    }

    fn restore(&mut self, state: serde_json::Value) -> anyhow::Result<()> {
        let saved = Saved::deserialize(state)?;
        self.spike.restore(saved.seen.spike);
        self.plateau.restore(saved.seen.plateau);
        (self.losses, self.at_sync) = (saved.losses, saved.at_sync);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
