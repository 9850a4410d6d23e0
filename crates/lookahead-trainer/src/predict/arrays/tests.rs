use std::collections::BTreeMap;
use std::io::Write;

use super::*;
use crate::data::{DataSpec, Inputs};
use crate::tensor_file::{entries, write_new};
use lookahead_run::event::Task;
use tch::Device;

/// A .npy file: its header, then these bytes.
fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    header += &" ".repeat((64 - (header.len() + 11) % 64) % 64);
    header.push('\n');
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

/// The values of each chunk of a file, for samples of shape (1, 2).
fn chunks(path: &Path, array: Option<&str>) -> Result<Vec<Vec<f32>>, String> {
    let inputs = Inputs::raw(&[1, 2], &["row", "column"], "float32");
    let spec = DataSpec::new("mine", Task::Classification, inputs, 3);
    let preparation = Preparation::new(&spec, Device::Cpu).unwrap();
    let mut chunks = Vec::new();
    let mut take = |chunk: Chunk<'_>| {
        assert_eq!(chunk.inputs.size()[1..], [1, 2]);
        chunks.push(Vec::try_from(chunk.inputs.reshape([-1]))?);
        Ok(())
    };
    read(path, array, &preparation, 2, &mut take).map_err(|error| format!("{error:#}"))?;
    Ok(chunks)
}

const EXPECTED: [&[f32]; 2] = [&[1.0, 0.0, 0.0, 1.0], &[1.0, 1.0]];

#[test]
fn every_element_type_is_read_in_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    let ones = [1, 0, 0, 1, 1, 1];
    let bytes: [(&str, fn(u8) -> Vec<u8>); 9] = [
        ("<f2", |x| half::f16::from_f32(x.into()).to_le_bytes().to_vec()),
        ("<f4", |x| f32::from(x).to_le_bytes().to_vec()),
        ("<f8", |x| f64::from(x).to_le_bytes().to_vec()),
        ("|i1", |x| vec![x]),
        ("<i2", |x| u16::from(x).to_le_bytes().to_vec()),
        ("<i4", |x| u32::from(x).to_le_bytes().to_vec()),
        ("<i8", |x| u64::from(x).to_le_bytes().to_vec()),
        ("|u1", |x| vec![x]),
        ("|b1", |x| vec![x]),
    ];
    for (descr, bytes) in bytes {
        let data: Vec<u8> = ones.into_iter().flat_map(bytes).collect();
        std::fs::write(&path, npy(descr, false, "(3, 1, 2)", &data)).unwrap();
        assert_eq!(chunks(&path, None).unwrap(), EXPECTED, "{descr}");
    }
}

#[test]
fn an_array_is_found_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let data: Vec<u8> =
        [1f32, 0.0, 0.0, 1.0, 1.0, 1.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let whole = npy("<f4", false, "(3, 1, 2)", &data);
    let npz = |name: &str, members: &[&str]| {
        let path = folder.path().join(name);
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        for member in members {
            zip.start_file(format!("{member}.npy"), zip::write::FileOptions::default()).unwrap();
            zip.write_all(&whole).unwrap();
        }
        zip.finish().unwrap();
        path
    };
    assert_eq!(chunks(&npz("one.npz", &["arr_0"]), None).unwrap(), EXPECTED);
    let two = npz("two.npz", &["y", "x"]);
    assert_eq!(chunks(&two, Some("x")).unwrap(), EXPECTED);
    let error = chunks(&two, None).unwrap_err();
    assert!(error.contains("the arrays x, y, and none is named `inputs`"), "{error}");
    assert!(chunks(&npz("none.npz", &[]), None).unwrap_err().contains("no arrays"));

    let path = folder.path().join("a.safetensors");
    let tensor = Tensor::from_slice(&[1i64, 0, 0, 1, 1, 1]).reshape([3, 1, 2]);
    let other = Tensor::from_slice(&[1i64]);
    let tensors = BTreeMap::from([("inputs".to_owned(), tensor), ("targets".to_owned(), other)]);
    write_new(&path, None, entries(tensors)).unwrap();
    assert_eq!(chunks(&path, None).unwrap(), EXPECTED);
}

#[test]
fn an_array_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    let data = [0; 24];
    for (file, words) in [
        (npy("<f4", false, "(3, 2)", &data), "has the shape [3, 2], and the model takes (n, 1, 2)"),
        (npy("<f4", false, "()", &data[..4]), "has the shape []"),
        (npy("<f4", true, "(3, 1, 2)", &data), "numpy.ascontiguousarray"),
        (npy(">f4", false, "(3, 1, 2)", &data), "NumPy's type >f4"),
        (npy("<c8", false, "(3, 1, 2)", &data), "NumPy's type <c8"),
        (npy("|O", false, "(3, 1, 2)", &data), "NumPy's type |O"),
        (npy("<f4", false, "(3, 1, 2)", &data[..20]), "can't be read beyond sample 2"),
        (b"\x93NUMPY\x01\x00".to_vec(), "damaged"),
        (b"1,2\n".to_vec(), "not a NumPy array"),
        (Vec::new(), "not a NumPy array"),
    ] {
        std::fs::write(&path, file).unwrap();
        let error = chunks(&path, None).unwrap_err();
        assert!(error.contains(words) && error.contains("a.npy"), "{error}");
    }
}
