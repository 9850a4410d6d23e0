//! Named tensors in a safetensors file: written as a stream, read by name.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use tch::{Device, Kind, Tensor};

use crate::file_kind;

/// Pairs of libtorch's element types and the file's.
const TYPES: [(Kind, Dtype); 10] = [
    (Kind::Float, Dtype::F32),
    (Kind::Double, Dtype::F64),
    (Kind::Half, Dtype::F16),
    (Kind::BFloat16, Dtype::BF16),
    (Kind::Int64, Dtype::I64),
    (Kind::Int, Dtype::I32),
    (Kind::Int16, Dtype::I16),
    (Kind::Int8, Dtype::I8),
    (Kind::Uint8, Dtype::U8),
    (Kind::Bool, Dtype::BOOL),
];

/// The name of the model's signature in a file's metadata.
pub const SIGNATURE: &str = "signature";

/// The header begins after its length.
const LENGTH: u64 = 8;

/// Most bytes of a header that are read: 100,000 tensors need about a tenth of it.
pub const LARGEST_HEADER: u64 = 100 << 20;

/// What goes into a file under a name: a tensor, from whatever device and in whatever layout, and the
/// element type that it has in the file.
pub type Entry = (String, Tensor, Kind);

/// Entries of tensors as they are.
pub fn entries(tensors: BTreeMap<String, Tensor>) -> Vec<Entry> {
    let entry = |(name, tensor): (String, Tensor)| {
        let kind = tensor.kind();
        (name, tensor, kind)
    };
    tensors.into_iter().map(entry).collect()
}

