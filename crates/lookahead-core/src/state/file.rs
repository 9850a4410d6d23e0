//! A state in one safetensors file.

use std::collections::HashMap;
use std::fs::{File, Permissions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Metadata, TensorInfo};
use serde_json::{Map, Value, json};
use tch::{Device, Kind, Tensor};

use super::State;
use crate::tch_ext::safetensors_types::{dtype_of, kind_of};
use crate::{Error, Result};

/// The entry of the file's metadata. Only one, since the order of several would vary.
const ENTRY: &str = "lookahead_state";

/// The version of that entry's contents.
const VERSION: u64 = 1;

/// The bytes of the header's length, which precedes the header.
const LENGTH: u64 = 8;

/// The format's limit on the header's length.
const LONGEST_HEADER: u64 = 100_000_000;

impl State {
    /// Writes it to one safetensors file, to the bit. The tensors are the file's; the integers and numbers are in
    /// its metadata, under `lookahead_state`, as JSON. An existing file is replaced, in one rename after all bytes
    /// are on the disk: whatever happens, the path has the earlier file or the whole new one.
    ///
    /// ```
    /// # use lookahead_core::State;
    /// # let path = std::env::temp_dir().join(format!("state-{}.safetensors", std::process::id()));
    /// let mut state = State::default();
    /// state.numbers.insert("alpha".to_owned(), 0.5);
    /// state.save(&path)?;
    /// assert_eq!(State::load(&path)?.numbers["alpha"], 0.5);
    /// # std::fs::remove_file(path).unwrap();
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`StateFile`](Error::StateFile) if the file can't be written, or safetensors lacks the element type of a
    /// tensor.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.write(path).map_err(|why| why.into_error("saved to", path))
    }

    /// Reads a file that [`save`](Self::save) wrote. The tensors are on the CPU. The script docs/lookahead_state.py of the
    /// repository writes such a file from PyTorch, for a training with timm's or pytorch_optimizer's Lookahead.
    ///
    /// # Errors
    /// [`StateFile`](Error::StateFile) if it can't be read, is not a safetensors file, or holds no state.
    pub fn load(path: impl AsRef<Path>) -> Result<State> {
        let path = path.as_ref();
        State::read(path).map_err(|why| why.into_error("loaded from", path))
    }

    fn write(&self, path: &Path) -> Outcome<()> {
        let (header, tensors) = self.header()?;
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        // A new file's usual permissions, not those of a private temporary file.
        let file = tempfile::Builder::new()
            .prefix(".state-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)?;
        let mut out = BufWriter::new(file);
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        for tensor in tensors {
            out.write_all(&bytes(&tensor)?)?;
        }
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|failed| failed.error)?;
        match File::open(folder).and_then(|folder| folder.sync_all()) {
            // A file system that can't sync a folder.
            Err(cause) if cause.kind() == io::ErrorKind::InvalidInput => Ok(()),
            synced => Ok(synced?),
        }
    }

    /// The header, and the tensors in the order of the file.
    fn header(&self) -> Outcome<(Vec<u8>, Vec<Tensor>)> {
        let mut tensors = Vec::with_capacity(self.tensors.len());
        let mut complex = Vec::new();
        for (name, tensor) in &self.tensors {
            if !tensor.defined() {
                return refuse(format!("its tensor `{name}` is undefined"));
            }
            let real = if is_complex(tensor.kind()) {
                complex.push(Value::from(name.as_str()));
                tensor.f_detach()?.f_resolve_conj()?.f_view_as_real()?
            } else {
                tensor.f_detach()?
            };
            let kind = real.kind();
            let Some(dtype) = dtype_of(kind) else {
                return refuse(format!(
                    "its tensor `{name}` is of type {kind:?}, which safetensors lacks"
                ));
            };
            tensors.push((name, dtype, real));
        }
        // Large element types first, so that all are aligned. Those of one type stay in the order of their names.
        tensors.sort_by(|(_, a, _), (_, b, _)| b.cmp(a));
        let mut end = 0;
        let infos = tensors.iter().map(|(name, dtype, tensor)| {
            let start = end;
            end += tensor.numel() * tensor.kind().elt_size_in_bytes();
            let shape = tensor.size().iter().map(|&n| n as usize).collect();
            ((*name).clone(), TensorInfo { dtype: *dtype, shape, data_offsets: (start, end) })
        });
        let infos = infos.collect();
        let integers: Map<_, _> =
            self.integers.iter().map(|(key, n)| (key.clone(), Value::from(*n))).collect();
        let numbers: Map<_, _> =
            self.numbers.iter().map(|(key, x)| (key.clone(), Value::from(text(*x)))).collect();
        let entry = json!({
            "version": VERSION,
            "integers": integers,
            "numbers": numbers,
            "complex": complex,
        });
        let metadata = HashMap::from([(ENTRY.to_owned(), entry.to_string())]);
        let mut header = serde_json::to_vec(&Metadata::new(Some(metadata), infos)?)?;
        header.resize(header.len().next_multiple_of(LENGTH as usize), b' ');
        if header.len() as u64 > LONGEST_HEADER {
            return refuse("it has too many tensors for the format".to_owned());
        }
        Ok((header, tensors.into_iter().map(|(_, _, tensor)| tensor).collect()))
    }

    fn read(path: &Path) -> Outcome<State> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut file = BufReader::new(file);
        let not_one = || Why::Other("it is not a safetensors file".to_owned());
        let mut length = [0; LENGTH as usize];
        if size < LENGTH {
            return Err(not_one());
        }
        file.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        if length > LONGEST_HEADER || length > size - LENGTH {
            return Err(not_one());
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header)?;
        let metadata: Metadata = serde_json::from_slice(&header).map_err(|_| not_one())?;
        let end = (LENGTH + length).saturating_add(metadata.data_len() as u64);
        if end != size {
            let found = format!("it has {size} bytes, and by its header it should have {end}");
            return refuse(format!("{found}: it was cut off or changed"));
        }
        let entry = metadata.metadata().as_ref().and_then(|all| all.get(ENTRY));
        let Some(entry) = entry else {
            return refuse(
                "it is a safetensors file without an optimizer's state; weights are loaded with \
                 `VarStore::load`"
                    .to_owned(),
            );
        };
        let (mut state, complex) = parsed(entry)?;
        for name in metadata.offset_keys() {
            let Some(info) = metadata.info(&name) else { continue };
            let tensor = read_tensor(&mut file, &name, info)?;
            let tensor = if complex.contains(&name) { tensor.f_view_as_complex()? } else { tensor };
            state.tensors.insert(name, tensor);
        }
        Ok(state)
    }
}

