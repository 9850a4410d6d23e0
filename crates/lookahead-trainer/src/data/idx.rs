//! The file format of MNIST and Fashion-MNIST: bytes after a header of big-endian counts.
//!
//! Two zero bytes, a type byte (8 for unsigned bytes), the number of dimensions, then each
//! dimension as four bytes. (Y. LeCun, C. Cortes, C. Burges, the MNIST database.)

use std::path::{Path, PathBuf};

/// The values of an IDX file and their dimensions.
#[derive(Debug, PartialEq, Eq)]
pub struct Idx<'a> {
    /// The dimensions, outermost first.
    pub dimensions: Vec<usize>,
    /// The values, last dimension fastest.
    pub values: &'a [u8],
}

/// Reads an IDX file of unsigned bytes, without copying them.
///
/// # Errors
/// A sentence about what is wrong, without the name of the file.
pub fn parse(bytes: &[u8]) -> Result<Idx<'_>, String> {
    let short = || format!("It ends within its header, after {} bytes.", bytes.len());
    let [0, 0, element, rank] = *bytes.first_chunk::<4>().ok_or_else(short)? else {
        return Err("It does not begin with the two zero bytes of an IDX file.".to_owned());
    };
    if element != 8 {
        return Err(format!("Its values are of IDX type {element} instead of 8, bytes."));
    }
    let header = 4 + 4 * usize::from(rank);
    let dimensions: Vec<usize> = bytes
        .get(4..header)
        .ok_or_else(short)?
        .chunks_exact(4)
        .map(|n| u32::from_be_bytes([n[0], n[1], n[2], n[3]]) as usize)
        .collect();
    let values = &bytes[header..];
    let promised = dimensions.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
    if promised != Some(values.len()) {
        return Err(format!(
            "Its header promises {dimensions:?} values, and {} follow.",
            values.len()
        ));
    }
    Ok(Idx { dimensions, values })
}

/// The folder of the files: `dir`, or the folder in it that torchvision uses.
pub fn folder(dir: &Path) -> PathBuf {
    let inner = ["raw", "FashionMNIST/raw", "MNIST/raw"].map(|inner| dir.join(inner));
    let has_files = |folder: &&PathBuf| find(folder, PARTS[0]).is_some();
    match find(dir, PARTS[0]) {
        Some(_) => dir.to_owned(),
        None => inner.iter().find(has_files).cloned().unwrap_or_else(|| dir.to_owned()),
    }
}

/// How the names of the four files begin. The original ending is `-idx3-ubyte.gz`; programs write
/// `.idx3-ubyte` and others.
pub const PARTS: [&str; 4] = ["train-images", "train-labels", "t10k-images", "t10k-labels"];

/// The file of a part in a folder: under its original name, with or without `.gz`, or else the only file
/// whose name contains the part, or `test` for `t10k`.
pub fn find(folder: &Path, part: &str) -> Option<PathBuf> {
    let names = std::fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let names: Vec<String> =
        names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let is_original = |name: &&String| {
        let rest = name.strip_prefix(part).unwrap_or_default();
        matches!(rest, "-idx3-ubyte.gz" | "-idx1-ubyte.gz" | "-idx3-ubyte" | "-idx1-ubyte")
    };
    let named_alike = |name: &&String| {
        let name = name.to_lowercase().replace('_', "-").replace("t10k", "test");
        !name.starts_with('.') && name.contains(&part.replace("t10k", "test"))
    };
    // The compressed one if there are both, as in earlier versions.
    let original = names.iter().filter(is_original).max();
    let found = original.or_else(|| {
        let mut alike = names.iter().filter(named_alike);
        alike.next().filter(|_| alike.next().is_none())
    });
    found.map(|name| folder.join(name))
}

#[cfg(test)]
mod tests;
