//! A run to watch.

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
}