/// Writes a file as a stream, with no more in memory than the largest tensor. `look` sees the bytes
/// of each tensor before they are written, and may refuse them.
///
/// # Errors
/// Where `out` or `look` says no, or an element type has no name in the format.
pub fn write_to(
    out: &mut impl Write,
    entries: Vec<Entry>,
    look: impl FnMut(&str, Kind, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    write_with(out, None, entries, look)
}

/// As [`write_to`], with one entry in the file's metadata: its name, and its text.
///
/// # Errors
/// As [`write_to`].
pub fn write_with(
    out: &mut impl Write,
    metadata: Option<(&str, &str)>,
    mut entries: Vec<Entry>,
    mut look: impl FnMut(&str, Kind, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let dtype = |kind: Kind| TYPES.iter().find(|(of, _)| *of == kind).map(|(_, dtype)| *dtype);
    for (name, _, kind) in &entries {
        if dtype(*kind).is_none() {
            bail!("The tensor `{name}` is of type {kind:?}, which safetensors has no name for.");
        }
    }
    // The order of the format's own writer: large element types first, so that all are aligned.
    entries.sort_by(|(a, _, kind_a), (b, _, kind_b)| {
        dtype(*kind_b).cmp(&dtype(*kind_a)).then_with(|| a.cmp(b))
    });
    let mut end = 0;
    let mut infos = Vec::with_capacity(entries.len());
    for (name, tensor, kind) in &entries {
        let start = end;
        end += tensor.numel() * kind.elt_size_in_bytes();
        let shape = tensor.size().iter().map(|&n| n as usize).collect();
        let dtype = dtype(*kind).context("It was looked for above.")?;
        infos.push((name.clone(), TensorInfo { dtype, shape, data_offsets: (start, end) }));
    }
    // One entry: the order of several would differ from file to file.
    let metadata = metadata.map(|(name, text)| HashMap::from([(name.to_owned(), text.to_owned())]));
    let mut header = serde_json::to_vec(&Metadata::new(metadata, infos)?)?;
    header.resize(header.len().next_multiple_of(LENGTH as usize), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;

    let mut bytes = Vec::new();
    for (name, tensor, kind) in entries {
        let tensor =
            tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(kind)?.f_contiguous()?;
        bytes.resize(tensor.numel() * kind.elt_size_in_bytes(), 0);
        tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
        look(&name, kind, &bytes)?;
        out.write_all(&bytes)?;
    }
    Ok(())
}

/// Writes tensors to a new file, which must not be there yet.
///
/// # Errors
/// As [`write_to`]; nothing is left of the file then.
pub fn write_new(path: &Path, entries: Vec<Entry>) -> anyhow::Result<()> {
    write_new_signed(path, None, entries)
}

/// As [`write_new`], with the model's signature, a JSON text, in the file's metadata.
///
/// # Errors
/// As [`write_new`].
pub fn write_new_signed(
    path: &Path,
    signature: Option<&str>,
    entries: Vec<Entry>,
) -> anyhow::Result<()> {
    let written = File::create_new(path).map_err(anyhow::Error::from).and_then(|mut file| {
        let signature = signature.map(|text| (SIGNATURE, text));
        let written = write_with(&mut file, signature, entries, |_, _, _| Ok(()));
        let written = written.and_then(|()| Ok(file.sync_all()?));
        written.inspect_err(|_| drop(std::fs::remove_file(path)))
    });
    written.with_context(|| format!("The file {} can't be written.", path.display()))
}

/// A tensor as the header tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its element type, as the format calls it.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<i64>,
}

/// A file whose header has been read and checked.
#[derive(Debug)]
pub struct TensorFile<R> {
    source: R,
    metadata: Metadata,
    /// Where the data begins.
    start: u64,
}

impl TensorFile<File> {
    /// Opens the file at `path`. Tensors are read when they are asked for.
    ///
    /// # Errors
    /// Where it can't be read or is not a safetensors file.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let file = lookahead_run::open_plain(path)
            .map_err(|cause| anyhow!("The file {shown} can't be read ({cause})."))?;
        TensorFile::new(file).map_err(|error| {
            let reason = file_kind::of_weights(path).unwrap_or_else(|| format!("{error:#}"));
            anyhow!("The file {shown} is not a safetensors file. {reason}")
        })
    }
}

impl<R: Read + Seek> TensorFile<R> {
    /// Reads and checks the header: what it says of the data must be exactly what there is.
    ///
    /// # Errors
    /// Where that is not so. No more than [`LARGEST_HEADER`] bytes are read, and no more than there
    /// are.
    pub fn new(mut source: R) -> anyhow::Result<Self> {
        let size = source.seek(SeekFrom::End(0))?;
        source.rewind()?;
        let mut start = [0; LENGTH as usize];
        if source.read_exact(&mut start).is_err() {
            bail!("It has {size} bytes, and no room for a header.");
        }
        TensorFile::read_header(source, size, u64::from_le_bytes(start))
    }

    fn read_header(mut source: R, size: u64, length: u64) -> anyhow::Result<Self> {
        let start = length.saturating_add(LENGTH);
        if length > LARGEST_HEADER || start > size {
            bail!(
                "Its header should have {length} bytes, and may have {LARGEST_HEADER} and those of \
                 the file, {size}: it is cut off, or of another format."
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

    /// The signature of the model whose weights these are, a JSON text, where the file has one.
    pub fn signature(&self) -> Option<&str> {
        self.entry(SIGNATURE)
    }

    /// An entry of the file's metadata.
    pub fn entry(&self, name: &str) -> Option<&str> {
        Some(self.metadata.metadata().as_ref()?.get(name)?)
    }

    /// What is in the file, by name.
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
    /// Where the file has none of that name, or of a type that libtorch lacks.
    pub fn tensor(&mut self, name: &str) -> anyhow::Result<Tensor> {
        let info = self.metadata.info(name).with_context(|| format!("It has no `{name}`."))?;
        let Some(&(kind, _)) = TYPES.iter().find(|(_, dtype)| *dtype == info.dtype) else {
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

    /// Reads all tensors, on the CPU.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    pub fn tensors(&mut self) -> anyhow::Result<BTreeMap<String, Tensor>> {
        let names = self.metadata.offset_keys();
        names.into_iter().map(|name| Ok((name.clone(), self.tensor(&name)?))).collect()
    }
}

/// Reads all tensors of the file at `path`, on the CPU.
///
/// # Errors
/// Where it can't be read or is not a safetensors file.
pub fn read(path: &Path) -> anyhow::Result<BTreeMap<String, Tensor>> {
    let tensors = TensorFile::open(path)?.tensors();
    tensors.with_context(|| format!("The file {} can't be read.", path.display()))
}

/// Whether a tensor's bytes hold NaN or infinity.
pub fn has_non_finite(kind: Kind, bytes: &[u8]) -> bool {
    // Both have all bits of the exponent set. The folds look at all, so that they can be vectorized.
    match kind {
        Kind::Float => {
            bytes.as_chunks::<4>().0.iter().fold(false, |found, &b| {
                found | (u32::from_le_bytes(b) & 0x7f80_0000 == 0x7f80_0000)
            })
        }
        Kind::Double => bytes.as_chunks::<8>().0.iter().fold(false, |found, &b| {
            found | (u64::from_le_bytes(b) & 0x7ff0_0000_0000_0000 == 0x7ff0_0000_0000_0000)
        }),
        Kind::Half | Kind::BFloat16 => {
            let exponent = if kind == Kind::Half { 0x7c00 } else { 0x7f80 };
            bytes
                .as_chunks::<2>()
                .0
                .iter()
                .fold(false, |found, &b| found | (u16::from_le_bytes(b) & exponent == exponent))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
