//! Fashion-MNIST: 60,000 training and 10,000 test images of clothing, 28×28, in ten classes.
//!
//! H. Xiao, K. Rasul, R. Vollgraf, *Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
//! Learning Algorithms*, 2017. MIT licence.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use lookahead_run::checkpoint::sha256_of;

use super::dataset::{Dataset, LoadContext};
use super::fetch::{Remote, Source};
use super::images::{ImageFileOptions, Images};
use super::{fetch, gzip, idx};

/// One of the four files. Its contents are checked uncompressed, since distributions compress them again.
#[derive(Debug)]
pub struct File {
    /// Its name when compressed.
    pub name: &'static str,
    bytes: u64,
    sha256: &'static str,
}

impl File {
    /// Its path in a folder, in which it may have another name.
    fn path(&self, folder: &Path) -> PathBuf {
        let part = idx::PARTS.into_iter().find(|part| self.name.starts_with(part));
        part.and_then(|part| idx::find(folder, part)).unwrap_or_else(|| folder.join(self.name))
    }
}

const TRAIN_IMAGES: File = File {
    name: "train-images-idx3-ubyte.gz",
    bytes: 47_040_016,
    sha256: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
};
const TRAIN_LABELS: File = File {
    name: "train-labels-idx1-ubyte.gz",
    bytes: 60_008,
    sha256: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
};
const TEST_IMAGES: File = File {
    name: "t10k-images-idx3-ubyte.gz",
    bytes: 7_840_016,
    sha256: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
};
const TEST_LABELS: File = File {
    name: "t10k-labels-idx1-ubyte.gz",
    bytes: 10_008,
    sha256: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
};

/// The four files of the data set.
pub const FILES: [&File; 4] = [&TRAIN_IMAGES, &TRAIN_LABELS, &TEST_IMAGES, &TEST_LABELS];

const NAMES: [&str; 4] = [TRAIN_IMAGES.name, TRAIN_LABELS.name, TEST_IMAGES.name, TEST_LABELS.name];

/// The names of the classes.
const CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// The folder in which Debian installs it.
const SYSTEM: &str = "/usr/share/datasets/fashion-mnist";
/// The package that installs it there.
const PACKAGE: &str = "dataset-fashion-mnist";
/// The data set's own address.
const ADDRESS: &str = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com";

const REMOTE: Remote<'static> = Remote {
    title: "Fashion-MNIST",
    folder: "fashion-mnist",
    names: &NAMES,
    origin: ADDRESS,
    megabytes: 31,
    address_variable: "LOOKAHEAD_FASHION_MNIST_URL",
};

/// Mean and standard deviation of the training pixels, 0.2860 and 0.3530 of 255.
const MEAN: f64 = 0.2860 * 255.0;
const STD: f64 = 0.3530 * 255.0;

