//! Data: `[data]`.
//!
//! | module | what is in it |
//! |---|---|
//! | [`batches`] | which samples make the next batch, fixed by seed and epoch |
//! | [`images`] | images and their classes in memory, and how their bytes become numbers |
//! | [`augment`] | random shifts and flips, fixed by seed, epoch and place |
//! | [`digits`] | the optical digits that are built into the program |
//! | [`fashion_mnist`] | Fashion-MNIST: where it is looked for, how it is checked |
//! | [`cifar10`], [`cifar100`], [`cifar`] | CIFAR-10 and CIFAR-100, and the format of their files |
//! | [`text`] | any text, character by character |
//! | [`noisy_quadratic`], [`quadratic`] | the problems of Lookahead's theory |
//! | [`signature`] | what a model takes and gives, for whoever uses its weights elsewhere |
//! | [`fetch`] | bringing files into the cache |
//! | [`idx`], [`csv`], [`gzip`], [`archive`] | file formats: of MNIST and its kin, of rows of numbers, compressed ones |
//!
//! To add a data set: a file beside these with an [`Entry`], whose `load` returns a [`Dataset`], and a
//! line in the table of [`Kind`].

pub mod archive;
pub mod augment;
pub mod batches;
pub mod cifar;
pub mod cifar10;
pub mod cifar100;
pub mod csv;
pub mod digits;
pub mod fashion_mnist;
pub mod fetch;
pub mod gzip;
pub mod idx;
pub mod images;
pub mod noisy_quadratic;
pub mod quadratic;
pub mod signature;
pub mod text;

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use anyhow::Context;
use lookahead_run::event::{Split, Task};
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::config::check::{ConfigIssue, format_number, require};
use crate::kinds;
use crate::usage::UsageError;

use signature::Signature;

kinds::kinds! {
    /// The data sets.
    #[derive(Default)]
    pub enum Kind: Entry {
        /// 70,000 images of clothing, 28×28.
        #[default]
        FashionMnist = "fashion-mnist" in fashion_mnist,
        /// 1,797 images of handwritten digits, 8×8, built in.
        Digits = "digits" in digits,
        /// 60,000 images of animals and vehicles, 32×32 in colour.
        Cifar10 = "cifar10" in cifar10,
        /// The same kind of images, in a hundred classes.
        Cifar100 = "cifar100" in cifar100,
        /// A text of the user's own, character by character.
        Text = "text" in text,
        /// The noisy quadratic model: many directions, each with noise of its own.
        NoisyQuadratic = "noisy-quadratic" in noisy_quadratic,
        /// A quadratic function without noise, as badly conditioned as is asked for.
        Quadratic = "quadratic" in quadratic,
    }
}

/// What a data set's file says of it.
#[derive(Debug)]
pub struct Entry {
    /// What is learnt from it.
    pub task: Task,
    /// Those of the section's keys, dotted, that not all data sets have, and it has.
    pub keys: &'static [&'static str],
    /// How many samples are held out for validation where it is not said.
    pub validation: usize,
    /// Fills in the defaults of its keys, and checks them.
    pub resolve: fn(&mut DataConfig) -> Result<(), ConfigIssue>,
    /// Reads it, fetching it first where it is not on this machine.
    pub load: fn(&DataConfig) -> anyhow::Result<Dataset>,
}

/// `[data]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// 5000 for other images, 100 for pieces of text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<usize>,
    /// Random changes of training images.
    pub augment: augment::Augment,
    /// Fraction of the training images that have a wrong class, the same ones for every seed.
    pub label_noise: f64,
    /// noisy-quadratic, quadratic: how many directions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<usize>,
    /// noisy-quadratic: standard deviation of the gradient's noise in a direction of curvature 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
    /// quadratic: the largest curvature over the smallest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<f64>,
    /// text: the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// text: characters in a piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
}

impl Default for DataConfig {
    fn default() -> Self {
        DataConfig {
            kind: Kind::default(),
            dir: None,
            batch_size: 64,
            validation: None,
            augment: augment::Augment::None,
            label_noise: 0.0,
            dimensions: None,
            noise: None,
            condition: None,
            file: None,
            length: None,
        }
    }
}

/// Keys that the kind of a name does not have.
pub(crate) fn foreign_keys(kind: &str) -> Option<Vec<&'static str>> {
    kinds::foreign::<Kind>(kind, DataConfig::default().owned().map(|(key, _)| key))
}

