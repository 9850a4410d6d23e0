//! The recorder: any training loop as a run that others watch and control.
//!
//! | module | what is in it |
//! |---|---|
//! | `options` | what a run is, and what it can be asked for |
//! | `settings` | settings that can be changed |
//! | `requests` | what others ask of the loop |
//! | `lines` | lines that wait for the disk |
//! | `shared` | what the loop, the writer and the control socket share |
//! | `writer` | the thread that writes |

mod lines;
mod options;
mod requests;
mod settings;
mod shared;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

pub use options::RecorderOptions;
pub use requests::Request;

use crate::checkpoint_name::folder_name;
use crate::control::ControlServer;
use crate::error::{Error, Result};
use crate::event::{
    Changed, Checkpoint, Event, Note, Resumed, RunEnded, Scalars, Status as EndStatus, Task,
    Warning, unix_time,
};
use crate::folder::{RunFolder, RunLock};
use crate::log::{self, EventLog};
use crate::status::{State, Status};
use requests::Requests;
use shared::{Shared, note};
use writer::Writer;

/// How long [`Recorder::finish`] waits for a disk that doesn't answer, and a recorder that is dropped without it.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_AT_DROP: Duration = Duration::from_secs(5);
/// With at least this many names, duplicates are found by sorting: comparing all pairs would be slow.
const MANY: usize = 16;

/// Records a training loop, whatever it is written with, as a run: `lookahead watch`, `plot`, `compare`, `export`,
/// `list` and `ctl` take it as a run of the trainer, also while it is running.
///
/// ```
/// use lookahead_run::{Recorder, RecorderOptions, Request};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let mut lr = 0.1;
/// let options = RecorderOptions::new().total_steps(200).setting("lr", lr).checkpoints();
/// let mut run = Recorder::create_with(folder, "my-run", options)?;
///
/// let mut x = 3.0; // what is trained
/// 'training: for step in 1..=200 {
///     // Waits as long as the run is paused.
///     loop {
///         match run.poll()? {
///             Request::Continue => break,
///             Request::Stop => break 'training,
///             Request::Set(setting) => lr = setting.value.as_f64().unwrap_or(lr),
///             Request::Checkpoint => {
///                 std::fs::write(folder.join("x.txt"), format!("{x}"))?;
///                 run.checkpoint_saved(step - 1, "x.txt", 8)?;
///             }
///         }
///     }
///     let gradient = 2.0 * x;
///     run.log(step, &[("loss", x * x), ("lr", lr), ("gradient norm", gradient.abs())])?;
///     x -= lr * gradient;
/// }
/// run.finish()?;
/// # Ok(())
/// # }
/// ```
///
/// # What it costs, and what can go wrong
/// [`log`](Self::log) appends a line to a buffer in memory, in about a microsecond. A thread writes the buffer 50 times
/// a second, so neither a slow or full disk nor someone who watches ever makes the loop wait. Lines that the disk does
/// not take wait, up to 32 MiB, and are written once it does. What is lost after that is reported: by an error of
/// [`poll`](Self::poll) and of [`finish`](Self::finish), and by a warning in the log. A crash of the process can lose
/// the last 20 ms.
///
/// The loop answers requests when it calls [`poll`](Self::poll). Only this process can write the run: see
/// [`RunFolder::lock`].
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    // Fields are dropped in this order: the socket goes before the lock.
    server: Option<ControlServer>,
    lock: RunLock,
    /// Of the last call.
    step: u64,
    /// Whether the log has a pause without an end.
    paused: bool,
    /// Whether the loop was asked to stop.
    stopped: bool,
    ended: bool,
}

impl Recorder {
    /// Makes the folder `out/name` for a new run, which can be paused and stopped, and begins to record.
    ///
    /// # Errors
    /// [`Error::RecordExists`] if there is a run of that name; [`Error::RunName`] if the name is not one plain folder
    /// name; if the system refuses.
    pub fn create(out: impl AsRef<Path>, name: &str) -> Result<Recorder> {
        Recorder::create_with(out, name, RecorderOptions::new())
    }

    /// As [`create`](Self::create), for a run of which more is known, or which can be asked for more.
    ///
    /// # Errors
    /// As [`create`](Self::create), and [`Error::RecorderConfig`].
    pub fn create_with(
        out: impl AsRef<Path>,
        name: &str,
        options: RecorderOptions,
    ) -> Result<Recorder> {
        // Before the folder is made.
        options.resolved_config()?;
        let folder = RunFolder::create(out.as_ref(), name).map_err(|error| match error {
            // Its remedies are options and commands of the trainer.
            Error::RunExists(path) => Error::RecordExists(path),
            error => error,
        })?;
        Recorder::start(folder, options)
    }

