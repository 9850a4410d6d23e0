//! Random changes of training images: `data.augment`.

use serde::{Deserialize, Serialize};

use super::random::{SampleKey, below, generator};
use crate::config::key::Key;

/// The changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Augment {
    /// No changes.
    #[default]
    None,
    /// Shift by up to two pixels each way, filling with zeros, and mirror half of the images.
    ShiftFlip,
    /// The same with shifts by up to four pixels: a random crop of the image padded with four zeros, as is
    /// usual for CIFAR.
    CropFlip,
}

/// The key that selects them.
pub(super) const AUGMENT: Key = Key::choice(
    "augment",
    &["none", "shift-flip", "crop-flip"],
    "random changes of the training images: `shift-flip` shifts by up to 2 pixels in each direction and mirrors half \
     the images; `crop-flip` shifts by up to 4 pixels, as usual for CIFAR",
)
.example("\"shift-flip\"");

impl Augment {
    /// Appends changed copies of images to `out`. The changes are a function of `key`.
    pub fn apply<'a>(
        self,
        key: SampleKey,
        images: impl Iterator<Item = &'a [u8]>,
        shape: [usize; 3],
        out: &mut Vec<u8>,
    ) {
        let reach = match self {
            Augment::None => return images.for_each(|image| out.extend_from_slice(image)),
            Augment::ShiftFlip => 2,
            Augment::CropFlip => 4,
        };
        let mut generator = generator(key, b"augment ");
        for image in images {
            let [down, right] =
                [(); 2].map(|()| below(&mut generator, 2 * reach + 1) as isize - reach as isize);
            let mirror = below(&mut generator, 2) == 1;
            shift_flip(image, shape, (down, right), mirror, out);
        }
    }
}

fn shift_flip(
    image: &[u8],
    [channels, height, width]: [usize; 3],
    (down, right): (isize, isize),
    mirror: bool,
    out: &mut Vec<u8>,
) {
    for channel in image.chunks_exact(height * width).take(channels) {
        for y in 0..height {
            for x in 0..width {
                let x = if mirror { width - 1 - x } else { x };
                let from_y = y.checked_add_signed(-down).filter(|&y| y < height);
                let from_x = x.checked_add_signed(-right).filter(|&x| x < width);
                out.push(match (from_y, from_x) {
                    (Some(y), Some(x)) => channel[y * width + x],
                    _ => 0,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
