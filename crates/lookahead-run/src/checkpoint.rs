//! A checkpoint on disk, verified.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::checkpoint_name::step_in_name_of;
use crate::disk::{At, shown};
use crate::error::{Error, Result};
use crate::hash::read_and_hash;
use crate::identity;
use crate::manifest::{FileEntry, Manifest};

pub use crate::checkpoint_name::Checkpoint;
pub use crate::hash::{fingerprint_of, sha256_of, sha256_of_file};

impl Checkpoint {
    /// As [`verify`].
    pub fn verify(&self) -> Result<Manifest> {
        verify(&self.path)
    }
}

/// Reads a checkpoint's manifest and compares all of its files with it, which reads every byte.
///
/// A folder that is named after a step must be of that step; one with another name, for example a copy,
/// may be of any. Files that are not in the manifest are ignored.
///
/// # Errors
/// The error names the file that is missing or differs, what was expected and what was found;
/// [`Error::ManifestTooNew`] if a later version of this program wrote the checkpoint.
pub fn verify(path: &Path) -> Result<Manifest> {
    read(path, &[]).map(|(manifest, _)| manifest)
}

/// As [`verify`], and returns the contents of the files named in `wanted` as they were verified, whatever
/// happens to the files afterwards.
///
/// # Errors
/// As [`verify`]; [`Error::FileDamaged`] for a wanted file that is not in the manifest.
pub fn read(path: &Path, wanted: &[&str]) -> Result<(Manifest, BTreeMap<String, Vec<u8>>)> {
    let manifest = Manifest::read(path)?;
    let step = manifest.metadata.step;
    if let Some(folder) = step_in_name_of(path).filter(|folder| *folder != step) {
        return Err(Error::StepMismatch { path: shown(path), folder, manifest: step });
    }
    // Checkpoints of earlier versions have no id.
    if let (Some(found), Some(expected)) = (&manifest.run_id, identity::read(&path.join("..")))
        && *found != expected
    {
        return Err(Error::OtherRun { path: shown(path), found: found.clone(), expected });
    }
    let mut contents = BTreeMap::new();
    for (name, expected) in &manifest.files {
        let mut bytes = Vec::new();
        let keep = wanted.contains(&name.as_str());
        verify_file(path, name, expected, keep.then_some(&mut bytes))?;
        if keep {
            contents.insert(name.clone(), bytes);
        }
    }
    match wanted.iter().find(|name| !contents.contains_key(**name)) {
        Some(name) => Err(damaged(path, name, "is missing".to_owned())),
        None => Ok((manifest, contents)),
    }
}

fn damaged(folder: &Path, name: &str, fault: String) -> Error {
    Error::FileDamaged { path: shown(folder), file: name.to_owned(), fault }
}

/// Compares one file with its entry, and appends its contents to `keep`.
pub(crate) fn verify_file(
    folder: &Path,
    name: &str,
    expected: &FileEntry,
    keep: Option<&mut Vec<u8>>,
) -> Result<()> {
    let path = folder.join(name);
    let damaged = |fault: String| Err(damaged(folder, name, fault));
    let found = match path.symlink_metadata() {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            return damaged("is missing".to_owned());
        }
        found => found.at("look at", &path)?,
    };
    // A link could lead out of the run's folder, and a pipe never ends.
    if !found.is_file() {
        return damaged("is not a plain file".to_owned());
    }
    let mut file = File::open(&path).at("open", &path)?;
    // The size comes first: it costs nothing, and explains a torn copy better.
    let mut bytes = file.metadata().at("look at", &path)?.len();
    let mut sha256 = String::new();
    if bytes == expected.bytes {
        (bytes, sha256) = read_and_hash(&mut file, expected.bytes, keep).at("read", &path)?;
    }
    if bytes != expected.bytes {
        return damaged(format!("should have {} bytes and has {bytes}", expected.bytes));
    }
    if sha256 != expected.sha256 {
        return damaged(format!("should have the SHA-256 {} and has {sha256}", expected.sha256));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
