//! The checkpoints of a run: published by a single rename, so that one exists whole or not at all, and
//! verified before use.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint::{Checkpoint, verify};
use crate::checkpoint_name::{folder_name, step_of};
use crate::checkpoint_writer::CheckpointWriter;
use crate::disk::{self, At, shown};
use crate::error::{self, BoxError, Error, Result};
use crate::identity;
use crate::locked_folder::LockedFolder;
use crate::manifest::{Manifest, TrainingMetadata};

/// The checkpoints in the folder of a run. The caller knows what their files mean.
///
/// Only the holder of the run's lock may change the store; anyone may read it at any time.
#[derive(Debug, Clone)]
pub struct CheckpointStore {
    pub(crate) run: PathBuf,
    pub(crate) locked: Option<Arc<LockedFolder>>,
}

/// The result of [`CheckpointStore::publish`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The checkpoint's folder.
    pub path: PathBuf,
    /// The folder's name, for example `step-00001500`.
    pub name: String,
    /// Size of all its files, without the manifest.
    pub bytes: u64,
    /// Whether a valid checkpoint of the step existed before, and was kept as it was.
    pub already_there: bool,
}

/// The newest valid checkpoint, and the ones that were skipped.
#[derive(Debug)]
pub struct Newest {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Its manifest.
    pub manifest: Manifest,
    /// Newer checkpoints, newest first, each with what is wrong with it.
    pub rejected: Vec<(Checkpoint, Error)>,
}

impl CheckpointStore {
    /// The store in the folder of a run, which must exist; see also
    /// [`RunFolder::checkpoints`](crate::RunFolder::checkpoints).
    pub fn new(run: &Path) -> CheckpointStore {
        CheckpointStore { run: run.to_owned(), locked: None }
    }

    /// Checks that the folder is still this process's, before anything is published, moved or removed.
    pub(crate) fn check_lock(&self) -> Result<()> {
        self.locked.as_ref().map_or(Ok(()), |locked| locked.check())
    }

    /// All checkpoints by name, oldest first, not verified.
    pub fn list(&self) -> Result<Vec<Checkpoint>> {
        let mut checkpoints = Vec::new();
        for entry in fs::read_dir(&self.run).at("list the folder", &self.run)? {
            let entry = entry.at("list the folder", &self.run)?;
            let step = entry.file_name().to_str().and_then(step_of);
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

    /// Publishes the checkpoint of `metadata.step`, whose files `write` creates.
    ///
    /// Each file is flushed when it is finished, read back and compared with what was written; only then
    /// does the checkpoint get its name, by one rename. When this returns, it would survive a power cut. A
    /// valid checkpoint of the same step with the same counts and numbers is kept, and `write` is not
    /// called; another one, or a damaged one, swaps places with the new one and moves to `abandoned/`.
    ///
    /// # Errors
    /// [`Error::WriterFailed`] if `write` fails, [`Error::UnfitFile`] if it leaves a file unfinished or
    /// something else in the folder. After any error, or a panic in `write`, nothing of the new checkpoint
    /// is left, and everything that was there before is in its place; except if the very last sync of the
    /// run's folder fails: then the checkpoint is published and whole, but may not survive a power cut.
    pub fn publish<W>(&self, metadata: TrainingMetadata, write: W) -> Result<Published>
    where
        W: FnOnce(&mut CheckpointWriter) -> std::result::Result<(), BoxError>,
    {
        let step = metadata.step;
        let name = folder_name(step);
        let path = self.run.join(&name);
        let found = path.symlink_metadata();
        if found.as_ref().is_ok_and(|found| found.is_dir())
            && let Ok(manifest) = verify(&path)
            && manifest.metadata.is_same_moment(&metadata)
        {
            return Ok(Published { bytes: manifest.bytes(), path, name, already_there: true });
        }

        self.check_lock()?;
        let hidden = self.run.join(format!(".{name}.tmp"));
        let mut writer = CheckpointWriter::create(hidden, self.locked.clone())?;
        let writer_failed = |cause: BoxError| Error::WriterFailed {
            step,
            cause: error::chain_with_remedy(&*cause),
        };
        write(&mut writer).map_err(writer_failed)?;
        let manifest = writer.seal(metadata, identity::read(&self.run))?;

        // Not before everything else has succeeded: a full disk must not move even a damaged checkpoint.
        self.check_lock()?;
        if found.is_ok() {
            self.replace(writer, &path, &name)?;
        } else {
            writer.publish(&path)?;
        }
        disk::sync_folder(&self.run)?;
        Ok(Published { bytes: manifest.bytes(), path, name, already_there: false })
    }

    /// Puts a new checkpoint in the place of what has its name, which moves to `abandoned/`. If the file
    /// system can exchange two names, the name is never missing.
    fn replace(&self, writer: CheckpointWriter, path: &Path, name: &str) -> Result<()> {
        if writer.exchange(path).is_ok() {
            disk::sync_folder(&self.run)?;
            let old = writer.path().file_name().map(|name| name.to_string_lossy().into_owned());
            return self.abandon(&old.unwrap_or_default(), name).map(drop);
        }
        let old = self.abandon(name, name)?;
        writer.publish(path).inspect_err(|_| drop(fs::rename(old, path)))
    }

    /// The newest valid checkpoint. Older ones are not read.
    ///
    /// # Errors
    /// [`Error::NoValidCheckpoint`] with what is wrong with each, if none is valid.
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
    /// [`Error::NoSuchStep`] with the steps that exist, or what is wrong with the checkpoint.
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
