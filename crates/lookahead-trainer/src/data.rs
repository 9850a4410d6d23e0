//! Data: `[data]`.
//!
//! | module | what is in it |
//! |---|---|
//! | [`batches`] | which samples make the next batch, fixed by seed and epoch |
//! | [`augment`] | random shifts and flips, fixed likewise |
//! | [`digits`] | the optical digits that are built into the program |
//! | [`fashion_mnist`] | Fashion-MNIST: where it is looked for, how it is checked |
//! | [`cifar`] | CIFAR-10, from a folder of its files |
//! | [`fetch`] | bringing files into the cache |
//! | [`idx`], [`csv`], [`gzip`] | file formats: of MNIST and its kin, of rows of numbers, compressed ones |
//!
//! To add a data set: a file beside these with a function that returns a [`Dataset`], and a line in
//! [`Kind`] and [`load`].

pub mod augment;
pub mod batches;
pub mod cifar;
pub mod csv;
pub mod digits;
pub mod fashion_mnist;
pub mod fetch;
pub mod gzip;
pub mod idx;

use std::ops::Range;
use std::path::PathBuf;

use anyhow::Context;
use lookahead_run::event::Split;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind as Element, Tensor};

use crate::check::{Invalid, require};
use crate::usage::Usage;

/// `[data]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Which data set.
    pub kind: Kind,
    /// The folder that holds its files, instead of the places where they are looked for otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Samples in a batch.
    pub batch_size: usize,
    /// Samples held out of the training set, on which every choice is made. Default 241 for digits,
    /// 5000 for the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<usize>,
    /// Random changes of training images.
    pub augment: augment::Augment,
}

impl Default for DataConfig {
    fn default() -> Self {
        DataConfig {
            kind: Kind::FashionMnist,
            dir: None,
            batch_size: 64,
            validation: None,
            augment: augment::Augment::None,
        }
    }
}

/// The data sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// 70,000 images of clothing, 28×28.
    FashionMnist,
    /// 1,797 images of handwritten digits, 8×8, built in.
    Digits,
    /// 60,000 images of animals and vehicles, 32×32 in colour.
    Cifar10,
}

impl DataConfig {
    pub(crate) fn resolve(&mut self) -> Result<(), Invalid> {
        require(self.batch_size >= 1, "data.batch_size", self.batch_size, "at least 1")?;
        self.validation = Some(self.validation());
        if self.kind == Kind::Digits && self.dir.is_some() {
            return Err(Invalid::new(
                "data.dir",
                "`data.dir` has no meaning for digits, which are built into the program: take it out.",
            ));
        }
        Ok(())
    }

    /// How many samples are held out: as given, else the kind's default.
    pub fn validation(&self) -> usize {
        self.validation.unwrap_or(match self.kind {
            Kind::FashionMnist | Kind::Cifar10 => 5000,
            Kind::Digits => 241,
        })
    }

    /// Makes a relative `dir` absolute, so that the run can go on from another working directory.
    ///
    /// # Errors
    /// Where there is no working directory.
    pub fn anchor(&mut self) -> anyhow::Result<()> {
        if let Some(dir) = &mut self.dir {
            *dir = std::path::absolute(&*dir)
                .with_context(|| format!("`data.dir`, {}, is no path.", dir.display()))?;
        }
        Ok(())
    }
}

/// Images of one size, their classes, and how their bytes become numbers.
#[derive(Debug, Clone)]
pub struct Images {
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// All pixels, image after image, each in the order of `shape`.
    pub pixels: Vec<u8>,
    /// The class of each image.
    pub labels: Vec<u8>,
    /// Mean of the training pixels.
    pub mean: f64,
    /// Standard deviation of the training pixels.
    pub std: f64,
}

