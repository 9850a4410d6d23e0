//! Optical digits: 1,797 real images of 8×8, built into the program. See `data/README.md`.

use anyhow::anyhow;

use super::dataset::{Dataset, LoadContext};
use super::images::{ImageOptions, Images};
use super::{csv, gzip};

const FILE: &[u8] = include_bytes!("../../data/digits.csv.gz");
const PIXELS: usize = 64;

/// Every seventh image is test data. The file is sorted by writer, and each counts from 0 to 9 repeatedly, so
/// all writers and all digits are in both parts.
const TEST_EVERY: usize = 7;

/// Loads it: 1,541 images for training, 256 for the test.
pub fn load(options: ImageOptions, context: &LoadContext) -> anyhow::Result<Dataset> {
    let read = || csv::parse(&gzip::decompress(FILE, 1 << 20)?, PIXELS, 10);
    let rows = read().map_err(|reason| {
        anyhow!("The digits that are built into this program are damaged. {reason} Build it again.")
    })?;
    // The mean and standard deviation of the training pixels, which range from 0 to 16.
    let mut empty = Images::none([1, 8, 8], &[4.8916], &[6.0189]);
    empty.range = [0, 16];
    let (mut train, mut test) = (empty.clone(), empty.clone());
    for (i, (pixels, label)) in rows.pixels.chunks_exact(PIXELS).zip(rows.labels).enumerate() {
        let part = if i % TEST_EVERY == TEST_EVERY - 1 { &mut test } else { &mut train };
        part.pixels.extend_from_slice(pixels);
        part.labels.push(label.into());
    }
    let names = (0..10).map(|digit| digit.to_string());
    Ok(Dataset::of_images(context, options, 10, train, test)?.with_class_names(names))
}

#[cfg(test)]
mod tests;
