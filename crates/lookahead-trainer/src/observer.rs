//! Who is told what happens: the event log always, and the dashboard or plain lines on stderr.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::Receiver;
use lookahead_dashboard::Dashboard;
use lookahead_run::EventLog;
use lookahead_run::command::Command;
use lookahead_run::event::{Evaluation, Event, Record, RunInfo, Split, Status, Warning, Weights};
use lookahead_run::log::LogSyncer;

use crate::say::say;

/// The log and whoever watches.
#[derive(Debug)]
pub struct Observer {
    log: Log,
    dashboard: Option<Dashboard>,
    lines: Lines,
}

/// How long the dashboard may take to give the terminal back.
const CLOSING: Duration = Duration::from_secs(2);

impl Observer {
    /// Opens the log for appending, and the dashboard where stdout is a terminal and `tui` allows.
    ///
    /// # Errors
    /// Where the log can't be opened.
    pub fn new(events: &Path, tui: bool) -> anyhow::Result<Self> {
        let log = Log::new(EventLog::open(events)?);
        let mut dashboard = None;
        if tui && std::io::stdout().is_terminal() {
            match lookahead_dashboard::spawn(lookahead_dashboard::Options::default()) {
                Ok(live) => dashboard = Some(live),
                Err(error) => {
                    say(format_args!(
                        "The dashboard can't have the terminal ({error}): plain lines instead."
                    ));
                }
            }
        }
        Ok(Observer { log, dashboard, lines: Lines::default() })
    }

    /// What is asked for by keys.
    pub fn commands(&self) -> Receiver<Command> {
        match &self.dashboard {
            Some(dashboard) => dashboard.commands().clone(),
            None => crossbeam_channel::never(),
        }
    }

    /// Writes an event to the log and shows it. A log that can't be written ends no training: what
    /// it does not take waits for it.
    pub fn record(&mut self, step: u64, event: Event) {
        let record = Record::now(step, event);
        self.show(&record);
        if let Some(warning) = self.log.write(record) {
            self.show(&warning);
        }
    }

    fn show(&mut self, record: &Record) {
        match &self.dashboard {
            Some(dashboard) if dashboard.is_alive() => dashboard.send(record),
            _ => self.lines.show(record),
        }
        self.lines.remember(record);
    }

    /// A handle by which another thread makes sure that what was recorded survives a power cut.
    ///
    /// # Errors
    /// Where the system gives none.
    pub fn syncer(&self) -> anyhow::Result<LogSyncer> {
        Ok(self.log.log.syncer()?)
    }

    /// The last attempt to write what the log has not taken.
    ///
    /// # Errors
    /// Where it does not take all of it, or there was more than could wait.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        self.log.finish()
    }

    /// Gives the terminal back, and leaves the last picture and the outcome in its scrollback.
    pub fn close(&mut self) {
        if let Some(dashboard) = self.dashboard.take() {
            if let Some(picture) = dashboard.close(CLOSING) {
                say(picture);
            }
            self.lines.summarize();
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.close();
    }
}

/// The event log, and what waits for it while it can't be written.
#[derive(Debug)]
struct Log {
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
    fn new(log: EventLog) -> Self {
        Log { log, waiting: VecDeque::new(), lost: 0, failed: None }
    }

    /// Writes a record, or lets it wait; a warning for the watchers when that begins.
    fn write(&mut self, record: Record) -> Option<Record> {
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

    fn finish(&mut self) -> anyhow::Result<()> {
        let count = self.waiting.len() as u64 + self.lost;
        self.empty().with_context(|| {
            format!("The last {count} events of the run could not be logged, and are lost.")
        })
    }
}

/// Plain lines on stderr.
#[derive(Debug, Default)]
struct Lines {
    run: Option<Box<RunInfo>>,
    shown: Option<Instant>,
    last: Vec<String>,
}

/// Lines that are said again after the dashboard closed, at most.
const LAST_WORDS: usize = 100;
/// At most one line for steps in this time.
const PACE: Duration = Duration::from_secs(5);

impl Lines {
    fn show(&mut self, record: &Record) {
        if let Some(line) = self.line(record) {
            say(line);
        }
    }

    /// Keeps what is worth saying again after the dashboard closed.
    fn remember(&mut self, record: &Record) {
        match &record.event {
            Event::RunStarted(info) => self.run = Some(Box::new(info.clone())),
            Event::Resumed(resumed) => self.run = Some(Box::new(resumed.info.clone())),
            Event::Evaluation(Evaluation { split: Split::Test, .. })
            | Event::Warning(_)
            | Event::RunEnded(_) => {
                let line = self.line(record);
                self.last.extend(line);
                // Of very many warnings the latest are enough.
                let surplus = self.last.len().saturating_sub(LAST_WORDS);
                self.last.drain(..surplus);
            }
            _ => {}
        }
    }

    fn summarize(&mut self) {
        for line in self.last.drain(..) {
            say(line);
        }
    }

    fn line(&mut self, record: &Record) -> Option<String> {
        let step = record.step;
        match &record.event {
            Event::RunStarted(info) => Some(headline(info)),
            Event::Resumed(resumed) => {
                Some(format!("{}\nGoing on from {}.", headline(&resumed.info), resumed.checkpoint))
            }
            Event::Step(taken) => {
                if self.shown.is_some_and(|shown| shown.elapsed() < PACE) {
                    return None;
                }
                self.shown = Some(Instant::now());
                let total = self.run.as_ref().map_or(0, |run| run.total_steps);
                Some(format!(
                    "step {step}/{total}  epoch {}  loss {:.4}  lr {:.3e}  {:.0} samples/s",
                    taken.epoch, taken.loss, taken.learning_rate, taken.samples_per_second
                ))
            }
            Event::Evaluation(found) => {
                let weights = match found.weights {
                    Weights::Slow => "φ (slow)",
                    Weights::Fast => "θ (fast)",
                };
                let split = match found.split {
                    Split::Validation => "validation",
                    Split::Test => "test",
                };
                Some(format!(
                    "step {step}  {split:10} at {weights}: loss {:.4}, accuracy {:.2} %",
                    found.loss,
                    100.0 * found.accuracy
                ))
            }
            Event::Checkpoint(saved) => Some(format!("step {step}  saved {}", saved.name)),
            Event::Paused => Some(format!("step {step}  paused")),
            Event::Continued => Some(format!("step {step}  going on")),
            Event::Note(note) => Some(note.message.clone()),
            Event::Warning(warning) => Some(format!("Warning: {}", warning.message)),
            Event::RunEnded(ended) => {
                let how = match ended.status {
                    Status::Finished => "Finished",
                    Status::Stopped => "Stopped",
                    Status::Failed => "Failed",
                };
                let why = ended.message.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                Some(format!("{how} at step {step}{why}"))
            }
            Event::Changed(_) | Event::Timing(_) | Event::System(_) => None,
            Event::Sync(_) | Event::Probe(_) | Event::Unknown => None,
        }
    }
}

fn headline(info: &RunInfo) -> String {
    let around = match info.lookahead {
        Some(lookahead) => format!("Lookahead(k {}, α {}) around ", lookahead.k, lookahead.alpha),
        None => String::new(),
    };
    format!(
        "{}: {} on {}, {around}{}, {} parameters, {} steps on {} with {} thread{}",
        info.run,
        info.model,
        info.data,
        info.optimizer,
        info.parameters,
        info.total_steps,
        info.device,
        info.threads,
        if info.threads == 1 { "" } else { "s" }
    )
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
        log.finish().unwrap();

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
