//! A checkpoint that is being written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::RenameFlags;
use sha2::{Digest, Sha256};

use crate::checkpoint::verify_file;
use crate::disk::{self, At};
use crate::error::{Error, Result};
use crate::faults::passed;
use crate::hash::hexadecimal;
use crate::locked_folder::LockedFolder;
use crate::manifest::{self, FileEntry, Manifest, TrainingMetadata};

/// A folder under a hidden name, removed unless it is published.
///
/// Files are written through it, so that the bytes are counted and hashed before a disk can change them.
#[derive(Debug)]
pub struct CheckpointWriter {
    path: PathBuf,
    /// What was written; `None` for a file that is not finished.
    files: BTreeMap<String, Option<FileEntry>>,
    published: bool,
    /// The run's folder.
    run: Option<Arc<LockedFolder>>,
}

impl CheckpointWriter {
    pub(crate) fn create(path: PathBuf, run: Option<Arc<LockedFolder>>) -> Result<Self> {
        disk::remove_folder(&path)?;
        disk::create_folder(&path)?;
        Ok(CheckpointWriter { path, files: BTreeMap::new(), published: false, run })
    }

    /// The folder of the files until the checkpoint gets its name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a file, to be written as a stream; it counts once it is
    /// [finished](CheckpointFile::finish).
    ///
    /// # Errors
    /// [`Error::FileName`] for a name that is not one plain file name, or is the manifest's; if
    /// there already is such a file.
    pub fn create_file(&mut self, name: &str) -> Result<CheckpointFile<'_>> {
        if let Some(fault) = manifest::fault_of_file_name(name) {
            return Err(Error::FileName { name: name.to_owned(), fault });
        }
        let path = self.path.join(name);
        let file = disk::create_file(&path)?;
        let entry = self.files.entry(name.to_owned()).or_insert(None);
        Ok(CheckpointFile { file, path, bytes: 0, hasher: Sha256::new(), entry })
    }

    /// Writes the manifest, and reads everything back.
    pub(crate) fn seal(
        &self,
        metadata: TrainingMetadata,
        run_id: Option<String>,
    ) -> Result<Manifest> {
        for entry in fs::read_dir(&self.path).at("list the folder", &self.path)? {
            let name = entry.at("list the folder", &self.path)?.file_name();
            let known = name.to_str().and_then(|name| self.files.get(name));
            let fault = match known {
                Some(Some(_)) => continue,
                Some(None) => "which was started and not finished",
                None => "which was not written through the `CheckpointWriter`",
            };
            return Err(Error::UnfitFile { path: disk::shown(&self.path.join(name)), fault });
        }
        let files =
            self.files.iter().filter_map(|(name, entry)| Some((name.clone(), entry.clone()?)));
        let manifest = Manifest { run_id, ..Manifest::new(metadata, files.collect()) };
        for (name, entry) in &manifest.files {
            verify_file(&self.path, name, entry, None)?;
        }
        manifest.write(&self.path)?;
        disk::sync_folder(&self.path)?;
        Ok(manifest)
    }

    /// Swaps names with what is at `path`, whose folder this writer then has.
    pub(crate) fn exchange(&self, path: &Path) -> io::Result<()> {
        let here = rustix::fs::CWD;
        rustix::fs::renameat_with(here, &self.path, here, path, RenameFlags::EXCHANGE)?;
        passed("exchange of names");
        Ok(())
    }

    pub(crate) fn publish(mut self, path: &Path) -> Result<()> {
        disk::rename(&self.path, path, "publish the checkpoint", path)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for CheckpointWriter {
    fn drop(&mut self) {
        // Another process that has taken the run over may have a folder of the same name.
        if !self.published && self.run.as_ref().is_none_or(|run| run.check().is_ok()) {
            // What can't be removed now is cleared later as a leftover.
            let _ = disk::remove_folder(&self.path);
        }
    }
}

/// A file of a checkpoint that is being written.
#[derive(Debug)]
#[must_use = "a file that is not finished can't be published"]
pub struct CheckpointFile<'writer> {
    file: File,
    path: PathBuf,
    bytes: u64,
    hasher: Sha256,
    entry: &'writer mut Option<FileEntry>,
}

impl CheckpointFile<'_> {
    /// Ends the file, and waits until its contents would survive a power cut.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn finish(self) -> Result<()> {
        disk::sync_file(&self.file, &self.path)?;
        let sha256 = hexadecimal(&self.hasher.finalize());
        *self.entry = Some(FileEntry { bytes: self.bytes, sha256 });
        Ok(())
    }
}

impl Write for CheckpointFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        disk::write(&mut self.file, bytes).1?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
