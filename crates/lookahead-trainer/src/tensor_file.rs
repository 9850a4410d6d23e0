//! Named tensors in a safetensors file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use safetensors::{Dtype, SafeTensors, View};
use tch::{Device, Kind, Tensor};

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

struct Bytes {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for Bytes {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes the tensors, from whatever device and in whatever layout, to a new file.
///
/// # Errors
/// Where the disk says no, or an element type has no name in the format.
pub fn write(path: &Path, tensors: &BTreeMap<String, Tensor>) -> anyhow::Result<()> {
    let mut views = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let Some(&(_, dtype)) = TYPES.iter().find(|(kind, _)| *kind == tensor.kind()) else {
            bail!(
                "The tensor `{name}` is of type {:?}, which safetensors has no name for.",
                tensor.kind()
            );
        };
        let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?;
        let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
        tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
        let shape = tensor.size().iter().map(|&n| n as usize).collect();
        views.push((name, Bytes { dtype, shape, bytes }));
    }
    // Not by `serialize_to_file`, whose temporary file is for its owner's eyes only whatever the
    // umask says; the checkpoint's folder gets its real name last anyway.
    let bytes = safetensors::serialize(views, None)
        .with_context(|| format!("The file {} can't be encoded.", path.display()))?;
    std::fs::write(path, bytes)
        .with_context(|| format!("The file {} can't be written.", path.display()))
}

/// Reads all tensors of a file, on the CPU.
///
/// # Errors
/// Where the file can't be read or is no safetensors file.
pub fn read(path: &Path) -> anyhow::Result<BTreeMap<String, Tensor>> {
    let bytes = std::fs::read(path)
        .with_context(|| format!("The file {} can't be read.", path.display()))?;
    let file = SafeTensors::deserialize(&bytes)
        .with_context(|| format!("The file {} is no safetensors file.", path.display()))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        let Some(&(kind, _)) = TYPES.iter().find(|(_, dtype)| *dtype == view.dtype()) else {
            bail!("The tensor `{name}` in {} is of a type that libtorch lacks.", path.display());
        };
        let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        tensors.insert(name, Tensor::f_from_data_size(view.data(), &shape, kind)?);
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_layout_and_shape_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.safetensors");
        let base = Tensor::from_slice(&[0.5f32, -0.0, f32::NAN, 3.0, 4.0, 5.0]).reshape([2, 3]);
        let mut tensors = BTreeMap::new();
        for (kind, _) in TYPES {
            tensors.insert(format!("{kind:?}"), base.nan_to_num(0.0, None, None).to_kind(kind));
        }
        tensors.insert("transposed".to_owned(), base.tr());
        tensors.insert("scalar".to_owned(), base.get(0).get(0));
        tensors.insert("empty".to_owned(), base.narrow(0, 0, 0));
        tensors.insert("trainable".to_owned(), base.copy().set_requires_grad(true));
        write(&path, &tensors).unwrap();
        let read = read(&path).unwrap();
        assert_eq!(read.len(), tensors.len());
        for (name, tensor) in &tensors {
            let (found, expected) = (&read[name], tensor.contiguous());
            assert_eq!(found.kind(), expected.kind(), "{name}");
            assert_eq!(found.size(), expected.size(), "{name}");
            let bits = |t: &Tensor| {
                let mut bytes = vec![0; t.numel() * t.kind().elt_size_in_bytes()];
                t.copy_data_u8(&mut bytes, t.numel());
                bytes
            };
            assert_eq!(bits(found), bits(&expected.detach()), "{name}");
        }
    }

    #[test]
    fn who_may_read_it_is_for_the_umask_to_say() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| {
            let metadata = std::fs::metadata(folder.path().join(name)).unwrap();
            metadata.permissions().mode() & 0o777
        };
        write(&folder.path().join("tensors"), &BTreeMap::new()).unwrap();
        std::fs::write(folder.path().join("any"), "").unwrap();
        assert_eq!(mode("tensors"), mode("any"));
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.safetensors");
        assert!(read(&path).unwrap_err().to_string().contains("can't be read"));
        std::fs::write(&path, "no").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("is no safetensors file"));
    }
}