    /// As [`create_with`](Self::create_with) or, if that name is taken, with the first free one of `name-2`, `name-3`…
    ///
    /// # Errors
    /// As [`create_with`](Self::create_with), except [`Error::RecordExists`].
    pub fn create_numbered(
        out: impl AsRef<Path>,
        name: &str,
        options: RecorderOptions,
    ) -> Result<Recorder> {
        options.resolved_config()?;
        Recorder::start(RunFolder::create_numbered(out.as_ref(), name)?, options)
    }

    /// Continues the recorded run `out/name` from a step, of which the loop has a checkpoint. What was logged of later
    /// steps moves to `abandoned/`.
    ///
    /// # Errors
    /// [`Error::RunMissing`] if there is no such run, [`Error::NotARun`] if it was not recorded by a recorder,
    /// [`Error::RunInUse`] if a process writes it; if the system refuses.
    pub fn resume(
        out: impl AsRef<Path>,
        name: &str,
        step: u64,
        options: RecorderOptions,
    ) -> Result<Recorder> {
        let (config, text) = options.resolved_config()?;
        let folder = RunFolder::open(&out.as_ref().join(name))?;
        let lock = folder.lock()?;
        let first = log::first(&folder.events_path())?;
        let is_recorded = first.is_some_and(
            |first| matches!(first.event, Event::RunStarted(info) if info.task.kind == Task::Recorded),
        );
        if !is_recorded {
            let fault = "no recorder has begun it, so none can continue it";
            return Err(Error::NotARun { path: folder.path().to_owned(), fault });
        }
        let mut log = lock.folder().open_log()?;
        log.rewind_to(step)?;
        lock.folder().write_config(&text)?;
        let info = options.info(folder.name(), config);
        let (checkpoint, changes) = (folder_name(step), serde_json::Map::new());
        let event = Event::Resumed(Resumed { checkpoint, changes, info });
        Recorder::begin(lock, log, options, step, event)
    }

    fn start(folder: RunFolder, options: RecorderOptions) -> Result<Recorder> {
        let (config, text) = options.resolved_config()?;
        folder.write_config(&text)?;
        let lock = folder.lock()?;
        let log = lock.folder().open_log()?;
        let event = Event::RunStarted(options.info(folder.name(), config));
        Recorder::begin(lock, log, options, 0, event)
    }

    fn begin(
        lock: RunLock,
        mut log: EventLog,
        options: RecorderOptions,
        step: u64,
        event: Event,
    ) -> Result<Recorder> {
        let info = match &event {
            Event::RunStarted(info) => Some(info),
            Event::Resumed(resumed) => Some(&resumed.info),
            _ => None,
        };
        let status = Status {
            run: lock.folder().name().to_owned(),
            process: std::process::id(),
            step,
            total_steps: info.map_or(0, |info| info.total_steps),
            ..Status::default()
        };
        // At once: a log that can't be written from the start is an error here.
        log.append(&crate::event::Record::now(step, event))?;
        let requests = Requests::new(options.settings, options.checkpoints);
        let shared = Arc::new(Shared::new(requests, status));
        let folder = lock.folder().clone();
        let writer = Writer { shared: shared.clone(), log, folder };
        std::thread::Builder::new().name("recorder".into()).spawn(move || writer.run()).map_err(
            |cause| Error::Io {
                operation: "start the thread that writes",
                path: lock.folder().path().to_owned(),
                cause,
            },
        )?;
        let mut run = Recorder {
            shared: shared.clone(),
            server: None,
            lock,
            step,
            paused: false,
            stopped: false,
            ended: false,
        };
        let (ours, theirs) = (shared.clone(), shared);
        let accept = move |command| ours.accept(command);
        match ControlServer::start(run.lock.folder(), accept, move || theirs.status()) {
            Ok(server) => run.server = Some(server),
            // Some file systems have no sockets; the run can still be watched.
            Err(error) => run.warn(&format!("The run can't be controlled: {error}"))?,
        }
        for warning in run.lock.warnings().to_vec() {
            run.warn(&warning)?;
        }
        Ok(run)
    }

    /// The folder of the run; [`RunFolder::checkpoints`] stores checkpoints there.
    pub fn folder(&self) -> &RunFolder {
        self.lock.folder()
    }

