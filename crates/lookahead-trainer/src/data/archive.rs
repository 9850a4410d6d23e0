//! Compressed archives, of which only some files are unpacked.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Component, Path};

use lookahead_run::words::reason;

/// The most entries of an archive. The known ones have 8.
const ENTRIES: usize = 1000;

/// Reads the files `names` in `folder` of a compressed archive, and gives each to `take`. Everything else in
/// the archive is skipped. At most `largest` bytes are decompressed.
///
/// # Errors
/// A sentence, if the archive is damaged or too large, a file is missing, or a path leads out of it; the
/// errors of `take`.
pub fn unpack(
    bytes: &[u8],
    folder: &str,
    names: &[&str],
    largest: u64,
    mut take: impl FnMut(&str, &mut dyn Read) -> Result<(), String>,
) -> Result<(), String> {
    let damaged =
        |cause: std::io::Error| format!("The archive is damaged or cut off ({}).", reason(&cause));
    // A larger archive ends there, and looks cut off.
    let reader = flate2::read::MultiGzDecoder::new(bytes).take(largest);
    let mut archive = tar::Archive::new(reader);
    let mut missing: BTreeSet<&str> = names.iter().copied().collect();
    for (count, entry) in archive.entries().map_err(damaged)?.enumerate() {
        let mut entry = entry.map_err(damaged)?;
        if count >= ENTRIES {
            return Err(format!("The archive has more than {ENTRIES} entries, so it is not read."));
        }
        let path = entry.path().map_err(damaged)?.into_owned();
        let is_inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if !path.components().all(is_inside) {
            return Err(format!("The entry `{}` leads out of the archive.", path.display()));
        }
        let here = |name: &&str| path.ends_with(Path::new(folder).join(name));
        let Some(name) = missing.iter().copied().find(here) else { continue };
        if !entry.header().entry_type().is_file() {
            return Err(format!("In the archive, {} is not a regular file.", path.display()));
        }
        take(name, &mut entry)?;
        missing.remove(name);
        if missing.is_empty() {
            return Ok(());
        }
    }
    Err(format!(
        "The archive lacks {}, or it comes only after {largest} bytes.",
        missing.into_iter().map(|name| format!("{folder}/{name}")).collect::<Vec<_>>().join(", ")
    ))
}

#[cfg(test)]
pub(crate) mod tests;
