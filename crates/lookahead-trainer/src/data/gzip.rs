//! Compressed files, read with a bound on their size.

use std::io::Read;
use std::path::Path;

use lookahead_run::words::reason;

use crate::file_kind;

/// The most bytes of a data file, compressed and decompressed. The largest file of the built-in data sets has
/// a twentieth of it.
pub const LARGEST: u64 = 1 << 30;

/// The most bytes that a compressed one can become.
const LARGEST_RATIO: usize = 1032;

/// Decompresses `bytes` of one or several gzip members, up to `largest` bytes.
///
/// # Errors
/// A sentence, if they decompress to more, are damaged or cut off, or something else follows.
pub fn decompress(bytes: &[u8], largest: u64) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    // A member ends with its length. Without the memory for it the reader finds out itself.
    let length = bytes.last_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize);
    if length <= bytes.len().saturating_mul(LARGEST_RATIO) && length as u64 <= largest {
        let _ = out.try_reserve_exact(length);
    }
    // One more byte shows that there are more.
    let mut reader = flate2::bufread::MultiGzDecoder::new(bytes).take(largest.saturating_add(1));
    reader
        .read_to_end(&mut out)
        .map_err(|cause| format!("It is damaged or cut off ({}).", reason(&cause)))?;
    if out.len() as u64 > largest {
        return Err(format!("It decompresses to more than {largest} bytes, so it is not read."));
    }
    Ok(out)
}

/// The contents of a regular file of at most [`LARGEST`] bytes.
///
/// # Errors
/// A sentence, if it can't be read or is larger.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    let cause = |cause: std::io::Error| format!("It can't be read: {}.", reason(&cause));
    let file = lookahead_run::open_plain(path).map_err(cause)?;
    if file.metadata().map_err(cause)?.len() > LARGEST {
        return Err(format!("It has more than {LARGEST} bytes, so it is not read."));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).map_err(cause)?;
    Ok(bytes)
}

/// As [`read`], for a data file that may be compressed, whatever its name. `is_plain` recognizes the beginning
/// of a file that is not.
///
/// # Errors
/// As [`read`] and [`decompress`]; if it is a Git LFS pointer or a web page instead of the file.
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
