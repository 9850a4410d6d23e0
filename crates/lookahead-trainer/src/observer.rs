//! Shows what happens in a run: in the event log always, and in the dashboard, a progress bar or lines on stderr, as JSON
//! on stdout, and in TensorBoard.
//!
//! | module | what is in it |
//! |---|---|
//! | `log` | the event log, and events that wait for it |
//! | `tensorboard` | the event file for TensorBoard |
//! | `lines` | an event as a line of text |
//! | `bar` | a progress bar, with lines above it |
//! | `sink` | events of another thread |
//! | `readers` | whether the output is being read |

mod bar;
pub(crate) mod lines;
mod log;
mod readers;
pub(crate) mod sink;
mod tensorboard;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::Receiver;
use lookahead_dashboard::{Dashboard, Options};
use lookahead_run::command::Command;
use lookahead_run::event::{Event, Record, Step, Warning, unix_time};
use lookahead_run::log::LogSyncer;
use lookahead_run::{RunFolder, program_name};

use lookahead_run::words::reason;

use crate::alerts::Alerts;
use crate::background_writer::BackgroundWriter;
use crate::config::alert::AlertConfig;
use crate::console::{self, eprint_line, patience};
use crate::controls::LATE_SIGNAL;

use bar::Bar;
pub use lines::EVERY;
pub(crate) use lines::Lines;
use lines::WARNING;
use log::Log;
use readers::Reader;
use sink::{EventSink, lock};
use tensorboard::TensorBoard;

/// Whether stderr is a terminal on which this program may draw.
pub(crate) fn has_a_terminal() -> bool {
    Bar::can_draw()
}

/// How to show a run.
#[derive(Debug, Clone, Default)]
pub struct Show {
    /// The dashboard, if stdout is a terminal.
    pub dashboard: Option<Options>,
    /// The time from one line for a step to the next. Default: a progress bar if stderr is a terminal, else [`EVERY`].
    pub every: Option<Duration>,
    /// Only warnings on stderr.
    pub quiet: bool,
    /// Every event as a line of JSON on stdout.
    pub json: bool,
}

/// The log, and the screen.
#[derive(Debug)]
pub struct Observer {
    /// Its log is none in a process that keeps no record. Another thread may have a copy.
    sink: EventSink,
    /// If the run writes a file for it.
    tensorboard: Option<TensorBoard>,
    dashboard: Option<Dashboard>,
    lines: Lines,
    bar: Option<Bar>,
    quiet: bool,
    /// Writes each event as a line of JSON.
    json: Option<BackgroundWriter>,
    /// Of stdout and of stderr.
    readers: [Reader; 2],
    /// If the config has some.
    run: PathBuf,
    /// Of the last event.
    step: u64,
    silence: Silence,
    /// Steps whose loss is not known yet, and what was recorded since the first of them.
    held: Vec<Record>,
    /// Sum of the losses of steps, and how many, since the last report.
    losses: (f64, u64),
    /// What was published since [`take_recent`](Observer::take_recent).
    recent: Vec<Record>,
}

/// How long the dashboard may take to restore the terminal.
const CLOSING: Duration = Duration::from_secs(2);
/// How long the end of the run waits for a slow reader of the events.
const READING: Duration = Duration::from_secs(30);

/// Times between two events, in seconds.
#[derive(Debug)]
struct Silence {
    /// Unix time of the last event; NaN before the first.
    last: f64,
    /// The longest since the last step.
    longest: f64,
    /// The longest of the steps of the last moments, and the Unix time at the end of its step.
    recent: (f64, f64),
}

impl Silence {
    fn step_ends(&mut self, time: f64) {
        let longest = std::mem::take(&mut self.longest);
        if longest >= self.recent_at(time) {
            self.recent = (longest, time);
        }
    }

    fn recent_at(&self, time: f64) -> f64 {
        let (silence, ended) = self.recent;
        if time - ended < LATE_SIGNAL.as_secs_f64() { silence } else { 0.0 }
    }
}

