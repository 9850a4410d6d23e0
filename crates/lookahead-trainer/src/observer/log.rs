//! The event log, and what waits for it while it can't be written.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::Context;
use lookahead_run::EventLog;
use lookahead_run::event::{Event, Record, Warning};
use lookahead_run::log::LogSyncer;

/// The event log, and what waits for it while it can't be written.
#[derive(Debug)]
pub(super) struct Log {
    log: EventLog,
    waiting: VecDeque<Record>,
    /// Records that found no room to wait in.
    lost: u64,
    /// When it was tried last, since it failed.
    failed: Option<Instant>,
}

/// Records that wait for a log that can't be written, at most: some megabytes.
const WAITING: usize = 1 << 15;
/// Places of these for records that come seldom.
const RESERVED: usize = 1 << 10;
/// How long after a failed attempt the next one is made.
const PAUSE: Duration = Duration::from_secs(1);

impl Log {
    pub(super) fn new(log: EventLog) -> Self {
        Log { log, waiting: VecDeque::new(), lost: 0, failed: None }
    }

    /// The byte of the file at which the next record's line will begin; unknown while others wait.
    pub(super) fn next_line(&self) -> Option<u64> {
        self.waiting.is_empty().then(|| self.log.end())
    }

    /// A handle by which another thread makes sure that what was written survives a power cut.
    pub(super) fn syncer(&self) -> lookahead_run::Result<LogSyncer> {
        self.log.syncer()
    }

    /// Writes a record, or lets it wait; a warning for the watchers when that begins.
    pub(super) fn write(&mut self, record: Record) -> Option<Record> {
        let step = record.step;
        let seldom = !matches!(record.event, Event::Step(_) | Event::Sync(_) | Event::Probe(_));
        let room = if seldom { WAITING } else { WAITING - RESERVED };
        match self.waiting.len() < room {
            true => self.waiting.push_back(record),
            false => self.lost += 1,
        }
        if self.failed.is_some_and(|at| at.elapsed() < PAUSE) {
            return None;
        }
        let began = self.failed.is_none();
        let error = self.empty().err()?;
        began.then(|| {
            let message = format!(
                "THE EVENT LOG CAN'T BE WRITTEN: {error} Training goes on, checkpoints are saved, and \
                 what is to be logged waits until that is mended."
            );
            let warning = Record::now(step, Event::Warning(Warning { message }));
            self.waiting.push_back(warning.clone());
            warning
        })
    }

    /// Writes all that waits, and tells in the log of what could not.
    fn empty(&mut self) -> lookahead_run::Result<()> {
        let written = self.write_waiting();
        self.failed = written.is_err().then(Instant::now);
        written
    }

    fn write_waiting(&mut self) -> lookahead_run::Result<()> {
        while let Some(record) = self.waiting.front() {
            match self.log.append(record) {
                // Room on the disk would not help that one.
                Err(lookahead_run::Error::EventTooLarge { .. }) => self.lost += 1,
                result => result?,
            }
            let step = record.step;
            self.waiting.pop_front();
            if self.waiting.is_empty() && self.lost > 0 {
                let message = format!(
                    "{} events are missing here: the log could not be written, and no more could \
                     wait for it.",
                    self.lost
                );
                self.log.append(&Record::now(step, Event::Warning(Warning { message })))?;
                self.lost = 0;
            }
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        let count = self.waiting.len() as u64 + self.lost;
        self.empty().with_context(|| {
            format!("The last {count} events of the run could not be logged, and are lost.")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// As on a full disk: no file of this process can grow beyond so many bytes.
    fn limit(bytes: Option<u64>) {
        let maximum = getrlimit(Resource::Fsize).maximum;
        setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
    }

    fn step(step: u64) -> Record {
        let (epoch, loss, learning_rate, samples_per_second, phase) = (0, 0.5, 0.1, 9.0, 1);
        let taken =
            lookahead_run::event::Step { epoch, loss, learning_rate, samples_per_second, phase };
        Record::now(step, Event::Step(taken))
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_logged_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        // Else the signal ends the process.
        let signalled = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGXFSZ, signalled).unwrap();
        let mut log = Log::new(EventLog::open(&path).unwrap());
        limit(Some(1000));
        let warnings: Vec<u64> =
            (1..=100).filter_map(|i| log.write(step(i))).map(|warning| warning.step).collect();
        assert_eq!(warnings.len(), 1, "one is enough");
        let error = format!("{:#}", log.finish().unwrap_err());
        limit(None);
        assert!(error.contains("events of the run could not be logged"), "{error}");
        assert_eq!(log.next_line(), None, "others come first");
        log.finish().unwrap();
        assert_eq!(log.next_line(), Some(path.metadata().unwrap().len()));

        let records = lookahead_run::log::read(&path).unwrap();
        let steps: Vec<u64> = records
            .iter()
            .filter(|record| matches!(record.event, Event::Step(_)))
            .map(|record| record.step)
            .collect();
        assert_eq!(steps, (1..=100).collect::<Vec<_>>());
        let told = records.iter().filter(|record| matches!(record.event, Event::Warning(_)));
        assert_eq!(told.map(|record| record.step).collect::<Vec<_>>(), warnings);
    }

    #[test]
    fn no_more_waits_than_there_is_room_for_and_what_is_lost_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut log = Log::new(EventLog::open(&path).unwrap());
        // As after a failed attempt just now.
        log.failed = Some(Instant::now() + Duration::from_secs(3600));
        for i in 0..WAITING as u64 {
            assert!(log.write(step(i)).is_none());
        }
        assert!(log.write(Record::now(7, Event::Paused)).is_none());
        assert_eq!(log.waiting.len(), WAITING - RESERVED + 1, "what comes seldom has places");
        log.finish().unwrap();
        let records = lookahead_run::log::read(&path).unwrap();
        assert_eq!(records[WAITING - RESERVED].event, Event::Paused);
        let Event::Warning(warning) = &records.last().unwrap().event else { panic!() };
        assert!(warning.message.starts_with("1024 events are missing here"), "{warning:?}");
    }
}
