use super::*;

const TEXT: &str = "k = 5 # ä € 𝄞\n";

fn units(unit: fn(u16) -> [u8; 2], text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

#[test]
fn marks_are_not_part_of_a_text() {
    let marked = format!("\u{feff}{TEXT}");
    for bytes in [
        TEXT.into(),
        marked.clone().into_bytes(),
        units(u16::to_le_bytes, &marked),
        units(u16::to_be_bytes, &marked),
    ] {
        assert_eq!(decode(bytes).as_deref(), Ok(TEXT));
    }
    assert_eq!(decode(Vec::new()).as_deref(), Ok(""));
    assert_eq!(decode(vec![0xef, 0xbb, 0xbf]).as_deref(), Ok(""));
}

#[test]
fn other_bytes_give_an_error_with_a_remedy() {
    let said = |bytes: &[u8]| decode(bytes.to_vec()).unwrap_err();
    let marked = units(u16::to_le_bytes, &format!("\u{feff}{TEXT}"));
    assert!(said(&marked[..marked.len() - 1]).contains("damaged or cut off"));
    assert!(said(b"\xff\xfe\x00\xd8a\0").contains("damaged or cut off"));
    assert!(said(&units(u16::to_le_bytes, "k = 5\n")).contains("iconv -f UTF-16LE"));
    assert!(said(&units(u16::to_be_bytes, "k = 5\n")).contains("iconv -f UTF-16BE"));
    assert!(said(b"caf\xe9").contains("at byte 3") && said(b"caf\xe9").contains("iconv -f"));
    // A single zero is a character.
    assert_eq!(decode(b"a\0b\0\0\0".to_vec()).as_deref(), Ok("a\0b\0\0\0"));
    assert_eq!(decode(b"ab\0abc".to_vec()).as_deref(), Ok("ab\0abc"));
}