    /// Logs numbers at a step, each under its name. Call it as often as you like in a step, and with other names at
    /// other steps. `loss` is the training loss, and `lr` the learning rate; every other name gets a chart of its own.
    ///
    /// It never waits for the disk: see [the type](Self#what-it-costs-and-what-can-go-wrong).
    ///
    /// # Errors
    /// Only for what can't be logged, of which nothing is then: [`Error::ScalarName`] for an empty name or one that
    /// comes twice, [`Error::StepBefore`] for a step before the last one, [`Error::EventTooLarge`].
    pub fn log(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        self.check_step(step)?;
        check_names(values)?;
        let time = unix_time();
        let value = |name| values.iter().find(|(found, _)| *found == name).map(|(_, value)| *value);
        let (loss, rate) = (value(Scalars::LOSS), value(Scalars::LEARNING_RATE));
        let fits = self.shared.add(|state| {
            note(&mut state.status, step, loss, rate);
            state.waiting.add_scalars(time, step, values)
        });
        self.added(fits)
    }

    /// Logs a sentence for those who watch.
    ///
    /// # Errors
    /// [`Error::EventTooLarge`].
    pub fn note(&mut self, message: &str) -> Result<()> {
        self.add(Event::Note(Note { message: message.to_owned() }))
    }

    /// Logs a sentence about what may be wrong.
    ///
    /// # Errors
    /// [`Error::EventTooLarge`].
    pub fn warn(&mut self, message: &str) -> Result<()> {
        self.add(Event::Warning(Warning { message: message.to_owned() }))
    }

    /// Logs that a checkpoint of a step was saved, by its name or path, and how many bytes it has.
    ///
    /// # Errors
    /// [`Error::EventTooLarge`].
    pub fn checkpoint_saved(&mut self, step: u64, name: &str, bytes: u64) -> Result<()> {
        let name = name.to_owned();
        let saved = Checkpoint { name: name.clone(), bytes, seconds: 0.0, write_seconds: 0.0 };
        let fits = self.shared.add(|state| {
            state.status.checkpoint = Some(name);
            state.waiting.add_event(step, Event::Checkpoint(saved))
        });
        self.added(fits)
    }

    /// What the loop should do next, by the requests of those who watch. Call it in each step, until it returns
    /// [`Request::Continue`]; it costs next to nothing if there is no request. While the run is paused it waits, and
    /// returns only what the loop should do meanwhile.
    ///
    /// # Errors
    /// If the record has become incomplete, once for each time: [`Error::EventsLost`] if the disk took nothing for so
    /// long that lines were dropped; [`Error::FolderGone`] and [`Error::TakenOver`] if nothing more can be recorded.
    /// A loop that should train on without a whole record prints the error and continues.
    pub fn poll(&mut self) -> Result<Request> {
        if !self.shared.attention.swap(false, Ordering::AcqRel) {
            return Ok(Request::Continue);
        }
        let shared = self.shared.clone();
        let mut state = shared.lock();
        loop {
            if let Some(failure) = state.failure.take() {
                state.unreported = 0;
                return Err(failure);
            }
            let lost = std::mem::take(&mut state.unreported);
            if lost > 0 {
                let cause = state.trouble.clone();
                drop(state);
                return Err(self.lost(lost, cause));
            }
            let (request, paused) = (state.requests.next(), state.requests.paused);
            if request.is_some() || !paused {
                drop(state);
                self.show_pause(request != Some(Request::Stop) && paused)?;
                if request.is_some() || paused {
                    // There may be more.
                    shared.attention.store(true, Ordering::Release);
                }
                return self.take(request);
            }
            if self.paused {
                // It is looked for requests and waited for the next under one lock, so that none is missed.
                state = shared.to_loop.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                drop(state);
                self.show_pause(true)?;
                state = shared.lock();
            }
        }
    }

    /// Logs what the request is about, and returns it.
    fn take(&mut self, request: Option<Request>) -> Result<Request> {
        let request = request.unwrap_or(Request::Continue);
        match &request {
            Request::Stop => self.stopped = true,
            Request::Set(setting) => {
                let changes = [(setting.key.clone(), setting.value.clone())];
                self.add(Event::Changed(Changed { changes: changes.into_iter().collect() }))?;
            }
            Request::Continue | Request::Checkpoint => {}
        }
        Ok(request)
    }

