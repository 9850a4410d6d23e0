//! The manifest of a checkpoint, `manifest.json`: the state of the run, and the sizes and hashes of the
//! checkpoint's files.
//!
//! The manifest guards itself too. Its last field, `sha256`, is the SHA-256 of the manifest's text with this
//! field's 64 digits replaced by zeros, so a changed step or seed is noticed as a changed weight is.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::disk::{self, At, shown};
use crate::error::{Error, Result};
use crate::event::{Compute, Software};
use crate::hash::sha256_of;
use crate::number;

/// Version of the manifest and of the layout of a checkpoint. Within one version fields may be added; a
/// reader ignores those that it does not know.
pub const FORMAT: u32 = 1;

const FILE_NAME: &str = "manifest.json";

/// Most bytes of a manifest that are read; real ones are far smaller.
pub const LARGEST: u64 = 16 << 20;

/// Why a file of a checkpoint can't have this name, as a verb phrase; `None` if it can. A manifest comes
/// from a disk, and must not lead a reader or writer out of its folder.
pub(crate) fn fault_of_file_name(name: &str) -> Option<&'static str> {
    if name == FILE_NAME { Some("is the manifest's own") } else { disk::fault_of_name(name) }
}

/// What a trainer records in a checkpoint besides tensors: the position in the run, the single numbers of
/// its state, and what it ran on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingMetadata {
    /// Inner steps taken since the start of the run.
    pub step: u64,
    /// Inner steps since the last sync.
    pub phase: u64,
    /// Completed epochs.
    pub epoch: u64,
    /// Index of the next batch in the epoch.
    pub cursor: u64,
    /// Seed of the run.
    pub seed: u64,
    /// The programs that wrote it.
    #[serde(flatten)]
    pub software: Software,
    /// The machine that it was trained on.
    #[serde(flatten)]
    pub machine: MachineInfo,
    /// The trainer's own state, which only it can read; null if an earlier version wrote it.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub train_state: serde_json::Value,
    /// Other integers that decide the run's future, for example counts of the optimizer.
    #[serde(default)]
    pub integers: BTreeMap<String, i64>,
    /// Other numbers that decide the run's future, for example learning rates. Finite numbers come back to
    /// the bit; NaN and the infinities are allowed.
    #[serde(default, with = "number::map")]
    pub numbers: BTreeMap<String, f64>,
    /// Measurements of this step's model, for example `validation/accuracy`, by which the
    /// [`Best`](crate::retention::Best) checkpoint is found.
    #[serde(default, with = "number::map")]
    pub metrics: BTreeMap<String, f64>,
    /// How long the processes of the run have run so far, in seconds.
    #[serde(default)]
    pub wall_seconds: f64,
    /// The git working tree in which the program ran, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<Git>,
    /// The resolved configuration, every default written out; null if it is not known.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub config: serde_json::Value,
    /// What the model takes and returns, for example how its inputs are normalized and the names of its
    /// classes; null if it is not known.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub signature: serde_json::Value,
}

impl TrainingMetadata {
    /// Whether two checkpoints are of the same moment of the same training, by their counts and numbers.
    /// Time, machine and measurements may differ.
    pub(crate) fn is_same_moment(&self, other: &TrainingMetadata) -> bool {
        let position = |of: &TrainingMetadata| (of.step, of.phase, of.epoch, of.cursor, of.seed);
        let bits = |of: &TrainingMetadata| -> Vec<(String, u64)> {
            of.numbers.iter().map(|(name, value)| (name.clone(), value.to_bits())).collect()
        };
        position(self) == position(other)
            && self.train_state == other.train_state
            && self.integers == other.integers
            && bits(self) == bits(other)
    }
}

/// What of a machine decides the last bits of what it computes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineInfo {
    /// Device, threads and kernels.
    #[serde(flatten)]
    pub compute: Compute,
    /// The processor's model, by which libraries choose their kernels; empty if it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub processor: String,
    /// Environment variables that were set and decide which kernels compute, or how; `None` if they are
    /// not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<BTreeMap<String, String>>,
}

/// The state of a git working tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// The commit that is checked out, in hexadecimal.
    pub revision: String,
    /// Whether tracked files differ from that commit.
    pub modified: bool,
}

