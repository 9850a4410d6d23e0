//! Who is told what happens: the event log always, and besides the dashboard, a progress bar or lines
//! on stderr, and JSON on stdout.
//!
//! | module | what is in it |
//! |---|---|
//! | `log` | the event log, and what waits for it |
//! | `lines` | an event in a line for people |
//! | `bar` | a progress bar, with lines above it |
//! | `readers` | whether what is printed is being read |

mod bar;
pub(crate) mod lines;
mod log;
mod readers;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::Receiver;
use lookahead_dashboard::{Dashboard, Options};
use lookahead_run::RunFolder;
use lookahead_run::command::Command;
use lookahead_run::event::{Event, Record, Step, Task, Warning};
use lookahead_run::log::LogSyncer;

use crate::background_writer::BackgroundWriter;
use crate::console::{self, eprint_line, patience};

use bar::Bar;
pub use lines::EVERY;
use lines::line;
pub(crate) use lines::{Lines, format_loss};
use log::Log;
use readers::Reader;

/// Whether stderr is a terminal on which it is this program's turn to draw.
pub(crate) fn has_a_terminal() -> bool {
    Bar::has_a_place()
}

/// What is shown of a run, and how.
#[derive(Debug, Clone, Default)]
pub struct Show {
    /// The dashboard, where stdout is a terminal.
    pub dashboard: Option<Options>,
    /// From one line for a step to the next. By default a progress bar is in their place where stderr
    /// is a terminal, and [`EVERY`] holds elsewhere.
    pub every: Option<Duration>,
    /// Nothing on stderr but warnings.
    pub quiet: bool,
    /// Every event as a line of JSON on stdout.
    pub json: bool,
}

/// The log and whoever watches.
#[derive(Debug)]
pub struct Observer {
    /// None of a process that keeps no record.
    log: Option<Log>,
    dashboard: Option<Dashboard>,
    lines: Lines,
    bar: Option<Bar>,
    quiet: bool,
    /// Where each event goes as a line of JSON.
    json: Option<BackgroundWriter>,
    stdout: Reader,
    stderr: Reader,
    run: PathBuf,
    /// Of the last event.
    step: u64,
    /// Unix time of the last event.
    last: f64,
    /// The longest time between two events since the last step, in seconds.
    silence: f64,
    /// Steps whose loss is not known yet, and what was recorded after the first of them.
    held: Vec<Record>,
    /// Sum of the losses of steps, and how many, since the last report.
    losses: (f64, u64),
    /// What was published since [`take_recent`](Observer::take_recent).
    recent: Vec<Record>,
}

/// How long the dashboard may take to give the terminal back.
const CLOSING: Duration = Duration::from_secs(2);
/// How long the end of the run waits for a reader of the events who takes some now and then.
const READING: Duration = Duration::from_secs(30);

impl Observer {
    /// Opens the log of a run for appending, and the dashboard where it is wanted and stdout is a
    /// terminal.
    ///
    /// # Errors
    /// Where the log can't be opened.
    pub fn new(folder: &RunFolder, show: &Show) -> anyhow::Result<Self> {
        let log = Log::new(folder.open_log()?);
        let mut dashboard = None;
        // Else they could land on the dashboard's screen, and go with it.
        console::finish();
        if let (Some(options), true) = (&show.dashboard, std::io::stdout().is_terminal()) {
            match lookahead_dashboard::spawn(options.clone()) {
                Ok(live) => dashboard = Some(live),
                Err(error) => eprint_line(format_args!(
                    "The dashboard can't have the terminal ({error}): lines on stderr instead."
                )),
            }
        }
        let with_bar =
            show.every.is_none() && std::io::stderr().is_terminal() && !show.quiet && !show.json;
        let bar = (with_bar && Bar::has_a_place()).then(Bar::default);
        let every = if bar.is_some() { None } else { show.every.or(Some(EVERY)) };
        let json = show.json.then(|| {
            let out = console::unbuffered(std::io::stdout())?;
            BackgroundWriter::new("stdout", out)
        });
        let json = json.transpose().context("The events can't be written to standard output.")?;
        let mut observer = Observer::of_nothing(show.quiet);
        observer.log = Some(log);
        observer.dashboard = dashboard;
        observer.lines = Lines::new(every);
        observer.bar = bar;
        observer.json = json;
        observer.run = folder.path().to_owned();
        Ok(observer)
    }

