//! The checkpoints of a run: published by a single rename, so that one is there whole or not at
//! all, and verified before use.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint::{self, Checkpoint, verify};
use crate::checkpoint_writer::CheckpointWriter;
use crate::disk::{self, At, shown};
use crate::error::{self, BoxError, Error, Result};
use crate::hold::Hold;
use crate::identity;
use crate::manifest::{Manifest, TrainingMetadata};

/// The checkpoints in the folder of a run. What their files mean is for the caller to know.
///
/// Everything that changes the store is for the holder of the run's lock; reading is for
/// everybody, at any time.
#[derive(Debug, Clone)]
pub struct CheckpointStore {
    pub(crate) run: PathBuf,
    /// Of a folder that is held open.
    pub(crate) hold: Option<Arc<Hold>>,
}

/// What came of [`CheckpointStore::publish`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The checkpoint's folder.
    pub path: PathBuf,
    /// The folder's name, such as `step-00001500`.
    pub name: String,
    /// Size of its files together, without the manifest.
    pub bytes: u64,
    /// Whether a valid checkpoint of the step was there before, and was kept as it was.
    pub already_there: bool,
}

/// The newest checkpoint that is whole, with those that were passed over.
#[derive(Debug)]
pub struct Newest {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Its manifest.
    pub manifest: Manifest,
    /// Newer checkpoints, newest first, with what is wrong with each.
    pub rejected: Vec<(Checkpoint, Error)>,
}

impl CheckpointStore {
    /// The store in the folder of a run, which must exist; see also
    /// [`RunFolder::checkpoints`](crate::RunFolder::checkpoints).
    pub fn new(run: &Path) -> CheckpointStore {
        CheckpointStore { run: run.to_owned(), hold: None }
    }

    /// To be asked before anything is published, moved or removed: see
    /// [`RunFolder::check`](crate::RunFolder::check).
    pub(crate) fn check_hold(&self) -> Result<()> {
        self.hold.as_ref().map_or(Ok(()), |hold| hold.check())
    }

    /// All checkpoints by name, oldest first. Nothing is verified.
    pub fn list(&self) -> Result<Vec<Checkpoint>> {
        let mut checkpoints = Vec::new();
        for entry in fs::read_dir(&self.run).at("list the folder", &self.run)? {
            let entry = entry.at("list the folder", &self.run)?;
            let step = entry.file_name().to_str().and_then(checkpoint::step_of);
            let path = entry.path();
            // A link is not followed: it could lead out of the run's folder.
            if let Some(step) = step
                && entry.file_type().at("look at", &path)?.is_dir()
            {
                checkpoints.push(Checkpoint { step, path });
            }
        }
        checkpoints.sort_by_key(|checkpoint| checkpoint.step);
        Ok(checkpoints)
    }

    /// Publishes the checkpoint of `metadata.step`, whose files `write` makes through the writer that it is
    /// given.
    ///
    /// Each file is flushed as it is finished, read back and compared with what was written, and
    /// only then does the whole get its name, by one rename. When this returns, the checkpoint would
    /// survive a power cut. A valid checkpoint of the same step and the same counts and numbers is
    /// kept and `write` is not called; another one, or a damaged one, changes places with the new one
    /// and is moved to `abandoned/`.
    ///
    /// # Errors
    /// [`Error::WriterFailed`] if `write` fails, [`Error::UnfitFile`] if it left a file unfinished or
    /// something else in the folder. After any error, as after a panic in `write`, nothing of the new
    /// checkpoint is left, and all that was there before is in its place. The one exception is
    /// that the very last sync of the run's folder fails: the checkpoint is there and whole then,
    /// and only not sure to survive a power cut.
    pub fn publish<W>(&self, metadata: TrainingMetadata, write: W) -> Result<Published>
    where
        W: FnOnce(&mut CheckpointWriter) -> std::result::Result<(), BoxError>,
    {
        let step = metadata.step;
        let name = checkpoint::folder_name(step);
        let path = self.run.join(&name);
        let taken = disk::is_taken(&path);
        let is_folder = path.symlink_metadata().is_ok_and(|found| found.is_dir());
        if is_folder
            && let Ok(manifest) = verify(&path)
            && manifest.metadata.is_same_moment(&metadata)
        {
            return Ok(Published { bytes: manifest.bytes(), path, name, already_there: true });
        }

        self.check_hold()?;
        let mut writer =
            CheckpointWriter::create(self.run.join(format!(".{name}.tmp")), self.hold.clone())?;
        let writer_failed =
            |cause: BoxError| Error::WriterFailed { step, cause: error::chain(&*cause) };
        write(&mut writer).map_err(writer_failed)?;
        let manifest = writer.seal(metadata, identity::read(&self.run))?;

        // Not before all else has succeeded: even a damaged checkpoint stays in its place for
        // nothing worse than a full disk.
        self.check_hold()?;
        match taken {
            true => self.replace(writer, &path, &name)?,
            false => writer.publish(&path)?,
        }
        disk::sync_folder(&self.run)?;
        Ok(Published { bytes: manifest.bytes(), path, name, already_there: false })
    }

    /// Puts a writer in the place of what has its name, and that into `abandoned/`. At no moment is
    /// there nothing under the name, where the file system can exchange two names.
    fn replace(&self, writer: CheckpointWriter, path: &Path, name: &str) -> Result<()> {
        if writer.exchange(path).is_ok() {
            disk::sync_folder(&self.run)?;
            let old = writer.path().file_name().map(|name| name.to_string_lossy().into_owned());
            self.abandon(&old.unwrap_or_default(), name)?;
            return Ok(());
        }
        let old = self.abandon(name, name)?;
        writer.publish(path).inspect_err(|_| drop(fs::rename(old, path)))
    }

    /// The newest checkpoint that is whole. Older ones are not read.
    ///
    /// # Errors
    /// [`Error::NoValidCheckpoint`] with what is wrong with each, if none is whole.
    pub fn newest_valid(&self) -> Result<Newest> {
        let mut rejected = Vec::new();
        for checkpoint in self.list()?.into_iter().rev() {
            match checkpoint.verify() {
                Ok(manifest) => return Ok(Newest { checkpoint, manifest, rejected }),
                Err(error) => rejected.push((checkpoint, error)),
            }
        }
        Err(Error::NoValidCheckpoint { run: shown(&self.run), rejected })
    }

    /// The checkpoint of a step, verified.
    ///
    /// # Errors
    /// [`Error::NoSuchStep`] with the steps that there are, or what is wrong with the checkpoint.
    pub fn at_step(&self, step: u64) -> Result<(Checkpoint, Manifest)> {
        let checkpoints = self.list()?;
        let Some(checkpoint) = checkpoints.iter().find(|checkpoint| checkpoint.step == step) else {
            let available = checkpoints.iter().map(|checkpoint| checkpoint.step).collect();
            return Err(Error::NoSuchStep { run: shown(&self.run), step, available });
        };
        Ok((checkpoint.clone(), checkpoint.verify()?))
    }
}

#[cfg(test)]
mod tests;
