//! Images as rows of small whole numbers: their pixels, and at last their class.

/// The pixels and the class of each image, in the order of the lines.
#[derive(Debug, PartialEq, Eq)]
pub struct Rows {
    /// All pixels, image after image.
    pub pixels: Vec<u8>,
    /// The class of each image.
    pub labels: Vec<u8>,
}

/// Reads rows of `pixels` numbers from 0 to 255 and a class below `classes`, separated by commas.
///
/// # Errors
/// A sentence with the number of the first line that is none, for a reader who knows which file.
pub fn parse(bytes: &[u8], pixels: usize, classes: u8) -> Result<Rows, String> {
    let text = std::str::from_utf8(bytes).map_err(|cause| {
        let line = bytes[..cause.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("Line {line} is no text.")
    })?;
    let mut rows = Rows { pixels: Vec::new(), labels: Vec::new() };
    for (line, number) in text.lines().zip(1..) {
        let before = rows.pixels.len();
        for value in line.split(',') {
            // No more than a row has is kept of a line that goes on and on.
            if rows.pixels.len() - before > pixels {
                break;
            }
            let byte = value.trim().parse().map_err(|_| {
                let shown: String = value.chars().take(20).collect();
                format!("Line {number} has {shown:?} where a whole number from 0 to 255 should be.")
            })?;
            rows.pixels.push(byte);
        }
        let found = line.split(',').count();
        if found != pixels + 1 {
            return Err(format!(
                "Line {number} has {found} numbers, and {} are needed: {pixels} pixels and a class.",
                pixels + 1
            ));
        }
        let label = rows.pixels.pop().unwrap_or_default();
        if label >= classes {
            return Err(format!(
                "Line {number} has the class {label}, and classes run from 0 to {}.",
                classes.saturating_sub(1)
            ));
        }
        rows.labels.push(label);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
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
            (b"1,2,3,0\n1,\xff,3,0", "Line 2 is no text."),
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

        /// Whatever the bytes, rows are whole, classes in their range, and errors say where.
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
}
