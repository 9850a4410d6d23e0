//! Texts as other programs write them.

/// A text in UTF-8, with a byte order mark or without, or in UTF-16 with one. The mark is not part of it.
///
/// # Errors
/// A sentence with what helps, if it is neither.
pub fn decode(bytes: Vec<u8>) -> Result<String, String> {
    match bytes[..] {
        [0xef, 0xbb, 0xbf, ..] => utf8(bytes[3..].to_vec()),
        [0xff, 0xfe, ref rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, ref rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => match unmarked_utf16(&bytes) {
            Some(order) => Err(format!(
                "It is UTF-16 without a byte order mark: convert it by `iconv -f {order} -t UTF-8`."
            )),
            None => utf8(bytes),
        },
    }
}

fn utf8(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!(
            "It is no text in UTF-8: the byte {at}, counted from 0, begins no character. Convert it, such \
             as by `iconv -f WINDOWS-1252 -t UTF-8`."
        )
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let text = char::decode_utf16(pairs.iter().map(|&pair| unit(pair))).collect::<Result<_, _>>();
    text.ok()
        .filter(|_| rest.is_empty())
        .ok_or_else(|| "It begins as UTF-16 does, and is damaged or cut off.".to_owned())
}

/// The byte order of a text whose every second byte is zero, nearly always, and the others aren't.
fn unmarked_utf16(bytes: &[u8]) -> Option<&'static str> {
    const LOOK: usize = 512;
    let (pairs, _) = bytes.as_chunks::<2>();
    let pairs = &pairs[..pairs.len().min(LOOK)];
    let zeros = |place: usize| pairs.iter().filter(|pair| pair[place] == 0).count();
    match (zeros(0), zeros(1)) {
        (0, high) if high > 0 && 4 * high >= 3 * pairs.len() => Some("UTF-16LE"),
        (high, 0) if high > 0 && 4 * high >= 3 * pairs.len() => Some("UTF-16BE"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
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
    fn what_is_neither_comes_with_what_helps() {
        let said = |bytes: &[u8]| decode(bytes.to_vec()).unwrap_err();
        let marked = units(u16::to_le_bytes, &format!("\u{feff}{TEXT}"));
        assert!(said(&marked[..marked.len() - 1]).contains("damaged or cut off"));
        assert!(said(b"\xff\xfe\x00\xd8a\0").contains("damaged or cut off"));
        assert!(said(&units(u16::to_le_bytes, "k = 5\n")).contains("iconv -f UTF-16LE"));
        assert!(said(&units(u16::to_be_bytes, "k = 5\n")).contains("iconv -f UTF-16BE"));
        assert!(said(b"caf\xe9").contains("the byte 3") && said(b"caf\xe9").contains("iconv -f"));
        // A zero now and then is a character.
        assert_eq!(decode(b"a\0b\0\0\0".to_vec()).as_deref(), Ok("a\0b\0\0\0"));
        assert_eq!(decode(b"ab\0abc".to_vec()).as_deref(), Ok("ab\0abc"));
    }
}
