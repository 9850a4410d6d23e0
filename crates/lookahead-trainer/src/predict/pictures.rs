//! Images in files of their own.

use std::path::PathBuf;

use super::chunks::{Chunk, Origin, Take};
use super::preparation::Preparation;
use crate::data::image_inputs::{ImageChunk, ImageInputs};
use crate::usage::UsageError;

/// Reads images, also those in folders and in their folders.
///
/// # Errors
/// If the model doesn't take images, a folder has none, or a file is not an image of the model's size.
pub(super) fn read(
    paths: &[PathBuf],
    preparation: &Preparation,
    most: usize,
    take: &mut Take<'_>,
) -> anyhow::Result<()> {
    let images = ImageInputs::new(&preparation.spec, preparation.resize, paths)?;
    for chunk in images.chunks(most, preparation.device) {
        let ImageChunk { files, inputs, broken } = chunk?;
        if let Some(error) = broken.first() {
            return Err(UsageError::new(error.to_string()).into());
        }
        take(Chunk { inputs, origin: Origin::Files(&files) })?;
    }
    Ok(())
}
