//! What can go wrong, in full sentences.

use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A run's folder or log can't be read.
    #[error(transparent)]
    Run(#[from] lookahead_run::Error),

    /// A log that does not start with what the run is.
    #[error(
        "The event log of the run `{}` does not tell what the run is, so it can't be compared: it \
         has not begun yet, or its first line was lost. Leave it out.",
        .0.display()
    )]
    NotBegun(PathBuf),

    /// Runs that can't be compared, or not in the way that was asked for.
    #[error(transparent)]
    Compare(#[from] crate::compare::error::CompareError),

    /// A figure can't be drawn or written.
    #[error(transparent)]
    Chart(#[from] lookahead_chart::ChartError),
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
