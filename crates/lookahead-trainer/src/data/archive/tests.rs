use super::*;
use std::io::Write;

/// A compressed archive of files.
pub(crate) fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(encoder);
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        // Without the checks of `set_path`.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append(&header, *bytes).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

fn unpacked(bytes: &[u8], largest: u64) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut found = Vec::new();
    let take = |name: &str, reader: &mut dyn Read| {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(|cause| format!("Cut off ({cause})."))?;
        found.push((name.to_owned(), bytes));
        Ok(())
    };
    unpack(bytes, "set", &["one", "two"], largest, take)?;
    Ok(found)
}

#[test]
fn the_requested_files_are_found() {
    let archive = packed(&[("set/readme", b"no"), ("set/two", b"22"), ("./set/one", b"1")]);
    let found = unpacked(&archive, 1 << 20).unwrap();
    assert_eq!(found, [("two".to_owned(), b"22".to_vec()), ("one".to_owned(), b"1".to_vec())]);
}

#[test]
fn missing_files_and_paths_that_lead_out_are_refused() {
    let said = unpacked(&packed(&[("set/one", b"1"), ("two", b"2")]), 1 << 20).unwrap_err();
    assert!(said.contains("lacks set/two"), "{said}");
    for path in ["../set/one", "/set/one", "set/../../one"] {
        let said = unpacked(&packed(&[(path, b"1")]), 1 << 20).unwrap_err();
        assert!(said.contains("leads out of the archive"), "{path}: {said}");
    }
}

#[test]
fn damaged_and_too_large_archives_are_refused() {
    let whole = packed(&[("set/one", &[0; 100_000]), ("set/two", b"2")]);
    let said = unpacked(&whole, 50_000).unwrap_err();
    assert!(said.contains("amaged or cut off") || said.contains("Cut off"), "{said}");
    let all = unpacked(&whole, 1 << 20);
    for length in 0..whole.len() {
        // Nothing after the last requested file is read.
        let found = unpacked(&whole[..length], 1 << 20);
        assert!(found.is_err() || (found == all && length > whole.len() / 2), "{length}");
    }
    let mut none = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    none.write_all(b"no archive").unwrap();
    assert!(unpacked(&none.finish().unwrap(), 1 << 20).is_err());
}
