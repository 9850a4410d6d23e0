//! SHA-256 of bytes and files, in lower-case hexadecimal.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

/// Length and SHA-256 of what is left to read, up to one byte beyond `limit`. The bytes are appended to
/// `keep`.
pub(crate) fn read_and_hash(
    file: &mut File,
    limit: u64,
    mut keep: Option<&mut Vec<u8>>,
) -> io::Result<(u64, String)> {
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
    Ok((bytes, hexadecimal(&hasher.finalize())))
}

/// SHA-256 of a file, read in pieces.
///
/// # Errors
/// If it can't be read.
pub fn sha256_of_file(path: &Path) -> io::Result<String> {
    Ok(read_and_hash(&mut File::open(path)?, u64::MAX, None)?.1)
}

/// SHA-256 of bytes.
pub fn sha256_of(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// The first 60 bits of the SHA-256 of bytes, which fit into an integer of a manifest.
pub fn fingerprint_of(bytes: &[u8]) -> i64 {
    i64::from_str_radix(&sha256_of(bytes)[..15], 16).unwrap_or_default()
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
