//! What can go wrong with a run on disk, in full sentences.

use std::io;
use std::path::{Path, PathBuf};

use crate::checkpoint_name::{Checkpoint, folder_name};
use crate::program::program_name;
use crate::words::{clause, reason, sentences};

/// The result of the functions of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// The error of a function that the caller passed in; `anyhow::Error` turns into it with `into()`.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Everything that can go wrong in this crate.
///
/// A message is complete: it includes its cause, so printing it alone loses nothing, and `source()` is
/// empty.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation.
    #[error("Could not {operation} `{}`: {}.{}", path.display(), reason(cause), remedy(cause.kind()))]
    Io {
        /// The operation, as a verb.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        cause: io::Error,
    },

    /// A file that is read as a whole is too large.
    #[error(
        "`{}` has more than {largest} bytes, so it is not read. Put the right file there.",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Most bytes that are read.
        largest: u64,
    },

    /// A run can't have this name.
    #[error(
        "The run name {name:?} {fault}. A name is one plain folder name, for example `mnist-sgd`. \
         Choose another with `--name`."
    )]
    RunName {
        /// The name.
        name: String,
        /// What is wrong with it, as a verb phrase.
        fault: &'static str,
    },

    /// The new run's folder exists already.
    #[error(
        "`{run}` already exists, and an existing run is never overwritten. Choose another name with \
         `--name`, or continue that run with `{} resume {run}`.", program_name(), run = .0.display()
    )]
    RunExists(PathBuf),

    /// A recorder's run exists already.
    #[error(
        "`{}` already exists, and an existing run is never overwritten. Use another name, continue that run with \
         `Recorder::resume`, or let `Recorder::create_numbered` find a free name.", .0.display()
    )]
    RecordExists(PathBuf),

    /// There is nothing at the path of a run.
    #[error(
        "There is no run at `{}`: the folder does not exist. `{} list` shows the runs.", .0.display(),
        program_name()
    )]
    RunMissing(PathBuf),

    /// The path of a run leads to something else.
    #[error(
        "`{}` is not a run: {fault}. `{} list` shows the runs.", path.display(), program_name()
    )]
    NotARun {
        /// The path.
        path: PathBuf,
        /// What is wrong with it, as a clause.
        fault: &'static str,
    },

    /// Another process writes this run.
    #[error(
        "The run `{}` is in use: another process trains it, and a run has one writer. Wait for that \
         process, or stop it with Ctrl-C or SIGTERM: it saves a checkpoint first.", .0.display()
    )]
    RunInUse(PathBuf),

    /// A run's folder was removed while this process was writing it.
    #[error(
        "The folder of the run, `{}`, was removed during training, so nothing can be saved there. \
         Stop the run, and start it again.", .0.display()
    )]
    FolderGone(PathBuf),

    /// Another process writes the run that this process wrote before.
    #[error(
        "Another process has taken over the run `{}` because its file `lock` was removed. This \
         process writes nothing more there.", .0.display()
    )]
    TakenOver(PathBuf),

    /// A checkpoint is in the folder of another run.
    #[error(
        "The checkpoint `{}` is of another run: its id is {found}, and the id of the run in whose \
         folder it is, {expected}. Move it back, or use another checkpoint of the run.", path.display()
    )]
    OtherRun {
        /// The checkpoint's folder.
        path: PathBuf,
        /// The id in its manifest.
        found: String,
        /// The id of the run.
        expected: String,
    },

    /// Something else has the name of a folder that is needed.
    #[error(
        "`{}` is not a folder, and a folder of that name is needed. Move it away, and try again.",
        .0.display()
    )]
    InTheWay(PathBuf),

    /// Something else has the name of the control socket.
    #[error(
        "`{}` is not a socket, and the run's control socket needs that name. Move it away: without the \
         socket, the run can't be controlled from another process.", .0.display()
    )]
    NotASocket(PathBuf),

    /// No process listens at a run's control socket.
    #[error(
        "The run `{run}` is not running, or not on this machine. See `{program} inspect {run}`, and \
         continue it with `{program} resume {run}`.", program = program_name(), run = .0.display()
    )]
    NotRunning(PathBuf),

    /// A process listens at a run's control socket and does not answer.
    #[error(
        "The run `{}` gave no answer within {seconds} seconds. If it is suspended, for example by \
         Ctrl-Z, wake it with `fg`: it may still carry out the command.", path.display()
    )]
    NoAnswer {
        /// The run's folder.
        path: PathBuf,
        /// How long the client waited.
        seconds: u64,
    },

    /// A run refused a command.
    #[error("The run `{}` did not accept the command. {message}", path.display())]
    Refused {
        /// The run's folder.
        path: PathBuf,
        /// Its answer.
        message: String,
    },

    /// There is no event log.
    #[error(
        "There is no event log at `{}`: this is not the folder of a run, or the run never started \
         training. Start one with `{} train`.", .0.display(), program_name()
    )]
    LogMissing(PathBuf),

    /// The event log, or the first of several, has nothing to draw.
    #[error(
        "The event log `{}` has no step yet, so there is nothing to draw. Wait until the run has \
         taken some.", .0.display()
    )]
    NothingLogged(PathBuf),

    /// An event has more bytes than a line of the log may have.
    #[error(
        "An event of {found} bytes was not appended to `{}`, where a line has at most {largest}. \
         Shorten it.", path.display()
    )]
    EventTooLarge {
        /// The event log.
        path: PathBuf,
        /// Bytes of the line.
        found: usize,
        /// Most bytes of a line.
        largest: usize,
    },

    /// A line of the event log is not an event, and not the torn end of the log.
    #[error(
        "Line {line} of `{}` is not an event: {cause}. Only the last line of a log may be torn. \
         Remove this one to read the rest.", path.display()
    )]
    LogLine {
        /// The event log.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// The JSON parser's message.
        cause: String,
    },

    /// The configuration of a recorder can't be written.
    #[error("The recorder's configuration can't be written to `config.toml`: {}. Change it, or leave that key out.", clause(.0))]
    RecorderConfig(String),

    /// A number can't be logged under this name.
    #[error(
        "The name {name:?} of a number {fault}. Use another name for each number of a call, of one character or more."
    )]
    ScalarName {
        /// The name.
        name: String,
        /// What is wrong with it, as a verb phrase.
        fault: &'static str,
    },

    /// A step comes after a later one.
    #[error(
        "Step {step} comes after step {last}. Log steps in ascending order; one step may be logged several times."
    )]
    StepBefore {
        /// The step.
        step: u64,
        /// The last step that was logged.
        last: u64,
    },

    /// A part of what was logged is not in the log.
    #[error("{events} events of the run `{}` could not be logged, and are lost: {}.", path.display(), clause(cause))]
    EventsLost {
        /// The run's folder.
        path: PathBuf,
        /// The number of events.
        events: u64,
        /// Why, as a clause or sentence.
        cause: String,
    },

    /// The function that the caller passed to `publish` failed.
    #[error(
        "The checkpoint of step {step} could not be written: {cause}. Nothing of it is left behind, \
         and the earlier checkpoints are unchanged."
    )]
    WriterFailed {
        /// The step of the checkpoint.
        step: u64,
        /// The error with its causes, joined by colons, and with the remedy for a full disk and the like.
        cause: String,
    },

    /// The function that the caller passed to `publish` left a file that can't be published.
    #[error(
        "The writer of a checkpoint left `{}`, {fault}. Write all files through the \
         `CheckpointWriter`, and finish each.", path.display()
    )]
    UnfitFile {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, as a relative clause.
        fault: &'static str,
    },

    /// A file of a checkpoint can't have this name.
    #[error(
        "A checkpoint can't hold a file named {name:?}: the name {fault}. Use one plain name, for \
         example `model.safetensors`."
    )]
    FileName {
        /// The name.
        name: String,
        /// What is wrong with it, as a verb phrase.
        fault: &'static str,
    },

    /// A folder has no manifest, so it is not a checkpoint, or not a whole one.
    #[error(
        "`{}` is not a whole checkpoint: it has no `manifest.json`. Use another checkpoint of the run.",
        .0.display()
    )]
    ManifestMissing(PathBuf),

    /// A manifest was changed after it was written.
    #[error(
        "The checkpoint `{}` is damaged: its `manifest.json` can't be trusted, because {cause}. Use \
         another checkpoint of the run.", path.display()
    )]
    ManifestDamaged {
        /// The checkpoint's folder.
        path: PathBuf,
        /// What is wrong with the manifest, as a clause.
        cause: String,
    },

    /// A manifest was written by a later version of this program.
    #[error(
        "`manifest.json` of the checkpoint `{}` has format {found}, and this program reads formats up to {known}. Use a \
         newer `{}`, or another checkpoint of the run.", path.display(), program_name()
    )]
    ManifestTooNew {
        /// The checkpoint's folder.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },

    /// A checkpoint's folder was renamed to that of another step.
    #[error(
        "The checkpoint `{0}` is of step {folder} by its name, and of step {manifest} by its manifest. \
         Rename the folder back to `{1}`, or use another checkpoint of the run.",
        path.display(), folder_name(*manifest)
    )]
    StepMismatch {
        /// The checkpoint's folder.
        path: PathBuf,
        /// The step in the folder's name.
        folder: u64,
        /// The step in the manifest.
        manifest: u64,
    },

    /// A file of a checkpoint is missing, is not a plain file, or differs from its manifest.
    #[error(
        "The checkpoint `{}` is damaged: its file `{file}` {fault}. Use another checkpoint of the run.",
        path.display()
    )]
    FileDamaged {
        /// The checkpoint's folder.
        path: PathBuf,
        /// The file's name in it.
        file: String,
        /// What is wrong with it, as a verb phrase.
        fault: String,
    },

    /// No checkpoint of the run can be used.
    #[error("{}", no_valid_checkpoint(run, rejected))]
    NoValidCheckpoint {
        /// The run's folder.
        run: PathBuf,
        /// Each checkpoint and what is wrong with it, newest first; empty if there are none.
        rejected: Vec<(Checkpoint, Error)>,
    },

    /// The run has no checkpoint of the requested step.
    #[error("The run `{}` has no checkpoint of step {step}: {}.", run.display(), choice(available))]
    NoSuchStep {
        /// The run's folder.
        run: PathBuf,
        /// The requested step.
        step: u64,
        /// The steps of its checkpoints, in ascending order.
        available: Vec<u64>,
    },
}