/// A checkpoint's state and files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this layout: [`FORMAT`].
    pub format: u32,
    /// When it was taken, in Unix seconds.
    pub created: f64,
    /// The id of its run; none if an earlier version wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// What the trainer recorded.
    #[serde(flatten)]
    pub metadata: TrainingMetadata,
    /// Its files by name, without the manifest itself.
    pub files: BTreeMap<String, FileEntry>,
}

/// By what a file is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

impl Manifest {
    pub(crate) fn new(metadata: TrainingMetadata, files: BTreeMap<String, FileEntry>) -> Manifest {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        // A clock set before 1970 must not cost a checkpoint.
        let created = now.map_or(0.0, |duration| duration.as_secs_f64());
        Manifest { format: FORMAT, created, run_id: None, metadata, files }
    }

    /// Size of all files, without the manifest itself.
    pub fn bytes(&self) -> u64 {
        self.files.values().fold(0, |sum, file| sum.saturating_add(file.bytes))
    }

    /// Writes `manifest.json` into the folder and waits until it is on the disk.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        #[derive(Serialize)]
        struct Sealed<'a> {
            #[serde(flatten)]
            manifest: &'a Manifest,
            sha256: &'a str,
        }

        let path = folder.join(FILE_NAME);
        let sealed = Sealed { manifest: self, sha256: UNSEALED };
        let text = serde_json::to_string_pretty(&sealed).map_err(io::Error::from);
        let text = text.at("encode", &path)? + "\n";
        let seal = sha256_of(text.as_bytes());
        disk::write_synced(&path, replace_last(&text, UNSEALED, &seal).as_bytes())
    }

    /// Reads `manifest.json` of the folder, and none of its files.
    ///
    /// # Errors
    /// [`Error::ManifestMissing`], [`Error::ManifestDamaged`] or [`Error::ManifestTooNew`].
    pub fn read(folder: &Path) -> Result<Manifest> {
        let path = folder.join(FILE_NAME);
        let mut bytes = Vec::new();
        let damaged = |cause| Error::ManifestDamaged { path: shown(folder), cause };
        let file = match disk::open_plain(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(Error::ManifestMissing(shown(folder)));
            }
            Err(cause) if cause.kind() == io::ErrorKind::InvalidInput => {
                return Err(damaged(cause.to_string()));
            }
            result => result.at("open", &path)?,
        };
        if file.metadata().at("look at", &path)?.len() > LARGEST {
            return Err(damaged(format!("it has more than {LARGEST} bytes")));
        }
        file.take(LARGEST).read_to_end(&mut bytes).at("read", &path)?;
        Manifest::parse(folder, &bytes)
    }

    /// The manifest in `bytes`, which were read from `folder`.
    ///
    /// # Errors
    /// [`Error::ManifestDamaged`] or [`Error::ManifestTooNew`].
    pub fn parse(folder: &Path, bytes: &[u8]) -> Result<Manifest> {
        let damaged = |cause: String| Error::ManifestDamaged { path: shown(folder), cause };
        let text =
            std::str::from_utf8(bytes).map_err(|_| damaged("it is not UTF-8 text".into()))?;

        // The format comes first: nothing else is certain in a later one.
        let Version { format } = parse(text).map_err(damaged)?;
        if format > FORMAT {
            let path = shown(folder);
            return Err(Error::ManifestTooNew { path, found: format, known: FORMAT });
        }
        let Seal { sha256: expected } = parse(text).map_err(damaged)?;
        let found = sha256_of(replace_last(text, &expected, UNSEALED).as_bytes());
        if found != expected {
            return Err(damaged(format!("it should have the SHA-256 {expected} and has {found}")));
        }
        let manifest: Manifest = parse(text).map_err(damaged)?;
        for name in manifest.files.keys() {
            if let Some(fault) = fault_of_file_name(name) {
                return Err(damaged(format!("it lists a file whose name, {name:?}, {fault}")));
            }
        }
        Ok(manifest)
    }
}

const UNSEALED: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[derive(Deserialize)]
struct Version {
    format: u32,
}

#[derive(Deserialize)]
struct Seal {
    sha256: String,
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> std::result::Result<T, String> {
    serde_json::from_str(text).map_err(|cause| format!("it can't be read ({cause})"))
}

fn replace_last(text: &str, from: &str, to: &str) -> String {
    match text.rsplit_once(from) {
        Some((before, after)) => format!("{before}{to}{after}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
