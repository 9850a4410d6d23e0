//! The file format of MNIST and its kin: bytes behind a header of big-endian counts.
//!
//! Two zero bytes, a type byte (8 for unsigned bytes), the number of dimensions, then each
//! dimension as four bytes. (Y. LeCun, C. Cortes, C. Burges, the MNIST database.)

/// The bytes of an IDX file and the dimensions they have.
#[derive(Debug, PartialEq, Eq)]
pub struct Idx<'a> {
    /// The dimensions, outermost first.
    pub dimensions: Vec<usize>,
    /// The values, last dimension fastest.
    pub values: &'a [u8],
}

/// Reads an IDX file of unsigned bytes.
///
/// # Errors
/// A sentence that says what of the file is not as it should be, for a reader who knows which file.
pub fn parse(bytes: &[u8]) -> Result<Idx<'_>, String> {
    let short = || format!("It ends within its header, after {} bytes.", bytes.len());
    let [0, 0, element, rank] = *bytes.first_chunk::<4>().ok_or_else(short)? else {
        return Err("It does not begin with the two zero bytes of an IDX file.".to_owned());
    };
    if element != 8 {
        return Err(format!("Its values are of IDX type {element}, and 8, bytes, was expected."));
    }
    let header = 4 + 4 * usize::from(rank);
    let dimensions: Vec<usize> = bytes
        .get(4..header)
        .ok_or_else(short)?
        .chunks_exact(4)
        .map(|n| u32::from_be_bytes([n[0], n[1], n[2], n[3]]) as usize)
        .collect();
    let values = &bytes[header..];
    let promised = dimensions.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
    if promised != Some(values.len()) {
        return Err(format!(
            "Its header promises {dimensions:?} values, and {} follow.",
            values.len()
        ));
    }
    Ok(Idx { dimensions, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: [u8; 14] = [0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 2, 7, 9];

    #[test]
    fn dimensions_and_values() {
        let idx = parse(&FILE).unwrap();
        assert_eq!(idx, Idx { dimensions: vec![1, 2], values: &[7, 9] });
    }

    #[test]
    fn whatever_is_cut_off_is_noticed() {
        for length in 0..FILE.len() {
            assert!(parse(&FILE[..length]).is_err(), "{length} bytes");
        }
        let longer = [&FILE[..], &[1]].concat();
        assert!(parse(&longer).unwrap_err().contains("[1, 2] values, and 3 follow"));
    }

    #[test]
    fn other_files_are_refused() {
        assert!(parse(b"\x1f\x8b\x08\x00 gzip").unwrap_err().contains("two zero bytes"));
        let mut floats = FILE;
        floats[2] = 13;
        assert!(parse(&floats).unwrap_err().contains("type 13"));
        let mut huge = FILE;
        huge[4..12].fill(0xff);
        assert!(parse(&huge).is_err());
    }
}
