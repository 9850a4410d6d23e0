//! What can go wrong with a run on disk, in full sentences.

use std::io;
use std::path::PathBuf;

use crate::checkpoint::Checkpoint;

/// What the functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;

/// The error of a writer that the caller handed in; `anyhow::Error` turns into it with `into()`.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Everything that can go wrong in this crate.
///
/// A message is complete: it holds the cause where there is one, so that nothing is lost by
/// printing it alone, and `source()` has nothing to add.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused something.
    #[error("Could not {operation} `{}`: {cause}.{}", path.display(), remedy(cause.kind()))]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },

    /// A file that is read as a whole is larger than any that is meant to be.
    #[error(
        "`{}` has more than {largest} bytes, so it is not read: put the right file there.",
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
        "The run name {name:?} {fault}; a name is one plain folder name, such as `mnist-sgd`: \
         choose another one with `--name`."
    )]
    RunName {
        /// The name that was asked for.
        name: String,
        /// What is wrong with it, as the rest of the sentence.
        fault: &'static str,
    },

    /// There is a file or folder of the new run's name already.
    #[error(
        "`{0}` already exists, and an existing run is never overwritten: choose another name with \
         `--name`, or go on with that run by `lookahead resume {0}`.", path.display()
    )]
    RunExists {
        /// The folder that the run would have had.
        path: PathBuf,
    },

    /// There is nothing at the path of a run.
    #[error(
        "There is no run at `{}`: the folder does not exist. Give the path of a run's folder, \
         such as `checkpoints/mnist`.", path.display()
    )]
    RunMissing {
        /// Where it was looked for.
        path: PathBuf,
    },

    /// The path of a run leads to something else.
    #[error(
        "`{}` is not a run: {fault}. Give the path of a run's folder, such as \
         `checkpoints/mnist`.", path.display()
    )]
    NotARun {
        /// Where it was looked for.
        path: PathBuf,
        /// What was looked for and not found.
        fault: &'static str,
    },

    /// Another process writes this run.
    #[error(
        "The run `{}` is in use: another process trains it, and a run has one writer. Wait for \
         that process, or end it with Ctrl-C or SIGTERM, at which it saves a checkpoint and stops.",
        path.display()
    )]
    RunInUse {
        /// The run's folder.
        path: PathBuf,
    },

    /// A run's folder was removed under the process that writes it.
    #[error(
        "The folder of the run, `{}`, was removed while it trains, so nothing can be saved there. Stop \
         the run, and start it again.", path.display()
    )]
    FolderGone {
        /// Where it was last.
        path: PathBuf,
    },

    /// Another process writes the run that this one wrote.
    #[error(
        "Another process has taken over the run `{}`, since its file `lock` was removed: this one writes \
         nothing more there.", path.display()
    )]
    TakenOver {
        /// The run's folder.
        path: PathBuf,
    },

    /// A checkpoint was put into the folder of another run.
    #[error(
        "The checkpoint `{}` is of another run (its id is {found}, and that of the run in whose folder it \
         is, {expected}): move it back, or use another checkpoint of the run.", path.display()
    )]
    OtherRun {
        /// The checkpoint's folder.
        path: PathBuf,
        /// The id in its manifest.
        found: String,
        /// The id of the run in whose folder it is.
        expected: String,
    },

    /// Something else has the name of a folder that is needed.
    #[error(
        "`{}` is no folder, and one of that name is needed: move it away, and try again.",
        path.display()
    )]
    InTheWay {
        /// What is in the way.
        path: PathBuf,
    },

    /// Something else has the name of the control socket.
    #[error(
        "`{}` is no socket, and the run's control socket has that name: move it away, or else the run \
         can't be asked for anything from outside.", path.display()
    )]
    NotASocket {
        /// The file.
        path: PathBuf,
    },

    /// Nobody listens at a run's control socket.
    #[error(
        "The run `{0}` does not run just now, or not where it could be asked for anything: see \
         `lookahead inspect {0}`, and go on with it by `lookahead resume {0}`.", path.display()
    )]
    NotRunning {
        /// The run's folder.
        path: PathBuf,
    },

    /// A run listens and says nothing.
    #[error(
        "The run `{}` gave no answer within {seconds} seconds. If it was suspended, such as by Ctrl-Z, \
         wake it with `fg`: it may still do what it was asked for.", path.display()
    )]
    NoAnswer {
        /// The run's folder.
        path: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },

    /// A run did not do what it was asked for.
    #[error("The run `{}` did not accept the command. {message}", path.display())]
    Refused {
        /// The run's folder.
        path: PathBuf,
        /// What it said.
        message: String,
    },

    /// There is no event log where one was to be read.
    #[error(
        "There is no event log at `{}`: either this is not the folder of a run, or the run never \
         took up its work. Start one with `lookahead train`.", path.display()
    )]
    LogMissing {
        /// Where it was looked for.
        path: PathBuf,
    },

    /// There is nothing to be drawn in the event log.
    #[error(
        "The event log `{}` tells of no step yet, so there is nothing to draw: wait until the run \
         has taken some.", path.display()
    )]
    NothingLogged {
        /// The log, or the first of several.
        path: PathBuf,
    },

    /// An event has more bytes than a reader of the log would take.
    #[error(
        "An event of {found} bytes was not appended to `{}`, where a line has at most {largest}: \
         shorten what it says.", path.display()
    )]
    EventTooLarge {
        /// The event log.
        path: PathBuf,
        /// Bytes of the line that it would have been.
        found: usize,
        /// Most bytes of a line.
        largest: usize,
    },

    /// A line of the event log is not an event, and not the torn end of the log either.
    #[error(
        "Line {line} of `{}` is not an event: {cause}. Only the last line of a log may be torn; \
         remove this one to read the rest.", path.display()
    )]
    LogLine {
        /// The event log.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What the JSON parser said.
        cause: String,
    },

    /// The writer that the caller handed to `publish` failed.
    #[error(
        "The checkpoint of step {step} could not be written: {cause}. Nothing of it is left \
         behind, and the earlier checkpoints are as they were; mend the cause and save again."
    )]
    WriterFailed {
        /// The step of the checkpoint.
        step: u64,
        /// The writer's error with its own causes, joined by colons.
        cause: String,
    },

    /// The writer that the caller handed to `publish` left something that can't be published.
    #[error(
        "The writer of a checkpoint left `{}`, {fault}: let it write its files by the `CheckpointWriter` that it \
         is given, and finish each.", path.display()
    )]
    UnfitFile {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        fault: &'static str,
    },

    /// A file of a checkpoint can't have this name.
    #[error(
        "A checkpoint can't hold a file whose name, {name:?}, {fault}: give it one plain name, such \
         as `model.safetensors`."
    )]
    FileName {
        /// The name that was asked for.
        name: String,
        /// What is wrong with it, as the rest of the sentence.
        fault: &'static str,
    },

    /// A folder has no manifest, so that it is not a checkpoint, or no whole one.
    #[error(
        "`{}` is not a whole checkpoint: it holds no `manifest.json`. Use another checkpoint of \
         the run.", path.display()
    )]
    ManifestMissing {
        /// The checkpoint's folder.
        path: PathBuf,
    },

    /// A manifest was changed after it was written.
    #[error(
        "The checkpoint `{}` is damaged: its `manifest.json` can't be trusted, for {cause}. Use \
         another checkpoint of the run.", path.display()
    )]
    ManifestDamaged {
        /// The checkpoint's folder.
        path: PathBuf,
        /// What is wrong with the manifest.
        cause: String,
    },

    /// A manifest was written by a later version of this program.
    #[error(
        "The checkpoint `{}` has format {found}, and this program reads formats up to {known}: \
         use a newer `lookahead`, or another checkpoint of the run.", path.display()
    )]
    ManifestTooNew {
        /// The checkpoint's folder.
        path: PathBuf,
        /// The format that the manifest states.
        found: u32,
        /// The newest format known here.
        known: u32,
    },

    /// A checkpoint's folder was renamed to that of another step.
    #[error(
        "The checkpoint `{0}` says by its name that it is of step {folder}, and by its manifest \
         that it is of step {manifest}: rename the folder back to `{1}`, or use another \
         checkpoint of the run.", path.display(), crate::checkpoint::folder_name(*manifest)
    )]
    StepMismatch {
        /// The checkpoint's folder.
        path: PathBuf,
        /// The step in the folder's name.
        folder: u64,
        /// The step in the manifest.
        manifest: u64,
    },

    /// A file that the manifest lists is not there.
    #[error(
        "The checkpoint `{}` is damaged: its file `{file}` is missing. Use another checkpoint of \
         the run.", path.display()
    )]
    FileMissing {
        /// The checkpoint's folder.
        path: PathBuf,
        /// The file's name in it.
        file: String,
    },

    /// A link, a folder or a device is where a checkpoint's file should be.
    #[error(
        "The checkpoint `{}` is damaged: its file `{file}` is no plain file. Use another checkpoint \
         of the run.", path.display()
    )]
    NotAFile {
        /// The checkpoint's folder.
        path: PathBuf,
        /// The file's name in it.
        file: String,
    },

    /// A file is shorter or longer than the manifest says.
    #[error(
        "The checkpoint `{}` is damaged: its file `{file}` should have {expected} bytes and has \
         {found}. Use another checkpoint of the run.", path.display()
    )]
    FileSize {
        /// The checkpoint's folder.
        path: PathBuf,
        /// The file's name in it.
        file: String,
        /// Bytes, as the manifest says.
        expected: u64,
        /// Bytes, as found.
        found: u64,
    },

    /// A file has the right length and other contents than the manifest says.
    #[error(
        "The checkpoint `{}` is damaged: its file `{file}` should have the SHA-256 {expected} and \
         has {found}. Use another checkpoint of the run.", path.display()
    )]
    FileDigest {
        /// The checkpoint's folder.
        path: PathBuf,
        /// The file's name in it.
        file: String,
        /// SHA-256 in hexadecimal, as the manifest says.
        expected: String,
        /// SHA-256 in hexadecimal, as found.
        found: String,
    },

    /// No checkpoint of the run can be used.
    #[error("{}", no_valid_checkpoint(run, rejected))]
    NoValidCheckpoint {
        /// The run's folder.
        run: PathBuf,
        /// Each checkpoint with what is wrong with it, newest first; empty where there was none.
        rejected: Vec<(Checkpoint, Error)>,
    },

    /// The run has no checkpoint of the step that was asked for.
    #[error(
        "The run `{}` has no checkpoint of step {step}: {}.", run.display(), choice(available)
    )]
    NoSuchStep {
        /// The run's folder.
        run: PathBuf,
        /// The step that was asked for.
        step: u64,
        /// The steps of its checkpoints, in ascending order.
        available: Vec<u64>,
    },
}

