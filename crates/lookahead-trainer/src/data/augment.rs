//! Random changes of training images: `data.augment`.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::random::{SampleKey, below, generator};

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

impl Augment {
    /// The largest shift in pixels, if images are changed.
    fn reach(self) -> Option<u64> {
        match self {
            Augment::None => None,
            Augment::ShiftFlip => Some(2),
            Augment::CropFlip => Some(4),
        }
    }
}

/// Changes the images of one batch. The changes are a function of its key.
#[derive(Debug)]
pub struct Augmenter {
    kind: Augment,
    generator: ChaCha8Rng,
}

impl Augmenter {
    /// For the batch of a key.
    pub fn new(kind: Augment, key: SampleKey) -> Self {
        Augmenter { kind, generator: generator(key, b"augment ") }
    }

    /// Appends the changed image to `out`.
    pub fn apply(&mut self, image: &[u8], shape: [usize; 3], out: &mut Vec<u8>) {
        match self.kind.reach() {
            None => out.extend_from_slice(image),
            Some(reach) => {
                let shift = |drawn: u64| drawn as isize - reach as isize;
                let down = shift(below(&mut self.generator, 2 * reach + 1));
                let right = shift(below(&mut self.generator, 2 * reach + 1));
                let mirror = below(&mut self.generator, 2) == 1;
                shift_flip(image, shape, (down, right), mirror, out);
            }
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
