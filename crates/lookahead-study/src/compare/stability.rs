//! How steadily a run trained towards its end: pure functions of its summary.

#[cfg(test)]
mod tests;

use super::statistics::{Spread, variance};
use crate::summary::Summary;

/// How much the losses of one run moved towards its end. Each is `None` if the run has too few values
/// for it, or one that is not finite.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stability {
    /// Sample variance of the step losses of the last epoch, neither smoothed
    /// nor detrended.
    pub loss_variance: Option<f64>,
    /// Mean of the probes' loss at the fast weights less that at the slow ones, over the last third
    /// of the run: above 0 the sync helps.
    pub gain: Option<f64>,
    /// Standard deviation of that difference.
    pub gain_deviation: Option<f64>,
    /// Standard deviation of the probes' loss at the slow weights, over the last third.
    pub slow_deviation: Option<f64>,
    /// Standard deviation of the probes' loss at the fast weights, over the last third.
    pub fast_deviation: Option<f64>,
}

impl Stability {
    /// Of a run.
    pub fn of(run: &Summary) -> Stability {
        let losses: Vec<f64> = last_epoch(run).iter().copied().map(f64::from).collect();
        let loss_variance = variance(&losses).filter(|variance| variance.is_finite());
        let probes: Vec<_> =
            run.probes.iter().filter(|(step, _)| is_late(*step, run.steps)).collect();
        let of = |value: fn(f64, f64) -> f64| {
            let values: Vec<f64> =
                probes.iter().map(|(_, probe)| value(probe.fast_loss, probe.slow_loss)).collect();
            Spread::of(&values)
        };
        let gain = of(|fast, slow| fast - slow);
        Stability {
            loss_variance,
            gain: gain.map(|gain| gain.mean),
            gain_deviation: gain.and_then(|gain| gain.deviation),
            slow_deviation: of(|_, slow| slow).and_then(|slow| slow.deviation),
            fast_deviation: of(|fast, _| fast).and_then(|fast| fast.deviation),
        }
    }
}

/// The step losses of the last epoch, or all if it has fewer.
fn last_epoch(run: &Summary) -> &[f32] {
    let count = usize::try_from(run.info.steps_per_epoch).unwrap_or(usize::MAX);
    &run.losses[run.losses.len().saturating_sub(count)..]
}

/// Whether a step is in the last third of a run of `steps`.
pub(super) fn is_late(step: u64, steps: u64) -> bool {
    u128::from(step) * 3 > u128::from(steps) * 2
}
