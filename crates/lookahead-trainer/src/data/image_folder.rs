//! `data.kind = "images"`: a folder of image files, with a folder for each class.
//!
//! Images that fit are decoded once, into memory; of more, each batch is decoded when it is needed.

mod on_demand;
pub mod on_error;
mod part;
pub mod scan;

use std::path::{Path, PathBuf};

use lookahead_run::checkpoint::fingerprint_of;
use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};

use self::on_error::{OnError, with_remedy};
use self::part::{Part, Reader};
use self::scan::{ImageFile, ImageFolder};
use super::augment::{AUGMENT, Augment};
use super::dataset::{Dataset, LoadContext};
use super::image_file::{LARGEST_SIDE, PixelLayout, probe};
use super::images::{Images, LABEL_NOISE};
use super::random::{SampleKey, shuffled};
use super::split::{TEST_FRACTION, TEST_PART, test_samples};
use crate::config::issue::{ConfigIssue, format_number, require};
use crate::config::key::Key;
use crate::config::kinds::KindOptions;
use crate::console::eprint_line;
use crate::usage::UsageError;

/// Where the decoded images are: `data.in_memory`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InMemory {
    /// In memory, if they take at most 1 GiB.
    #[default]
    Auto,
    /// In memory.
    Always,
    /// In their files.
    Never,
}

/// The most bytes of pixels that are in memory without a request.
const MOST_BYTES: usize = 1 << 30;

/// The keys of `[data]` for a folder of images.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageFolderOptions {
    /// The folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Height and width; by default those of the first image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<[u32; 2]>,
    /// 1 or 3; by default those of the first image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Whether images of another size are resized.
    pub resize: bool,
    /// The mean of the pixels, from 0 to 255: one, or one per channel. By default that of the training images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f64>>,
    /// Their standard deviation, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<f64>>,
    /// The part of the images that is for tests, if no folder is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_fraction: Option<f64>,
    /// What happens to files that can't be read.
    pub on_error: OnError,
    /// Where the decoded images are.
    pub in_memory: InMemory,
    /// Random changes of training images.
    pub augment: Augment,
    /// The fraction of the training images that have a wrong class, the same ones for every seed.
    pub label_noise: f64,
}

impl KindOptions for ImageFolderOptions {
    const KEYS: &'static [Key] = &[
        Key::path(
            "dir",
            "the [folder of the images](guide.md#images): train/CLASS/*, with or without validation/CLASS/* and \
             test/CLASS/*, or CLASS/*; stored as an absolute path",
        )
        .allowed("a folder")
        .required("\"photos\""),
        Key::wholes("size", "`[height, width]` of the images")
            .at_least(1.0)
            .at_most(LARGEST_SIDE as f64)
            .values(2, 2)
            .default("that of the first image")
            .example("[64, 64]"),
        Key::whole(
            "channels",
            "grayscale, which is 1, or red, green, blue, which is 3; images are converted",
        )
        .at_least(1.0)
        .at_most(3.0)
        .allowed("1 or 3")
        .default("those of the first image")
        .example("3"),
        Key::switch(
            "resize",
            "resize images of another size to `size`; otherwise they are an error",
        )
        .example("true"),
        Key::numbers(
            "mean",
            "subtracted from the pixels. Multiply fractions, for example those of ImageNet, by 255",
        )
        .at_least(0.0)
        .at_most(255.0)
        .values(1, 3)
        .allowed("one number from 0 to 255, or one per channel, not divided by 255")
        .default("that of the training pixels")
        .example("[118.0]"),
        Key::numbers("std", "what the difference is divided by")
            .at_least(1.0)
            .at_most(255.0)
            .values(1, 3)
            .allowed("one number from 1 to 255, or one per channel, not divided by 255")
            .default("that of the training pixels")
            .example("[65.0]"),
        TEST_PART,
        Key::choice(
            "on_error",
            &["error", "skip"],
            "what a file that can't be read or has another size does: it ends the program, or is left out with a \
             warning",
        )
        .example("\"skip\""),
        Key::choice(
            "in_memory",
            &["auto", "always", "never"],
            "decode all files once into memory; `auto` does so if the pixels take at most 1 GiB. Otherwise a thread \
             decodes the next batches during each step, and the losses are the same",
        )
        .example("\"always\""),
        AUGMENT,
        LABEL_NOISE,
    ];
    const TASKS: &'static [Task] = &[Task::Classification];

    fn about(_kind: &str) -> &'static str {
        "images of your own, in a folder for each class"
    }

    fn starter(_kind: &str) -> &'static str {
        r#"
[data]
batch_size = 32

[model]
kind = "cnn"

[optimizer]
kind = "adamw"
lr = 0.001

[train]
epochs = 20
"#
    }

    fn check(&self) -> Result<(), ConfigIssue> {
        if self.dir.is_none() {
            return Err(ConfigIssue::new(
                "data.kind",
                "`data.kind` is images, but `data.dir` is missing. Name a folder that has a folder of images for \
                 each class, for example `--set data.dir=photos`.",
            ));
        }
        if let Some(channels) = self.channels {
            let allowed = "1, which is grayscale, or 3, which is red, green and blue";
            require(matches!(channels, 1 | 3), "data.channels", channels, allowed)?;
        }
        for (key, values) in [("data.mean", &self.mean), ("data.std", &self.std)] {
            let Some(values) = values else { continue };
            let allowed = "one number, or three";
            require(matches!(values.len(), 1 | 3), key, format!("{values:?}"), allowed)?;
        }
        Ok(())
    }
}

