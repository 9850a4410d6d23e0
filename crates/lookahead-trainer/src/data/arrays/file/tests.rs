use std::io::{Cursor, Write};

use super::*;

/// A `.npy` file of this type, in NumPy's notation, with these bytes.
fn npy(element: &str, fortran_order: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran_order { "True" } else { "False" };
    let header =
        format!("{{'descr': '{element}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn read(bytes: &[u8]) -> Result<Array, String> {
    ArrayReader::of_npy(Cursor::new(bytes.to_vec()))?.read_all()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn arrays_of_all_types_and_orders() {
    let c = read(&npy("<f4", false, "(2, 3)", &floats(&[1., 2., 3., 4., 5., 6.]))).unwrap();
    assert_eq!(c, Array::new(&[2, 3], vec![1.0f32, 2., 3., 4., 5., 6.]).unwrap());
    let fortran = npy("<f4", true, "(2, 3)", &floats(&[1., 4., 2., 5., 3., 6.]));
    assert_eq!(read(&fortran).unwrap(), c);
    let two = |element, data: &[u8]| read(&npy(element, false, "(2,)", data)).unwrap();
    let integers = |values: [i64; 2]| Array::new(&[2], values.to_vec()).unwrap();
    let decimals = |values: [f32; 2]| Array::new(&[2], values.to_vec()).unwrap();
    assert_eq!(two("|b1", &[0, 1]), integers([0, 1]));
    assert_eq!(two("|u1", &[0, 255]), integers([0, 255]));
    assert_eq!(two("|i1", &[0, 255]), integers([0, -1]));
    assert_eq!(two("<i2", &[1, 0, 0xff, 0xff]), integers([1, -1]));
    assert_eq!(two(">u2", &[1, 0, 0, 1]), integers([256, 1]));
    assert_eq!(two(">i4", &[0, 0, 1, 0, 0xff, 0xff, 0xff, 0xfe]), integers([256, -2]));
    assert_eq!(two("<u4", &[0xff; 8]), integers([u32::MAX.into(); 2]));
    let eight: Vec<u8> = [3i64, -7].iter().flat_map(|n| n.to_le_bytes()).collect();
    assert_eq!(two("<i8", &eight), integers([3, -7]));
    let double: Vec<u8> = [0.5f64, -2.0].iter().flat_map(|n| n.to_be_bytes()).collect();
    assert_eq!(two(">f8", &double), decimals([0.5, -2.0]));
    assert_eq!(two("<f2", &[0, 0x3c, 0, 0xc0]), decimals([1.0, -2.0]));
    let large = read(&npy("<u8", false, "(1,)", &[0xff; 8])).unwrap_err();
    assert!(large.contains("integers above 2⁶³ − 1"), "{large}");
}

#[test]
fn rows_come_in_chunks() {
    let bytes = npy("<f4", false, "(5, 1)", &floats(&[1., 2., 3., 4., 5.]));
    let mut reader = ArrayReader::of_npy(Cursor::new(bytes)).unwrap();
    assert_eq!((reader.shape(), reader.element().to_string()), (&[5, 1][..], "float32".to_owned()));
    let mut next = || reader.next_chunk(2).unwrap().map(|chunk| chunk.values().clone());
    assert_eq!(next(), Some(vec![1.0f32, 2.0].into()));
    assert_eq!(next(), Some(vec![3.0f32, 4.0].into()));
    assert_eq!(next(), Some(vec![5.0f32].into()));
    assert_eq!((next(), next()), (None, None));

    // More elements than are converted at once.
    let many: Vec<u8> = (0..ELEMENTS_AT_ONCE + 10).map(|i| (i % 251) as u8).collect();
    let bytes = npy("|u1", false, &format!("({}, 2)", many.len() / 2), &many);
    let floats = ArrayReader::of_npy(Cursor::new(bytes)).unwrap().read_floats().unwrap();
    let expected: Vec<f32> = many.iter().map(|&byte| byte.into()).collect();
    assert!(floats.shape() == [many.len() / 2, 2] && *floats.values() == expected.into());
}

#[test]
fn damaged_arrays_are_refused() {
    let whole = npy("<f4", false, "(4,)", &floats(&[1., 2., 3., 4.]));
    for end in 0..whole.len() {
        read(&whole[..end]).unwrap_err();
    }
    let cut = read(&whole[..whole.len() - 1]).unwrap_err();
    assert!(cut.contains("cut off") && cut.contains("[4] of float32"), "{cut}");
    let huge = |shape| read(&npy("<f4", false, shape, &[0; 16])).unwrap_err();
    assert!(huge("(1152921504606846976,)").contains("there is less"));
    assert!(huge("(9223372036854775807, 4)").contains("more than memory can hold"));
    assert!(huge("()").contains("a single number"));
    assert!(huge("(0, 4)").contains("holds no elements"));
    assert!(huge("(1152921504606846976, 0)").contains("holds no elements"));
    for (element, words) in [("<c8", "of type <c8"), ("<U5", "of type <U5"), ("|O", "of type |O")] {
        let error = read(&npy(element, false, "(1,)", &[0; 16])).unwrap_err();
        assert!(error.contains(words) && error.contains("Save it as"), "{error}");
    }
    let mut long = whole.clone();
    long[6] = 2;
    assert!(read(&long).unwrap_err().contains("at most 65536 are allowed"));
    let records = b"\x93NUMPY\x01\x00\x1e\x00{'descr': [('a', '<f4')], 'x'}";
    assert!(read(&records[..]).unwrap_err().contains("isn't that of an array"));
}

#[test]
fn files_are_recognized_by_their_contents() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let open = |bytes: &[u8], name| {
        std::fs::write(&path, bytes).unwrap();
        ArrayReader::open(&path, name).and_then(ArrayReader::read_all)
    };
    let array = |values: &[f32]| npy("<f4", false, "(2,)", &floats(values));
    let expected = Array::new(&[2], vec![3.0f32, 4.0]).unwrap();
    assert_eq!(open(&array(&[3., 4.]), None).unwrap(), expected);
    let error = open(&array(&[3., 4.]), Some("x")).unwrap_err();
    assert!(error.contains("without a name, and `x` is set"), "{error}");

    let archive = |method| {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::FileOptions::default().compression_method(method);
        for (name, values) in [("x", [1.0, 2.0]), ("y", [3.0, 4.0])] {
            zip.start_file(format!("{name}.npy"), options).unwrap();
            zip.write_all(&array(&values)).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        assert_eq!(open(&archive(method), Some("y")).unwrap(), expected);
    }
    let whole = archive(CompressionMethod::Deflated);
    let error = open(&whole, Some("z")).unwrap_err();
    assert_eq!(error, "It has no array `z`. Its arrays are `x`, `y`.");
    assert!(open(&whole, None).unwrap_err().contains("no name is set"));
    let cut = open(&whole[..whole.len() / 2], Some("x")).unwrap_err();
    assert!(cut.contains("or is cut off"), "{cut}");

    let tensor = tch::Tensor::from_slice(&[3.0f32, 4.0]);
    let entries =
        ["x", "y"].map(|name| (name.to_owned(), tensor.shallow_clone(), tch::Kind::Float));
    let mut bytes = Vec::new();
    crate::tensor_file::write_to(&mut bytes, None, entries.into(), |_, _, _| Ok(())).unwrap();
    assert_eq!(open(&bytes, Some("y")).unwrap(), expected);
    let error = open(&bytes, Some("z")).unwrap_err();
    assert_eq!(error, "It has no array `z`. Its arrays are `x`, `y`.");
    let cut = open(&bytes[..bytes.len() - 1], Some("x")).unwrap_err();
    assert!(cut.contains("cut off"), "{cut}");

    for (bytes, words) in [
        (&b""[..], "It is empty"),
        (b"a,b\n1,2\n", "none of .safetensors, .npz and .npy"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ] {
        let error = open(bytes, Some("x")).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    assert!(ArrayReader::open(Path::new("/none"), None).unwrap_err().contains("can't be read"));
}