impl DataConfig {
    /// The keys that not all kinds have, and whether they are given.
    fn owned(&self) -> [(&'static str, bool); 8] {
        [
            ("data.dir", self.dir.is_some()),
            ("data.augment", self.augment != augment::Augment::None),
            ("data.label_noise", self.label_noise != 0.0),
            ("data.dimensions", self.dimensions.is_some()),
            ("data.noise", self.noise.is_some()),
            ("data.condition", self.condition.is_some()),
            ("data.file", self.file.is_some()),
            ("data.length", self.length.is_some()),
        ]
    }

    pub(crate) fn resolve(&mut self) -> Result<(), ConfigIssue> {
        require(self.batch_size >= 1, "data.batch_size", self.batch_size, "at least 1")?;
        if self.kind == Kind::Digits && self.dir.is_some() {
            return Err(ConfigIssue::new(
                "data.dir",
                "`data.dir` has no meaning for digits, which are built into the program: take it out.",
            ));
        }
        kinds::refuse_foreign(self.kind, &self.owned())?;
        let noise = self.label_noise;
        let allowed = "a fraction from 0 to 1: of the training images with a wrong class";
        require((0.0..=1.0).contains(&noise), "data.label_noise", format_number(noise), allowed)?;
        (self.kind.entry().resolve)(self)?;
        self.validation = Some(self.validation());
        Ok(())
    }

    /// How many samples are held out: as given, else the kind's default.
    pub fn validation(&self) -> usize {
        self.validation.unwrap_or(self.kind.entry().validation)
    }

    /// Makes relative paths absolute, so that the run can go on from another working directory.
    ///
    /// # Errors
    /// Where there is no working directory.
    pub fn anchor(&mut self) -> anyhow::Result<()> {
        for (key, path) in [("data.dir", &mut self.dir), ("data.file", &mut self.file)] {
            let Some(path) = path else { continue };
            *path = std::path::absolute(&*path)
                .with_context(|| format!("`{key}`, {}, is no path.", path.display()))?;
        }
        Ok(())
    }
}

/// What a model works on, and what it should come to.
#[derive(Debug)]
pub struct Batch {
    /// What goes in: images, symbols or points, of shape (n, …).
    pub inputs: Tensor,
    /// What should come out, as `i64`: the class of each, of shape (n), or the symbol after each, of
    /// shape (n, length). Nothing is in it where nothing is classified.
    pub targets: Tensor,
}

/// A batch's tensor on the device that it is computed on; no GPU makes the program wait for it.
pub(crate) fn on_device(tensor: Tensor, device: Device) -> Tensor {
    lookahead_core::images::to_device(tensor, device).unwrap_or_else(|error| panic!("{error}"))
}

/// A place in a run, by which random changes of its batch are fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// `train.seed`.
    pub seed: u64,
    /// Epochs completed.
    pub epoch: u64,
    /// Batches of this epoch taken.
    pub cursor: u64,
}

/// Samples that batches are made of.
#[allow(clippy::len_without_is_empty)] // it would be one more method for each data set
pub trait Samples: fmt::Debug {
    /// How many there are.
    fn len(&self) -> usize;

    /// Those of a range as they are, on a device.
    fn slice(&self, range: Range<usize>, device: Device) -> Batch;

    /// Chosen ones for a training step, changed at random where that is asked for: always the same way
    /// at the same place.
    fn gather(&self, indices: &[usize], place: Place, device: Device) -> Batch;

    /// A number that tells these samples from others of the same number, where that is known: a run
    /// goes on only with those that it began with.
    fn fingerprint(&self) -> Option<i64> {
        None
    }
}

/// What is asked of a model.
#[derive(Debug, Clone)]
pub enum Problem {
    /// The class of an image.
    Images {
        /// Channels, height and width.
        shape: [usize; 3],
        /// How many classes.
        classes: usize,
    },
    /// The next symbol at each place of a piece of text.
    Text {
        /// How many symbols there are.
        symbols: usize,
        /// How many a piece has.
        length: usize,
    },
    /// The minimum of ½ Σ aᵢ(xᵢ − cᵢ)², where c comes with each sample.
    Quadratic {
        /// The curvatures aᵢ.
        curvatures: Vec<f32>,
    },
}