impl Images {
    /// How many images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    fn image_size(&self) -> usize {
        self.shape.iter().product()
    }

    /// The pixels of one image.
    fn image(&self, index: usize) -> &[u8] {
        let size = self.image_size();
        &self.pixels[index * size..][..size]
    }

    /// The images of a range as normalized `f32` of shape (n, channels, height, width), and their
    /// classes as `i64` of shape (n).
    pub fn slice(&self, range: Range<usize>, device: Device) -> (Tensor, Tensor) {
        let size = self.image_size();
        let pixels = &self.pixels[range.start * size..range.end * size];
        self.to_tensors(pixels, &self.labels[range], device)
    }

    /// As [`slice`](Self::slice), of chosen images, each changed by `change` on its way.
    pub fn gather(
        &self,
        indices: &[usize],
        mut change: impl FnMut(&[u8], [usize; 3], &mut Vec<u8>),
        device: Device,
    ) -> (Tensor, Tensor) {
        let mut pixels = Vec::with_capacity(indices.len() * self.image_size());
        let mut labels = Vec::with_capacity(indices.len());
        for &index in indices {
            change(self.image(index), self.shape, &mut pixels);
            labels.push(self.labels[index]);
        }
        self.to_tensors(&pixels, &labels, device)
    }

    fn to_tensors(&self, pixels: &[u8], labels: &[u8], device: Device) -> (Tensor, Tensor) {
        let [channels, height, width] = self.shape.map(|n| n as i64);
        // Bytes cross to the device; floats are four times as many.
        let images = Tensor::from_slice(pixels)
            .to_device(device)
            .reshape([-1, channels, height, width])
            .to_kind(Element::Float);
        let images = (images - self.mean) / self.std;
        let labels = Tensor::from_slice(labels).to_device(device).to_kind(Element::Int64);
        (images, labels)
    }

    /// Cuts the last `count` images off into a set of their own.
    fn split_off(&mut self, count: usize) -> Images {
        let at = self.len() - count;
        Images {
            pixels: self.pixels.split_off(at * self.image_size()),
            labels: self.labels.split_off(at),
            ..self.without_images()
        }
    }

    fn without_images(&self) -> Images {
        Images { pixels: Vec::new(), labels: Vec::new(), ..*self }
    }
}

/// A data set in its three parts.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Its name in configurations.
    pub name: &'static str,
    /// How many classes.
    pub classes: usize,
    /// What is trained on.
    pub train: Images,
    /// Held out of the training set; every choice is made on it.
    pub validation: Images,
    /// The data set's own test set; only reported.
    pub test: Images,
}

impl Dataset {
    /// The images of a split, unless it is empty.
    pub fn split(&self, split: Split) -> Option<&Images> {
        let images = match split {
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        };
        (!images.is_empty()).then_some(images)
    }
}

/// Loads a data set, fetching it first where it is not on this machine, and holds the validation
/// samples out: the last ones of the training set, the same for every seed.
///
/// # Errors
/// Where files are missing and can't be fetched, or are not what they should be; more validation
/// samples than the training set has.
pub fn load(config: &DataConfig) -> anyhow::Result<Dataset> {
    let mut data = match config.kind {
        Kind::FashionMnist => fashion_mnist::load(config.dir.as_deref())?,
        Kind::Digits => digits::load()?,
        Kind::Cifar10 => cifar::load(config.dir.as_deref())?,
    };
    let validation = config.validation();
    if validation >= data.train.len() {
        return Err(Usage::new(format!(
            "`data.validation` is {}, and the training set of {} has only {} images: hold out \
             fewer.",
            validation,
            data.name,
            data.train.len()
        ))
        .into());
    }
    data.validation = data.train.split_off(validation);
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validation_is_held_out_of_the_end_of_the_training_set() {
        let whole = digits::load().unwrap();
        let config =
            DataConfig { kind: Kind::Digits, validation: Some(100), ..DataConfig::default() };
        let split = load(&config).unwrap();
        assert_eq!(split.validation.len(), 100);
        assert_eq!(split.train.len() + 100, whole.train.len());
        assert_eq!(split.validation.image(99), whole.train.image(whole.train.len() - 1));
        assert_eq!(split.train.labels[..], whole.train.labels[..split.train.len()]);

        let message =
            load(&DataConfig { validation: Some(1541), ..config }).unwrap_err().to_string();
        assert!(
            message.contains("`data.validation` is 1541") && message.contains("1541 images"),
            "{message}"
        );
    }

    #[test]
    fn pixels_are_normalized_in_their_places() {
        let images = Images {
            shape: [1, 1, 2],
            pixels: vec![0, 10, 20, 30, 40, 50],
            labels: vec![3, 1, 2],
            mean: 10.0,
            std: 5.0,
        };
        let (pixels, labels) = images.slice(1..3, Device::Cpu);
        assert_eq!(pixels.size(), [2, 1, 1, 2]);
        assert_eq!(Vec::<f32>::try_from(pixels.reshape([-1])).unwrap(), [2.0, 4.0, 6.0, 8.0]);
        assert_eq!(Vec::<i64>::try_from(labels).unwrap(), [1, 2]);
        let copy = |image: &[u8], _, out: &mut Vec<u8>| out.extend_from_slice(image);
        let (pixels, labels) = images.gather(&[2, 0], copy, Device::Cpu);
        assert_eq!(Vec::<f32>::try_from(pixels.reshape([-1])).unwrap(), [6.0, 8.0, -2.0, 0.0]);
        assert_eq!(Vec::<i64>::try_from(labels).unwrap(), [2, 3]);
    }
}
