use super::*;
use std::fs;

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
    let whole = (bytes.len() as u64, sha256_of(&bytes));
    let mut kept = Vec::new();
    let mut file = File::open(&path).unwrap();
    assert_eq!(read_and_hash(&mut file, whole.0, Some(&mut kept)).unwrap(), whole);
    assert_eq!(kept, bytes);
    // Of one that has grown, one byte more than expected is read.
    let mut file = File::open(&path).unwrap();
    assert_eq!(read_and_hash(&mut file, 10, None).unwrap().0, 11);
}
