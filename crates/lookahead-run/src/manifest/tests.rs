use super::*;
use crate::testing::{metadata, tricky_numbers};
use std::fs::{self, File};
use tempfile::tempdir;

fn manifest() -> Manifest {
    let entry = FileEntry { bytes: 3, sha256: sha256_of(b"abc") };
    Manifest::new(metadata(1500), BTreeMap::from([("model.safetensors".into(), entry)]))
}

#[test]
fn a_manifest_comes_back_as_it_was() {
    let temp = tempdir().unwrap();
    let manifest = manifest();
    manifest.write(temp.path()).unwrap();
    assert_eq!(Manifest::read(temp.path()).unwrap(), manifest);
    assert_eq!(manifest.format, 1);
    assert!(manifest.created > 1.7e9, "{} is before this was written", manifest.created);
    assert_eq!(manifest.bytes(), 3);
}

#[test]
fn numbers_come_back_to_the_bit() {
    let temp = tempdir().unwrap();
    let mut manifest = manifest();
    let numbers = tricky_numbers();
    let named = numbers.iter().enumerate().map(|(i, value)| (format!("{i}"), *value));
    manifest.metadata.numbers = named.collect();
    manifest.write(temp.path()).unwrap();
    let found = Manifest::read(temp.path()).unwrap().metadata.numbers;
    assert_eq!(found.len(), numbers.len());
    for (i, value) in numbers.iter().enumerate() {
        let found = found[&i.to_string()];
        if value.is_nan() {
            assert!(found.is_nan());
        } else {
            assert_eq!(found.to_bits(), value.to_bits(), "{value:e}");
        }
    }
}

#[test]
fn any_changed_byte_is_noticed() {
    let temp = tempdir().unwrap();
    manifest().write(temp.path()).unwrap();
    let path = temp.path().join(FILE_NAME);
    let whole = fs::read(&path).unwrap();
    for offset in 0..whole.len() {
        let mut changed = whole.clone();
        changed[offset] ^= 1;
        fs::write(&path, changed).unwrap();
        Manifest::read(temp.path()).expect_err(&format!("byte {offset}"));
    }
}

#[test]
fn a_manifest_that_is_missing_broken_or_binary_is_an_error_that_names_the_checkpoint() {
    let temp = tempdir().unwrap();
    let error = Manifest::read(temp.path()).unwrap_err();
    assert!(matches!(error, Error::ManifestMissing { .. }), "{error}");
    for bytes in [&b"{\"format\": 1, "[..], b"", b"[]", b"{}", b"{\"format\":1}", b"\xff"] {
        fs::write(temp.path().join(FILE_NAME), bytes).unwrap();
        let error = Manifest::read(temp.path()).unwrap_err();
        assert!(matches!(error, Error::ManifestDamaged { .. }), "{error}");
        assert!(error.to_string().contains(temp.path().to_str().unwrap()), "{error}");
    }
}

#[test]
fn a_later_format_is_not_reported_as_damage() {
    let temp = tempdir().unwrap();
    fs::write(temp.path().join(FILE_NAME), r#"{"format": 2, "all": "else differs"}"#).unwrap();
    let error = Manifest::read(temp.path()).unwrap_err();
    assert!(matches!(error, Error::ManifestTooNew { found: 2, known: 1, .. }), "{error}");
    assert!(error.to_string().contains("Use a newer `lookahead`"), "{error}");
}

/// A correctly sealed manifest with a file outside its folder.
#[test]
fn names_that_lead_out_of_the_folder_are_refused() {
    let temp = tempdir().unwrap();
    for name in ["/etc/passwd", "../other/model.safetensors", "a/b", "..", "", ".hidden"] {
        let mut manifest = manifest();
        let entry = FileEntry { bytes: 0, sha256: sha256_of(b"") };
        manifest.files.insert(name.to_owned(), entry);
        manifest.write(temp.path()).unwrap();
        let error = Manifest::read(temp.path()).unwrap_err();
        assert!(matches!(error, Error::ManifestDamaged { .. }), "{error}");
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
    }
}

#[test]
fn a_sum_of_sizes_does_not_overflow() {
    let mut manifest = manifest();
    let entry = FileEntry { bytes: u64::MAX, sha256: String::new() };
    manifest.files.insert("other".to_owned(), entry);
    assert_eq!(manifest.bytes(), u64::MAX);
}

#[test]
fn a_manifest_that_is_too_large_is_not_read() {
    let temp = tempdir().unwrap();
    let file = File::create(temp.path().join(FILE_NAME)).unwrap();
    file.set_len(LARGEST + 1).unwrap();
    let error = Manifest::read(temp.path()).unwrap_err();
    assert!(error.to_string().contains("more than 16777216 bytes"), "{error}");
    std::fs::remove_file(temp.path().join(FILE_NAME)).unwrap();
    std::fs::create_dir(temp.path().join(FILE_NAME)).unwrap();
    assert!(matches!(Manifest::read(temp.path()), Err(Error::ManifestDamaged { .. })));
}

#[test]
fn unknown_fields_are_ignored() {
    let temp = tempdir().unwrap();
    let path = temp.path().join(FILE_NAME);
    manifest().write(temp.path()).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let Seal { sha256: seal } = parse(&text).unwrap();
    let text = text.replacen('{', "{\n  \"mood\": [1, {}],", 1);
    let text = replace_last(&text, &seal, UNSEALED);
    let seal = sha256_of(text.as_bytes());
    fs::write(&path, replace_last(&text, UNSEALED, &seal)).unwrap();
    assert_eq!(Manifest::read(temp.path()).unwrap().metadata, metadata(1500));
}

/// As in earlier versions, where all of it was one struct.
#[test]
fn metadata_is_flat_in_json() {
    let text = concat!(
        r#"{"step":1502,"phase":2,"epoch":1,"cursor":7,"seed":18446744073709551615,"#,
        r#""program":"this one","versions":{"lookahead":"1","tch":"2","libtorch":"3"},"#,
        r#""device":"cpu","threads":2,"cpu_capability":"AVX2","processor":"Some CPU","#,
        r#""environment":{"MKL_CBWR":"AVX2"},"train_state":{"step":1502},"#,
        r#""integers":{"most":9223372036854775807,"sync":-9223372036854775808},"#,
        r#""numbers":{"lr":0.30000000000000004},"metrics":{"validation/loss":"Infinity"},"#,
        r#""wall_seconds":0.3333333333333333,"git":{"revision":"0123abc","modified":true},"#,
        r#""config":{"optimizer":{"kind":"sgd","lr":0.1}},"signature":{"classes":["a","b"]}}"#
    );
    assert_eq!(serde_json::to_string(&metadata(1502)).unwrap(), text);
    assert_eq!(serde_json::from_str::<TrainingMetadata>(text).unwrap(), metadata(1502));
    // Fields that even earlier versions lacked have defaults.
    let earlier = concat!(
        r#"{"step":0,"phase":0,"epoch":0,"cursor":0,"seed":0,"#,
        r#""versions":{"lookahead":"","tch":"","libtorch":""},"#,
        r#""device":"","threads":0,"cpu_capability":""}"#
    );
    let found: TrainingMetadata = serde_json::from_str(earlier).unwrap();
    assert_eq!(found, TrainingMetadata::default());
}