impl Observer {
    /// Opens the log of a run for appending, and the dashboard if it is wanted and stdout is a terminal.
    ///
    /// # Errors
    /// If the log can't be opened.
    pub fn new(folder: &RunFolder, show: &Show) -> anyhow::Result<Self> {
        let log = Arc::new(Mutex::new(Log::new(folder.open_log()?)));
        let mut dashboard = None;
        // Lines that come later would land on the dashboard's screen.
        console::finish();
        if let (Some(options), true) = (&show.dashboard, std::io::stdout().is_terminal()) {
            let folder = Some(folder.path().to_owned());
            match lookahead_dashboard::spawn(Options { folder, ..options.clone() }) {
                Ok(live) => dashboard = Some(live),
                Err(error) => eprint_line(format_args!(
                    "The dashboard can't use the terminal ({}). Lines on stderr instead.",
                    reason(&error)
                )),
            }
        }
        let with_bar =
            show.every.is_none() && std::io::stderr().is_terminal() && !show.quiet && !show.json;
        let bar = (with_bar && Bar::can_draw()).then(Bar::default);
        let every = if bar.is_some() { None } else { show.every.or(Some(EVERY)) };
        let json = show.json.then(|| {
            let out = console::unbuffered(std::io::stdout())?;
            BackgroundWriter::new("stdout", out)
        });
        let json = json.transpose().context("The events can't be written to standard output.")?;
        let mut observer = Observer::empty(show.quiet);
        observer.sink.log = Some(log);
        observer.dashboard = dashboard;
        observer.lines = Lines::new(every);
        observer.bar = bar;
        observer.json = json;
        observer.run = folder.path().to_owned();
        Ok(observer)
    }

    /// Writes a file for TensorBoard too, from the next event on.
    pub fn write_tensorboard(&mut self, folder: &RunFolder) {
        self.tensorboard = Some(TensorBoard::new(folder));
    }

    /// Delivers alerts too, from the next event on.
    ///
    /// # Errors
    /// If the address for them is missing.
    pub(crate) fn deliver_alerts(
        &mut self,
        folder: &RunFolder,
        config: &AlertConfig,
    ) -> anyhow::Result<()> {
        *lock(&self.sink.alerts) = Alerts::new(folder, config)?;
        Ok(())
    }

    /// For a process that keeps no record: it prints only warnings.
    pub(crate) fn follower() -> Self {
        Observer::empty(true)
    }

    fn empty(quiet: bool) -> Self {
        Observer {
            sink: EventSink::default(),
            tensorboard: None,
            dashboard: None,
            lines: Lines::new(Some(EVERY)),
            bar: None,
            quiet,
            json: None,
            readers: [
                Reader::new("Standard output", "events"),
                Reader::new("Standard error", "lines"),
            ],
            run: PathBuf::new(),
            step: 0,
            silence: Silence { last: f64::NAN, longest: 0.0, recent: (0.0, 0.0) },
            held: Vec::new(),
            losses: (0.0, 0),
            recent: Vec::new(),
        }
    }

    /// Commands by keys.
    pub fn commands(&self) -> Receiver<Command> {
        match &self.dashboard {
            Some(dashboard) => dashboard.commands().clone(),
            None => crossbeam_channel::never(),
        }
    }

    /// Writes an event to the log and shows it, once the losses of the steps before it are known. Frequent events are
    /// written with those of the next milliseconds. If the log can't be written, events wait for it, and the training
    /// continues.
    pub fn record(&mut self, step: u64, event: Event) {
        let record = self.happened(step, event);
        if self.held.is_empty() {
            self.publish(record);
        } else {
            self.held.push(record);
        }
    }

    /// Holds back a step whose loss is not known yet, and all that is recorded until [`release`](Self::release).
    pub fn hold(&mut self, step: u64, event: Event) {
        let record = self.happened(step, event);
        self.held.push(record);
    }

