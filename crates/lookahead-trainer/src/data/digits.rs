//! Optical digits: 1,797 real images of 8×8, built into the program. See `data/README.md`.

use std::io::Read;

use anyhow::Context;

use super::{Dataset, Images};

const FILE: &[u8] = include_bytes!("../../data/digits.csv.gz");
const PIXELS: usize = 64;

/// Every seventh image is test data: the file goes writer by writer and counts from 0 to 9 over and
/// over, so all writers and all digits are in both parts.
const TEST_EVERY: usize = 7;

/// The data set: 1,541 images for training, 256 for the test.
///
/// # Errors
/// Where the built-in file is damaged.
pub fn load() -> anyhow::Result<Dataset> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(FILE)
        .read_to_string(&mut text)
        .context("The digits that are built into this program are damaged: build it again.")?;
    // Mean and standard deviation of the training pixels, which run from 0 to 16.
    let empty =
        Images { shape: [1, 8, 8], pixels: vec![], labels: vec![], mean: 4.8916, std: 6.0189 };
    let (mut train, mut test) = (empty.clone(), empty.clone());
    for (i, line) in text.lines().enumerate() {
        let numbers: Vec<u8> =
            line.split(',').map(str::parse).collect::<Result<_, _>>().with_context(|| {
                format!("Line {} of the built-in digits is no list of bytes.", i + 1)
            })?;
        let (label, pixels) = numbers.split_last().context("A line of the digits is empty.")?;
        anyhow::ensure!(pixels.len() == PIXELS && *label < 10, "Line {} is no digit.", i + 1);
        let part = if i % TEST_EVERY == TEST_EVERY - 1 { &mut test } else { &mut train };
        part.pixels.extend_from_slice(pixels);
        part.labels.push(*label);
    }
    Ok(Dataset { name: "digits", classes: 10, train, validation: empty, test })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_images_are_there_and_normalized() {
        let data = load().unwrap();
        assert_eq!((data.train.len(), data.test.len()), (1541, 256));
        for class in 0..10 {
            assert!(data.test.labels.iter().filter(|&&label| label == class).count() >= 15);
        }
        let (images, _) = data.train.slice(0..data.train.len(), tch::Device::Cpu);
        let mean = f64::try_from(images.mean(tch::Kind::Float)).unwrap();
        let std = f64::try_from(images.std(false)).unwrap();
        assert!(mean.abs() < 1e-3 && (std - 1.0).abs() < 1e-3, "mean {mean}, std {std}");
    }
}