/// A data set in its three parts.
#[derive(Debug)]
pub struct Dataset {
    /// Its name in configurations.
    pub name: &'static str,
    /// What is asked.
    pub problem: Problem,
    /// What goes in and what comes out, for checkpoints.
    pub signature: Signature,
    /// What is trained on.
    pub train: Box<dyn Samples>,
    /// Held out of the training set; every choice is made on it.
    pub validation: Box<dyn Samples>,
    /// The data set's own test set; only reported.
    pub test: Box<dyn Samples>,
}

impl Dataset {
    /// The same with a name for each class; without, if there are not as many.
    #[must_use]
    pub fn with_class_names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        self.signature.classes = (self.signature.outputs == Some(names.len())).then_some(names);
        self
    }

    /// The samples of a split, unless it is empty.
    pub fn split(&self, split: Split) -> Option<&dyn Samples> {
        let samples = match split {
            Split::Validation => &*self.validation,
            Split::Test => &*self.test,
        };
        (samples.len() > 0).then_some(samples)
    }

    /// Of images. The validation samples are held out: the last ones of the training set, the same for
    /// every seed; what is to be changed of the others is noted or done.
    ///
    /// # Errors
    /// A usage error where there are not enough images to hold out.
    pub fn of_images(
        config: &DataConfig,
        classes: usize,
        mut train: images::Images,
        test: images::Images,
    ) -> Result<Dataset, UsageError> {
        let name = config.kind.name();
        let validation = train.cut(held_out(config, train.len())?);
        train.augment = config.augment;
        train.add_label_noise(config.label_noise, classes);
        Ok(Dataset {
            name,
            problem: Problem::Images { shape: train.shape, classes },
            signature: train.signature(name, classes),
            train: Box::new(train),
            validation: Box::new(validation),
            test: Box::new(test),
        })
    }
}

/// How many of so many training samples are held out.
///
/// # Errors
/// A usage error where none would be left.
pub fn held_out(config: &DataConfig, samples: usize) -> Result<usize, UsageError> {
    let validation = config.validation();
    if validation < samples {
        return Ok(validation);
    }
    Err(UsageError::new(format!(
        "`data.validation` is {validation}, and the training set of {} has only {samples} samples: \
         hold out fewer.",
        config.kind.name(),
    )))
}

/// Loads a data set, fetching it first where it is not on this machine, and holds the validation
/// samples out.
///
/// # Errors
/// Where files are missing and can't be fetched, or are not what they should be; more validation
/// samples than the training set has.
pub fn load(config: &DataConfig) -> anyhow::Result<Dataset> {
    (config.kind.entry().load)(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validation_is_held_out_of_the_end_of_the_training_set() {
        let config =
            DataConfig { kind: Kind::Digits, validation: Some(100), ..DataConfig::default() };
        let all = DataConfig { validation: Some(0), ..config.clone() };
        let (whole, split) = (load(&all).unwrap(), load(&config).unwrap());
        assert_eq!(split.validation.len(), 100);
        assert_eq!(split.train.len() + 100, whole.train.len());
        let of = |samples: &dyn Samples, range| {
            let batch = samples.slice(range, Device::Cpu);
            let pixels = Vec::<f32>::try_from(batch.inputs.reshape([-1])).unwrap();
            (pixels, Vec::<i64>::try_from(batch.targets).unwrap())
        };
        let end = whole.train.len();
        assert_eq!(of(&*split.validation, 0..100), of(&*whole.train, end - 100..end));
        assert_eq!(of(&*split.train, 0..end - 100), of(&*whole.train, 0..end - 100));

        let message =
            load(&DataConfig { validation: Some(1541), ..config }).unwrap_err().to_string();
        assert!(
            message.contains("`data.validation` is 1541") && message.contains("1541 samples"),
            "{message}"
        );
    }

    #[test]
    fn wrong_labels_are_only_in_what_is_trained_on() {
        let config = DataConfig { kind: Kind::Digits, ..DataConfig::default() };
        let noisy = DataConfig { label_noise: 0.3, ..config.clone() };
        let (clean, noisy) = (load(&config).unwrap(), load(&noisy).unwrap());
        let labels = |samples: &dyn Samples| {
            Vec::<i64>::try_from(samples.slice(0..samples.len(), Device::Cpu).targets).unwrap()
        };
        assert_ne!(labels(&*clean.train), labels(&*noisy.train));
        assert_eq!(labels(&*clean.validation), labels(&*noisy.validation));
        assert_eq!(labels(&*clean.test), labels(&*noisy.test));
    }
}