/// An error with its causes, as part of a sentence, followed by the remedy if the operating system refused something. An
/// [`Error::Io`] has it already.
pub(crate) fn chain_with_remedy(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut kinds = causes.filter_map(|cause| Some(cause.downcast_ref::<io::Error>()?.kind()));
    let remedy = kinds.next().map_or("", remedy);
    let mut text = clause(&sentences(error)).to_owned();
    if !remedy.is_empty() {
        text = format!("{text}.{}", remedy.trim_end_matches('.'));
    }
    text
}

fn remedy(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::FileTooLarge => {
            " Raise the limit on the size of files, for example by `ulimit -f`."
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            " Free some space on that disk."
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            " Get access to it, or choose another folder."
        }
        io::ErrorKind::CrossesDevices => {
            " A run's folder must be on one disk. Move away what is on another, and try again."
        }
        _ => "",
    }
}

fn no_valid_checkpoint(run: &Path, rejected: &[(Checkpoint, Error)]) -> String {
    let run = run.display();
    let train = format!("start a new run with `{} train {run}/config.toml`", program_name());
    if rejected.is_empty() {
        return format!("The run `{run}` has no checkpoint yet, so it can't be resumed: {train}.");
    }
    let faults = rejected.iter().map(|(found, error)| format!("\n  step {}: {error}", found.step));
    format!("The run `{run}` has no valid checkpoint. Restore one from a backup, or {train}.")
        + &faults.collect::<String>()
}

fn choice(steps: &[u64]) -> String {
    if steps.is_empty() {
        return "it has no checkpoints".to_owned();
    }
    let steps: Vec<_> = steps.iter().map(u64::to_string).collect();
    format!("choose one of {}", steps.join(", "))
}

#[cfg(test)]
mod tests;
