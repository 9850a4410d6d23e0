//! What can go wrong with a sweep, in full sentences.

use std::io;
use std::path::{Path, PathBuf};

/// An error of a sweep. A message is complete: nothing is lost by printing it alone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// The sweep's file says what can't be.
    #[error("{}: {message}", place(path, *line))]
    File {
        /// The file.
        path: PathBuf,
        /// Where in it, where that is known.
        line: Option<usize>,
        /// What is wrong, in full sentences.
        message: String,
    },

    /// A point's config is refused.
    #[error("{}: The run `{point}` can't be: {message}", place(path, *line))]
    Point {
        /// The sweep's file.
        path: PathBuf,
        /// Where in it the value stands that is to blame, where that is known.
        line: Option<usize>,
        /// Name of the run.
        point: String,
        /// What is wrong, in full sentences.
        message: String,
    },

    /// A run that is there already was begun with another config.
    #[error(
        "The run `{}` was begun with another config than the sweep asks for now: `{key}` was \
         {found}, and is {wanted}. Runs of both would be mixed. Give the sweep another name with \
         `--name`, put the key back, or remove the run.",
        run.display()
    )]
    Changed {
        /// Its folder.
        run: PathBuf,
        /// The first key that differs.
        key: String,
        /// What it was.
        found: String,
        /// What it is now.
        wanted: String,
    },

    /// Something else has the name of the sweep's folder.
    #[error(
        "`{}` is there and is no sweep: give the sweep another name with `--name`, or another \
         folder with `--out`.",
        .0.display()
    )]
    NotASweep(PathBuf),

    /// Another process runs the sweep.
    #[error(
        "The sweep `{}` is in use: another process runs it. Wait for that process, or end it with \
         Ctrl-C or SIGTERM, at which its runs save checkpoints and stop.",
        .0.display()
    )]
    InUse(PathBuf),

    /// The folder of a sweep is another one now.
    #[error(
        "The folder of the sweep, `{}`, was moved or removed, or its file `lock` was: the sweep ends, and asks \
         its runs to save and stop. Start it again where its folder is.",
        .0.display()
    )]
    Gone(PathBuf),

    /// The system refused something.
    #[error(
        "Could not {operation} `{}`: {cause}. Put that right, and start the sweep again: it goes \
         on where it was.",
        path.display()
    )]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },

    /// A run's folder can't be read.
    #[error(transparent)]
    Run(#[from] lookahead_run::Error),
}

fn place(path: &Path, line: Option<usize>) -> String {
    match line {
        Some(line) => format!("{}, line {line}", path.display()),
        None => path.display().to_string(),
    }
}

impl SweepError {
    /// Whether it can be mended in the command line or the sweep's file.
    pub fn is_usage(&self) -> bool {
        use SweepError::{Changed, File, NotASweep, Point};
        matches!(self, File { .. } | Point { .. } | Changed { .. } | NotASweep(_))
    }
}

/// Turns an I/O error into a sentence that names the operation and the path.
pub(super) trait At<T> {
    fn at(self, operation: &'static str, path: &Path) -> Result<T, SweepError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, operation: &'static str, path: &Path) -> Result<T, SweepError> {
        self.map_err(|cause| SweepError::Io { operation, path: path.to_owned(), cause })
    }
}
