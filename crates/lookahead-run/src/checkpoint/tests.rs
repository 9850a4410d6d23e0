use super::*;
use crate::testing::{flip, metadata, publish, store};
use std::fs;
use std::process::Command;

#[test]
fn a_step_has_one_name() {
    assert_eq!(folder_name(1500), "step-00001500");
    assert_eq!(folder_name(1_234_567_890), "step-1234567890");
    for step in [0, 1, 99_999_999, 100_000_000, u64::MAX] {
        assert_eq!(step_of(&folder_name(step)), Some(step));
    }
    for name in [
        "step-1500",
        "step-000001500",
        "step-+0001500",
        "step-0000150x",
        "step-00001500-2",
        ".step-00001500.tmp",
        "Step-00001500",
        "step-99999999999999999999",
        "step-",
    ] {
        assert_eq!(step_of(name), None, "{name}");
    }
}

#[test]
fn sha256_is_the_standards() {
    // FIPS 180-2, appendix B.1.
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256_of(b"abc"), digest);
}

#[test]
fn a_file_longer_than_the_buffer_is_read_to_its_end() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("large");
    let bytes: Vec<u8> = (0..(1 << 18) + 1).map(|i| (i % 251) as u8).collect();
    fs::write(&path, &bytes).unwrap();
    let whole = FileEntry { bytes: bytes.len() as u64, sha256: sha256_of(&bytes) };
    let mut kept = Vec::new();
    let mut file = File::open(&path).unwrap();
    assert_eq!(describe(&mut file, whole.bytes, Some(&mut kept)).unwrap(), whole);
    assert_eq!(kept, bytes);
    // Of one that grew meanwhile no more is read than tells so.
    let mut file = File::open(&path).unwrap();
    assert_eq!(describe(&mut file, 10, None).unwrap().bytes, 11);
}

#[test]
fn a_whole_checkpoint_gives_its_manifest() {
    let (_temp, store) = store();
    let manifest = verify(&publish(&store, 1500).path).unwrap();
    assert_eq!(manifest.metadata, metadata(1500));
    let names: Vec<_> = manifest.files.keys().map(String::as_str).collect();
    assert_eq!(names, ["model.safetensors", "training.safetensors"]);
}

#[test]
fn a_change_of_any_byte_names_the_file() {
    let (_temp, store) = store();
    let path = publish(&store, 1500).path;
    for name in ["model.safetensors", "training.safetensors"] {
        for offset in 0..fs::metadata(path.join(name)).unwrap().len() as usize {
            flip(&path.join(name), offset);
            match verify(&path).unwrap_err() {
                Error::FileDigest { file, expected, found, .. } => {
                    assert_eq!(file, name);
                    assert_ne!(expected, found);
                }
                other => panic!("{other}"),
            }
            flip(&path.join(name), offset);
        }
    }
    verify(&path).unwrap();
}

#[test]
fn what_is_read_is_what_was_verified() {
    let (_temp, store) = store();
    let path = publish(&store, 1500).path;
    let (manifest, contents) = read(&path, &["training.safetensors"]).unwrap();
    assert_eq!(manifest, verify(&path).unwrap());
    let expected = b"the rest of step 1500".to_vec();
    assert_eq!(contents, BTreeMap::from([("training.safetensors".to_owned(), expected)]));

    let error = read(&path, &["other"]).unwrap_err();
    assert!(matches!(&error, Error::FileMissing { file, .. } if file == "other"), "{error}");
    // Also a file that nobody wants must be whole.
    flip(&path.join("model.safetensors"), 1);
    let error = read(&path, &["training.safetensors"]).unwrap_err();
    assert!(matches!(error, Error::FileDigest { .. }), "{error}");
}

/// A link could lead anywhere, and opening a pipe would wait for ever.
#[test]
fn only_plain_files_are_read() {
    let (temp, store) = store();
    let path = publish(&store, 1500).path;
    let model = path.join("model.safetensors");
    let elsewhere = temp.path().join("elsewhere");
    fs::rename(&model, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &model).unwrap();
    for found in [verify(&path).map(drop), read(&path, &["model.safetensors"]).map(drop)] {
        let error = found.unwrap_err();
        assert!(matches!(error, Error::NotAFile { .. }), "{error}");
        assert!(error.to_string().contains("`model.safetensors` is no plain file"), "{error}");
    }
    fs::remove_file(&model).unwrap();
    assert!(Command::new("mkfifo").arg(&model).status().unwrap().success());
    assert!(matches!(verify(&path), Err(Error::NotAFile { .. })));
    fs::remove_file(&model).unwrap();
    fs::create_dir(&model).unwrap();
    assert!(matches!(verify(&path), Err(Error::NotAFile { .. })));
}

#[test]
fn a_shorter_longer_or_missing_file_is_named() {
    let (_temp, store) = store();
    let path = publish(&store, 1500).path;
    let model = path.join("model.safetensors");
    let whole = fs::read(&model).unwrap();

    fs::write(&model, &whole[..whole.len() - 1]).unwrap();
    let error = verify(&path).unwrap_err().to_string();
    let size = format!("should have {} bytes and has {}", whole.len(), whole.len() - 1);
    assert!(error.contains("`model.safetensors`") && error.contains(&size), "{error}");
    assert!(error.contains("step-00001500"), "{error}");

    fs::write(&model, [&whole[..], b"!"].concat()).unwrap();
    assert!(matches!(verify(&path), Err(Error::FileSize { .. })));

    fs::remove_file(&model).unwrap();
    let error = verify(&path).unwrap_err();
    assert!(matches!(error, Error::FileMissing { .. }), "{error}");
    assert!(error.to_string().contains("`model.safetensors` is missing"), "{error}");
}

#[test]
fn a_checkpoint_renamed_to_another_step_is_refused_and_a_copy_is_not() {
    let (temp, store) = store();
    let path = publish(&store, 1500).path;
    let renamed = temp.path().join("step-00002000");
    fs::rename(&path, &renamed).unwrap();
    let error = verify(&renamed).unwrap_err();
    assert!(matches!(error, Error::StepMismatch { folder: 2000, manifest: 1500, .. }), "{error}");
    assert!(error.to_string().contains("back to `step-00001500`"), "{error}");
    for name in ["best", "step-00001500-2", "step-00001500"] {
        fs::rename(&renamed, temp.path().join(name)).unwrap();
        verify(&temp.path().join(name)).unwrap();
        fs::rename(temp.path().join(name), &renamed).unwrap();
    }
}

#[test]
fn a_folder_that_is_no_checkpoint_is_an_error() {
    let temp = tempfile::tempdir().unwrap();
    for path in [temp.path().to_owned(), temp.path().join("nowhere")] {
        let error = verify(&path).unwrap_err();
        assert!(matches!(error, Error::ManifestMissing { .. }), "{error}");
    }
}
