//! The best value of the metric by which a run is judged, and how long it did not train, from all of its log, read bit
//! by bit.
//!
//! Only the lines that matter are parsed, so that the logs of many runs are read in little time.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::disk::{self, At};
use crate::error::Result;
use crate::event::{Event, MetricInfo, Record, RunInfo, Split, Task, Weights};
use crate::lines::Lines;

/// How far into a line the kind of its event is looked for before the line is parsed.
const PREFIX: usize = 160;
const KIND: &[u8] = b"\"event\":\"";

/// The best value of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Best {
    /// The step of the evaluated model.
    pub step: u64,
    /// The metric.
    pub metric: MetricInfo,
    /// Its value.
    pub value: f64,
}

/// Reads a log for the best value of the run's final weights on validation data; of a recorded run, the best that it
/// logged.
#[derive(Debug)]
pub struct BestReader {
    log: PathBuf,
    metric: MetricInfo,
    weights: Weights,
    is_recorded: bool,
    /// Device and inode of the log.
    file: Option<(u64, u64)>,
    /// Bytes that were read.
    position: u64,
    /// Steps and values, each better than those before.
    found: Vec<(u64, f64)>,
    idle: Idle,
}

/// The time in which a run did not train.
#[derive(Debug, Default)]
struct Idle {
    /// How long that was.
    seconds: f64,
    /// Since when it is paused.
    paused: Option<f64>,
    /// The beginning of the last line.
    last: Vec<u8>,
}

impl BestReader {
    /// A reader of the log at `log`, of a run that is `info`. Nothing is read yet.
    pub fn new(log: &Path, info: &RunInfo) -> BestReader {
        BestReader {
            log: log.to_owned(),
            metric: info.best_by(),
            weights: info.final_weights(),
            is_recorded: info.task.kind == Task::Recorded,
            file: None,
            position: 0,
            found: Vec::new(),
            idle: Idle::default(),
        }
    }

    /// Whether it judges by the metric and the weights of a run that is `info`.
    pub fn is_of(&self, info: &RunInfo) -> bool {
        (&self.metric, self.weights) == (&info.best_by(), info.final_weights())
    }

    /// Reads about `most` bytes more; returns whether everything that is in the log was read.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn read(&mut self, most: u64) -> Result<bool> {
        let file = match disk::open_plain(&self.log) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(true),
            result => result.at("read", &self.log)?,
        };
        let found = file.metadata().at("look at", &self.log)?;
        let is = Some((found.dev(), found.ino()));
        // A resume replaces the log.
        if self.file != is || found.len() < self.position {
            (self.file, self.position) = (is, 0);
            self.found.clear();
            self.idle = Idle::default();
        }
        let end = self.position.saturating_add(most);
        let mut lines = Lines::from(file, self.position);
        while lines.start() < end {
            let Some(line) = lines.next(u64::MAX).at("read", &self.log)? else {
                self.position = lines.start();
                return Ok(true);
            };
            if self.may_matter(line.bytes)
                && let Ok(record) = line.parse()
            {
                self.idle.apply(&record);
                self.apply(&record);
            }
            self.idle.last.clear();
            self.idle.last.extend_from_slice(beginning(line.bytes));
        }
        self.position = lines.start();
        Ok(false)
    }

    /// The best so far.
    pub fn best(&self) -> Option<Best> {
        let (step, value) = *self.found.last()?;
        Some(Best { step, metric: self.metric.clone(), value })
    }

    /// Seconds in which the run did not train, up to its last event at Unix time `last`: it was paused or suspended, or
    /// had no process.
    pub fn idle(&self, last: f64) -> f64 {
        self.idle.seconds + self.idle.paused.map_or(0.0, |since| (last - since).max(0.0))
    }

    fn may_matter(&self, line: &[u8]) -> bool {
        let prefix = beginning(line);
        let kind = prefix.windows(KIND.len()).position(|bytes| bytes == KIND);
        let Some(at) = kind else { return true };
        let kind = &prefix[at + KIND.len()..];
        let kinds = ["evaluation", "resumed", "paused", "continued", "suspended"];
        let end = kind.iter().position(|byte| *byte == b'"');
        kinds.iter().any(|of| Some(of.len()) == end && kind.starts_with(of.as_bytes()))
            || (self.is_recorded && kind.starts_with(b"scalars\""))
            || end.is_none()
    }

    fn apply(&mut self, record: &Record) {
        let (step, value) = match &record.event {
            // Logs of earlier versions have what was abandoned.
            Event::Resumed(_) => {
                self.found.retain(|(step, _)| *step <= record.step);
                return;
            }
            Event::Evaluation(found)
                if found.split == Split::Validation && found.weights == self.weights =>
            {
                (found.model_step.unwrap_or(record.step), found.value(&self.metric.name))
            }
            Event::Scalars(scalars) if self.is_recorded => {
                (record.step, scalars.values.get(&self.metric.name).copied())
            }
            _ => return,
        };
        let Some(value) = value.filter(|value| value.is_finite()) else { return };
        let best = self.found.last();
        if best.is_none_or(|(_, best)| self.metric.is_better(value, *best)) {
            self.found.push((step, value));
        }
    }
}

impl Idle {
    /// Takes the next event of those that matter.
    fn apply(&mut self, record: &Record) {
        let since = match &record.event {
            Event::Paused => {
                self.paused.get_or_insert(record.time);
                None
            }
            Event::Continued => self.paused.take(),
            Event::Resumed(_) => self.paused.take().or_else(|| time_of(&self.last)),
            Event::Suspended(found) if self.paused.is_none() => Some(record.time - found.seconds),
            _ => None,
        };
        self.seconds += since.map_or(0.0, |since| (record.time - since).max(0.0));
    }
}

/// The part of a line that is looked at before it is parsed.
fn beginning(line: &[u8]) -> &[u8] {
    &line[..line.len().min(PREFIX)]
}

/// The time of the event of which this is the beginning.
fn time_of(line: &[u8]) -> Option<f64> {
    let line = String::from_utf8_lossy(line);
    let (_, rest) = line.split_once("\"time\":")?;
    rest.split([',', '}']).next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
