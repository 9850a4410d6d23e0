//! Arrays in .npy, .npz and .safetensors files: a sample per row.

use std::path::Path;

use tch::Device;

use super::chunks::{Chunk, Origin, Take};
use super::preparation::Preparation;
use crate::data::arrays::file::ArrayReader;
use crate::data::arrays::options::is_npy;
use crate::usage::UsageError;

/// Reads an array of shape (n, …). In a file with names, it is the one that the preparation names.
///
/// # Errors
/// If the file can't be read or is damaged, the array is missing, or it has another shape or type than the model's
/// inputs.
pub(super) fn read(
    path: &Path,
    preparation: &Preparation,
    most: usize,
    take: &mut Take<'_>,
) -> anyhow::Result<()> {
    let name = path.display().to_string();
    let failed = |reason: String| UsageError::new(format!("{name} can't be used. {reason}"));
    let array = (!is_npy(path)).then_some(preparation.array.as_str());
    let mut reader = ArrayReader::open(path, array).map_err(|reason| match array {
        Some(_) => failed(format!("{reason} `--array` names another one.")),
        None => failed(reason),
    })?;
    let sample = &preparation.spec.inputs.shape;
    let fits = match &reader.shape()[1..] {
        // A number for each sample is one feature.
        [] => sample[..] == [1],
        row => row == sample,
    };
    if !fits {
        let dimensions: String = sample.iter().map(|n| format!(", {n}")).collect();
        return Err(failed(format!(
            "It has the shape {:?}, and the model takes (n{dimensions}): n samples of shape {}.",
            reader.shape(),
            preparation.describe()
        ))
        .into());
    }
    let mut first = 1;
    while let Some(rows) = reader.next_chunk(most).map_err(failed)? {
        let count = rows.rows();
        let inputs = preparation.batch(&rows.slice(0..count, Device::Cpu), count)?;
        take(Chunk { inputs, origin: Origin::File { name: &name, first } })?;
        first += count;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
