//! What can go wrong, in full sentences.

use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A run's folder or log can't be read.
    #[error(transparent)]
    Run(#[from] lookahead_run::Error),

    /// A log without its first event, which describes the run.
    #[error(
        "The event log of the run `{}` has no `run_started` event, so it can't be compared: the run has \
         not started yet, or its first line was lost. Leave it out.",
        .0.display()
    )]
    NotBegun(PathBuf),

    /// Runs that can't be compared, or not in the requested way.
    #[error(transparent)]
    Compare(#[from] crate::compare::error::CompareError),

    /// A figure can't be drawn or written.
    #[error(transparent)]
    Chart(#[from] lookahead_chart::ChartError),
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
