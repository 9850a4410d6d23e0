//! The event file for TensorBoard, which never gets in the way of the training.

use std::time::{Duration, Instant};

use lookahead_run::event::{Event, Record};
use lookahead_run::tensorboard::EventFile;
use lookahead_run::words::sentences;
use lookahead_run::{RunFolder, program_name};

/// The event file of a run, and values that wait for it.
#[derive(Debug)]
pub(super) struct TensorBoard {
    run: RunFolder,
    /// From the first event on.
    file: Option<EventFile>,
    /// When it was written last, or when that failed.
    written: Option<Instant>,
    /// Whether the last attempt failed.
    failed: bool,
    /// Whether it is no longer written.
    abandoned: bool,
}

/// The time from one write to the next. TensorBoard itself looks for new values every five seconds.
const PAUSE: Duration = Duration::from_secs(1);
/// The most bytes that wait for a disk that can't be written.
const WAITING: usize = 8 << 20;

impl TensorBoard {
    /// Begins with the run's first event in this process.
    pub(super) fn new(run: &RunFolder) -> Self {
        TensorBoard { run: run.clone(), file: None, written: None, failed: false, abandoned: false }
    }

    /// Takes an event that is not in the log yet; the run's last one completes the file. Returns a warning when writing
    /// fails for the first time, and when it is given up.
    pub(super) fn add(&mut self, record: &Record) -> Option<String> {
        if self.abandoned {
            return None;
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => match EventFile::create(&self.run) {
                Ok(file) => self.file.insert(file),
                Err(error) => return Some(self.abandon(&sentences(&error))),
            },
        };
        file.add(record);
        if let Event::RunEnded(_) = record.event {
            return self.attempt(EventFile::finish);
        }
        if self.written.is_some_and(|at| at.elapsed() < PAUSE) {
            return None;
        }
        self.attempt(EventFile::write)
    }

    /// Writes the values of all steps but the newest. Returns a warning as [`add`](Self::add).
    pub(super) fn write(&mut self) -> Option<String> {
        // A disk that refuses is not tried before each checkpoint.
        if self.failed { None } else { self.attempt(EventFile::write) }
    }

    fn attempt(
        &mut self,
        write: impl FnOnce(&mut EventFile) -> lookahead_run::Result<()>,
    ) -> Option<String> {
        let file = self.file.as_mut().filter(|_| !self.abandoned)?;
        let written = write(file);
        let waiting = file.buffered();
        self.written = Some(Instant::now());
        let had_failed = std::mem::replace(&mut self.failed, written.is_err());
        let why = sentences(&written.err()?);
        if waiting > WAITING {
            return Some(self.abandon(&why));
        }
        (!had_failed).then(|| {
            format!(
                "The file for TensorBoard can't be written: {why} Training continues, and values wait for the file. {}",
                self.remedy()
            )
        })
    }

    fn abandon(&mut self, why: &str) -> String {
        (self.abandoned, self.file) = (true, None);
        format!(
            "The file for TensorBoard is not written any more: {why} Training continues. {}",
            self.remedy()
        )
    }

    fn remedy(&self) -> String {
        format!(
            "The event log has everything: `{} export {} --tensorboard DIR` writes a whole file.",
            program_name(),
            self.run.present_path().display()
        )
    }
}

#[cfg(test)]
mod tests;
