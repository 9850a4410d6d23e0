//! What can go wrong with a sweep, in full sentences.

use std::io;
use std::path::{Path, PathBuf};

use lookahead_run::words::reason;

/// An error of a sweep, with a complete message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// The sweep's file has a fault.
    #[error("{}: {message}", place(path, *line))]
    File {
        /// The file.
        path: PathBuf,
        /// The line, if it is known.
        line: Option<usize>,
        /// What is wrong, in full sentences.
        message: String,
    },

    /// A point's config is refused.
    #[error("{}: The run `{point}` is refused: {message}", place(path, *line))]
    Point {
        /// The sweep's file.
        path: PathBuf,
        /// The line of the value that causes it, if it is known.
        line: Option<usize>,
        /// Name of the run.
        point: String,
        /// What is wrong, in full sentences.
        message: String,
    },

    /// An existing run was started with another config.
    #[error(
        "The run `{}` was started with another config than the sweep has now: `{key}` was \
         {found}, and is {wanted}. Runs of both would be mixed. Use another name for the sweep with \
         `--name`, change the key back, or remove the run.",
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
        "`{}` exists and is not a sweep. Use another name with `--name`, or another folder with \
         `--out`.",
        .0.display()
    )]
    NotASweep(PathBuf),

    /// Another process runs the sweep.
    #[error(
        "The sweep `{}` is in use by another process. Wait for that process, or stop it with Ctrl-C \
         or SIGTERM: its runs then save checkpoints.",
        .0.display()
    )]
    InUse(PathBuf),

    /// The folder of a sweep was replaced.
    #[error(
        "The folder of the sweep, `{}`, or its file `lock` was moved or removed. The sweep stops, and its runs \
         save checkpoints. Start it again with the folder's new path.",
        .0.display()
    )]
    Gone(PathBuf),

    /// The system refused something.
    #[error(
        "Could not {operation} `{}`: {}. Fix that, and start the sweep again: it resumes.",
        path.display(),
        reason(cause)
    )]
    Io {
        /// The operation, as a verb.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's message.
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
    /// Whether it can be fixed in the command line or the sweep's file.
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