    /// Records what was held back, with these losses for its steps, and returns the last step. With fewer losses than
    /// steps, the first step without a loss and all that follows is dropped.
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

    /// The record of an event that happens now.
    fn happened(&mut self, step: u64, event: Event) -> Record {
        let record = Record::now(step, event);
        self.silence.longest = self.silence.longest.max(self.since_the_last(record.time));
        if let Event::Step(_) = record.event {
            self.silence.step_ends(record.time);
        }
        (self.step, self.silence.last) = (record.step, record.time);
        record
    }

    /// The mean loss of the steps since the last call, and their number.
    pub fn take_mean_loss(&mut self) -> (f64, u64) {
        let (sum, count) = std::mem::take(&mut self.losses);
        (sum / count as f64, count)
    }

    fn publish(&mut self, record: Record) {
        if let Event::Step(step) = record.event {
            self.losses.0 += step.loss;
            self.losses.1 += 1;
        }
        self.sink.take_unshown().iter().for_each(|record| self.display(record));
        self.watch_readers(&record);
        self.publish_now(&record);
        self.recent.push(record);
    }

    /// What was published since the last call.
    pub fn take_recent(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.recent)
    }

    fn publish_now(&mut self, record: &Record) {
        let trouble = self.tensorboard.as_mut().and_then(|file| file.add(record));
        let warning = self.sink.log.as_ref().and_then(|log| lock(log).write(record));
        self.show(record);
        if let Some(warning) = warning {
            self.show(&warning);
        }
        self.warn(trouble);
    }

    /// Records what is wrong with the file for TensorBoard.
    fn warn(&mut self, trouble: Option<String>) {
        if let Some(message) = trouble {
            self.publish_now(&Record::now(self.step, Event::Warning(Warning { message })));
        }
    }

    /// Reports readers that stop reading and read again, and before the last event what they missed; and alerts that
    /// could not be delivered.
    fn watch_readers(&mut self, before: &Record) {
        let writers = [self.json.as_ref(), console::stderr_writer()];
        let mut messages: Vec<String> = Vec::new();
        for (reader, writer) in self.readers.iter_mut().zip(writers) {
            let Some(writer) = writer else { continue };
            messages.extend(reader.change(writer));
            if let Event::RunEnded(_) = before.event {
                writer.accept_the_end();
                messages.extend(reader.count(writer));
            }
        }
        messages.extend(lock(&self.sink.alerts).iter().flat_map(Alerts::take_failures));
        for message in messages {
            self.publish_now(&Record::now(before.step, Event::Warning(Warning { message })));
        }
    }

    /// Writes all that was recorded: before a long operation, and before a checkpoint, which must not be there without
    /// the events before it.
    pub fn write(&mut self) {
        if let Some(warning) = self.sink.log.as_ref().and_then(|log| lock(log).write_buffered()) {
            self.show(&warning);
        }
        let trouble = self.tensorboard.as_mut().and_then(TensorBoard::write);
        self.warn(trouble);
    }

    /// The longest time without an event since the last step, or in the steps of the last moments, in seconds; 0 before
    /// the first, and if the clock was set back. Steps may have ended before the signal by which the process continues
    /// was handled.
    pub fn longest_silence(&self) -> f64 {
        let now = unix_time();
        self.since_the_last(now).max(self.silence.longest).max(self.silence.recent_at(now))
    }

    /// Seconds from the last event to a Unix time; 0 before the first event.
    fn since_the_last(&self, time: f64) -> f64 {
        (time - self.silence.last).max(0.0)
    }

    /// Shows a record, and delivers its alert.
    fn show(&mut self, record: &Record) {
        self.display(record);
        self.sink.alert(record);
    }

    fn display(&mut self, record: &Record) {
        if self.dashboard.as_ref().is_some_and(|dashboard| !dashboard.is_alive()) {
            self.close_dashboard();
        }
        match &self.dashboard {
            Some(dashboard) => dashboard.send(record),
            None => self.print(record),
        }
        self.lines.remember(record);
        self.write_json(record);
    }

    fn print(&mut self, record: &Record) {
        if self.quiet {
            let warnings = self.lines.unrepeated(record).into_iter();
            warnings.filter(|line| line.starts_with(WARNING)).for_each(eprint_line);
            return;
        }
        let lines = self.lines.of(record);
        if let Some(bar) = &mut self.bar {
            bar.show(record, self.lines.run());
            lines.iter().for_each(|line| bar.print(line));
        } else {
            lines.iter().for_each(eprint_line);
        }
    }

    /// After the user has closed the dashboard, or it has failed: prints what only it has shown, and continues with lines.
    pub fn close_dashboard(&mut self) {
        let Some(dashboard) = self.dashboard.take() else { return };
        // The keys end before the terminal is restored.
        let _ = dashboard.close(CLOSING);
        self.lines.take_important().into_iter().for_each(eprint_line);
        if !self.quiet {
            eprint_line(format_args!(
                "The dashboard was closed, and the run continues: `{} watch {}` shows it again.",
                program_name(),
                self.run.display()
            ));
        }
    }

    /// A reader that closes the stream or stops reading neither ends nor blocks a training.
    fn write_json(&mut self, record: &Record) {
        let Some(out) = &self.json else { return };
        if let Some(why) = out.failure() {
            self.json = None;
            eprint_line(format_args!(
                "Warning: The events on standard output are not read ({why}). Training continues, and the log has \
                 them."
            ));
            return;
        }
        // An event that can't be encoded is missing in the log too, and reported there.
        let Ok(mut line) = serde_json::to_vec(record) else { return };
        line.push(b'\n');
        out.push(&line, |missing| missing_events(missing, record.step));
    }

    /// Waits until the events on standard output are written, as long as they are being read.
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
        self.sink.log.as_ref().map_or(Ok(()), |log| lock(log).rewind_to(step))
    }

    /// Shows the events of a run that is resumed in the dashboard, before those that follow.
    pub fn show_past(&self, folder: &RunFolder) {
        if let Some(dashboard) = &self.dashboard {
            dashboard.send_log(&folder.events_path());
        }
    }

    /// A handle by which another thread makes sure that what was recorded survives a power cut.
    ///
    /// # Errors
    /// If this process keeps no log.
    pub fn syncer(&self) -> anyhow::Result<LogSyncer> {
        let log = self.sink.log.as_ref().context("This process keeps no event log.")?;
        Ok(lock(log).syncer())
    }

    /// A handle by which another thread records events.
    pub(crate) fn sink(&self) -> EventSink {
        EventSink { has_dashboard: self.dashboard.is_some(), ..self.sink.clone() }
    }

    /// Writes the events that wait for the log, with as many attempts as for the last checkpoint.
    ///
    /// # Errors
    /// If some are lost.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        self.sink.log.as_ref().map_or(Ok(()), |log| lock(log).finish())
    }

    /// Restores the terminal, and leaves the last picture and the outcome in its scrollback.
    pub fn close(&mut self) {
        if let Some(bar) = &mut self.bar {
            bar.end();
        }
        if let Some(dashboard) = self.dashboard.take() {
            if let Some(picture) = dashboard.close(CLOSING) {
                eprint_line(picture);
            }
            self.lines.take_important().into_iter().for_each(eprint_line);
        }
        self.finish_json();
        // The log has its last event.
        self.sink.finish_alerts();
        console::finish();
    }

    /// Whether only warnings are printed.
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

/// A line of JSON in place of events that were dropped.
fn missing_events(count: u64, step: u64) -> String {
    let message = format!(
        "{count} events are missing here: standard output was not being read. The event log has them."
    );
    let warning = Record::now(step, Event::Warning(Warning { message }));
    serde_json::to_string(&warning).map_or_else(|_| String::new(), |line| line + "\n")
}
