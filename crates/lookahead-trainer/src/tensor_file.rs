//! Named tensors in a safetensors file, written as a stream and read by name.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Take, Write};
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use lookahead_core::tch_ext::safetensors_types::{dtype_of, kind_of};
use lookahead_run::words::{reason, sentences};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::Serialize;
use tch::{Device, Kind, Tensor};

use crate::file_kind;

/// The name of the model's signature in a file's metadata.
pub const SIGNATURE: &str = "signature";

/// The bytes of the header's length, which precedes the header.
const LENGTH: u64 = 8;

/// The most bytes of a header. 100,000 tensors need about a tenth of it.
pub const LARGEST_HEADER: u64 = 100 << 20;

/// A tensor to write, on any device and in any layout: its name, and its element type in the file.
pub type Entry = (String, Tensor, Kind);

/// Entries that keep the tensors' element types.
pub fn entries(tensors: BTreeMap<String, Tensor>) -> Vec<Entry> {
    let entry = |(name, tensor): (String, Tensor)| {
        let kind = tensor.kind();
        (name, tensor, kind)
    };
    tensors.into_iter().map(entry).collect()
}

/// Writes a file as a stream, with no more in memory than the largest tensor. `metadata` is one entry of the
/// file's metadata, its name and its text. `look` sees the bytes of each tensor before they are written, and may
/// refuse them.
///
/// # Errors
/// If `out` or `look` fails, or the format has no name for an element type.
pub fn write_to(
    out: &mut impl Write,
    metadata: Option<(&str, &str)>,
    mut entries: Vec<Entry>,
    mut look: impl FnMut(&str, Kind, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for (name, _, kind) in &entries {
        if dtype_of(*kind).is_none() {
            bail!("The tensor `{name}` is of type {kind:?}, which safetensors does not have.");
        }
    }
    // The order of the format's own writer: large element types first, so that all are aligned.
    entries.sort_by(|(a, _, kind_a), (b, _, kind_b)| {
        dtype_of(*kind_b).cmp(&dtype_of(*kind_a)).then_with(|| a.cmp(b))
    });
    let mut end = 0;
    let mut infos = Vec::with_capacity(entries.len());
    for (name, tensor, kind) in &entries {
        let start = end;
        end += tensor.numel() * kind.elt_size_in_bytes();
        let shape = tensor.size().iter().map(|&n| n as usize).collect();
        let dtype = dtype_of(*kind).context("It was found above.")?;
        infos.push((name.clone(), TensorInfo { dtype, shape, data_offsets: (start, end) }));
    }
    // Only one entry, since the order of several would vary.
    let metadata = metadata.map(|(name, text)| HashMap::from([(name.to_owned(), text.to_owned())]));
    let mut header = serde_json::to_vec(&Metadata::new(metadata, infos)?)?;
    header.resize(header.len().next_multiple_of(LENGTH as usize), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;

    let mut bytes = Vec::new();
    for (name, tensor, kind) in entries {
        let tensor =
            tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(kind)?.f_contiguous()?;
        let length = tensor.numel() * kind.elt_size_in_bytes();
        // Never shorter, since each growth would be filled with zeros again.
        bytes.resize(bytes.len().max(length), 0);
        let bytes = &mut bytes[..length];
        tensor.f_copy_data_u8(bytes, tensor.numel())?;
        look(&name, kind, bytes)?;
        out.write_all(bytes)?;
    }
    Ok(())
}

/// Writes tensors to a new file, with the model's signature, a JSON text, in its metadata.
///
/// # Errors
/// If the file exists; as [`write_to`]. No part of a file is left then.
pub fn write_new(path: &Path, signature: Option<&str>, entries: Vec<Entry>) -> anyhow::Result<()> {
    let written = File::create_new(path).map_err(anyhow::Error::from).and_then(|mut file| {
        let signature = signature.map(|text| (SIGNATURE, text));
        let written = write_to(&mut file, signature, entries, |_, _, _| Ok(()));
        let written = written.and_then(|()| Ok(file.sync_all()?));
        written.inspect_err(|_| drop(std::fs::remove_file(path)))
    });
    written.with_context(|| format!("The file {} can't be written.", path.display()))
}

/// A tensor by the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Description {
    /// The format's name of its element type.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<i64>,
}

/// A file whose header has been read and checked.
#[derive(Debug)]
pub struct TensorFile<R> {
    source: R,
    metadata: Metadata,
    /// The offset of the data.
    start: u64,
}

impl TensorFile<File> {
    /// Opens the file at `path` and reads its header.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let file = lookahead_run::open_plain(path)
            .map_err(|cause| anyhow!("The file {shown} can't be read: {}.", reason(&cause)))?;
        TensorFile::new(file).map_err(|error| {
            let reason = file_kind::of_weights(path).unwrap_or_else(|| sentences(error.as_ref()));
            anyhow!("The file {shown} is not a safetensors file. {reason}")
        })
    }
}

