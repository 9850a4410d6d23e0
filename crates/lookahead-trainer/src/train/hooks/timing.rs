//! Where the time of a training goes.
//!
//! The clock is looked at where one part ends and another begins, and nothing else is done there. On
//! a GPU the kernels of an operation run after the call that launches them has returned. Waiting for
//! them at every border would slow the training down, so there the parts tell how long the calls
//! took, and the waiting falls to the part that reads a value back: as a rule the loss, within
//! [`Phase::ForwardBackward`].

use std::time::{Duration, Instant};

use lookahead_run::event::Timing;

/// What the training does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Getting a batch.
    Data,
    /// The loss and its gradient.
    ForwardBackward,
    /// The inner optimizer.
    InnerStep,
    /// φ moves, θ restarts.
    Sync,
    /// The loss on the probe batch, and norms.
    Probe,
    /// A whole evaluation.
    Evaluation,
    /// Waiting for a snapshot.
    Checkpoint,
}

/// Sums of what the parts took since the last report.
#[derive(Debug)]
pub struct PhaseTimer {
    /// When the present report began, pauses left out.
    began: Instant,
    /// The last border between two parts.
    border: Instant,
    sums: Timing,
}

/// From one report to the next, at least.
pub const INTERVAL: Duration = Duration::from_secs(1);

impl Default for PhaseTimer {
    fn default() -> Self {
        let now = Instant::now();
        PhaseTimer { began: now, border: now, sums: Timing::default() }
    }
}

impl PhaseTimer {
    /// Begins from nothing.
    pub fn restart(&mut self) {
        *self = PhaseTimer::default();
    }

    /// A part begins: what came before it is in none.
    pub fn begin(&mut self) {
        self.border = Instant::now();
    }

    /// What was done since the last border was this part, and the next one begins.
    pub fn end(&mut self, part: Phase) {
        self.end_at(part, Instant::now());
    }

    fn end_at(&mut self, part: Phase, now: Instant) {
        let sums = &mut self.sums;
        let sum = match part {
            Phase::Data => &mut sums.data,
            Phase::ForwardBackward => &mut sums.forward_backward,
            Phase::InnerStep => &mut sums.inner_step,
            Phase::Sync => &mut sums.sync,
            Phase::Probe => &mut sums.probe,
            Phase::Evaluation => &mut sums.evaluation,
            Phase::Checkpoint => &mut sums.checkpoint,
        };
        *sum += now.saturating_duration_since(self.border).as_secs_f64();
        self.border = now;
    }

    /// A step was taken.
    pub fn step_taken(&mut self) {
        self.sums.steps += 1;
    }

    /// The training did nothing for so long.
    pub fn leave_out(&mut self, pause: Duration) {
        self.began += pause;
    }

    /// A report, if it is time for one and a step was taken since the last; the next begins with it.
    pub fn report(&mut self) -> Option<Timing> {
        self.report_at(Instant::now())
    }

    fn report_at(&mut self, now: Instant) -> Option<Timing> {
        let passed = now.saturating_duration_since(self.began);
        if passed < INTERVAL || self.sums.steps == 0 {
            return None;
        }
        self.began = now;
        Some(Timing { seconds: passed.as_secs_f64(), ..std::mem::take(&mut self.sums) })
    }
}

#[cfg(test)]
mod tests;
