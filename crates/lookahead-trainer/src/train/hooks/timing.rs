//! Where the time of a training goes.
//!
//! The clock is read between two phases. On a GPU the kernels of an operation run after the call that launches them has
//! returned. Waiting for them between phases would slow the training down, so there a phase has the time of its calls,
//! and the waiting falls to the phase that reads a value back: usually the loss, within [`Phase::ForwardBackward`].

use std::time::{Duration, Instant};

use lookahead_run::event::Timing;

/// A part of a training step.
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

/// Sums of the phases' times since the last report.
#[derive(Debug)]
pub struct PhaseTimer {
    /// When the present report began, without pauses.
    began: Instant,
    /// When the present phase began.
    phase_began: Instant,
    sums: Timing,
}

/// The shortest time between two reports.
pub const INTERVAL: Duration = Duration::from_secs(1);

impl Default for PhaseTimer {
    fn default() -> Self {
        let now = Instant::now();
        PhaseTimer { began: now, phase_began: now, sums: Timing::default() }
    }
}

impl PhaseTimer {
    /// Starts from zero.
    pub fn restart(&mut self) {
        *self = PhaseTimer::default();
    }

    /// A phase begins: the time before it counts for none.
    pub fn begin(&mut self) {
        self.phase_began = Instant::now();
    }

    /// A phase ends, and the next one begins.
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
        *sum += now.saturating_duration_since(self.phase_began).as_secs_f64();
        self.phase_began = now;
    }

    /// A step was taken.
    pub fn step_taken(&mut self) {
        self.sums.steps += 1;
    }

    /// Leaves out a pause.
    pub fn leave_out(&mut self, pause: Duration) {
        self.began += pause;
    }

    /// A report, if it is time for one and a step was taken since the last; then the next one begins.
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