impl<R: Read + Seek> TensorFile<R> {
    /// Reads the header, which must describe exactly the data that follows.
    ///
    /// # Errors
    /// If it doesn't. At most [`LARGEST_HEADER`] bytes are read.
    pub fn new(mut source: R) -> anyhow::Result<Self> {
        let size = source.seek(SeekFrom::End(0))?;
        source.rewind()?;
        let mut length = [0; LENGTH as usize];
        if source.read_exact(&mut length).is_err() {
            bail!("It has {size} bytes, and no room for a header.");
        }
        let length = u64::from_le_bytes(length);
        let start = length.saturating_add(LENGTH);
        if length > LARGEST_HEADER || start > size {
            bail!(
                "Its header should have {length} bytes, more than the file's {size} or the allowed \
                 {LARGEST_HEADER}: it is cut off, or of another format."
            );
        }
        let mut header = vec![0; length as usize];
        source.read_exact(&mut header)?;
        let metadata: Metadata =
            serde_json::from_slice(&header).context("Its header is not one of the format")?;
        let end = start.saturating_add(metadata.data_len() as u64);
        if end != size {
            let cut = if size < end { ": it is cut off, so get it again" } else { "" };
            bail!("By its header it should have {end} bytes, and it has {size}{cut}.");
        }
        Ok(TensorFile { source, metadata, start })
    }

    /// The model's signature, a JSON text.
    pub fn signature(&self) -> Option<&str> {
        self.entry(SIGNATURE)
    }

    /// An entry of the file's metadata.
    pub fn entry(&self, name: &str) -> Option<&str> {
        Some(self.metadata.metadata().as_ref()?.get(name)?)
    }

    /// The tensors of the file, by name.
    pub fn descriptions(&self) -> BTreeMap<String, Description> {
        let describe = |info: &TensorInfo| Description {
            dtype: info.dtype,
            shape: info.shape.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect(),
        };
        self.metadata.tensors().into_iter().map(|(name, info)| (name, describe(info))).collect()
    }

    /// Reads one tensor, on the CPU.
    ///
    /// # Errors
    /// If the file has no tensor of that name, or libtorch lacks its type.
    pub fn tensor(&mut self, name: &str) -> anyhow::Result<Tensor> {
        let info = self.metadata.info(name).with_context(|| format!("It has no `{name}`."))?;
        let Some(kind) = kind_of(info.dtype) else {
            bail!("Its tensor `{name}` is of type {:?}, which libtorch lacks.", info.dtype);
        };
        let shape: Vec<i64> =
            info.shape.iter().map(|&n| i64::try_from(n)).collect::<Result<_, _>>()?;
        let (start, end) = info.data_offsets;
        self.source.seek(SeekFrom::Start(self.start + start as u64))?;
        let mut bytes = vec![0; end - start];
        self.source.read_exact(&mut bytes)?;
        Ok(Tensor::f_from_data_size(&bytes, &shape, kind)?)
    }

    /// The bytes of one tensor, to be read in pieces.
    ///
    /// # Errors
    /// If the file has no tensor of that name, or can't be read.
    pub fn into_bytes(mut self, name: &str) -> anyhow::Result<Take<R>> {
        let info = self.metadata.info(name).with_context(|| format!("It has no `{name}`."))?;
        let (start, end) = info.data_offsets;
        self.source.seek(SeekFrom::Start(self.start + start as u64))?;
        Ok(self.source.take((end - start) as u64))
    }

    /// Reads all tensors, on the CPU.
    pub fn tensors(&mut self) -> anyhow::Result<BTreeMap<String, Tensor>> {
        let names = self.metadata.offset_keys();
        names.into_iter().map(|name| Ok((name.clone(), self.tensor(&name)?))).collect()
    }
}

/// Reads all tensors of the file at `path`, on the CPU.
pub fn read(path: &Path) -> anyhow::Result<BTreeMap<String, Tensor>> {
    let tensors = TensorFile::open(path)?.tensors();
    tensors.with_context(|| format!("The file {} can't be read.", path.display()))
}

/// Whether a tensor's bytes contain NaN or infinity.
pub fn has_non_finite(kind: Kind, bytes: &[u8]) -> bool {
    // Both have all bits of the exponent set. The folds look at every value, so that they can be vectorized.
    let any_16 = |exponent: u16| {
        let values = bytes.as_chunks::<2>().0.iter().map(|&value| u16::from_le_bytes(value));
        values.fold(false, |found, value| found | (value & exponent == exponent))
    };
    match kind {
        Kind::Float => {
            let values = bytes.as_chunks::<4>().0.iter().map(|&value| u32::from_le_bytes(value));
            values.fold(false, |found, value| found | (value & 0x7f80_0000 == 0x7f80_0000))
        }
        Kind::Double => {
            const EXPONENT: u64 = 0x7ff0_0000_0000_0000;
            let values = bytes.as_chunks::<8>().0.iter().map(|&value| u64::from_le_bytes(value));
            values.fold(false, |found, value| found | (value & EXPONENT == EXPONENT))
        }
        Kind::Half => any_16(0x7c00),
        Kind::BFloat16 => any_16(0x7f80),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
