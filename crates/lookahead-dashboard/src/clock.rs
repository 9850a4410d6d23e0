//! How long a run has trained, and how fast it goes.

use crate::history::History;

/// Seconds of training over which the step rate is averaged: long enough to hold an evaluation and a
/// checkpoint, so that the remaining time does not jump at each.
const RATE_SPAN: f64 = 60.0;
/// Steps before a rate is known: the first few include warm-up costs.
const STEPS_BEFORE_RATE: u64 = 10;
/// Seconds by which events may be out of order.
const JITTER: f64 = 1.0;

/// Time spent on training: without pauses, suspensions, and the time between two processes.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    before: f64,
    running_since: Option<f64>,
    /// Unix time of the last event.
    latest: Option<f64>,
    /// Elapsed seconds at each step.
    at_step: History,
    rate: Rate,
}

/// A decaying mean of steps per second of training.
#[derive(Debug, Default)]
struct Rate {
    last: Option<(u64, f64)>,
    seen: u64,
    steps: f64,
    seconds: f64,
}

impl Clock {
    /// Seconds of training at Unix time `now`.
    pub(crate) fn elapsed(&self, now: f64) -> f64 {
        // A clock that is set back must not take away what has been counted.
        self.before + self.running_since.map_or(0.0, |since| (now - since).max(0.0))
    }

    /// The process was suspended between these Unix times.
    pub(crate) fn suspended(&mut self, from: f64, to: f64) {
        if let Some(since) = self.running_since {
            self.before = self.elapsed(to) - (to - from.max(since)).max(0.0);
            self.running_since = Some(to);
        }
    }

    /// There was an event at Unix time `time`. If that is well before the last event, the machine's
    /// clock was set back, and counts from there.
    pub(crate) fn happened(&mut self, time: f64) {
        if let Some(latest) = self.latest.replace(time)
            && time + JITTER < latest
            && self.running_since.is_some()
        {
            self.before = self.elapsed(latest);
            self.running_since = Some(time);
        }
    }

    pub(crate) fn start(&mut self, now: f64) {
        self.running_since.get_or_insert(now);
    }

    pub(crate) fn stop(&mut self, now: f64) {
        self.before = self.elapsed(now);
        self.running_since = None;
    }

    /// Goes back to what had elapsed at the last step, and runs from `now`.
    pub(crate) fn resume(&mut self, now: f64) {
        self.before = self.at_step.newest().unwrap_or(0.0);
        self.running_since = Some(now);
        self.rate = Rate::default();
    }

    /// The inner step number `step` was finished at `now`.
    pub(crate) fn step(&mut self, step: u64, now: f64) {
        // Never less than before, so that a time has its step.
        let elapsed = self.elapsed(now).max(self.at_step.newest().unwrap_or(0.0));
        self.at_step.push(step, elapsed);
        if let Some((last_step, last_elapsed)) = self.rate.last.replace((step, elapsed)) {
            let steps = step.saturating_sub(last_step);
            let seconds = (elapsed - last_elapsed).max(0.0);
            let kept = (-seconds / RATE_SPAN).exp();
            self.rate.seen += steps;
            self.rate.steps = self.rate.steps * kept + steps as f64;
            self.rate.seconds = self.rate.seconds * kept + seconds;
        }
    }

    /// Seconds of training up to a step.
    pub(crate) fn at(&self, step: u64) -> f64 {
        self.at_step.interpolate(step).unwrap_or(0.0)
    }

    /// The last step taken within `seconds` of training.
    pub(crate) fn step_at(&self, seconds: f64) -> u64 {
        self.at_step.step_where(seconds).unwrap_or(0)
    }

    /// Seconds until `total` steps are taken, once enough steps have been seen.
    pub(crate) fn left(&self, total: u64) -> Option<f64> {
        let (step, _) = self.rate.last?;
        let known = total > 0 && self.rate.seen >= STEPS_BEFORE_RATE && self.rate.steps > 0.0;
        known.then(|| total.saturating_sub(step) as f64 * self.rate.seconds / self.rate.steps)
    }
}

#[cfg(test)]
mod tests;
