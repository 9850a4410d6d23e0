//! The file format of MNIST and its kin: bytes behind a header of big-endian counts.
//!
//! Two zero bytes, a type byte (8 for unsigned bytes), the number of dimensions, then each
//! dimension as four bytes. (Y. LeCun, C. Cortes, C. Burges, the MNIST database.)

use std::path::{Path, PathBuf};

/// The bytes of an IDX file and the dimensions they have.
#[derive(Debug, PartialEq, Eq)]
pub struct Idx<'a> {
    /// The dimensions, outermost first.
    pub dimensions: Vec<usize>,
    /// The values, last dimension fastest.
    pub values: &'a [u8],
}

/// Reads an IDX file of unsigned bytes; the values stay where they are.
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

/// The folder of the files: the one that is given, or the one in it where torchvision puts them.
pub fn folder(dir: &Path) -> PathBuf {
    let inner = ["raw", "FashionMNIST/raw", "MNIST/raw"].map(|inner| dir.join(inner));
    let has_files = |folder: &&PathBuf| find(folder, PARTS[0]).is_some();
    match find(dir, PARTS[0]) {
        Some(_) => dir.to_owned(),
        None => inner.iter().find(has_files).cloned().unwrap_or_else(|| dir.to_owned()),
    }
}

/// What the four files of a data set are called, before what differs: `-idx3-ubyte.gz` is the original,
/// `.idx3-ubyte` and others are what programs make of it.
pub const PARTS: [&str; 4] = ["train-images", "train-labels", "t10k-images", "t10k-labels"];

/// The file of a part in a folder: under its original name, `PART-idx3-ubyte.gz` or without `.gz`, or else
/// the only one whose name has the part in it, or `test` for `t10k`.
pub fn find(folder: &Path, part: &str) -> Option<PathBuf> {
    let names = std::fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let names: Vec<String> =
        names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let is_original = |name: &&String| {
        let rest = name.strip_prefix(part).unwrap_or_default();
        matches!(rest, "-idx3-ubyte.gz" | "-idx1-ubyte.gz" | "-idx3-ubyte" | "-idx1-ubyte")
    };
    let named_alike = |name: &&String| {
        let name = name.to_lowercase().replace('_', "-").replace("t10k", "test");
        !name.starts_with('.') && name.contains(&part.replace("t10k", "test"))
    };
    // Of one compressed and one not, the compressed one, as always.
    let original = names.iter().filter(is_original).max();
    let found = original.or_else(|| {
        let mut alike = names.iter().filter(named_alike);
        alike.next().filter(|_| alike.next().is_none())
    });
    found.map(|name| folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

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

    fn file(dimensions: &[u32], values: &[u8]) -> Vec<u8> {
        let head = [0, 0, 8, u8::try_from(dimensions.len()).unwrap()];
        let dimensions: Vec<u8> = dimensions.iter().flat_map(|n| n.to_be_bytes()).collect();
        [&head[..], &dimensions, values].concat()
    }

    #[test]
    fn there_may_be_no_dimension_and_as_many_as_the_header_can_say() {
        assert_eq!(parse(&file(&[], &[7])).unwrap(), Idx { dimensions: vec![], values: &[7] });
        let mut dimensions = [1; 255];
        dimensions[9] = 2;
        let most = file(&dimensions, &[7, 9]);
        let idx = parse(&most).unwrap();
        assert_eq!((idx.dimensions.len(), idx.values), (255, &[7, 9][..]));
        assert!(parse(&most[..4 + 4 * 255 - 1]).unwrap_err().contains("within its header"));
    }

    /// 2⁶⁴ values and 2⁶⁴ + 4, whose last 64 bits are 0 and 4.
    #[test]
    fn a_product_that_no_memory_has_is_not_taken_for_its_last_bits() {
        for (dimensions, values) in
            [([1 << 31, 1 << 31, 4], &[][..]), ([3_340_214_413, 2_761_311_370, 2], &[1; 4])]
        {
            let said = parse(&file(&dimensions, values)).unwrap_err();
            assert!(said.contains("Its header promises"), "{said}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_dimensions_come_back(dimensions in prop::collection::vec(0..4u32, 0..6)) {
            let count = dimensions.iter().product::<u32>();
            let values: Vec<u8> = (0..count).map(|i| i as u8).collect();
            let mut whole = file(&dimensions, &values);
            let expected: Vec<usize> = dimensions.iter().map(|&n| n as usize).collect();
            let expected = Idx { dimensions: expected, values: &values };
            prop_assert_eq!(parse(&whole), Ok(expected));
            prop_assert!(parse(&whole[..whole.len() - 1]).is_err());
            whole.push(0);
            prop_assert!(parse(&whole).is_err());
        }

        /// Whatever the bytes, what is told of them is what there is.
        #[test]
        fn a_file_of_any_bytes(
            rank in 0..4u8,
            bytes in prop::collection::vec(prop_oneof![Just(0), 0..4u8, any::<u8>()], 0..40),
        ) {
            for file in [[&[0, 0, 8, rank], &bytes[..]].concat(), bytes] {
                if let Ok(idx) = parse(&file) {
                    prop_assert_eq!(idx.dimensions.iter().product::<usize>(), idx.values.len());
                    prop_assert_eq!(4 + 4 * idx.dimensions.len() + idx.values.len(), file.len());
                }
            }
        }
    }
}