/// Lists the files, and decodes them if they fit into memory.
///
/// # Errors
/// A usage error, if the folder has no such images.
pub fn load(options: ImageFolderOptions, context: &LoadContext) -> anyhow::Result<Dataset> {
    let dir = options.dir.clone().unwrap_or_default();
    let mut folder = ImageFolder::scan(&dir).map_err(|reason| {
        UsageError::new(format!("The images of `data.dir` can't be used. {reason}"))
    })?;
    if let Some(first) = folder.ignored.first() {
        eprint_line(format_args!(
            "Note: {} files in {} are not images by their names, and are left out: {} is the first.",
            folder.ignored.len(),
            dir.display(),
            first.display()
        ));
    }
    let layout = layout(&options, &folder.train)?;
    let names = std::mem::take(&mut folder.classes);
    let [train, validation, test] = parts(&options, context, folder, layout)?;

    let (mean, std) = train.statistics();
    let (mean, std) = (options.mean.unwrap_or(mean), options.std.unwrap_or(std));
    check_channels("mean", &mean, layout)?;
    check_channels("std", &std, layout)?;
    let none = Images::none(layout.shape(), &mean, &std);
    let images = |part: &Part| none.with(Vec::new(), part.labels());
    let mut images_of_train = images(&train);
    images_of_train.augment = options.augment;
    images_of_train.add_label_noise(options.label_noise, names.len());
    images_of_train.fingerprint = Some(fingerprint(&dir, &train.files));
    let (images_of_validation, images_of_test) = (images(&validation), images(&test));
    Ok(Dataset {
        name: context.name,
        spec: none.spec(context.name, names.len()).with_class_names(names),
        train: train.into_samples(images_of_train),
        validation: validation.into_samples(images_of_validation),
        test: test.into_samples(images_of_test),
    })
}

/// How pixels are stored: as the configuration says, or else as in the first image.
fn layout(options: &ImageFolderOptions, files: &[ImageFile]) -> Result<PixelLayout, UsageError> {
    let resize = options.resize;
    if let (Some(size), Some(channels)) = (options.size, options.channels) {
        return Ok(PixelLayout { channels, size, resize });
    }
    let mut broken = None;
    for file in files {
        match probe(&file.path) {
            Ok(found) => {
                return Ok(PixelLayout {
                    channels: options.channels.unwrap_or(found.channels),
                    size: options.size.unwrap_or(found.size),
                    resize,
                });
            }
            Err(error) => drop(broken.get_or_insert(error)),
        }
        if options.on_error == OnError::Error {
            break;
        }
    }
    Err(UsageError::new(broken.map_or_else(String::new, |error| with_remedy(&error))))
}

/// The parts for training, validation and tests. Those without a folder are taken out of the training images, in an
/// order that is the same for every seed.
fn parts(
    options: &ImageFolderOptions,
    context: &LoadContext,
    folder: ImageFolder,
    layout: PixelLayout,
) -> Result<[Part; 3], UsageError> {
    let ImageFolder { train, validation, test, .. } = folder;
    let all = [Some(&train), validation.as_ref(), test.as_ref()];
    let count: usize = all.into_iter().flatten().map(Vec::len).sum();
    let in_memory = match options.in_memory {
        InMemory::Auto => count.saturating_mul(layout.bytes()) <= MOST_BYTES,
        InMemory::Always => true,
        InMemory::Never => false,
    };
    let mut reader = Reader { layout, on_error: options.on_error, in_memory, left_out: Vec::new() };
    let in_order = if test.is_some() && validation.is_some() {
        train
    } else {
        let key = SampleKey { seed: 0, epoch: 0, cursor: 0 };
        let order = shuffled(train.len(), key, b"testpart");
        order.into_iter().map(|index| train[index].clone()).collect()
    };
    let mut train = reader.read(in_order, options.mean.is_none() || options.std.is_none())?;
    let test = match (test, options.test_fraction) {
        (Some(_), Some(fraction)) => {
            return Err(UsageError::new(format!(
                "`data.test_fraction` is {}, but `data.dir` has a folder with test images. Remove one of them.",
                format_number(fraction)
            )));
        }
        (Some(files), None) => reader.read(files, false)?,
        (None, fraction) => {
            let count = train.files.len();
            train.split_off(test_samples(count, fraction.unwrap_or(TEST_FRACTION)).min(count - 1))
        }
    };
    let validation = match validation {
        Some(files) => {
            let validation = reader.read(files, false)?;
            let found = validation.files.len();
            if let Some(wanted) = context.validation.filter(|&wanted| wanted != found) {
                return Err(UsageError::new(format!(
                    "`data.validation` is {wanted}, but `data.dir` has a folder with {found} validation images. \
                     Remove one of them."
                )));
            }
            validation
        }
        None => train.split_off(context.validation_samples(train.files.len())?),
    };
    reader.warn();
    Ok([train, validation, test])
}

/// Refuses three numbers for grayscale images.
fn check_channels(key: &str, values: &[f64], layout: PixelLayout) -> Result<(), UsageError> {
    if [1, layout.channels].contains(&values.len()) {
        return Ok(());
    }
    Err(UsageError::new(format!(
        "`data.{key}` has {} numbers, and the images have {} channel. Use 1 number, or set `data.channels` to 3.",
        values.len(),
        layout.channels
    )))
}

/// A number that differs for files with other names or lengths.
fn fingerprint(dir: &Path, files: &[ImageFile]) -> i64 {
    let mut names = Vec::new();
    for ImageFile { path, .. } in files {
        let name = path.strip_prefix(dir).unwrap_or(path);
        let length = path.metadata().map_or(0, |metadata| metadata.len());
        names.extend_from_slice(name.as_os_str().as_encoded_bytes());
        names.push(0);
        names.extend(length.to_le_bytes());
    }
    fingerprint_of(&names)
}

#[cfg(test)]
mod tests;
