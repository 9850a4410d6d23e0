//! What a run is, by its event log: the one fold of events that the dashboard, `status`, `inspect`,
//! `watch` and comparisons share.

use std::path::Path;

use crate::error::Result;
use crate::event::{Event, Record, RunEnded, RunInfo};
use crate::timeline;

/// What the events so far tell about a run.
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
    /// What it is, by its last process; its `config` has every key resolved.
    pub info: Option<RunInfo>,
    /// What it is doing.
    pub state: State,
    /// Inner steps taken.
    pub step: u64,
    /// Unix time of the first event.
    pub first_time: Option<f64>,
    /// Unix time of the last event.
    pub last_time: Option<f64>,
    /// Events.
    pub events: u64,
    /// Warnings among them.
    pub warnings: u64,
    /// Whether settings were changed on the way, so that its `config` is that of its end only.
    pub changed: bool,
    /// From the first event to the last, in seconds, without the time between its processes.
    pub seconds: f64,
    /// Unix time at which it would have begun without the time between its processes.
    began: f64,
}

/// What a run is doing, by its events alone: they can't tell that its process is gone.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum State {
    /// There is no event yet.
    #[default]
    Waiting,
    /// It trains.
    Training,
    /// It waits, on request.
    Paused,
    /// It has ended in order.
    Ended(RunEnded),
}

impl RunSummary {
    /// Of the events in a log.
    ///
    /// # Errors
    /// As [`log::records`](crate::log::records).
    pub fn read(log: &Path) -> Result<RunSummary> {
        let mut summary = RunSummary::default();
        // One by one: a log can be much larger than the memory.
        for record in timeline::records(log)? {
            summary.apply(&record?);
        }
        Ok(summary)
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
            // A step proves that the run trains, whatever happened to the event that said so.
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

    /// A process begins to train.
    fn begin(&mut self, record: &Record, info: &RunInfo) {
        // Nothing ran between the end of one process and the start of the next.
        if let Some(last) = self.last_time {
            self.began += (record.time - last).max(0.0);
        }
        self.info = Some(info.clone());
        self.state = State::Training;
        self.step = record.step;
    }

    /// How it ended; none while it runs and after a crash.
    pub fn ended(&self) -> Option<&RunEnded> {
        match &self.state {
            State::Ended(ended) => Some(ended),
            _ => None,
        }
    }

    /// Inner steps that it will have taken at its end; 0 while that is not known.
    pub fn total_steps(&self) -> u64 {
        self.info.as_ref().map_or(0, |info| info.total_steps)
    }
}

#[cfg(test)]
mod tests;
