use super::*;

use proptest::prelude::*;

const FILE: [u8; 14] = [0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 2, 7, 9];

#[test]
fn dimensions_and_values() {
    let idx = parse(&FILE).unwrap();
    assert_eq!(idx, Idx { dimensions: vec![1, 2], values: &[7, 9] });
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
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
fn zero_to_255_dimensions_are_read() {
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
fn dimensions_whose_product_overflows_are_refused() {
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

    /// For any bytes, header and values agree with the file.
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
