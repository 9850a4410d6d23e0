//! The id of a run: random, in the run's folder and in the manifest of each checkpoint, so that checkpoints
//! of different runs are not mixed up.
//!
//! A copy of a folder has the id of the original even after it has been trained further: the two are one
//! run with two ends, and may exchange checkpoints.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use crate::disk;
use crate::error::Result;

const FILE_NAME: &str = "id";
const DIGITS: usize = 32;

/// The id of the run in a folder; none if an earlier version made it, or it is not a run's.
pub(crate) fn read(run: &Path) -> Option<String> {
    let mut text = String::new();
    disk::open_plain(&run.join(FILE_NAME)).ok()?.take(100).read_to_string(&mut text).ok()?;
    let id = text.trim();
    let is_id = id.len() == DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| id.to_owned())
}

/// Gives the run in a folder an id.
pub(crate) fn write(run: &Path, id: &str) -> Result<()> {
    disk::put(run, FILE_NAME, format!("{id}\n").as_bytes())
}

/// An id for a new run.
pub(crate) fn random() -> String {
    // Seeded by the system's random numbers.
    let half =
        || format!("{:016x}", RandomState::new().hash_one((std::process::id(), Instant::now())));
    half() + &half()
}

#[cfg(test)]
mod tests;
