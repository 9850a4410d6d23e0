//! Who is told what happens: the event log always, and the dashboard or plain lines on stderr.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use lookahead_dashboard::Dashboard;
use lookahead_run::EventLog;
use lookahead_run::command::Command;
use lookahead_run::event::{Evaluation, Event, Record, RunInfo, Split, Status, Weights};

use crate::say::say;

/// The log and whoever watches.
#[derive(Debug)]
pub struct Observer {
    log: EventLog,
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
        let log = EventLog::open(events)?;
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

    /// Writes an event to the log and shows it.
    ///
    /// # Errors
    /// Where the log can't be written.
    pub fn record(&mut self, step: u64, event: Event) -> anyhow::Result<()> {
        let record = Record::now(step, event);
        self.log.append(&record)?;
        match &self.dashboard {
            Some(dashboard) if dashboard.is_alive() => dashboard.send(&record),
            _ => self.lines.show(&record),
        }
        self.lines.remember(&record);
        Ok(())
    }

    /// Makes sure that what was recorded survives a power cut.
    ///
    /// # Errors
    /// Where the disk says no.
    pub fn sync(&self) -> anyhow::Result<()> {
        Ok(self.log.sync()?)
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

/// Plain lines on stderr.
#[derive(Debug, Default)]
struct Lines {
    run: Option<Box<RunInfo>>,
    shown: Option<Instant>,
    last: Vec<String>,
}

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
