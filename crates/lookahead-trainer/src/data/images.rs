//! Images and their classes in memory, and the normalization of their pixels.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use lookahead_core::tch_ext::images::Normalization;
use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::augment::{AUGMENT, Augment};
use super::dataset::{Batch, Dataset, LoadContext, Samples, on_device};
use super::random::{SampleKey, below, generator};
use super::spec::{DataSpec, Inputs};
use crate::config::key::Key;
use crate::config::kinds::KindOptions;
use crate::usage::UsageError;

/// Images of one size, their classes, and their normalization.
#[derive(Debug, Clone)]
pub struct Images {
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// All pixels, image after image, each in the order of `shape`.
    pub pixels: Vec<u8>,
    /// The class of each image.
    pub labels: Vec<u32>,
    /// The random changes of a training step.
    pub augment: Augment,
    /// The smallest and the largest possible value of a pixel.
    pub range: [u8; 2],
    /// [`Samples::fingerprint`].
    pub fingerprint: Option<i64>,
    mean: Vec<f64>,
    std: Vec<f64>,
    normalization: Normalization,
}

impl Images {
    /// An empty set of images, with the mean and standard deviation of its future pixels: one for all channels,
    /// or one per channel.
    ///
    /// # Panics
    /// If the number of means or deviations is neither 1 nor the number of channels.
    pub fn none(shape: [usize; 3], mean: &[f64], std: &[f64]) -> Self {
        let normalization = Normalization::new(shape[0], mean, std);
        let of_channels = |values: &[f64]| match values {
            &[one] => vec![one; shape[0]],
            each => each.to_vec(),
        };
        Images {
            shape,
            pixels: Vec::new(),
            labels: Vec::new(),
            augment: Augment::None,
            range: [0, u8::MAX],
            fingerprint: None,
            mean: of_channels(mean),
            std: of_channels(std),
            normalization: normalization.expect("one mean and deviation, or one per channel"),
        }
    }

    fn image_size(&self) -> usize {
        self.shape.iter().product()
    }

    /// The pixels of one image.
    fn image(&self, index: usize) -> &[u8] {
        let size = self.image_size();
        &self.pixels[index * size..][..size]
    }

    /// Gives a fraction of the images a wrong class, each other class with the same probability. The draw is
    /// the same for all seeds.
    pub fn add_label_noise(&mut self, fraction: f64, classes: usize) {
        let mut generator = generator(SampleKey { seed: 0, epoch: 0, cursor: 0 }, b"mislabel");
        // In steps of 2⁻³², since whole numbers are the same on every machine.
        let bound = (fraction * (1u64 << 32) as f64) as u64;
        for label in &mut self.labels {
            if below(&mut generator, 1 << 32) < bound && classes > 1 {
                let others = below(&mut generator, classes as u64 - 1) + 1;
                *label = ((u64::from(*label) + others) % classes as u64) as u32;
            }
        }
    }

    /// Other images with the same normalization and the same random changes.
    pub(super) fn with(&self, pixels: Vec<u8>, labels: Vec<u32>) -> Images {
        Images {
            pixels,
            labels,
            mean: self.mean.clone(),
            std: self.std.clone(),
            normalization: self.normalization.clone(),
            ..*self
        }
    }

    /// The images `indices` of `pixels`, with their labels.
    fn batch(
        &self,
        pixels: &[u8],
        indices: &[usize],
        labels: impl Iterator<Item = u32>,
        device: Device,
    ) -> anyhow::Result<Batch> {
        let [_, height, width] = self.shape;
        let inputs = self.normalization.gather(pixels, indices, [height, width], device);
        let labels: Vec<i64> = labels.map(i64::from).collect();
        Ok(Batch { inputs: inputs?, targets: on_device(Tensor::from_slice(&labels), device) })
    }

    /// The inputs and outputs of a model of these images.
    pub(super) fn spec(&self, data: &str, classes: usize) -> DataSpec {
        let axes = ["channel", "row", "column"];
        let inputs = Inputs {
            range: Some(self.range.map(f64::from)),
            mean: Some(self.mean.clone()),
            std: Some(self.std.clone()),
            ..Inputs::raw(&self.shape, &axes, "float32")
        };
        DataSpec::new(data, Task::Classification, inputs, classes)
    }

    /// Moves the last `count` images into a set of their own, which is not augmented.
    pub fn split_off(&mut self, count: usize) -> Images {
        let at = self.labels.len() - count;
        let pixels = self.pixels.split_off(at * self.image_size());
        let labels = self.labels.split_off(at);
        Images { augment: Augment::None, ..self.with(pixels, labels) }
    }
}

impl Samples for Images {
    fn len(&self) -> usize {
        self.labels.len()
    }

    /// Normalized `f32` of shape (n, channels, height, width), and classes as `i64` of shape (n).
    fn slice(&self, range: Range<usize>, device: Device) -> anyhow::Result<Batch> {
        let indices: Vec<usize> = range.clone().collect();
        self.batch(&self.pixels, &indices, self.labels[range].iter().copied(), device)
    }