    /// Logs that a pause begins or ends.
    fn show_pause(&mut self, paused: bool) -> Result<()> {
        if std::mem::replace(&mut self.paused, paused) == paused {
            return Ok(());
        }
        let state = if paused { State::Paused } else { State::Training };
        self.shared.lock().status.state = state;
        self.add(if paused { Event::Paused } else { Event::Continued })
    }

    /// Why the log can't be written at present, if it can't: what is logged meanwhile waits in memory.
    pub fn trouble(&self) -> Option<String> {
        self.shared.lock().trouble.clone()
    }

    /// Ends the run, as finished or, if [`poll`](Self::poll) has asked for it, as stopped, and waits until everything
    /// is written: at most half a minute.
    ///
    /// # Errors
    /// [`Error::EventsLost`] if a part of the record is lost, and no earlier error has said so.
    pub fn finish(mut self) -> Result<()> {
        let status = if self.stopped { EndStatus::Stopped } else { EndStatus::Finished };
        self.end(RunEnded::new(status), PATIENCE)
    }

    /// As [`finish`](Self::finish), of a run that an error ends, with the reason.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn fail(mut self, reason: &str) -> Result<()> {
        let message = Some(reason.to_owned());
        self.end(RunEnded { message, ..RunEnded::new(EndStatus::Failed) }, PATIENCE)
    }

    fn end(&mut self, ended: RunEnded, patience: Duration) -> Result<()> {
        self.ended = true;
        let added = self.add(Event::RunEnded(ended));
        let mut state = self.shared.lock();
        // No command is accepted that nothing would carry out.
        state.requests.ended = true;
        state.closing = true;
        self.shared.to_writer.notify_all();
        let started = Instant::now();
        while !state.closed && started.elapsed() < patience {
            let left = patience.saturating_sub(started.elapsed());
            let waited = self.shared.to_loop.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut lost = std::mem::take(&mut state.unreported) + state.refused;
        if !state.closed {
            // The disk holds the writer, which may be in the middle of a write.
            lost += state.waiting.count + state.waiting.taken_count;
            let silent = || "the disk has not answered for half a minute".to_owned();
            state.trouble.get_or_insert_with(silent);
        }
        let cause = state.failure.take().map(|failure| failure.to_string());
        let cause = cause.or(state.trouble.clone());
        drop(state);
        // After the last event, so that whoever asked for the end finds it in the log.
        self.server = None;
        added?;
        if lost > 0 { Err(self.lost(lost, cause)) } else { Ok(()) }
    }

    fn lost(&self, events: u64, cause: Option<String>) -> Error {
        let cause = cause.unwrap_or_else(|| "they came faster than the disk takes them".to_owned());
        Error::EventsLost { path: self.folder().present_path(), events, cause }
    }

    /// Logs an event at the last step.
    fn add(&mut self, event: Event) -> Result<()> {
        let step = self.step;
        let fits = self.shared.add(|state| state.waiting.add_event(step, event));
        self.added(fits)
    }

    fn added(&self, fits: bool) -> Result<()> {
        if fits {
            return Ok(());
        }
        let (path, largest) = (self.folder().present_path(), log::LARGEST_LINE);
        Err(Error::EventTooLarge { path, found: largest + 1, largest })
    }

    fn check_step(&mut self, step: u64) -> Result<()> {
        if step < self.step {
            return Err(Error::StepBefore { step, last: self.step });
        }
        self.step = step;
        Ok(())
    }
}

/// Without [`finish`](Recorder::finish), for example after an error, the run has failed.
impl Drop for Recorder {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let why = if std::thread::panicking() {
            "The program panicked."
        } else {
            "The program dropped its recorder without `finish`."
        };
        let message = Some(why.to_owned());
        let ended = RunEnded { message, ..RunEnded::new(EndStatus::Failed) };
        let _ = self.end(ended, PATIENCE_AT_DROP);
    }
}

fn check_names(values: &[(&str, f64)]) -> Result<()> {
    let fault = |name: &str, fault| Err(Error::ScalarName { name: name.to_owned(), fault });
    if values.iter().any(|(name, _)| name.is_empty()) {
        return fault("", "is empty");
    }
    let twice = if values.len() < MANY {
        let mut rest = values.iter().enumerate();
        rest.find(|(at, (name, _))| values[..*at].iter().any(|(other, _)| other == name))
            .map(|(_, (name, _))| *name)
    } else {
        let mut names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    };
    twice.map_or(Ok(()), |name| fault(name, "comes twice in one call"))
}
