//! Image files as inputs of a trained model, prepared as in its training.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lookahead_core::tch_ext::images::Normalization;
use tch::{Device, Tensor};

use super::image_file::{FORMATS, ImageError, PixelLayout, decode, for_each_file, has_image_name};
use super::image_folder::scan::entries;
use super::spec::DataSpec;
use crate::usage::UsageError;

/// Image files that become the inputs of a model, some at a time.
#[derive(Debug)]
pub struct ImageInputs {
    files: Vec<PathBuf>,
    layout: PixelLayout,
    normalization: Normalization,
}

/// The inputs of some files.
#[derive(Debug)]
pub struct ImageChunk<'a> {
    /// The files that could be read.
    pub files: Vec<&'a Path>,
    /// An input for each of them: `f32` of shape (n, channels, height, width), on the device.
    pub inputs: Tensor,
    /// Why the other files could not be read, with their names.
    pub broken: Vec<ImageError>,
}

impl ImageInputs {
    /// The images in `paths`, for the model of a spec. Files keep their order; a folder gives all images in it
    /// and in its folders, in the order of their paths; links to folders are not followed. With `resize`, images of another size are resized; without,
    /// they count as broken.
    ///
    /// # Errors
    /// A usage error, if the model doesn't read images, a path doesn't exist, or a folder has no image.
    pub fn new(spec: &DataSpec, resize: bool, paths: &[PathBuf]) -> Result<Self, UsageError> {
        let (layout, normalization) = preparation(spec, resize)?;
        let mut files = Vec::new();
        for path in paths {
            if !path.is_dir() {
                if !path.exists() {
                    return Err(UsageError::new(format!("There is no image {}.", path.display())));
                }
                files.push(path.clone());
                continue;
            }
            let before = files.len();
            images_below(path, &mut files).map_err(UsageError::new)?;
            if files.len() == before {
                return Err(UsageError::new(format!(
                    "The folder {} has no image in a format that is read: {FORMATS}.",
                    path.display()
                )));
            }
        }
        Ok(ImageInputs { files, layout, normalization })
    }

    /// All files.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The inputs of the files, `at_once` at a time. Each chunk is read when the iterator reaches it.
    pub fn chunks(
        &self,
        at_once: usize,
        device: Device,
    ) -> impl Iterator<Item = anyhow::Result<ImageChunk<'_>>> {
        self.files.chunks(at_once.max(1)).map(move |files| self.read(files, device))
    }

    fn read<'a>(&self, files: &'a [PathBuf], device: Device) -> anyhow::Result<ImageChunk<'a>> {
        let (layout, bytes) = (self.layout, self.layout.bytes());
        let mut pixels = vec![0; files.len() * bytes];
        let decode = |path: &Path, out: &mut [u8]| decode(path, layout, out);
        let broken = for_each_file(files, (&mut pixels, bytes), true, decode);
        let left_out: BTreeSet<usize> = broken.iter().map(|broken| broken.index).collect();
        let indices: Vec<usize> = (0..files.len()).filter(|i| !left_out.contains(i)).collect();
        let [_, height, width] = layout.shape();
        Ok(ImageChunk {
            files: indices.iter().map(|&index| &*files[index]).collect(),
            inputs: self.normalization.gather(&pixels, &indices, [height, width], device)?,
            broken: broken.into_iter().map(|broken| broken.error).collect(),
        })
    }
}

/// How the bytes of a file become the model's inputs. White is the largest raw value of the training data, and black
/// the smallest one.
fn preparation(spec: &DataSpec, resize: bool) -> Result<(PixelLayout, Normalization), UsageError> {
    let inputs = &spec.inputs;
    let refuse = |why: &str| {
        UsageError::new(format!("This model of {} can't read image files: {why}.", spec.data))
    };
    let shape = &inputs.shape;
    let &[channels @ (1 | 3), height, width] = &shape[..] else {
        let wanted = "and images have 1 or 3 channels, height and width";
        return Err(refuse(&format!("its inputs have the shape {shape:?}, {wanted}")));
    };
    let (Some([low, high]), Some(mean), Some(std)) = (inputs.range, &inputs.mean, &inputs.std)
    else {
        return Err(refuse(
            "its checkpoint doesn't say which pixels are black and which are white",
        ));
    };
    let side = |n: usize| u32::try_from(n).map_err(|_| refuse("its inputs are too large"));
    let layout = PixelLayout { channels, size: [side(height)?, side(width)?], resize };
    let scale = 255.0 / (high - low);
    let mean: Vec<f64> = mean.iter().map(|mean| (mean - low) * scale).collect();
    let std: Vec<f64> = std.iter().map(|std| std * scale).collect();
    let normalization = Normalization::new(channels, &mean, &std);
    Ok((layout, normalization.map_err(|error| refuse(error.to_string().trim_end_matches('.')))?))
}

/// Appends the images below a folder in the order of their paths.
fn images_below(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let mut paths = entries(folder)?;
    paths.sort();
    for path in paths {
        // A link to a folder may lead back.
        if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            images_below(&path, files)?;
        } else if has_image_name(&path) && !path.is_dir() {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