    fn gather(&self, indices: &[usize], key: SampleKey, device: Device) -> anyhow::Result<Batch> {
        let labels = indices.iter().map(|&index| self.labels[index]);
        if self.augment == Augment::None {
            return self.batch(&self.pixels, indices, labels, device);
        }
        let mut pixels = Vec::with_capacity(indices.len() * self.image_size());
        let images = indices.iter().map(|&index| self.image(index));
        self.augment.apply(key, images, self.shape, &mut pixels);
        let indices: Vec<usize> = (0..indices.len()).collect();
        self.batch(&pixels, &indices, labels, device)
    }

    fn fingerprint(&self) -> Option<i64> {
        self.fingerprint
    }
}

/// The key of wrong classes.
pub(super) const LABEL_NOISE: Key = Key::number(
    "label_noise",
    "fraction of the training images that get a wrong class, the same ones for every seed",
)
.at_least(0.0)
.at_most(1.0)
.example("0.2");

/// The keys of `[data]` for images that are not read from files.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageOptions {
    /// Random changes of training images.
    pub augment: Augment,
    /// The fraction of the training images that have a wrong class, the same ones for every seed.
    pub label_noise: f64,
}

impl KindOptions for ImageOptions {
    const KEYS: &'static [Key] = &[AUGMENT, LABEL_NOISE];
    const TASKS: &'static [Task] = &[Task::Classification];
    const VALIDATION: Option<usize> = Some(241);

    fn about(_kind: &str) -> &'static str {
        "1,797 grayscale images of digits, 8×8, in 10 classes; built in"
    }

    fn starter(_kind: &str) -> &'static str {
        r#"
[data]
batch_size = 32

[model]
kind = "mlp"
hidden = [64]

[optimizer]
lr = 0.1
momentum = 0.9

[train]
epochs = 20
"#
    }

    fn why_not(key: &str) -> Option<&'static str> {
        (key == "dir").then_some("is built into the program")
    }
}

/// The keys of `[data]` for images in files.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageFileOptions {
    /// The folder that has the files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Random changes of training images.
    pub augment: Augment,
    /// The fraction of the training images that have a wrong class, the same ones for every seed.
    pub label_noise: f64,
}

impl ImageFileOptions {
    /// The keys that do not depend on files.
    pub fn images(&self) -> ImageOptions {
        ImageOptions { augment: self.augment, label_noise: self.label_noise }
    }
}

impl KindOptions for ImageFileOptions {
    const KEYS: &'static [Key] = &[
        Key::path(
            "dir",
            "the folder of the files, in one of the [accepted formats](guide.md#your-own-data); stored as an absolute \
             path. Files that are missing are downloaded into the cache",
        )
        .allowed("a folder")
        .default("the system's folder or the cache")
        .example("\"datasets\""),
        AUGMENT,
        LABEL_NOISE,
    ];
    const TASKS: &'static [Task] = &[Task::Classification];
    const VALIDATION: Option<usize> = Some(5000);

    fn about(kind: &str) -> &'static str {
        match kind {
            "fashion-mnist" => {
                "70,000 grayscale images of clothing, 28×28, in 10 classes; downloaded if missing (31 MB)"
            }
            "cifar10" => {
                "60,000 colour images, 32×32, in 10 classes; downloaded if missing (170 MB)"
            }
            "cifar100" => {
                "60,000 colour images, 32×32, in 100 classes; downloaded if missing (169 MB)"
            }
            _ => "images in files",
        }
    }

    fn starter(kind: &str) -> &'static str {
        match kind {
            "cifar10" | "cifar100" => {
                r#"
[data]
batch_size = 128
augment = "crop-flip"

[model]
kind = "resnet"
width = 16
blocks = [1, 1, 1]

[optimizer]
lr = 0.1
momentum = 0.9
weight_decay = 5e-4

[lookahead]
alpha = 0.8
recalibrate = 50

[schedule]
kind = "cosine"

[train]
epochs = 30
"#
            }
            _ => {
                r#"
[model]
kind = "cnn"

[optimizer]
lr = 0.02
momentum = 0.9

[schedule]
kind = "cosine"

[train]
epochs = 8
"#
            }
        }
    }
}

impl Dataset {
    /// A data set of images. The last training images become the validation set, the same for every seed; the
    /// others are changed as `options` say.
    pub fn of_images(
        context: &LoadContext,
        options: ImageOptions,
        classes: usize,
        mut train: Images,
        test: Images,
    ) -> Result<Dataset, UsageError> {
        let validation = train.split_off(context.validation_samples(train.len())?);
        train.augment = options.augment;
        train.add_label_noise(options.label_noise, classes);
        Ok(Dataset {
            name: context.name,
            spec: train.spec(context.name, classes),
            train: Arc::new(train),
            validation: Arc::new(validation),
            test: Arc::new(test),
        })
    }
}

#[cfg(test)]
mod tests;
