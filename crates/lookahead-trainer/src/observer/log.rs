//! The event log, and what waits for it: for some milliseconds, or while it can't be written.

use std::time::{Duration, Instant};

use anyhow::Context;
use lookahead_run::EventLog;
use lookahead_run::event::{Event, Record, Warning};
use lookahead_run::log::LogSyncer;

use crate::checkpointing::LAST_ATTEMPTS;

/// The event log, and what waits for it.
#[derive(Debug)]
pub(super) struct Log {
    log: EventLog,
    /// Of the last record.
    step: u64,
    /// Records that found no room to wait in.
    lost: u64,
    /// When it was written last.
    written: Option<Instant>,
    /// When it was tried last, since it failed.
    failed: Option<Instant>,
}

/// How long a record that comes often waits for others, so that one write does for all: one for each
/// step takes about as long as ten records take to encode. Shorter than anybody sees.
const GATHERING: Duration = Duration::from_millis(20);
/// Records that wait for a log that can't be written, at most: some megabytes.
const WAITING: usize = 1 << 15;
/// Places of these for records that come seldom.
const RESERVED: usize = 1 << 10;
/// How long after a failed attempt the next one is made.
const PAUSE: Duration = Duration::from_secs(1);

impl Log {
    pub(super) fn new(log: EventLog) -> Self {
        Log { log, step: 0, lost: 0, written: None, failed: None }
    }

    /// A handle by which another thread makes sure that what was written survives a power cut.
    pub(super) fn syncer(&self) -> LogSyncer {
        self.log.syncer()
    }

    /// Moves what follows a step out of the log: see [`EventLog::rewind_to`].
    pub(super) fn rewind_to(&mut self, step: u64) -> lookahead_run::Result<()> {
        self.log.rewind_to(step).map(drop)
    }

    /// Writes a record, or lets it wait; a warning for the watchers when writing fails for the first time.
    pub(super) fn write(&mut self, record: &Record) -> Option<Record> {
        let often = record.event.is_frequent();
        let room = if often { WAITING - RESERVED } else { WAITING };
        self.step = record.step;
        // Room on the disk would not help one that is too large.
        let waits = self.log.buffered() < room && self.log.buffer(record).is_ok();
        self.lost += u64::from(!waits);
        if often && self.written.is_some_and(|at| at.elapsed() < GATHERING) {
            return None;
        }
        self.write_buffered()
    }

    /// Writes what waits; a warning for the watchers when that fails for the first time.
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
            "THE EVENT LOG CAN'T BE WRITTEN: {error} Training goes on, checkpoints are saved, and \
             what is to be logged waits until that is mended."
        );
        let warning = Record::now(self.step, Event::Warning(Warning { message }));
        self.lost += u64::from(self.log.buffer(&warning).is_err());
        Some(warning)
    }

    /// Writes all that waits, and tells in the log of what could not.
    fn empty(&mut self) -> lookahead_run::Result<()> {
        let written = self.log.write().and_then(|()| self.tell_of_lost());
        self.written = Some(Instant::now());
        self.failed = written.is_err().then(Instant::now);
        written
    }

    fn tell_of_lost(&mut self) -> lookahead_run::Result<()> {
        if self.lost == 0 {
            return Ok(());
        }
        let message = format!(
            "{} events are missing here: the log could not be written, and no more could wait for it.",
            self.lost
        );
        self.log.append(&Record::now(self.step, Event::Warning(Warning { message })))?;
        self.lost = 0;
        Ok(())
    }

    /// Writes what waits, at the end: as often as the last checkpoint is tried.
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
