//! A step that does not end.
//!
//! A thread looks at the count of steps. It has no part in them, so it also notices a step that waits for data, for a GPU or
//! for another process. What is no step does not count: pauses and checkpoints. Nor does time in which the
//! whole process is stopped, for example by Ctrl-Z: the thread is stopped too.
//!
//! An evaluation may take as long as it needs, but not each of its batches: one is expected within the time of a step, or
//! of as many steps as have its samples.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use lookahead_run::event::{Event, Reason, RunEnded, Stalled, Status, Warning};
use lookahead_run::format;

use crate::config::watchdog::{WatchdogAction, WatchdogConfig};
use crate::console::eprint_line;
use crate::controls::leave;
use crate::observer::sink::EventSink;

/// Steps that must be there before another one is judged.
const FEWEST: usize = 10;
/// Steps whose times are compared.
const WINDOW: usize = 50;
/// How often the thread looks, at most.
const TICK: Duration = Duration::from_millis(250);

/// Counts steps and measures their times, for the thread.
#[derive(Debug, Default)]
pub struct StepClock {
    shared: Arc<Shared>,
    /// When the last step ended, and how long the training had rested until then.
    last: Option<(Instant, u64)>,
    recent: VecDeque<u64>,
}

/// What both threads see; times are in nanoseconds.
#[derive(Debug, Default)]
struct Shared {
    /// Steps that have ended, from the start of the run.
    step: AtomicU64,
    /// The median time of the last steps; 0 while it is unknown.
    usual: AtomicU64,
    /// Rests that have begun and not ended.
    resting: AtomicU64,
    rested: AtomicU64,
    /// Parts of evaluations that have begun, and the samples of the present one; 0 outside an evaluation.
    parts: AtomicU64,
    samples: AtomicU64,
    ended: AtomicBool,
}

/// While it is there, no step is expected to end, but each part of an evaluation is.
#[derive(Debug)]
pub struct Rest(Arc<Shared>, Instant);

impl Shared {
    fn part_begins(&self, samples: usize) {
        self.parts.fetch_add(1, Relaxed);
        // Who sees the samples of this part does not take the time of the one before for its own.
        self.samples.store(samples as u64, Release);
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if self.0.samples.load(Relaxed) > 0 {
            self.0.part_begins(0);
        }
        self.0.rested.fetch_add(nanoseconds(self.1.elapsed()), Relaxed);
        self.0.resting.fetch_sub(1, Relaxed);
    }
}