/// An error and all that it rests on, as part of a sentence.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{}: {error}", text.trim_end_matches('.'));
        cause = error.source();
    }
    text.truncate(text.trim_end_matches('.').len());
    text
}

fn remedy(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            " Free some space there and try again."
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            " Get yourself access to it, or choose another folder."
        }
        io::ErrorKind::CrossesDevices => {
            " A run's folder is on one disk as a whole: move away what is on another one, and try again."
        }
        _ => "",
    }
}

fn no_valid_checkpoint(run: &std::path::Path, rejected: &[(Checkpoint, Error)]) -> String {
    let run = run.display();
    if rejected.is_empty() {
        return format!(
            "The run `{run}` has no checkpoint yet, so there is nothing to go on from: start a \
             new run with `lookahead train {run}/config.toml`."
        );
    }
    let mut text = format!(
        "The run `{run}` has no valid checkpoint; bring one back from a backup, or start a new \
         run with `lookahead train {run}/config.toml`."
    );
    for (checkpoint, error) in rejected {
        text += &format!("\n  step {}: {error}", checkpoint.step);
    }
    text
}

fn choice(steps: &[u64]) -> String {
    if steps.is_empty() {
        return "it has no checkpoint at all".to_owned();
    }
    let steps: Vec<_> = steps.iter().map(u64::to_string).collect();
    format!("choose one of {}", steps.join(", "))
}

#[cfg(test)]
mod tests;
