//! The event log, and events that wait for it: for some milliseconds, or while it can't be written.

use std::time::{Duration, Instant};

use anyhow::Context;
use lookahead_run::EventLog;
use lookahead_run::event::{Event, Record, Warning};
use lookahead_run::log::LogSyncer;

use crate::checkpointing::LAST_ATTEMPTS;

/// The event log, and events that wait for it.
#[derive(Debug)]
pub(super) struct Log {
    log: EventLog,
    /// Of the last record.
    step: u64,
    /// Records that were dropped.
    lost: u64,
    /// When it was written last.
    written: Option<Instant>,
    /// When writing failed last.
    failed: Option<Instant>,
}

/// How long a frequent record waits for others, so that one write is enough for all: a write takes as long as encoding ten
/// records. Too short to be seen.
const BUFFERING: Duration = Duration::from_millis(20);
/// The most records that wait for a log that can't be written: some megabytes.
const WAITING: usize = 1 << 15;
/// How many of these are for rare records.
const RESERVED: usize = 1 << 10;
/// The time from a failed attempt to the next.
const PAUSE: Duration = Duration::from_secs(1);

impl Log {
    pub(super) fn new(log: EventLog) -> Self {
        Log { log, step: 0, lost: 0, written: None, failed: None }
    }

    /// A handle by which another thread makes what was written survive a power cut.
    pub(super) fn syncer(&self) -> LogSyncer {
        self.log.syncer()
    }

    /// Moves what follows a step out of the log: see [`EventLog::rewind_to`].
    pub(super) fn rewind_to(&mut self, step: u64) -> lookahead_run::Result<()> {
        self.log.rewind_to(step).map(drop)
    }

    /// Writes a record, or lets it wait. Returns a warning for the screen when writing fails for the first time.
    pub(super) fn write(&mut self, record: &Record) -> Option<Record> {
        let is_frequent = record.event.is_frequent();
        let room = if is_frequent { WAITING - RESERVED } else { WAITING };
        self.step = record.step;
        // Room on the disk would not help one that is too large.
        let waits = self.log.buffered() < room && self.log.buffer(record).is_ok();
        self.lost += u64::from(!waits);
        if is_frequent && self.written.is_some_and(|at| at.elapsed() < BUFFERING) {
            return None;
        }
        self.write_buffered()
    }

    /// Writes the records that wait. Returns a warning for the screen when that fails for the first time.
    pub(super) fn write_buffered(&mut self) -> Option<Record> {
        if self.failed.is_some_and(|at| at.elapsed() < PAUSE) {
            return None;
        }
        let began = self.failed.is_none();
        let error = self.empty().err()?;
        if !began {
            return None;
        }
        let message = format!(
            "THE EVENT LOG CAN'T BE WRITTEN: {error} Training continues, checkpoints are saved, and events wait for the \
             log."
        );
        let warning = Record::now(self.step, Event::Warning(Warning { message }));
        self.lost += u64::from(self.log.buffer(&warning).is_err());
        Some(warning)
    }

    /// Writes the records that wait, and how many were dropped.
    fn empty(&mut self) -> lookahead_run::Result<()> {
        let written = self.log.write().and_then(|()| self.write_lost());
        self.written = Some(Instant::now());
        self.failed = written.is_err().then(Instant::now);
        written
    }

    fn write_lost(&mut self) -> lookahead_run::Result<()> {
        if self.lost == 0 {
            return Ok(());
        }
        let message = format!(
            "{} events are missing here: the log could not be written, and too many waited for it.",
            self.lost
        );
        self.log.append(&Record::now(self.step, Event::Warning(Warning { message })))?;
        self.lost = 0;
        Ok(())
    }

    /// Writes the records that wait at the end, with as many attempts as for the last checkpoint.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        let count = self.log.buffered() as u64 + self.lost;
        for pause in LAST_ATTEMPTS {
            match self.empty() {
                Ok(()) => return Ok(()),
                Err(_) if !pause.is_zero() => std::thread::sleep(pause),
                failed => failed.with_context(|| {
                    format!("The last {count} events of the run could not be logged, and are lost.")
                })?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
