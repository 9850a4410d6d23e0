use super::*;

use proptest::prelude::*;

#[test]
fn rows_become_pixels_and_classes() {
    let rows = parse(b"1, 2,3,0\r\n4,5,255,9\n", 3, 10).unwrap();
    assert_eq!(rows, Rows { pixels: vec![1, 2, 3, 4, 5, 255], labels: vec![0, 9] });
    assert_eq!(parse(b"", 3, 10).unwrap(), Rows { pixels: vec![], labels: vec![] });
}

#[test]
fn the_first_bad_line_is_named() {
    for (text, words) in [
        (&b"1,2,3,0\n1,2,3"[..], "Line 2 has 3 numbers, and 4 are needed"),
        (b"1,2,3,0,5", "Line 1 has 5 numbers"),
        (b"1,2,3,0\n\n1,2,3,0", "Line 2 has \"\""),
        (b"\n1,2,3,0", "Line 1 has \"\""),
        (b"1,2,3,10", "Line 1 has the class 10, and classes run from 0 to 9."),
        (b"1,2,256,0", "Line 1 has \"256\""),
        (b"1,-2,3,0", "Line 1 has \"-2\""),
        (b"1,2,3,0\n1,\xff,3,0", "Line 2 is not text."),
    ] {
        let said = parse(text, 3, 10).unwrap_err();
        assert!(said.starts_with(words), "{said}");
    }
    let long = b"7,".repeat(1_000_000);
    assert!(parse(&long, 3, 10).unwrap_err().contains("has 1000001 numbers"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_rows_come_back(
        rows in prop::collection::vec((prop::collection::vec(any::<u8>(), 3), 0..10u8), 0..5),
    ) {
        let line = |(pixels, label): &(Vec<u8>, u8)| {
            format!("{},{},{},{label}\n", pixels[0], pixels[1], pixels[2])
        };
        let text: String = rows.iter().map(line).collect();
        let (pixels, labels): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let expected = Rows { pixels: pixels.concat(), labels };
        prop_assert_eq!(parse(text.as_bytes(), 3, 10), Ok(expected));
    }

    /// For any bytes, rows are whole, classes are in range, and errors name the line.
    #[test]
    fn a_file_of_any_bytes(
        bytes in prop::collection::vec(
            prop_oneof![
                6 => prop::sample::select(&b"0123456789"[..]),
                4 => Just(b','),
                1 => prop::sample::select(&b"\n\r -+."[..]),
                1 => any::<u8>(),
            ],
            0..16,
        ),
        pixels in 0..3usize,
    ) {
        match parse(&bytes, pixels, 10) {
            Ok(rows) => {
                prop_assert_eq!(rows.pixels.len(), pixels * rows.labels.len());
                prop_assert!(rows.labels.iter().all(|label| *label < 10));
            }
            Err(said) => prop_assert!(said.starts_with("Line "), "{}", said),
        }
    }
}
