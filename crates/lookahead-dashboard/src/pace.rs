//! How often the screen is drawn.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The shortest time between two frames.
const FRAME: Duration = Duration::from_millis(100);
/// The time between two frames in multiples of the time that the last one took, and the longest: a slow
/// line gets fewer frames.
const RESTS: u32 = 10;
const SLOWEST: Duration = Duration::from_secs(2);
/// Beside a training, the time between two frames in multiples of the processor's time that this thread has used
/// since the one before, and the longest: libtorch uses all processors, so whatever the screen takes is missing
/// in a step.
const SHARE: u32 = 100;
const RAREST: Duration = Duration::from_millis(500);

/// When the next frame may be drawn.
#[derive(Debug)]
pub(crate) struct Pace {
    next: Option<Instant>,
    /// Processor time of this thread until the last frame, if the training is in this process.
    used: Option<Duration>,
}

impl Pace {
    /// For the thread that calls this.
    pub(crate) fn new(beside_training: bool) -> Self {
        Pace { next: None, used: beside_training.then(processor_time) }
    }

    /// Whether it is time for a frame.
    pub(crate) fn is_due(&self) -> bool {
        self.next.is_none_or(|at| at <= Instant::now())
    }

    /// A frame that began at `started` was drawn.
    pub(crate) fn drawn(&mut self, started: Instant) {
        let used = self.used.as_mut().map_or(Duration::ZERO, |before| {
            let now = processor_time();
            now.saturating_sub(std::mem::replace(before, now))
        });
        self.next = Some(started + rest(started.elapsed(), used));
    }
}

/// The time from one frame to the next, if it took so long and this thread has used so much of a processor.
fn rest(took: Duration, used: Duration) -> Duration {
    (used * SHARE).min(RAREST).max((took * RESTS).min(SLOWEST)).max(FRAME)
}

/// Processor time of this thread.
fn processor_time() -> Duration {
    // The clock begins with the thread at 0.
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