/// Loads it from `data.dir`, or else from where it is found, fetching it first if necessary.
pub fn load(options: ImageFileOptions, context: &LoadContext) -> anyhow::Result<Dataset> {
    let (folder, verify) = match &options.dir {
        // It may hold other images in the same format.
        Some(dir) => (idx::folder(dir), false),
        None => (find_or_fetch()?, true),
    };
    let read = |file: &File| read(&folder, file, verify);
    let part = |image_file, label_file| {
        let (image_bytes, label_bytes) = (read(image_file)?, read(label_file)?);
        images(&folder, (image_file, image_bytes), (label_file, label_bytes))
    };
    // Decompression is most of the start-up.
    let (train, test) = std::thread::scope(|scope| {
        let test = scope.spawn(|| part(&TEST_IMAGES, &TEST_LABELS));
        let train = part(&TRAIN_IMAGES, &TRAIN_LABELS);
        (train, test.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let (train, test) = (train?, test?);
    if train.shape != test.shape {
        let [_, height, width] = train.shape;
        let [_, test_height, test_width] = test.shape;
        bail!(
            "The data files in {} don't belong together: training images are {height}×{width} and \
             test images {test_height}×{test_width}. Put four files of one data set there.",
            folder.display()
        );
    }
    // The classes of other images have other names.
    let is_its_own = sha256_of(&read(&TEST_LABELS)?) == TEST_LABELS.sha256;
    let names = if is_its_own { &CLASSES[..] } else { &[] };
    Ok(Dataset::of_images(context, options.images(), 10, train, test)?
        .with_class_names(names.iter().copied()))
}

/// The folder that has the whole data set on this machine.
pub fn find() -> Option<PathBuf> {
    first_whole(Path::new(SYSTEM), REMOTE.cache())
}

/// Its location, for `lookahead doctor`.
pub fn location() -> String {
    REMOTE.location(find())
}

fn first_whole(system: &Path, cache: Option<PathBuf>) -> Option<PathBuf> {
    std::iter::once(system.to_owned())
        .chain(cache)
        .find(|folder| FILES.iter().all(|file| folder.join(file.name).is_file()))
}

fn find_or_fetch() -> anyhow::Result<PathBuf> {
    if let Some(folder) = find() {
        return Ok(folder);
    }
    let check = |folder: &Path| -> anyhow::Result<()> {
        FILES.iter().try_for_each(|file| read(folder, file, true).map(drop))
    };
    let package =
        |cache: &Path| fetch::debian_package(PACKAGE, Path::new(SYSTEM), &NAMES, cache, check);
    let mirror = REMOTE.mirror();
    let address = mirror.as_deref().unwrap_or(ADDRESS);
    let download = |cache: &Path| fetch::download(address, &NAMES, cache, check);
    let mut sources: Vec<Source<'_>> = vec![(address.to_owned(), &download)];
    // A mirror that the user names comes first.
    if mirror.is_none() {
        sources.insert(0, (format!("Debian's package {PACKAGE}"), &package));
    }
    REMOTE.fetch(&sources)
}

fn read(folder: &Path, file: &File, verify: bool) -> anyhow::Result<Vec<u8>> {
    let path = file.path(folder);
    let remedy = || {
        if verify {
            format!("Remove {} to have it fetched again.", folder.display())
        } else {
            "Put the right file there, or remove `data.dir` to have it fetched.".to_owned()
        }
    };
    // A browser may have decompressed it.
    let bytes = gzip::read_data(&path, |bytes| bytes.starts_with(&[0, 0]));
    let bytes = bytes.map_err(|reason| {
        anyhow!("The data file {} can't be used. {reason} {}", path.display(), remedy())
    })?;
    if verify {
        let found = sha256_of(&bytes);
        if bytes.len() as u64 != file.bytes || found != file.sha256 {
            bail!(
                "The data file {} is not Fashion-MNIST's: it has {} bytes with SHA-256 {found} instead of {} \
                 bytes with {}. {}",
                path.display(),
                bytes.len(),
                file.bytes,
                file.sha256,
                remedy()
            );
        }
    }
    Ok(bytes)
}

fn images(
    folder: &Path,
    (image_file, mut image_bytes): (&File, Vec<u8>),
    (label_file, label_bytes): (&File, Vec<u8>),
) -> anyhow::Result<Images> {
    let shown = |file: &File| file.path(folder).display().to_string();
    let parse = |file: &File, bytes| {
        idx::parse(bytes)
            .map_err(|reason| anyhow!("The data file {} is not an IDX file. {reason}", shown(file)))
    };
    let pixels = parse(image_file, &image_bytes)?;
    let labels = parse(label_file, &label_bytes)?;
    let [count, height, width] = pixels.dimensions[..] else {
        bail!(
            "The data file {} has {} dimensions instead of the 3 of images.",
            shown(image_file),
            pixels.dimensions.len()
        );
    };
    if count == 0 || height == 0 || width == 0 {
        bail!(
            "The data file {} has {count} images of {height}×{width} pixels. Put a file there that has images.",
            shown(image_file)
        );
    }
    if labels.dimensions != [count] {
        bail!(
            "The data files {} and {} in {} don't belong together: {count} images and {:?} labels.",
            image_file.name,
            label_file.name,
            folder.display(),
            labels.dimensions
        );
    }
    if let Some(label) = labels.values.iter().find(|&&label| label >= 10) {
        bail!(
            "The data file {} has the class {label}, and classes run from 0 to 9.",
            shown(label_file)
        );
    }
    let mut images = Images::none([1, height, width], &[MEAN], &[STD]);
    images.labels = labels.values.iter().map(|&label| label.into()).collect();
    let header = image_bytes.len() - pixels.values.len();
    image_bytes.drain(..header);
    images.pixels = image_bytes;
    Ok(images)
}

#[cfg(test)]
mod tests;
