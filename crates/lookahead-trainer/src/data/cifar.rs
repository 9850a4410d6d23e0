//! The binary format of CIFAR-10 and CIFAR-100: images of 32×32 in colour.
//!
//! A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009.

/// Channels, height and width.
pub const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;

/// The images and classes of one file.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    records: &'a [u8],
    /// Bytes before the pixels of an image; the last is its class.
    labels: usize,
}

impl Batch<'_> {
    fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.records.chunks_exact(self.labels + PIXELS)
    }

    /// The class of each image; CIFAR-100's fine one.
    pub fn classes(&self) -> Vec<u8> {
        self.records().map(|record| record[self.labels - 1]).collect()
    }

    /// All pixels, image after image: 1,024 of red, of green and of blue each.
    pub fn pixels(&self) -> Vec<u8> {
        self.records().flat_map(|record| &record[self.labels..]).copied().collect()
    }
}

/// Reads records of a class, below `classes`, and 3,072 pixels each; where there is a coarse class
/// before, as in CIFAR-100, `coarse` is true.
///
/// # Errors
/// A sentence that says what of the file is not as it should be, for a reader who knows which file.
pub fn parse(bytes: &[u8], classes: u8, coarse: bool) -> Result<Batch<'_>, String> {
    let labels = 1 + usize::from(coarse);
    let record = labels + PIXELS;
    if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
        return Err(format!(
            "It has {} bytes, and images have {record} each: it is empty, cut off, or of another \
             format.",
            bytes.len()
        ));
    }
    let batch = Batch { records: bytes, labels };
    match batch.classes().iter().position(|class| *class >= classes) {
        Some(image) => Err(format!(
            "Its image {image}, counted from 0, has the class {}, and classes run from 0 to {}.",
            batch.classes()[image],
            classes.saturating_sub(1)
        )),
        None => Ok(batch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn record(labels: &[u8], first: u8) -> Vec<u8> {
        let pixels = (0..PIXELS).map(|i| first.wrapping_add((i % 7) as u8));
        labels.iter().copied().chain(pixels).collect()
    }

    #[test]
    fn records_become_pixels_and_classes() {
        let file = [record(&[3], 10), record(&[9], 100)].concat();
        let batch = parse(&file, 10, false).unwrap();
        assert_eq!(batch.classes(), [3, 9]);
        let pixels = batch.pixels();
        assert_eq!((pixels.len(), pixels[0], pixels[PIXELS]), (2 * PIXELS, 10, 100));
        let file = record(&[19, 99], 7);
        let batch = parse(&file, 100, true).unwrap();
        assert_eq!((batch.classes(), batch.pixels()[0]), (vec![99], 7));
    }

    #[test]
    fn other_files_are_refused() {
        let file = [record(&[3], 10), record(&[10], 100)].concat();
        assert!(
            parse(&file, 10, false)
                .unwrap_err()
                .contains("image 1, counted from 0, has the class 10")
        );
        for length in [0, 1, PIXELS, file.len() - 1] {
            let said = parse(&file[..length], 10, false).unwrap_err();
            assert!(said.contains(&format!("It has {length} bytes")), "{said}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            cases: 64,
            ..Default::default()
        })]

        #[test]
        fn any_records_come_back_unless_a_class_is_none(
            images in prop::collection::vec((any::<u8>(), 0..102u8, any::<u8>()), 1..4),
            cut in 1..PIXELS,
        ) {
            let labels: Vec<u8> = images.iter().map(|(_, fine, _)| *fine).collect();
            let pixels = |first: u8| record(&[], first);
            let all: Vec<u8> = images.iter().flat_map(|(_, _, first)| pixels(*first)).collect();
            for (classes, coarse) in [(10, false), (100, true)] {
                let file: Vec<u8> = images
                    .iter()
                    .flat_map(|(group, fine, first)| {
                        let labels = [*group, *fine];
                        record(if coarse { &labels } else { &labels[1..] }, *first)
                    })
                    .collect();
                let found = parse(&file, classes, coarse);
                match labels.iter().position(|label| *label >= classes) {
                    Some(at) => {
                        let said = found.unwrap_err();
                        let words = format!("image {at}, counted from 0, has the class {}", labels[at]);
                        prop_assert!(said.contains(&words), "{}", said);
                    }
                    None => {
                        let batch = found.unwrap();
                        prop_assert_eq!(batch.classes(), labels.clone());
                        prop_assert_eq!(batch.pixels(), all.clone());
                    }
                }
                prop_assert!(parse(&file[..file.len() - cut], classes, coarse).is_err());
            }
        }
    }
}
