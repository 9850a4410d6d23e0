//! Compressed files, of which nobody knows how large they become.

use std::io::Read;
use std::path::Path;

use crate::file_kind;

/// Most bytes of a data file, compressed and as it becomes: the largest known here is a twentieth of
/// it. Whatever the file, no more than the two together are in memory.
pub const LARGEST: u64 = 1 << 30;

/// Decompresses `bytes`, as long as they become no more than `largest` bytes; what comes after those
/// is not even decompressed. A file of several members, as some programs write them, is all of them.
///
/// # Errors
/// A sentence, where they become more, are damaged or cut off, or something else follows.
pub fn decompress(bytes: &[u8], largest: u64) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    // One byte more tells that there is more.
    let mut reader = flate2::read::MultiGzDecoder::new(bytes).take(largest.saturating_add(1));
    reader.read_to_end(&mut out).map_err(|cause| format!("It is damaged or cut off ({cause})."))?;
    match out.len() as u64 > largest {
        true => Err(format!("It becomes more than {largest} bytes, so it is not read.")),
        false => Ok(out),
    }
}

/// The contents of a plain file of at most [`LARGEST`] bytes.
///
/// # Errors
/// A sentence, where it is none, or can't be read.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    let cause = |cause: std::io::Error| format!("It can't be read ({cause}).");
    let file = lookahead_run::open_plain(path).map_err(cause)?;
    if file.metadata().map_err(cause)?.len() > LARGEST {
        return Err(format!("It can't be read: it may have at most {LARGEST} bytes."));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).map_err(cause)?;
    Ok(bytes)
}

/// As [`read`], of a data file that may be compressed, whatever its name: `is_plain` knows the beginning of
/// one that is not.
///
/// # Errors
/// As [`read`] and [`decompress`]; if it is a file that only stands in for the right one.
pub fn read_data(path: &Path, is_plain: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>, String> {
    let bytes = read(path)?;
    match file_kind::stand_in(&bytes) {
        Some(sentence) => Err(sentence.to_owned()),
        None if is_plain(&bytes) => Ok(bytes),
        None => decompress(&bytes, LARGEST),
    }
}

#[cfg(test)]
mod tests;
