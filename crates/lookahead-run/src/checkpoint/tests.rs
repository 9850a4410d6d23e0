use super::*;
use crate::testing::{assert_damaged, flip, metadata, publish, store};
use std::fs;
use std::process::Command;

#[test]
fn a_whole_checkpoint_gives_its_manifest() {
    let (_temp, store) = store();
    let manifest = verify(&publish(&store, 1500).path).unwrap();
    assert_eq!(manifest.metadata, metadata(1500));
    let names: Vec<_> = manifest.files.keys().map(String::as_str).collect();
    assert_eq!(names, ["model.safetensors", "training.safetensors"]);
}

#[test]
fn any_changed_byte_names_the_file() {
    let (_temp, store) = store();
    let path = publish(&store, 1500).path;
    for name in ["model.safetensors", "training.safetensors"] {
        for offset in 0..fs::metadata(path.join(name)).unwrap().len() as usize {
            flip(&path.join(name), offset);
            assert_damaged(verify(&path), &format!("`{name}` should have the SHA-256"));
            flip(&path.join(name), offset);
        }
    }
    verify(&path).unwrap();
}

#[test]
fn read_returns_what_was_verified() {
    let (_temp, store) = store();
    let path = publish(&store, 1500).path;
    let (manifest, contents) = read(&path, &["training.safetensors"]).unwrap();
    assert_eq!(manifest, verify(&path).unwrap());
    let expected = b"the rest of step 1500".to_vec();
    assert_eq!(contents, BTreeMap::from([("training.safetensors".to_owned(), expected)]));

    assert_damaged(read(&path, &["other"]), "`other` is missing");
    // A file that is not wanted must be whole too.
    flip(&path.join("model.safetensors"), 1);
    assert_damaged(read(&path, &["training.safetensors"]), "SHA-256");
}

/// A link could lead anywhere, and opening a pipe would wait forever.
#[test]
fn only_plain_files_are_read() {
    let (temp, store) = store();
    let path = publish(&store, 1500).path;
    let model = path.join("model.safetensors");
    let elsewhere = temp.path().join("elsewhere");
    fs::rename(&model, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &model).unwrap();
    let fault = "`model.safetensors` is not a plain file";
    assert_damaged(verify(&path), fault);
    assert_damaged(read(&path, &["model.safetensors"]), fault);
    fs::remove_file(&model).unwrap();
    assert!(Command::new("mkfifo").arg(&model).status().unwrap().success());
    assert_damaged(verify(&path), fault);
    fs::remove_file(&model).unwrap();
    fs::create_dir(&model).unwrap();
    assert_damaged(verify(&path), fault);
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
    assert_damaged(verify(&path), "bytes and has");

    fs::remove_file(&model).unwrap();
    assert_damaged(verify(&path), "`model.safetensors` is missing");
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
fn a_folder_that_is_not_a_checkpoint_is_an_error() {
    let temp = tempfile::tempdir().unwrap();
    for path in [temp.path().to_owned(), temp.path().join("nowhere")] {
        let error = verify(&path).unwrap_err();
        assert!(matches!(error, Error::ManifestMissing { .. }), "{error}");
    }
}
