//! One checkpoint: its name, and whether it is whole.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::disk::{At, shown};
use crate::error::{Error, Result};
use crate::identity;
use crate::manifest::{FileEntry, Manifest};

/// A folder that is a checkpoint by its name. Whether it is whole, [`Checkpoint::verify`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Inner steps that the run had taken.
    pub step: u64,
    /// The folder.
    pub path: PathBuf,
}

impl Checkpoint {
    /// The folder's name, such as `step-00001500`.
    pub fn name(&self) -> String {
        folder_name(self.step)
    }

    /// As [`verify`].
    pub fn verify(&self) -> Result<Manifest> {
        verify(&self.path)
    }
}

/// Reads a checkpoint's manifest and compares all of its files with it: this reads every byte.
///
/// A folder that is named after a step must be of that step; under another name, such as that of
/// a copy, it may be of any. Files that the manifest does not list are not looked at.
///
/// # Errors
/// One that says which file of which checkpoint is missing or differs, what was expected and what
/// was found; [`Error::ManifestTooNew`] if a later version of this program wrote it.
pub fn verify(path: &Path) -> Result<Manifest> {
    let manifest = Manifest::read(path)?;
    refuse_other_step(path, &manifest)?;
    refuse_other_run(path, &manifest)?;
    for (name, expected) in &manifest.files {
        verify_file(path, name, expected, None)?;
    }
    Ok(manifest)
}

/// As [`verify`], and the contents of the files whose names are in `wanted`: what is returned is
/// what was verified, whatever happens to the files afterwards. Each is as large as the manifest
/// says, or an error.
///
/// # Errors
/// As [`verify`]; [`Error::FileMissing`] for a file that is wanted and not in the manifest.
pub fn read(path: &Path, wanted: &[&str]) -> Result<(Manifest, BTreeMap<String, Vec<u8>>)> {
    let manifest = Manifest::read(path)?;
    refuse_other_step(path, &manifest)?;
    refuse_other_run(path, &manifest)?;
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
        Some(name) => Err(Error::FileMissing { path: shown(path), file: (*name).to_owned() }),
        None => Ok((manifest, contents)),
    }
}

/// Whether the folder that a checkpoint is in is another run's. Checkpoints of earlier versions don't
/// tell.
fn refuse_other_run(path: &Path, manifest: &Manifest) -> Result<()> {
    match (&manifest.run_id, identity::read(&path.join(".."))) {
        (Some(found), Some(expected)) if *found != expected => {
            Err(Error::OtherRun { path: shown(path), found: found.clone(), expected })
        }
        _ => Ok(()),
    }
}

fn refuse_other_step(path: &Path, manifest: &Manifest) -> Result<()> {
    let step = manifest.metadata.step;
    match step_in_name_of(path) {
        Some(folder) if folder != step => {
            Err(Error::StepMismatch { path: shown(path), folder, manifest: step })
        }
        _ => Ok(()),
    }
}

/// Compares one file with its entry, and keeps its contents in `keep` where there is one.
pub(crate) fn verify_file(
    folder: &Path,
    name: &str,
    expected: &FileEntry,
    keep: Option<&mut Vec<u8>>,
) -> Result<()> {
    let path = folder.join(name);
    let (folder, name) = (shown(folder), name.to_owned());
    // A link could lead out of the run's folder, and a pipe never ends.
    match path.symlink_metadata() {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            return Err(Error::FileMissing { path: folder, file: name });
        }
        found if !found.as_ref().is_ok_and(|found| found.is_file()) => {
            found.at("look at", &path)?;
            return Err(Error::NotAFile { path: folder, file: name });
        }
        _ => {}
    }
    let mut file = File::open(&path).at("open", &path)?;
    // The size comes first, because it costs nothing and says more of a torn copy.
    let found = file.metadata().at("look at", &path)?.len();
    if found != expected.bytes {
        let expected = expected.bytes;
        return Err(Error::FileSize { path: folder, file: name, expected, found });
    }
    let found = describe(&mut file, expected.bytes, keep).at("read", &path)?;
    if found.bytes != expected.bytes {
        let (expected, found) = (expected.bytes, found.bytes);
        return Err(Error::FileSize { path: folder, file: name, expected, found });
    }
    if found.sha256 != expected.sha256 {
        let (expected, found) = (expected.sha256.clone(), found.sha256);
        return Err(Error::FileDigest { path: folder, file: name, expected, found });
    }
    Ok(())
}

/// Size and SHA-256 of what is left to read, but for what is beyond `limit` and a byte; the bytes
/// go to `keep`.
fn describe(file: &mut File, limit: u64, mut keep: Option<&mut Vec<u8>>) -> io::Result<FileEntry> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let mut bytes = 0;
    // A file that grows while it is read must not fill the memory.
    let mut file = file.take(limit.saturating_add(1));
    if let Some(keep) = &mut keep {
        keep.try_reserve_exact(usize::try_from(limit).unwrap_or(usize::MAX))
            .map_err(|_| io::ErrorKind::OutOfMemory)?;
    }
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                hasher.update(&buffer[..count]);
                bytes += count as u64;
                if let Some(keep) = &mut keep {
                    keep.extend_from_slice(&buffer[..count]);
                }
            }
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(FileEntry { bytes, sha256: hexadecimal(&hasher.finalize()) })
}

/// SHA-256 of a file, read in pieces, as manifests have it.
///
/// # Errors
/// Where it can't be read.
pub fn sha256_of_file(path: &Path) -> io::Result<String> {
    Ok(describe(&mut File::open(path)?, u64::MAX, None)?.sha256)
}

/// SHA-256 in lower-case hexadecimal, as manifests have it.
pub fn sha256_of(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// What tells bytes from others in a manifest's integers: the first 60 bits of their SHA-256.
pub fn fingerprint_of(bytes: &[u8]) -> i64 {
    i64::from_str_radix(&sha256_of(bytes)[..15], 16).unwrap_or_default()
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The name of a step's checkpoint.
pub(crate) fn folder_name(step: u64) -> String {
    format!("step-{step:08}")
}

/// The step of a checkpoint's name; `None` for every other spelling of the same number, so that a
/// step has one name.
pub(crate) fn step_of(name: &str) -> Option<u64> {
    let step = name.strip_prefix("step-")?.parse().ok()?;
    (folder_name(step) == name).then_some(step)
}

fn step_in_name_of(path: &Path) -> Option<u64> {
    // `.` and `..` have no file name of their own.
    let name = match path.file_name() {
        Some(name) => name.to_owned(),
        None => path.canonicalize().ok()?.file_name()?.to_owned(),
    };
    step_of(name.to_str()?)
}

#[cfg(test)]
mod tests;
