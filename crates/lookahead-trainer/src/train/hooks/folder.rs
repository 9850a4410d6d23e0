//! Whether the run's folder is where it was, and this process's.

use std::path::PathBuf;

use lookahead_run::event::{Event, Note, Warning};
use lookahead_run::{Error, RunFolder};

/// The run's folder, and what was last told of it.
#[derive(Debug)]
pub(super) struct FolderWatch {
    run: RunFolder,
    /// Where it was.
    path: PathBuf,
    is_gone: bool,
}

impl FolderWatch {
    pub(super) fn new(run: &RunFolder) -> Self {
        FolderWatch { run: run.clone(), path: run.present_path(), is_gone: false }
    }

    /// What has become of the folder since the last look, if anything has.
    ///
    /// # Errors
    /// Where another process has taken the run over: then nothing here is this one's to write. One whose
    /// folder was removed can train to its end, and may be given its folder's files back meanwhile.
    pub(super) fn look(&mut self) -> anyhow::Result<Option<Event>> {
        match self.run.check() {
            Err(taken @ Error::TakenOver { .. }) => Err(taken.into()),
            Err(_) if self.is_gone => Ok(None),
            Err(error) => {
                self.is_gone = true;
                Ok(Some(Event::Warning(Warning { message: error.to_string() })))
            }
            Ok(()) => {
                self.is_gone = false;
                let path = self.run.present_path();
                if path == self.path {
                    return Ok(None);
                }
                let message = format!(
                    "The run's folder was moved, and the training continues there: {}.",
                    path.display()
                );
                self.path = path;
                Ok(Some(Event::Note(Note { message })))
            }
        }
    }
}
