//! `lookahead watch` on a terminal that can't draw: the events of the runs as lines.

use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use lookahead_run::event::Record;
use lookahead_run::folder::SILENCE;
use lookahead_run::{LogItem, LogTail, RunFolder, RunSummary, Writer, program_name};

use crate::console::{eprint_line, print_line};
use crate::observer::{EVERY, Lines};

/// The interval in which the logs are read.
const POLL: Duration = Duration::from_millis(200);
/// The most events that are read from a log at once.
const AT_ONCE: usize = 4096;

/// Writes the events of the runs to stdout until all of them have ended.
pub(super) fn watch(runs: &[RunFolder], later: Option<Receiver<RunFolder>>) -> anyhow::Result<()> {
    let mut all: Vec<Watched> = runs.iter().map(Watched::new).collect();
    // A sweep may start more runs at any time.
    let may_grow = later.is_some();
    while may_grow || all.iter().any(|run| !run.has_finished) {
        all.extend(later.iter().flat_map(|later| later.try_iter()).map(|run| Watched::new(&run)));
        let is_single = all.len() == 1;
        let mut is_new = false;
        for run in &mut all {
            is_new |= run.look(is_single)?;
        }
        if !is_new {
            thread::sleep(POLL);
        }
    }
    Ok(())
}

struct Watched {
    run: RunFolder,
    tail: LogTail,
    lines: Lines,
    heard: Instant,
    summary: RunSummary,
    /// The times of the first and the last event that were written, once the log is read again.
    written: Option<(f64, f64)>,
    has_finished: bool,
    reported: Option<String>,
}

impl Watched {
    fn new(run: &RunFolder) -> Self {
        Watched {
            run: run.clone(),
            tail: LogTail::new(&run.events_path()),
            lines: Lines::new(Some(EVERY)),
            heard: Instant::now(),
            summary: RunSummary::default(),
            written: None,
            has_finished: false,
            reported: None,
        }
    }

    /// Writes the lines of new events; whether there are any.
    fn look(&mut self, is_single: bool) -> anyhow::Result<bool> {
        let found = match self.tail.read(AT_ONCE) {
            Ok(found) => found,
            Err(error) => {
                let why = error.to_string();
                if self.reported.as_ref() != Some(&why) {
                    eprint_line(&why);
                    self.reported = Some(why);
                }
                return Ok(false);
            }
        };
        let is_new = !found.is_empty();
        for item in found {
            let lines = match item {
                LogItem::Record(record) => self.lines_of(&record),
                LogItem::Restarted => {
                    let before = std::mem::take(&mut self.summary);
                    self.written = self.written.or(before.first_time.zip(before.last_time));
                    Vec::new()
                }
                LogItem::Damaged { line, cause } => {
                    vec![format!("Skipped line {line} of the log: {cause}.")]
                }
            };
            for line in lines.iter().flat_map(|line| line.lines()) {
                self.write(line, is_single)?;
            }
        }
        if is_new {
            self.heard = Instant::now();
            return Ok(true);
        }
        self.tail.rest();
        let had_finished = self.has_finished;
        let is_gone = self.run.writer().is_ok_and(|writer| writer == Writer::Gone);
        let has_crashed = is_gone && self.heard.elapsed() >= SILENCE;
        self.has_finished = self.summary.events > 0 && (self.has_ended() || has_crashed);
        if self.has_finished && !had_finished && !self.has_ended() {
            let line = format!(
                "Crashed: its process is gone, and its log has no end. `{} resume` resumes it from its newest \
                 checkpoint.",
                program_name()
            );
            self.write(&line, is_single)?;
        }
        Ok(false)
    }

    fn has_ended(&self) -> bool {
        self.summary.ended().is_some()
    }

    /// The lines of an event, unless they were written before the log was read again.
    fn lines_of(&mut self, record: &Record) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some((first, last)) = self.written {
            let is_first = self.summary.events == 0;
            if is_first && record.time != first {
                lines.push("The log starts again: it belongs to another run.".to_owned());
                self.written = None;
            } else if record.time > last {
                self.written = None;
            }
        }
        self.summary.apply(record);
        if self.written.is_none() {
            lines.extend(self.lines.of(record));
        }
        self.lines.remember(record);
        lines
    }

    /// Writes a line, after the run's name if there are several. Control characters in a log must not reach the
    /// terminal.
    fn write(&self, line: &str, is_single: bool) -> anyhow::Result<()> {
        let name = if is_single { String::new() } else { format!("{}: ", self.run.name()) };
        let line: String = format!("{name}{line}").chars().filter(|c| !c.is_control()).collect();
        Ok(print_line(line)?)
    }
}
