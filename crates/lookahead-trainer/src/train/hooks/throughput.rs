//! The training's speed, as a running mean.

use std::time::{Duration, Instant};

/// Samples per second of the training steps alone: the time between a [`step_done`](Throughput::step_done) and
/// the next [`step_begins`](Throughput::step_begins), for example of evaluations and checkpoints, does not
/// count.
#[derive(Debug)]
pub struct Throughput {
    started: Instant,
    samples: f64,
    seconds: f64,
}

/// Time constant of the mean.
const MEMORY: Duration = Duration::from_secs(5);

/// A step that may have been interrupted takes at least this long, and as many times as long as a usual one.
const LONG: Duration = Duration::from_secs(1);
const MANY: f64 = 10.0;

impl Default for Throughput {
    fn default() -> Self {
        Throughput { started: Instant::now(), samples: 0.0, seconds: 0.0 }
    }
}

impl Throughput {
    /// Starts the clock of a step.
    pub fn step_begins(&mut self) {
        self.started = Instant::now();
    }

    /// The time since the step began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether a step on `samples` samples takes far longer than usual.
    pub fn is_unusual(&self, samples: usize, elapsed: Duration) -> bool {
        let usual = samples as f64 / self.samples_per_second();
        // NaN before the first step, which is slow for other reasons.
        elapsed > LONG && elapsed.as_secs_f64() > MANY * usual
    }

    /// Counts a step on `samples` samples that took `elapsed`.
    pub fn step_done(&mut self, samples: usize, elapsed: Duration) {
        let elapsed = elapsed.as_secs_f64();
        // Both sums decay alike, so their ratio is a mean from the first step on.
        let keep = (-elapsed / MEMORY.as_secs_f64()).exp();
        self.samples = self.samples * keep + samples as f64;
        self.seconds = self.seconds * keep + elapsed;
    }

    /// The running mean.
    pub fn samples_per_second(&self) -> f64 {
        self.samples / self.seconds.max(f64::MIN_POSITIVE)
    }
}
