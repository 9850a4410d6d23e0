//! A new Lookahead: φ starts as a copy of θ.

use super::{Cycle, Lookahead};
#[cfg(feature = "distributed")]
use crate::averaging::Averaging;
use crate::mutation_detector::MutationDetector;
use crate::settings::Settings;
use crate::slow_moments::SlowMoments;
use crate::slow_statistics::SlowStatistics;
use crate::{InnerOptimizer, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    pub(crate) fn from_parts(inner: O, settings: Settings) -> Result<Self> {
        settings.check_inner(&inner)?;
        let wanted = settings.config.interpolate_statistics;
        let statistics = settings.statistics.clone().filter(|_| wanted);
        let mut built = Lookahead {
            inner,
            cycle: Cycle { k: settings.k_at(0), ..Cycle::default() },
            settings,
            slow: Vec::new(),
            velocity: Vec::new(),
            slow_moments: SlowMoments::default(),
            slow_statistics: SlowStatistics::of(statistics)?,
            slow_version: 0,
            non_finite_count: 0,
            unclipped: false,
            detector: MutationDetector::default(),
            #[cfg(feature = "distributed")]
            averaging: Averaging::default(),
            swapped: None,
            corrupted: None,
            refused: None,
        };
        built.broadcast_fast_weights()?;
        // φ is copied before any step. Copied at the first sync, it would be θ after k steps, and that sync
        // would do nothing.
        built.record_versions()?;
        built.restart_slow_moments()?;
        Ok(built)
    }
}
