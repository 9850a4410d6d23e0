//! The run's `config.toml`, kept up to date with the settings that change.

use std::time::Instant;

use lookahead_run::RunFolder;
use lookahead_run::checkpoint::fingerprint_of;

use crate::checkpointing::AGAIN;

/// Whether `config.toml` has all settings that were accepted.
#[derive(Debug)]
pub(super) struct KeptConfig {
    /// Nothing is kept of a run without a folder.
    folder: Option<RunFolder>,
    /// When to try again, where it lacks some.
    again: Option<Instant>,
    /// What has to be reported: that it is behind, or up to date again.
    news: Option<Result<String, String>>,
}

impl KeptConfig {
    pub(super) fn new(folder: Option<RunFolder>) -> Self {
        KeptConfig { folder, again: None, news: None }
    }

    /// Writes the configuration.
    ///
    /// # Errors
    /// A sentence, where the disk refuses.
    pub(super) fn write(&mut self, text: &str) -> Result<(), String> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let was_behind = self.is_behind();
        match folder.write_config(text) {
            Ok(()) => {
                self.again = None;
                if was_behind {
                    let message = "`config.toml` has the changed settings now.".to_owned();
                    self.news = Some(Ok(message));
                }
                Ok(())
            }
            Err(error) => {
                self.again = Some(Instant::now() + AGAIN);
                if !was_behind {
                    self.news = Some(Err(format!(
                        "`config.toml` could not be written: {error} The changed settings hold in \
                         this run, and it is tried again. Checkpoints saved meanwhile have them, and \
                         a resume takes them from there."
                    )));
                }
                Err(error.to_string())
            }
        }
    }

    /// Whether accepted settings are missing in it.
    pub(super) fn is_behind(&self) -> bool {
        self.again.is_some()
    }

    /// Whether it is time to try again.
    pub(super) fn is_due(&self) -> bool {
        self.again.is_some_and(|at| at <= Instant::now())
    }

    /// What is to be reported, once: a note, or a warning as the error.
    pub(super) fn take_news(&mut self) -> Option<Result<String, String>> {
        self.news.take()
    }

    /// What tells the file as it is from others, where settings are missing in it.
    pub(super) fn outdated(&self) -> Option<i64> {
        let folder = self.folder.as_ref().filter(|_| self.is_behind())?;
        folder.read_config().ok().map(|text| fingerprint_of(text.as_bytes()))
    }
}
