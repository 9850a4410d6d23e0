//! How fast the training is, as a running mean.

use std::time::{Duration, Instant};

/// Samples a second of the training steps themselves: what happens between a
/// [`step_done`](Throughput::step_done) and the next [`step_begins`](Throughput::step_begins), such as
/// evaluations and checkpoints, is not counted.
#[derive(Debug)]
pub struct Throughput {
    started: Instant,
    samples: f64,
    seconds: f64,
}

/// Time over which the mean forgets.
const MEMORY: Duration = Duration::from_secs(5);

impl Default for Throughput {
    fn default() -> Self {
        Throughput { started: Instant::now(), samples: 0.0, seconds: 0.0 }
    }
}

impl Throughput {
    /// A training step begins; what came before it is not counted.
    pub fn step_begins(&mut self) {
        self.started = Instant::now();
    }

    /// The step is done, and says nothing of the speed, since the process was stopped meanwhile; returns
    /// the running mean.
    pub fn step_does_not_count(&self) -> f64 {
        self.samples / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// The step, on `samples` samples, is done; returns the running mean.
    pub fn step_done(&mut self, samples: usize) -> f64 {
        let elapsed = self.started.elapsed().as_secs_f64();
        // Both sums decay alike, so their ratio is a mean from the first step on.
        let keep = (-elapsed / MEMORY.as_secs_f64()).exp();
        self.samples = self.samples * keep + samples as f64;
        self.seconds = self.seconds * keep + elapsed;
        self.samples / self.seconds.max(f64::MIN_POSITIVE)
    }
}
