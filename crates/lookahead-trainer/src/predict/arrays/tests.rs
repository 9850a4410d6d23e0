use std::io::Write;

use super::*;
use crate::config::data::DataConfig;
use crate::data::{DataSpec, Inputs};
use lookahead_run::event::Task;

/// A .npy file of `f32`: its header, then these values.
fn npy(shape: &str, values: &[f32]) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    header += &" ".repeat(117 - header.len());
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    [&b"\x93NUMPY\x01\x00\x76\x00"[..], header.as_bytes(), b"\n", &data].concat()
}

/// Where each chunk of a file begins, and its values.
fn chunks(
    path: &Path,
    sample: &[usize],
    array: Option<&str>,
) -> Result<Vec<(String, Vec<f32>)>, String> {
    let inputs = Inputs::raw(sample, &["axis"; 2][..sample.len()], "float32");
    let spec = DataSpec::new("mine", Task::Classification, inputs, 3);
    let data = DataConfig::default();
    let preparation = Preparation::new(&spec, &data, array, Device::Cpu).unwrap();
    let mut chunks = Vec::new();
    let mut take = |chunk: Chunk<'_>| {
        let values = Vec::try_from(chunk.inputs.reshape([-1]))?;
        chunks.push((chunk.origin.describe(0), values));
        Ok(())
    };
    read(path, &preparation, 2, &mut take).map_err(|error| error.to_string())?;
    Ok(chunks)
}

#[test]
fn samples_come_in_chunks_from_the_array_of_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let whole = npy("(3, 1, 2)", &values);
    let path = folder.path().join("a.npy");
    std::fs::write(&path, &whole).unwrap();
    let found = chunks(&path, &[1, 2], None).unwrap();
    let name = path.display();
    let expected = [
        (format!("sample 1 of {name}"), values[..4].to_vec()),
        (format!("sample 3 of {name}"), values[4..].to_vec()),
    ];
    assert_eq!(found, expected);

    let path = folder.path().join("a.npz");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for member in ["x.npy", "inputs.npy"] {
        zip.start_file(member, zip::write::FileOptions::default()).unwrap();
        zip.write_all(&whole).unwrap();
    }
    zip.finish().unwrap();
    for array in [None, Some("x")] {
        assert_eq!(chunks(&path, &[1, 2], array).unwrap()[1].1, values[4..]);
    }
    let error = chunks(&path, &[1, 2], Some("y")).unwrap_err();
    assert!(error.contains("no array `y`. Its arrays are `inputs`, `x`. `--array`"), "{error}");
}

#[test]
fn an_array_of_another_shape_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    std::fs::write(&path, npy("(3,)", &[1.0, 2.0, 3.0])).unwrap();
    assert_eq!(chunks(&path, &[1], None).unwrap()[0].1, [1.0, 2.0]);
    for (shape, words) in [
        ("(3, 2)", "a.npy can't be used. It has the shape [3, 2], and the model takes (n, 1, 2)"),
        ("(2,)", "It has the shape [2]"),
        ("(3, 2, 1)", "It has the shape [3, 2, 1]"),
        ("(9, 1, 2)", "It is cut off"),
    ] {
        std::fs::write(&path, npy(shape, &[0.0; 6])).unwrap();
        let error = chunks(&path, &[1, 2], None).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}
