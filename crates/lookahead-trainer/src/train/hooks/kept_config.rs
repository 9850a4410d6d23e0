//! The run's `config.toml`, kept up to date with the settings that change.

use std::time::Instant;

use lookahead_run::RunFolder;
use lookahead_run::checkpoint::fingerprint_of;

use crate::checkpointing::RETRY;

/// Whether `config.toml` has all settings that were accepted.
#[derive(Debug)]
pub(super) struct KeptConfig {
    /// None in a process that has no run folder.
    folder: Option<RunFolder>,
    /// When to retry, if it lacks some.
    again: Option<Instant>,
    /// To be reported: that it is outdated, or up to date again.
    news: Option<Result<String, String>>,
}

impl KeptConfig {
    pub(super) fn new(folder: Option<RunFolder>) -> Self {
        KeptConfig { folder, again: None, news: None }
    }

    /// Writes the configuration. The error is a sentence.
    pub(super) fn write(&mut self, text: &str) -> Result<(), String> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let was_outdated = self.is_outdated();
        match folder.write_config(text) {
            Ok(()) => {
                self.again = None;
                if was_outdated {
                    let message = "`config.toml` has the changed settings now.".to_owned();
                    self.news = Some(Ok(message));
                }
                Ok(())
            }
            Err(error) => {
                self.again = Some(Instant::now() + RETRY);
                if !was_outdated {
                    self.news = Some(Err(format!(
                        "`config.toml` could not be written: {error} The changed settings hold in this run, and \
                         writing is retried. Checkpoints saved meanwhile have them, and a resume reads them from \
                         there."
                    )));
                }
                Err(error.to_string())
            }
        }
    }

    /// Whether accepted settings are missing in it.
    pub(super) fn is_outdated(&self) -> bool {
        self.again.is_some()
    }

    /// Whether it is time to retry.
    pub(super) fn is_due(&self) -> bool {
        self.again.is_some_and(|at| at <= Instant::now())
    }

    /// What is to be reported, once: a note, or a warning as the error.
    pub(super) fn take_news(&mut self) -> Option<Result<String, String>> {
        self.news.take()
    }

    /// A hash of the file, if settings are missing in it.
    pub(super) fn outdated(&self) -> Option<i64> {
        let folder = self.folder.as_ref().filter(|_| self.is_outdated())?;
        folder.read_config().ok().map(|text| fingerprint_of(text.as_bytes()))
    }
}