impl Drop for StepClock {
    fn drop(&mut self) {
        self.end();
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl StepClock {
    /// Begins a time in which no step is expected to end.
    pub fn rest(&self) -> Rest {
        self.shared.resting.fetch_add(1, Relaxed);
        Rest(Arc::clone(&self.shared), Instant::now())
    }

    /// Within a rest, a part of an evaluation begins: its time is judged by its number of samples.
    pub fn part_begins(&self, samples: usize) {
        self.shared.part_begins(samples);
    }

    /// No step follows.
    pub(crate) fn end(&self) {
        self.shared.ended.store(true, Relaxed);
    }

    /// A step has ended, and all that belongs to it.
    pub fn step_done(&mut self, step: u64) {
        let rested = self.shared.rested.load(Relaxed);
        if let Some((last, before)) = self.last {
            let took = nanoseconds(last.elapsed()).saturating_sub(rested - before);
            self.recent.push_back(took);
            if self.recent.len() > WINDOW {
                self.recent.pop_front();
            }
        }
        self.last = Some((Instant::now(), rested));
        if self.recent.len() >= FEWEST {
            let mut times: Vec<u64> = self.recent.iter().copied().collect();
            let middle = times.len() / 2;
            self.shared.usual.store(*times.select_nth_unstable(middle).1, Relaxed);
        }
        self.shared.step.store(step, Relaxed);
    }

    /// Starts the thread, unless the config says that nothing should be done. Without a thread there is no watching. A step
    /// of this process has `samples`.
    pub(crate) fn watch(&self, config: &WatchdogConfig, samples: usize, sink: EventSink) {
        if config.stall == WatchdogAction::Off {
            return;
        }
        let (shared, config) = (Arc::clone(&self.shared), config.clone());
        let watch = move || watch(&shared, &config, samples, &sink);
        let _ = std::thread::Builder::new().name("watchdog".into()).spawn(watch);
    }
}

/// How long one step, or a part of an evaluation, has taken, by the times at which a thread looks.
#[derive(Debug, Default)]
struct Waiting {
    step: u64,
    part: u64,
    so_far: Duration,
    reported: bool,
}

impl Waiting {
    /// Adds the time since the last look. Returns the time so far, once, if it is longer than `limit`.
    fn look(&mut self, shared: &Shared, passed: Duration, limit: Duration) -> Option<Duration> {
        let (step, part) = (shared.step.load(Relaxed), shared.parts.load(Relaxed));
        if (step, part) != (self.step, self.part) {
            *self = Waiting { step, part, ..Waiting::default() };
        } else if shared.resting.load(Relaxed) == 0 || shared.samples.load(Relaxed) > 0 {
            // More is a time in which the process was stopped.
            self.so_far += passed.min(2 * TICK);
        }
        let is_late = self.so_far > limit && !self.reported;
        self.reported |= is_late;
        is_late.then_some(self.so_far)
    }
}

fn watch(shared: &Shared, config: &WatchdogConfig, samples_of_step: usize, sink: &EventSink) {
    let least = Duration::from_secs_f64(config.stall_seconds);
    let mut waiting = Waiting::default();
    let mut looked = Instant::now();
    while !shared.ended.load(Relaxed) {
        std::thread::sleep(TICK.min(least / 2));
        let passed = looked.elapsed();
        looked = Instant::now();
        let usual = Duration::from_nanos(shared.usual.load(Relaxed));
        if usual.is_zero() {
            continue;
        }
        let samples = shared.samples.load(Acquire);
        let steps = (samples as f64 / samples_of_step.max(1) as f64).max(1.0);
        let limit = usual.mul_f64(config.stall_factor * steps).max(least);
        let Some(so_far) = waiting.look(shared, passed, limit) else { continue };
        let (seconds, usual_seconds) = (so_far.as_secs_f64(), usual.as_secs_f64());
        let stalled = Stalled { seconds, usual_seconds, in_evaluation: samples > 0 };
        let [so_far, usual] = [seconds, usual_seconds].map(format::short_duration);
        let message = if stalled.in_evaluation {
            format!(
                "The evaluation after step {} has stood still for {so_far}, and steps usually take {usual} \
                 (`watchdog.stall`)",
                format::count(waiting.step)
            )
        } else {
            format!(
                "The step after step {} has taken {so_far} so far, and steps usually take {usual} (`watchdog.stall`)",
                format::count(waiting.step)
            )
        };
        sink.record(waiting.step, Event::Warning(Warning { message: format!("{message}.") }));
        sink.record(waiting.step, Event::Stalled(stalled));
        if config.stall == WatchdogAction::Stop {
            stop(&message, waiting.step, sink);
        }
    }
}

/// Ends the process: nothing else ends a step that hangs.
fn stop(message: &str, step: u64, sink: &EventSink) {
    let message =
        format!("{message}: the program was ended. The run resumes from its newest checkpoint.");
    let (status, reason) = (Status::Failed, Some(Reason::Watchdog));
    let ended = RunEnded { message: Some(message.clone()), reason, ..RunEnded::new(status) };
    sink.record(step, Event::RunEnded(ended));
    lookahead_dashboard::restore_terminal();
    eprint_line(format_args!("Error: {message}"));
    sink.finish_alerts();
    leave(1);
}

#[cfg(test)]
mod tests;
