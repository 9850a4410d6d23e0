//! Arrays in .npy, .npz and .safetensors files, read in chunks: a sample per row.

use std::io::{BufReader, Read};
use std::path::Path;

use npyz::{DType, NpyHeader, Order};
use tch::{Kind, Tensor};
use zip::ZipArchive;

use super::chunks::{Chunk, Origin, Take, open};
use super::preparation::Preparation;
use crate::tensor_file::TensorFile;
use crate::usage::UsageError;

/// NumPy's names of the element types that libtorch has too.
const TYPES: [(&str, Kind); 9] = [
    ("<f2", Kind::Half),
    ("<f4", Kind::Float),
    ("<f8", Kind::Double),
    ("|i1", Kind::Int8),
    ("<i2", Kind::Int16),
    ("<i4", Kind::Int),
    ("<i8", Kind::Int64),
    ("|u1", Kind::Uint8),
    ("|b1", Kind::Bool),
];

/// An array in C order, as a stream of its bytes.
struct Stream<R> {
    bytes: R,
    kind: Kind,
    shape: Vec<u64>,
}

/// Reads the array in a file, of shape (n, …): the one of the given name, or the only one.
///
/// # Errors
/// If the file can't be read or is damaged, the array is missing, or it has another shape or type than the model's
/// inputs.
pub(super) fn read(
    path: &Path,
    array: Option<&str>,
    preparation: &Preparation,
    most: usize,
    take: &mut Take<'_>,
) -> anyhow::Result<()> {
    let name = path.display().to_string();
    let failed = |reason: String| UsageError::new(format!("{name} can't be used. {reason}"));
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    if extension == "npy" {
        let stream = Stream::npy(BufReader::new(open(path)?)).map_err(failed)?;
        return stream.read(&name, preparation, most, take);
    }
    if extension == "npz" {
        let broken = |error: zip::result::ZipError| failed(format!("{error}."));
        let mut archive = ZipArchive::new(BufReader::new(open(path)?)).map_err(broken)?;
        let names = archive.file_names().filter_map(|name| name.strip_suffix(".npy"));
        let chosen = choose(names.map(str::to_owned).collect(), array).map_err(failed)?;
        let member = archive.by_name(&format!("{chosen}.npy")).map_err(broken)?;
        let stream = Stream::npy(BufReader::new(member)).map_err(failed)?;
        return stream.read(&name, preparation, most, take);
    }
    let mut file = TensorFile::open(path)?;
    let chosen = choose(file.descriptions().into_keys().collect(), array).map_err(failed)?;
    let (kind, shape, bytes) = file.stream(&chosen)?;
    let shape = shape.iter().map(|&n| n as u64).collect();
    Stream { bytes: BufReader::new(bytes), kind, shape }.read(&name, preparation, most, take)
}

/// The array to read: that of the given name, or the only one.
fn choose(mut names: Vec<String>, wanted: Option<&str>) -> Result<String, String> {
    let wanted = wanted.unwrap_or("inputs");
    if let ([only], _) | (_, Some(only)) = (&names[..], names.iter().find(|name| *name == wanted)) {
        return Ok(only.clone());
    }
    if names.is_empty() {
        return Err("It has no arrays.".to_owned());
    }
    names.sort();
    Err(format!(
        "It has the arrays {}, and none is named `{wanted}`. Name the one with the samples so, or save it alone.",
        names.join(", ")
    ))
}

impl<R: Read> Stream<R> {
    /// The array of a .npy file.
    fn npy(mut bytes: R) -> Result<Self, String> {
        let header = NpyHeader::from_reader(&mut bytes)
            .map_err(|error| format!("It is not a NumPy array, or it is damaged ({error})."))?;
        let descr = match header.dtype() {
            DType::Plain(plain) => plain.to_string(),
            other => other.descr(),
        };
        let known = TYPES.iter().find(|(name, _)| *name == descr);
        let &(_, kind) = known.ok_or_else(|| {
            format!(
                "Its elements are of NumPy's type {descr}. Use float32 or int64, for example \
                 `numpy.save(file, array.astype(\"float32\"))`."
            )
        })?;
        if header.order() == Order::Fortran && header.shape().len() > 1 {
            return Err("Its values are in Fortran order. Save `numpy.ascontiguousarray(array)`."
                .to_owned());
        }
        Ok(Stream { bytes, kind, shape: header.shape().to_vec() })
    }

    fn read(
        mut self,
        name: &str,
        preparation: &Preparation,
        most: usize,
        take: &mut Take<'_>,
    ) -> anyhow::Result<()> {
        let fits = |row: &[u64]| {
            row.iter().copied().eq(preparation.inputs.shape.iter().map(|&n| n as u64))
        };
        let count = match self.shape.split_first() {
            Some((&count, row)) if fits(row) => count,
            _ => {
                let sample: String =
                    preparation.inputs.shape.iter().map(|n| format!(", {n}")).collect();
                return Err(UsageError::new(format!(
                    "{name} has the shape {:?}, and the model takes (n{sample}): n samples of shape {}.",
                    self.shape,
                    preparation.describe()
                ))
                .into());
            }
        };
        let row = preparation.values();
        let mut buffer = Vec::new();
        let mut done = 0;
        while done < count {
            let samples = (count - done).min(most as u64) as usize;
            buffer.resize(samples * row * self.kind.elt_size_in_bytes(), 0);
            self.bytes.read_exact(&mut buffer).map_err(|error| {
                UsageError::new(format!(
                    "{name} can't be read beyond sample {done}: {error}. It should have {count} samples."
                ))
            })?;
            let shape = [samples as i64, row as i64];
            let raw = Tensor::f_from_data_size(&buffer, &shape, self.kind)?;
            let origin = Origin::File { name, first: done as usize + 1 };
            take(Chunk { inputs: preparation.batch(&raw, samples)?, origin })?;
            done += samples as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
