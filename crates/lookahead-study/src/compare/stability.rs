//! How quietly a run trained towards its end: pure functions of what is known of it.

use super::statistics::{Spread, variance};
use crate::summary::Summary;

/// How much the losses of one run moved towards its end. Each is `None` where the run has too few of
/// what it is made of, or one that is not finite.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stability {
    /// Sample variance of the step losses of the last epoch, as they are: neither smoothed nor
    /// freed of a trend.
    pub loss_variance: Option<f64>,
    /// The root of it.
    pub loss_deviation: Option<f64>,
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
            loss_deviation: loss_variance.map(f64::sqrt),
            gain: gain.map(|gain| gain.mean),
            gain_deviation: gain.and_then(|gain| gain.deviation),
            slow_deviation: of(|_, slow| slow).and_then(|slow| slow.deviation),
            fast_deviation: of(|fast, _| fast).and_then(|fast| fast.deviation),
        }
    }
}

/// The step losses of the last epoch, or all where there was none.
pub fn last_epoch(run: &Summary) -> &[f32] {
    let count = usize::try_from(run.info.steps_per_epoch).unwrap_or(usize::MAX);
    &run.losses[run.losses.len().saturating_sub(count)..]
}

/// Whether a step lies in the last third of a run of so many.
pub fn is_late(step: u64, steps: u64) -> bool {
    u128::from(step) * 3 > u128::from(steps) * 2
}

#[cfg(test)]
mod tests {
    use lookahead_run::event::Probe;

    use super::*;
    use crate::compare::testing::summary;

    fn near(a: Option<f64>, b: f64) {
        assert!((a.unwrap() - b).abs() < 1e-9, "{a:?} is not {b}");
    }

    /// Last epoch 1, 2, 4, 9: mean 4, squares 9 + 4 + 0 + 25 = 38, variance 38 / 3. Gains of the last
    /// third 1, 3: mean 2, deviation √2; fast 5, 9: √8; slow 4, 6: √2.
    #[test]
    fn stability_is_that_by_hand() {
        let mut run = summary();
        run.losses = vec![100.0, 50.0, 1.0, 2.0, 4.0, 9.0];
        (run.info.steps_per_epoch, run.steps) = (4, 6);
        let probe = |fast_loss, slow_loss| Probe { sync: 0, fast_loss, slow_loss, seconds: 0.0 };
        run.probes = vec![
            (2, probe(80.0, 1.0)),
            (4, probe(70.0, 1.0)),
            (5, probe(5.0, 4.0)),
            (6, probe(9.0, 6.0)),
        ];
        let found = Stability::of(&run);
        near(found.loss_variance, 38.0 / 3.0);
        near(found.loss_deviation, (38.0_f64 / 3.0).sqrt());
        near(found.gain, 2.0);
        near(found.gain_deviation, 2.0_f64.sqrt());
        near(found.fast_deviation, 8.0_f64.sqrt());
        near(found.slow_deviation, 2.0_f64.sqrt());
    }

    #[test]
    fn too_little_gives_nothing() {
        let mut run = summary();
        assert_eq!(Stability::of(&run), Stability::default());
        run.losses = vec![1.0, f32::NAN];
        run.info.steps_per_epoch = 0;
        assert_eq!(Stability::of(&run), Stability::default());
        run.info.steps_per_epoch = u64::MAX;
        assert_eq!(Stability::of(&run), Stability::default());
    }
}
