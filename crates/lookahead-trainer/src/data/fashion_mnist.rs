//! Fashion-MNIST: 60,000 training and 10,000 test images of clothing, 28×28, in ten classes.
//!
//! H. Xiao, K. Rasul, R. Vollgraf, *Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
//! Learning Algorithms*, 2017. MIT licence.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use lookahead_run::checkpoint::sha256_of;

use super::dataset::{Dataset, LoadContext};
use super::images::{ImageFileOptions, Images};
use super::{fetch, gzip, idx};
use crate::console::eprint_line;

/// One of the four files. What it holds is checked uncompressed, since distributions compress the
/// same data anew.
#[derive(Debug)]
pub struct File {
    /// Its name, compressed.
    pub name: &'static str,
    bytes: u64,
    sha256: &'static str,
}

impl File {
    /// Where it is in a folder, whose files may have other names; else where it should be.
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

/// What the classes are called.
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

/// Where Debian and its kin install it.
const SYSTEM: &str = "/usr/share/datasets/fashion-mnist";
/// The package that installs it there.
const PACKAGE: &str = "dataset-fashion-mnist";
/// The data set's own address.
const ADDRESS: &str = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com";
/// Another address, such as a mirror's, for those who can't reach that one.
const ADDRESS_VARIABLE: &str = "LOOKAHEAD_FASHION_MNIST_URL";

/// Mean and standard deviation of the training pixels, 0.2860 and 0.3530 of 255.
const MEAN: f64 = 0.2860 * 255.0;
const STD: f64 = 0.3530 * 255.0;

/// Loads the data set from `dir`, or else from where it is found, fetching it where it is not.
///
/// # Errors
/// Where a file is missing and can't be fetched, or does not hold what it should.
pub fn load(options: ImageFileOptions, context: &LoadContext) -> anyhow::Result<Dataset> {
    let (folder, own) = match &options.dir {
        Some(dir) => (idx::folder(dir), true),
        None => (find_or_fetch()?, false),
    };
    // A folder of the user's own may hold other images in the same format: only the format counts.
    let read = |file: &File| read(&folder, file, !own);
    let part = |image_file, label_file| {
        let (image_bytes, label_bytes) = (read(image_file)?, read(label_file)?);
        images(&folder, (image_file, image_bytes), (label_file, label_bytes))
    };
    // To decompress them is most of a start.
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
    // The same format may hold other images, whose classes have other names.
    let is_its_own = sha256_of(&read(&TEST_LABELS)?) == TEST_LABELS.sha256;
    let names = if is_its_own { &CLASSES[..] } else { &[] };
    Ok(Dataset::of_images(context, options.images(), 10, train, test)?
        .with_class_names(names.iter().copied()))
}

/// The folder where the whole data set lies on this machine, if it does.
pub fn find() -> Option<PathBuf> {
    first_whole(Path::new(SYSTEM), cache())
}

/// The system's folder needs no home to be looked into.
fn first_whole(system: &Path, cache: Option<PathBuf>) -> Option<PathBuf> {
    std::iter::once(system.to_owned())
        .chain(cache)
        .find(|folder| FILES.iter().all(|file| folder.join(file.name).is_file()))
}

/// Where it is put when it is fetched.
pub fn cache() -> Option<PathBuf> {
    Some(fetch::cache_folder()?.join("fashion-mnist"))
}

fn find_or_fetch() -> anyhow::Result<PathBuf> {
    if let Some(folder) = find() {
        return Ok(folder);
    }
    let cache = cache().context(
        "Fashion-MNIST is not on this machine, and there is no place to fetch it to: set HOME or \
         XDG_CACHE_HOME, or say `--set data.dir=FOLDER` where its files are.",
    )?;
    let names: Vec<&str> = FILES.iter().map(|file| file.name).collect();
    let check = |folder: &Path| -> anyhow::Result<()> {
        for file in FILES {
            read(folder, file, true)?;
        }
        Ok(())
    };
    let mirror = std::env::var(ADDRESS_VARIABLE).ok();
    let mut failures = String::new();
    let mut attempt = |what: &str, result: anyhow::Result<()>| match result {
        Ok(()) => true,
        Err(error) => {
            let _ = writeln!(failures, "  {what}: {error:#}");
            false
        }
    };
    // A mirror that the user names is what the user wants.
    if mirror.is_none() {
        eprint_line("Fashion-MNIST is not on this machine: fetching it once, for all clones.");
        let package = fetch::debian_package(PACKAGE, Path::new(SYSTEM), &names, &cache, check);
        if attempt(&format!("Debian's package {PACKAGE}"), package) {
            return Ok(cache);
        }
    }
    let address = mirror.as_deref().unwrap_or(ADDRESS);
    let download = fetch::download(address, &names, &cache, check);
    if attempt(address, download) {
        return Ok(cache);
    }
    bail!(
        "Fashion-MNIST is not on this machine and could not be fetched.\n{failures}Put its four \
         files ({}) into {}, or say `--set data.dir=FOLDER` where they are. `just train digits` \
         needs no download.",
        names.join(", "),
        cache.display()
    )
}

fn read(folder: &Path, file: &File, verify: bool) -> anyhow::Result<Vec<u8>> {
    let path = file.path(folder);
    let remedy = || match verify {
        true => format!("Remove {} to have it fetched again.", folder.display()),
        false => "Put the right file there, or take `data.dir` out to have it fetched.".to_owned(),
    };
    // It may have been decompressed, by hand or by a browser.
    let bytes = gzip::read_data(&path, |bytes| bytes.starts_with(&[0, 0]));
    let bytes = bytes.map_err(|reason| {
        anyhow!("The data file {} can't be used. {reason} {}", path.display(), remedy())
    })?;
    if verify {
        let found = sha256_of(&bytes);
        if bytes.len() as u64 != file.bytes || found != file.sha256 {
            bail!(
                "The data file {} is not Fashion-MNIST's: it holds {} bytes with SHA-256 {found}, \
                 and {} bytes with {} were expected. {}",
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
    let parse = |file: &File, bytes| {
        idx::parse(bytes).map_err(|reason| {
            anyhow::anyhow!(
                "The data file {} is no IDX file. {reason}",
                file.path(folder).display()
            )
        })
    };
    let pixels = parse(image_file, &image_bytes)?;
    let labels = parse(label_file, &label_bytes)?;
    let [count, height, width] = pixels.dimensions[..] else {
        bail!(
            "The data file {} has {} dimensions, and images have 3.",
            image_file.path(folder).display(),
            pixels.dimensions.len()
        );
    };
    if count == 0 || height == 0 || width == 0 {
        bail!(
            "The data file {} holds {count} images of {height}×{width} pixels, and there must be \
             at least one of each. Put the right file there.",
            image_file.path(folder).display()
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
            label_file.path(folder).display()
        );
    }
    let mut images = Images::none([1, height, width], &[MEAN], &[STD]);
    images.labels = labels.values.to_vec();
    let header = image_bytes.len() - pixels.values.len();
    image_bytes.drain(..header);
    images.pixels = image_bytes;
    Ok(images)
}

#[cfg(test)]
mod tests;
