//! Whether the run's folder is where it was, and this process's.

use std::path::PathBuf;
use std::time::Instant;

use lookahead_run::{Error, RunFolder};

use super::timing::INTERVAL;
use crate::train::hook::{Hook, HookContext};

/// Checks the run's folder once a second, and reports what has become of it.
#[derive(Debug)]
pub(super) struct FolderHook {
    run: RunFolder,
    /// Where it was.
    path: PathBuf,
    is_gone: bool,
    checked: Instant,
}

impl FolderHook {
    pub(super) fn new(run: &RunFolder) -> Self {
        let (path, checked) = (run.present_path(), Instant::now());
        FolderHook { run: run.clone(), path, is_gone: false, checked }
    }
}

impl Hook for FolderHook {
    fn name(&self) -> &'static str {
        "folder"
    }

    /// Fails if another process has taken the run over: then this one must not write here. If the folder was
    /// removed the training continues, since its files may be put back before the end.
    fn after_step(&mut self, context: &mut HookContext<'_>) -> anyhow::Result<()> {
        if self.checked.elapsed() < INTERVAL {
            return Ok(());
        }
        self.checked = Instant::now();
        match self.run.check() {
            Err(taken @ Error::TakenOver { .. }) => return Err(taken.into()),
            Err(_) if self.is_gone => {}
            Err(error) => {
                self.is_gone = true;
                context.warn(error.to_string());
            }
            Ok(()) => {
                self.is_gone = false;
                let path = self.run.present_path();
                if path != self.path {
                    let place = path.display();
                    context.note(format!(
                        "The run's folder was moved, and the training continues there: {place}."
                    ));
                    self.path = path;
                }
            }
        }
        Ok(())
    }
}
