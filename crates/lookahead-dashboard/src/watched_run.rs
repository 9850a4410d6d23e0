//! A run to watch.

use std::io;
use std::path::PathBuf;

use lookahead_run::RunFolder;

use crate::remote::RemoteRun;

/// A run to watch.
#[derive(Debug)]
pub enum WatchedRun {
    /// A folder of this machine.
    Here(RunFolder),
    /// A run on another machine, to which there is a connection.
    Remote(RemoteRun),
}

impl WatchedRun {
    /// The name of its folder, or that of its connection.
    pub(crate) fn name(&self) -> &str {
        match self {
            WatchedRun::Here(run) => run.name(),
            WatchedRun::Remote(run) => run.name(),
        }
    }

    /// An absolute path that stands for it: that of its folder, or one that begins with `/ssh:`.
    ///
    /// # Errors
    /// If the working directory is gone.
    pub(crate) fn place(&self) -> io::Result<PathBuf> {
        match self {
            WatchedRun::Here(run) => std::path::absolute(run.path()),
            WatchedRun::Remote(run) => Ok(PathBuf::from(format!("/ssh:{}", run.name()))),
        }
    }
}
