//! Text files from other programs.

/// Decodes UTF-8, with or without a byte order mark, or UTF-16 with one. The mark is removed.
///
/// # Errors
/// A sentence with the remedy, if it is neither.
pub fn decode(bytes: Vec<u8>) -> Result<String, String> {
    match bytes[..] {
        [0xef, 0xbb, 0xbf, ..] => utf8(bytes[3..].to_vec()),
        [0xff, 0xfe, ref rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, ref rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => match unmarked_utf16(&bytes) {
            Some(order) => Err(format!(
                "It is UTF-16 without a byte order mark. Convert it with `iconv -f {order} -t UTF-8`."
            )),
            None => utf8(bytes),
        },
    }
}

fn utf8(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!(
            "It is not UTF-8: no character starts at byte {at}, counted from 0. Convert it, for example with \
             `iconv -f WINDOWS-1252 -t UTF-8`."
        )
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let text = char::decode_utf16(pairs.iter().map(|&pair| unit(pair))).collect::<Result<_, _>>();
    text.ok()
        .filter(|_| rest.is_empty())
        .ok_or_else(|| "It starts like UTF-16, and is damaged or cut off.".to_owned())
}

/// The byte order, if nearly every second byte is zero and none of the others is.
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
mod tests;