/// The state in the file's metadata, still without tensors, and the names of the complex ones.
fn parsed(entry: &str) -> Outcome<(State, Vec<String>)> {
    let damaged = |what: &str| Why::Other(format!("its metadata `{ENTRY}` has no {what}"));
    let entry: Value = serde_json::from_str(entry).map_err(|_| damaged("JSON"))?;
    let version = entry["version"].as_u64().ok_or_else(|| damaged("version"))?;
    if version > VERSION {
        return refuse(format!(
            "it has version {version} of the format, and this library reads version {VERSION}"
        ));
    }
    let table = |name: &str| entry[name].as_object().ok_or_else(|| damaged(name));
    let mut state = State::default();
    for (key, value) in table("integers")? {
        let value = value.as_i64().ok_or_else(|| damaged(&format!("integer as `{key}`")))?;
        state.integers.insert(key.clone(), value);
    }
    for (key, value) in table("numbers")? {
        let value = value.as_str().and_then(number);
        let value = value.ok_or_else(|| damaged(&format!("number as `{key}`")))?;
        state.numbers.insert(key.clone(), value);
    }
    let complex = entry["complex"].as_array().ok_or_else(|| damaged("list of complex tensors"))?;
    let complex = complex.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect();
    Ok((state, complex))
}

fn read_tensor(file: &mut impl Read, name: &str, info: &TensorInfo) -> Outcome<Tensor> {
    let Some(kind) = kind_of(info.dtype) else {
        let dtype = info.dtype;
        return refuse(format!("its tensor `{name}` is of type {dtype:?}, which libtorch lacks"));
    };
    let mut bytes = vec![0; info.data_offsets.1 - info.data_offsets.0];
    file.read_exact(&mut bytes)?;
    let shape = info.shape.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX));
    Ok(Tensor::f_from_data_size(&bytes, &shape.collect::<Vec<_>>(), kind)?)
}

fn is_complex(kind: Kind) -> bool {
    matches!(kind, Kind::ComplexHalf | Kind::ComplexFloat | Kind::ComplexDouble)
}

fn bytes(tensor: &Tensor) -> Outcome<Vec<u8>> {
    let tensor = tensor.f_to_device(Device::Cpu)?.f_resolve_neg()?.f_contiguous()?;
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(bytes)
}

/// A number as the shortest text that reads as the same bits. A JSON number would not do: many readers round it,
/// and JSON has no infinity. NaN is written as its bits.
fn text(number: f64) -> String {
    if number.is_nan() { format!("{:#x}", number.to_bits()) } else { format!("{number:?}") }
}

fn number(text: &str) -> Option<f64> {
    match text.strip_prefix("0x") {
        Some(bits) => u64::from_str_radix(bits, 16).ok().map(f64::from_bits),
        None => text.parse().ok(),
    }
}

type Outcome<T> = Result<T, Why>;

fn refuse<T>(reason: String) -> Outcome<T> {
    Err(Why::Other(reason))
}

/// Why a file can't be written or read.
enum Why {
    Disk(io::Error),
    Other(String),
}

impl Why {
    fn into_error(self, action: &'static str, path: &Path) -> Error {
        let reason = match self {
            Why::Disk(cause) if cause.kind() == io::ErrorKind::NotFound => {
                "there is no such file or folder".to_owned()
            }
            Why::Disk(cause) => cause.to_string(),
            Why::Other(reason) => reason,
        };
        Error::StateFile { action, path: PathBuf::from(path), reason }
    }
}

impl From<io::Error> for Why {
    fn from(cause: io::Error) -> Self {
        Why::Disk(cause)
    }
}

impl From<tch::TchError> for Why {
    fn from(refused: tch::TchError) -> Self {
        Why::Other(Error::from(refused).to_string())
    }
}

impl From<safetensors::SafeTensorError> for Why {
    fn from(refused: safetensors::SafeTensorError) -> Self {
        Why::Other(refused.to_string())
    }
}

impl From<serde_json::Error> for Why {
    fn from(refused: serde_json::Error) -> Self {
        Why::Other(refused.to_string())
    }
}

#[cfg(test)]
mod tests;