    /// Of a process that keeps no record: it prints warnings, and nothing else.
    pub(crate) fn follower() -> Self {
        Observer::of_nothing(true)
    }

    fn of_nothing(quiet: bool) -> Self {
        Observer {
            log: None,
            dashboard: None,
            lines: Lines::new(Some(EVERY)),
            bar: None,
            quiet,
            json: None,
            stdout: Reader::new("Standard output", "events"),
            stderr: Reader::new("Standard error", "lines"),
            run: PathBuf::new(),
            step: 0,
            last: f64::NAN,
            silence: 0.0,
            held: Vec::new(),
            losses: (0.0, 0),
            recent: Vec::new(),
        }
    }

    /// What is asked for by keys.
    pub fn commands(&self) -> Receiver<Command> {
        match &self.dashboard {
            Some(dashboard) => dashboard.commands().clone(),
            None => crossbeam_channel::never(),
        }
    }

    /// Writes an event to the log and shows it, once the losses of the steps before it are known. What
    /// comes in every step is written with what comes within the next milliseconds. A log that can't be
    /// written ends no training: what it does not take waits for it.
    pub fn record(&mut self, step: u64, event: Event) {
        let record = self.happened(step, event);
        match self.held.is_empty() {
            true => self.publish(record),
            false => self.held.push(record),
        }
    }

    /// Holds a step back whose loss is not known yet, and with it whatever is recorded until
    /// [`release`](Self::release).
    pub fn hold(&mut self, step: u64, event: Event) {
        let record = self.happened(step, event);
        self.held.push(record);
    }

    /// Records what was held back, with these losses for its steps, and returns the last of the steps.
    /// With fewer losses than steps it ends before the first that has none: that one, and what came after
    /// it, is forgotten.
    pub fn release(&mut self, losses: &[f64]) -> Option<Step> {
        let mut losses = losses.iter();
        let mut last = None;
        for mut record in std::mem::take(&mut self.held) {
            if let Event::Step(step) = &mut record.event {
                let Some(&loss) = losses.next() else { break };
                step.loss = loss;
                last = Some(*step);
            }
            self.publish(record);
        }
        last
    }

    /// What has happened just now.
    fn happened(&mut self, step: u64, event: Event) -> Record {
        let record = Record::now(step, event);
        self.silence = match record.event {
            Event::Step(_) => 0.0,
            _ => self.longest_silence(),
        };
        (self.step, self.last) = (record.step, record.time);
        record
    }

    /// The mean loss of the steps since this was asked last, and how many they are.
    pub fn take_mean_loss(&mut self) -> (f64, u64) {
        let (sum, count) = std::mem::take(&mut self.losses);
        (sum / count as f64, count)
    }

    fn publish(&mut self, record: Record) {
        if let Event::Step(step) = record.event {
            self.losses.0 += step.loss;
            self.losses.1 += 1;
        }
        self.watch_readers(&record);
        self.publish_now(&record);
        self.recent.push(record);
    }

