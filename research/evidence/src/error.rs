//! Errors, as full sentences.

use std::path::PathBuf;

/// An error of the report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Runs can't be read or compared.
    #[error(transparent)]
    Study(#[from] lookahead_study::error::Error),

    /// A folder without any of the sweeps that a report is made of.
    #[error(
        "There is no sweep of the report in `{}`. Run them first with `just reproduce`, or give the \
         folder that has them.",
        .0.display()
    )]
    NoSweeps(PathBuf),

    /// Sweeps of the report that are missing or unfinished.
    #[error(
        "The report needs all of its sweeps, and these are missing or unfinished: {0}. Continue with `just \
         reproduce`, or leave their chapters out with `--partial`."
    )]
    LackingSweeps(String),

    /// A report can't be written.
    #[error("The report can't be written to `{}`: {cause}. Use another folder.", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's message.
        cause: std::io::Error,
    },

    /// A figure can't be drawn or written.
    #[error(transparent)]
    Chart(#[from] lookahead_chart::ChartError),
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
