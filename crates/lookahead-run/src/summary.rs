//! The state of a run by its event log: the one fold of events, which the dashboard, `status`, `inspect`,
//! `watch` and comparisons share.

use std::path::Path;

use crate::error::Result;
use crate::event::{Event, Record, RunEnded, RunInfo};
use crate::timeline;

/// The state of a run after some of its events.
///
/// ```
/// use lookahead_run::RunSummary;
/// use lookahead_run::event::{Event, Record};
///
/// let mut summary = RunSummary::default();
/// summary.apply(&Record { time: 1.5, step: 7, event: Event::Paused });
/// assert_eq!(summary.step, 7);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunSummary {
    /// What it is, from its last process; its `config` has every key resolved.
    pub info: Option<RunInfo>,
    /// What it is doing.
    pub state: State,
    /// Inner steps taken.
    pub step: u64,
    /// Unix time of the first event.
    pub first_time: Option<f64>,
    /// Unix time of the last event.
    pub last_time: Option<f64>,
    /// The number of events.
    pub events: u64,
    /// The number of warnings among them.
    pub warnings: u64,
    /// Whether settings were changed, so that its `config` is only that of its end.
    pub changed: bool,
    /// From the first event to the last, in seconds, without the time between its processes.
    pub seconds: f64,
    /// Unix time at which it would have begun without the time between its processes.
    began: f64,
}

/// What a run is doing, by its events alone, which don't show that its process is gone.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum State {
    /// There is no event yet.
    #[default]
    Waiting,
    /// It trains.
    Training,
    /// It waits, on request.
    Paused,
    /// It ended in order.
    Ended(RunEnded),
}

impl RunSummary {
    /// Reads a log. Lines that are not events are skipped.
    ///
    /// # Errors
    /// As [`log::records`](crate::log::records), except for a damaged line: only if there is no event besides it.
    pub fn read(log: &Path) -> Result<RunSummary> {
        let mut summary = RunSummary::default();
        // One by one: a log may be much larger than the memory.
        let mut records = timeline::records(log)?.skipping_damaged();
        for record in records.by_ref() {
            summary.apply(&record?);
        }
        match records.damage() {
            Some(damage) if summary.events == 0 => Err(damage),
            _ => Ok(summary),
        }
    }

    /// Adds the next event.
    pub fn apply(&mut self, record: &Record) {
        let Record { time, step, event } = record;
        self.events += 1;
        if self.first_time.is_none() {
            self.first_time = Some(*time);
            self.began = *time;
        }
        match event {
            Event::RunStarted(info) => self.begin(record, info),
            Event::Resumed(resumed) => {
                self.changed |= !resumed.changes.is_empty();
                self.begin(record, &resumed.info);
            }
            // A step proves that the run trains, even if the event before it was lost.
            Event::Step(_) | Event::Continued => self.state = State::Training,
            Event::Paused => self.state = State::Paused,
            Event::Changed(_) => self.changed = true,
            Event::Warning(_) => self.warnings += 1,
            Event::RunEnded(ended) => self.state = State::Ended(ended.clone()),
            _ => {}
        }
        self.step = self.step.max(*step);
        self.last_time = Some(*time);
        self.seconds = time - self.began;
    }

    /// Handles the start of a process.
    fn begin(&mut self, record: &Record, info: &RunInfo) {
        // Nothing ran between the end of one process and the start of the next.
        if let Some(last) = self.last_time {
            self.began += (record.time - last).max(0.0);
        }
        self.info = Some(info.clone());
        self.state = State::Training;
        self.step = record.step;
    }

    /// How it ended; none while it is running and after a crash.
    pub fn ended(&self) -> Option<&RunEnded> {
        match &self.state {
            State::Ended(ended) => Some(ended),
            _ => None,
        }
    }

    /// Inner steps that it will have taken at its end; 0 while unknown.
    pub fn total_steps(&self) -> u64 {
        self.info.as_ref().map_or(0, |info| info.total_steps)
    }
}

#[cfg(test)]
mod tests;