    /// What was published since the last call.
    pub fn take_recent(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.recent)
    }

    fn publish_now(&mut self, record: &Record) {
        let warning = self.log.as_mut().and_then(|log| log.write(record));
        self.show(record);
        if let Some(warning) = warning {
            self.show(&warning);
        }
    }

    /// Reports readers who stop reading and read again, and before the last event what they missed.
    fn watch_readers(&mut self, before: &Record) {
        let streams =
            [(&mut self.stdout, self.json.as_ref()), (&mut self.stderr, console::stderr_writer())];
        let mut messages: Vec<String> = Vec::new();
        for (reader, writer) in streams {
            let Some(writer) = writer else { continue };
            messages.extend(reader.news(writer));
            if let Event::RunEnded(_) = before.event {
                messages.extend(reader.count(writer));
            }
        }
        for message in messages {
            self.publish_now(&Record::now(before.step, Event::Warning(Warning { message })));
        }
    }

    /// Writes what was recorded, with nothing left to wait: before what takes long, and before a
    /// checkpoint, which is not to be there without what came before it.
    pub fn write(&mut self) {
        if let Some(warning) = self.log.as_mut().and_then(Log::write_buffered) {
            self.show(&warning);
        }
    }

    /// The longest time without an event since the last step, in seconds; 0 before the first, and where
    /// the clock was set back.
    pub fn longest_silence(&self) -> f64 {
        (Record::now(0, Event::Unknown).time - self.last).max(self.silence)
    }

    fn show(&mut self, record: &Record) {
        if self.dashboard.as_ref().is_some_and(|dashboard| !dashboard.is_alive()) {
            self.close_dashboard();
        }
        match &self.dashboard {
            Some(dashboard) => dashboard.send(record),
            None => self.say_of(record),
        }
        self.lines.remember(record);
        self.write_json(record);
    }

    fn say_of(&mut self, record: &Record) {
        if self.quiet {
            if let Event::Warning(_) = record.event {
                line(record, Task::default()).into_iter().for_each(eprint_line);
            }
            return;
        }
        let lines = self.lines.of(record);
        match &mut self.bar {
            Some(bar) => {
                bar.show(record, self.lines.run());
                lines.iter().for_each(|line| bar.say(line));
            }
            None => lines.iter().for_each(eprint_line),
        }
    }

    /// The user has left the dashboard, or it has failed: what it alone had told is said, and the rest
    /// goes on without it.
    pub fn close_dashboard(&mut self) {
        let Some(dashboard) = self.dashboard.take() else { return };
        // The keys end before the terminal is given back.
        let _ = dashboard.close(CLOSING);
        self.lines.last_words().into_iter().for_each(eprint_line);
        if !self.quiet {
            eprint_line(format_args!(
                "The dashboard is gone, and the run is not: `lookahead watch {}` shows it again.",
                self.run.display()
            ));
        }
    }

    /// A reader that has enough is no reason to end a training, nor is one that stops reading to hold it
    /// up.
    fn write_json(&mut self, record: &Record) {
        let Some(out) = &self.json else { return };
        if let Some(why) = out.failure() {
            self.json = None;
            eprint_line(format_args!(
                "Warning: No one reads the events on standard output ({why}): training continues, and \
                 the log has them."
            ));
            return;
        }
        // What can't be encoded is missing in the log too, and reported there.
        let Ok(mut line) = serde_json::to_vec(record) else { return };
        line.push(b'\n');
        out.push(&line, |missing| missing_events(missing, record.step));
    }

    /// Waits until the events on standard output are written, for as long as they are being read.
    fn finish_json(&mut self) {
        let Some(out) = self.json.take() else { return };
        if !out.finish(patience(), READING, |missing| missing_events(missing, self.step)) {
            let why = out.failure().or(out.trouble());
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            eprint_line(format_args!(
                "Warning: The last events on standard output were not read{why}; the log has them."
            ));
        }
    }

    /// Moves the events after a step out of the log, before the run continues from the checkpoint of
    /// that step.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn rewind_log(&mut self, step: u64) -> lookahead_run::Result<()> {
        self.log.as_mut().map_or(Ok(()), |log| log.rewind_to(step))
    }

    /// A handle by which another thread makes sure that what was recorded survives a power cut.
    ///
    /// # Errors
    /// Where the system gives none.
    pub fn syncer(&self) -> anyhow::Result<LogSyncer> {
        let log = self.log.as_ref().context("This process keeps no event log.")?;
        Ok(log.syncer())
    }

    /// Writes what the log has not taken, and tries that as often as for the last checkpoint.
    ///
    /// # Errors
    /// Where it does not take all of it, or there was more than could wait.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        self.log.as_mut().map_or(Ok(()), Log::finish)
    }

    /// Gives the terminal back, and leaves the last picture and the outcome in its scrollback.
    pub fn close(&mut self) {
        if let Some(bar) = &mut self.bar {
            bar.end();
        }
        if let Some(dashboard) = self.dashboard.take() {
            if let Some(picture) = dashboard.close(CLOSING) {
                eprint_line(picture);
            }
            self.lines.last_words().into_iter().for_each(eprint_line);
        }
        self.finish_json();
        console::finish();
    }

    /// Whether only warnings are to be said.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.write();
        self.close();
    }
}

/// What takes the place of events that no one read, as a line of JSON.
fn missing_events(count: u64, step: u64) -> String {
    let message = format!(
        "{count} events are missing here: standard output was not being read. The event log has them."
    );
    let warning = Record::now(step, Event::Warning(Warning { message }));
    serde_json::to_string(&warning).map_or_else(|_| String::new(), |line| line + "\n")
}
