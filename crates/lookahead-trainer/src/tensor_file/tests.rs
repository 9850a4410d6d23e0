use super::*;
use lookahead_core::tch_ext::safetensors_types::TYPES;

#[test]
fn every_type_layout_and_shape_is_restored() {
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
    let shallow = |tensors: &BTreeMap<String, Tensor>| {
        entries(tensors.iter().map(|(n, t)| (n.clone(), t.shallow_clone())).collect())
    };
    write_new(&path, None, shallow(&tensors)).unwrap();
    let read = TensorFile::open(&path).unwrap().tensors().unwrap();
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

/// Compares with the format's own writer.
#[test]
fn the_bytes_are_those_of_the_formats_own_writer() {
    struct Bytes(Dtype, Vec<usize>, Vec<u8>);
    impl safetensors::View for Bytes {
        fn dtype(&self) -> Dtype {
            self.0
        }
        fn shape(&self) -> &[usize] {
            &self.1
        }
        fn data(&self) -> std::borrow::Cow<'_, [u8]> {
            std::borrow::Cow::Borrowed(&self.2)
        }
        fn data_len(&self) -> usize {
            self.2.len()
        }
    }
    let tensors = BTreeMap::from([
        ("b".to_owned(), Tensor::from_slice(&[1.0f32, 2.0])),
        ("a".to_owned(), Tensor::from_slice(&[3u8])),
        ("c".to_owned(), Tensor::from_slice(&[4.0f64, 5.0, 6.0]).reshape([3, 1])),
        ("ä \"quoted\"".to_owned(), Tensor::from_slice(&[7i64])),
    ]);
    let views = tensors.iter().map(|(name, tensor)| {
        let dtype = TYPES.iter().find(|(kind, _)| *kind == tensor.kind()).unwrap().1;
        let shape = tensor.size().iter().map(|&n| n as usize).collect();
        let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
        tensor.copy_data_u8(&mut bytes, tensor.numel());
        (name, Bytes(dtype, shape, bytes))
    });
    let expected = safetensors::serialize(views, None).unwrap();
    let mut found = Vec::new();
    write_to(&mut found, None, entries(tensors), |_, _, _| Ok(())).unwrap();
    assert_eq!(found, expected);
}

#[test]
fn a_tensor_can_be_converted_or_refused() {
    let tensor = Tensor::from_slice(&[1.0f32, f32::INFINITY]);
    let entry = |kind| vec![("w".to_owned(), tensor.shallow_clone(), kind)];
    let mut bytes = Vec::new();
    write_to(&mut bytes, None, entry(Kind::BFloat16), |_, _, _| Ok(())).unwrap();
    let mut file = TensorFile::new(std::io::Cursor::new(bytes)).unwrap();
    assert_eq!(file.tensor("w").unwrap().kind(), Kind::BFloat16);
    let refuse = |name: &str, kind, bytes: &[u8]| {
        anyhow::ensure!(!has_non_finite(kind, bytes), "`{name}` is not finite");
        Ok(())
    };
    let error = write_to(&mut Vec::new(), None, entry(Kind::Half), refuse).unwrap_err();
    assert_eq!(error.to_string(), "`w` is not finite");
}

#[test]
fn non_finite_values_are_found_in_every_type_and_place() {
    for kind in [Kind::Float, Kind::Double, Kind::Half, Kind::BFloat16] {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for place in [0, 7, 30] {
                let tensor = Tensor::zeros([31], (Kind::Double, Device::Cpu)) - 1.5;
                let bytes = |tensor: &Tensor| {
                    let tensor = tensor.to_kind(kind);
                    let mut bytes = vec![0; 31 * kind.elt_size_in_bytes()];
                    tensor.copy_data_u8(&mut bytes, 31);
                    bytes
                };
                assert!(!has_non_finite(kind, &bytes(&tensor)));
                let _ = tensor.get(place).fill_(value);
                assert!(has_non_finite(kind, &bytes(&tensor)), "{kind:?} {value} at {place}");
            }
        }
    }
}

/// Some lengths of a header are the first bytes of a pickle.
#[test]
fn a_header_of_any_length_is_read() {
    for padding in 0..2000 {
        let name = format!("w{}", "x".repeat(padding));
        let tensors = BTreeMap::from([(name.clone(), Tensor::from_slice(&[1.0f32]))]);
        let mut bytes = Vec::new();
        write_to(&mut bytes, None, entries(tensors), |_, _, _| Ok(())).unwrap();
        let mut file = TensorFile::new(std::io::Cursor::new(bytes)).unwrap();
        assert_eq!(file.tensor(&name).unwrap(), Tensor::from_slice(&[1.0f32]));
    }
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.safetensors");
    std::fs::write(&path, "mine").unwrap();
    assert!(write_new(&path, None, Vec::new()).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn other_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.safetensors");
    let refusal = || format!("{:#}", TensorFile::open(&path).unwrap_err());
    assert!(refusal().contains("can't be read"));
    let header = |length: u64, text: &str| [&length.to_le_bytes(), text.as_bytes()].concat();
    let one = r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    for (bytes, words) in [
        (b"no".to_vec(), "no room for a header"),
        (b"PK\x03\x04 and more".to_vec(), "a zip archive that is cut off"),
        (b"PK\x03\x04 and more".to_vec(), "torch.load("),
        (b"\x80\x02}q\x00 and more".to_vec(), "is a pickle"),
        (header(u64::MAX, "{}"), "or the allowed"),
        (header(3, "{}"), "or the allowed"),
        (header(2, "[]"), "not one of the format"),
        (header(one.len() as u64, one), "should have"),
        (header(one.len() as u64, &format!("{one}12345")), "should have"),
        (header(2, "{}x"), "should have 10 bytes, and it has 11"),
        // Lengths whose first bytes are those of a pickle.
        (header(0x280, "{\"w\":"), "cut off"),
        (header(0x480, &format!("{one:<1152}1")), "it has 1161: it is cut off"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let said = refusal();
        assert!(said.contains("is not a safetensors file") && said.contains(words), "{said}");
    }
    let info = r#"{"w":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}"#;
    std::fs::write(&path, header(info.len() as u64, &format!("{info}x"))).unwrap();
    let error = TensorFile::open(&path).unwrap().tensors().unwrap_err().to_string();
    assert!(error.contains("which libtorch lacks"), "{error}");
}
