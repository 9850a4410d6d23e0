use super::*;
use std::fs::File;
use std::io::Write;

use proptest::prelude::*;

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn bytes_within_the_bound_are_decompressed() {
    let bytes = b"pixels".repeat(100);
    assert_eq!(decompress(&compressed(&bytes), 600).unwrap(), bytes);
}

#[test]
fn a_gzip_bomb_is_refused() {
    let bomb = compressed(&vec![0; 1 << 22]);
    assert!(bomb.len() < 10_000);
    let said = decompress(&bomb, 100_000).unwrap_err();
    assert!(said.contains("more than 100000 bytes"), "{said}");
    // It stops there, without noticing that the rest is missing.
    let said = decompress(&bomb[..bomb.len() / 2], 100_000).unwrap_err();
    assert!(said.contains("more than 100000 bytes"), "{said}");
    assert!(decompress(&bomb, (1 << 22) - 1).is_err());
    assert!(decompress(&bomb, 1 << 22).is_ok());
}

#[test]
fn damaged_and_cut_off_files_are_refused() {
    let whole = compressed(&b"pixels".repeat(100));
    for length in 0..whole.len() {
        assert!(decompress(&whole[..length], 600).is_err(), "{length}");
    }
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 0x55;
        let found = decompress(&changed, 600);
        // Some bytes of the header, for example the time, are not part of the contents.
        assert!(found.is_err() || found == Ok(b"pixels".repeat(100)), "byte {place}");
    }
}

#[test]
fn all_members_are_read_and_anything_else_is_refused() {
    let two = [compressed(b"pixels"), compressed(b" and more")].concat();
    assert_eq!(decompress(&two, 15).unwrap(), b"pixels and more");
    assert!(decompress(&two, 14).unwrap_err().contains("more than 14 bytes"));
    let said = decompress(&[&two[..], b"pixels"].concat(), 15).unwrap_err();
    assert!(said.contains("damaged or cut off"), "{said}");
}

#[test]
fn only_plain_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    // The folder comes first, since opening a pipe could block.
    assert!(read(folder.path()).unwrap_err().contains("not a plain file"));
    assert!(read(&path).unwrap_err().contains("not a plain file"));
    let huge = folder.path().join("huge");
    File::create(&huge).unwrap().set_len(LARGEST + 1).unwrap();
    assert!(read(&huge).unwrap_err().contains("more than 1073741824 bytes"));
    assert!(read(&folder.path().join("missing")).unwrap_err().contains("can't be read"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn members_of_any_bytes_come_back(
        members in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..4),
    ) {
        let file: Vec<u8> = members.iter().flat_map(|bytes| compressed(bytes)).collect();
        let whole = members.concat();
        prop_assert_eq!(decompress(&file, whole.len() as u64), Ok(whole.clone()));
        if let Some(less) = whole.len().checked_sub(1) {
            prop_assert!(decompress(&file, less as u64).is_err());
        }
    }

    /// Whatever the bytes, the result keeps within the bound.
    #[test]
    fn a_file_of_any_bytes(
        bytes in prop::collection::vec(any::<u8>(), 0..50),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        tail in prop::collection::vec(any::<u8>(), 0..20),
        largest in 0..60u64,
    ) {
        let mut file = compressed(&bytes);
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        file.extend(&tail);
        for file in [&file, &tail] {
            if let Ok(found) = decompress(file, largest) {
                prop_assert!(found.len() as u64 <= largest);
            }
        }
    }
}
