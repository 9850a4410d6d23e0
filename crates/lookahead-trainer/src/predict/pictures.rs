//! Images in files of their own.

use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageReader};
use tch::Tensor;

use super::chunks::{Chunk, Origin, Take};
use super::preparation::Preparation;
use crate::usage::UsageError;

/// Reads images of the model's size. Images of other colours are converted to the model's channels: 1 is gray,
/// 3 is red, green and blue, 4 has transparency too.
///
/// # Errors
/// If the model doesn't take images, or a file is not an image of its size.
pub(super) fn read(
    files: &[PathBuf],
    preparation: &Preparation,
    most: usize,
    take: &mut Take<'_>,
) -> anyhow::Result<()> {
    let inputs = &preparation.inputs;
    let (&[channels @ (1 | 3 | 4), height, width], Some(range)) = (&inputs.shape[..], inputs.range)
    else {
        return Err(UsageError::new(format!(
            "The model doesn't take images: its samples are of shape {}. Use a CSV file or an array.",
            preparation.describe()
        ))
        .into());
    };
    for files in files.chunks(most) {
        let mut values = Vec::with_capacity(files.len() * preparation.values());
        for file in files {
            let bytes = decode(file, [channels, height, width])?;
            // Channels come first in the model's inputs, and last in an image.
            for channel in 0..channels {
                let plane = bytes.iter().skip(channel).step_by(channels);
                values.extend(plane.map(|&byte| scaled(byte, range)));
            }
        }
        let inputs = preparation.batch(&Tensor::from_slice(&values), files.len())?;
        take(Chunk { inputs, origin: Origin::Files(files) })?;
    }
    Ok(())
}

/// The byte of an image as a raw value: a whole number in the range of the data that the model was trained on.
fn scaled(byte: u8, [low, high]: [f64; 2]) -> f32 {
    (low + f64::from(byte) / 255.0 * (high - low)).round() as f32
}

/// The pixels of an image, row by row, each with its channels.
fn decode(path: &Path, [channels, height, width]: [usize; 3]) -> anyhow::Result<Vec<u8>> {
    let failed = |reason: String| {
        UsageError::new(format!("The image {} can't be used. {reason}", path.display()))
    };
    let image = ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .map_err(|error| failed(format!("{error}.")))?
        .decode()
        .map_err(|error| failed(format!("{error}.")))?;
    let found = (image.height() as usize, image.width() as usize);
    if found != (height, width) {
        return Err(failed(format!(
            "It is {} pixels high and {} wide, and the model takes {height} by {width}.",
            found.0, found.1
        ))
        .into());
    }
    Ok(match (channels, image) {
        (1, image) => image.into_luma8().into_raw(),
        (4, image) => image.into_rgba8().into_raw(),
        (_, DynamicImage::ImageRgb8(image)) => image.into_raw(),
        (_, image) => image.into_rgb8().into_raw(),
    })
}
