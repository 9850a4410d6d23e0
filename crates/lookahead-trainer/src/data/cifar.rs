//! The binary format of CIFAR-10 and CIFAR-100, colour images of 32×32, and where their files come from.
//!
//! A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009.

use std::path::{Path, PathBuf};

use anyhow::anyhow;

use super::dataset::{Dataset, LoadContext};
use super::fetch::{Archive, Remote};
use super::images::{ImageFileOptions, Images};
use super::{fetch, gzip};
use crate::usage::UsageError;

/// Channels, height and width.
pub const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;

/// The records of one file: a class and an image each.
#[derive(Debug, PartialEq, Eq)]
pub struct Records<'a> {
    bytes: &'a [u8],
    /// Bytes before the pixels of an image. The last one is its class.
    labels: usize,
}

impl Records<'_> {
    fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks_exact(self.labels + PIXELS)
    }

    /// The class of each image; for CIFAR-100, the fine one.
    pub fn classes(&self) -> Vec<u8> {
        self.records().map(|record| record[self.labels - 1]).collect()
    }

    /// All pixels, image after image: 1,024 of red, then of green, then of blue.
    pub fn pixels(&self) -> Vec<u8> {
        self.records().flat_map(|record| &record[self.labels..]).copied().collect()
    }
}

/// Reads records of a class below `classes` and 3,072 pixels. If `coarse`, a coarse class precedes the class,
/// as in CIFAR-100.
///
/// # Errors
/// A sentence about what is wrong, without the name of the file.
pub fn parse(bytes: &[u8], classes: u8, coarse: bool) -> Result<Records<'_>, String> {
    let labels = 1 + usize::from(coarse);
    let record = labels + PIXELS;
    if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
        return Err(format!(
            "It has {} bytes, not a multiple of {record} bytes per image: it is empty, cut off, or of another \
             format.",
            bytes.len()
        ));
    }
    let records = Records { bytes, labels };
    match records.classes().iter().position(|class| *class >= classes) {
        Some(image) => Err(format!(
            "Its image {image}, counted from 0, has the class {}, and classes run from 0 to {}.",
            records.classes()[image],
            classes.saturating_sub(1)
        )),
        None => Ok(records),
    }
}

/// The lines of a file; none if it can't be read.
fn lines_of(path: &Path) -> Vec<String> {
    let text = gzip::read(path).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let lines = text.iter().flat_map(|text| text.lines());
    lines.map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The address of both data sets.
const ADDRESS: &str = "https://www.cs.toronto.edu/~kriz";

/// One of the two data sets, in its binary version.
#[derive(Debug, Clone, Copy)]
pub struct Cifar {
    /// Its usual name.
    pub title: &'static str,
    /// Its name in configurations, and in the cache.
    pub kind: &'static str,
    /// The compressed archive, and the folder in it that has the files.
    pub archive: Archive<'static>,
    /// The files of training images in the folder.
    pub train: &'static [&'static str],
    /// The files of test images.
    pub test: &'static [&'static str],
    /// The number of classes.
    pub classes: u8,
    /// The names of the classes.
    pub names: &'static [&'static str],
    /// The names of the version for Python: its folder, a file in that, and its archive.
    pub python: [&'static str; 3],
    /// The file beside the images that names the classes, a line each.
    pub names_file: &'static str,
    /// Whether a coarse class comes before each class.
    pub coarse: bool,
    /// The mean of the training pixels of each colour, as a fraction of 255.
    pub mean: [f64; 3],
    /// Their standard deviation.
    pub std: [f64; 3],
    /// The environment variable that names another address, for example a mirror.
    pub address_variable: &'static str,
}

impl Cifar {
    fn names(&self) -> Vec<&'static str> {
        self.train.iter().chain(self.test).copied().collect()
    }

    /// Loads it from `data.dir`, or else from the cache, fetching it first if necessary.
    pub(super) fn load(
        &self,
        options: &ImageFileOptions,
        context: &LoadContext,
    ) -> anyhow::Result<Dataset> {
        let (folder, remedy) = match &options.dir {
            Some(dir) => {
                let folder = self.inside(dir);
                self.refuse_other_forms(&folder)?;
                let remedy = "Put the right file there, or remove `data.dir` to have it fetched.";
                (folder, remedy.to_owned())
            }
            None => {
                let folder = self.find_or_fetch()?;
                let remedy = format!("Remove {} to have it fetched again.", folder.display());
                (folder, remedy)
            }
        };
        let train = self.images(&folder, self.train, &remedy)?;
        let test = self.images(&folder, self.test, &remedy)?;
        let data = Dataset::of_images(context, options.images(), self.classes.into(), train, test)?;
        Ok(match &options.dir {
            // The same format may hold other images, whose classes have other names.
            Some(_) => data.with_class_names(lines_of(&folder.join(self.names_file))),
            None => data.with_class_names(self.names.iter().copied()),
        })
    }

    /// The folder of the files: `dir`, or the archive's own folder in it.
    fn inside(&self, dir: &Path) -> PathBuf {
        let unpacked = dir.join(self.archive.folder);
        if !dir.join(self.train[0]).exists() && unpacked.is_dir() {
            unpacked
        } else {
            dir.to_owned()
        }
    }

    /// Refuses a folder that has the data set in another form.
    fn refuse_other_forms(&self, folder: &Path) -> Result<(), UsageError> {
        let is_there = |name: &&str| folder.join(name).exists();
        let (title, archive, shown) = (self.title, self.archive.name, folder.display());
        if is_there(&self.train[0]) {
            return Ok(());
        }
        if is_there(&archive) {
            return Err(UsageError::new(format!(
                "{shown} has the packed {archive}. Unpack it there: `tar -xzf {archive}`."
            )));
        }
        match self.python.iter().find(|name| is_there(name)) {
            Some(found) => Err(UsageError::new(format!(
                "{shown} has {title}'s version for Python, {found}, whose pickles are not read. Put the binary \
                 version there, {archive} from {ADDRESS}, or remove `data.dir` to have it fetched."
            ))),
            None => Ok(()),
        }
    }

    fn images(&self, folder: &Path, names: &[&str], remedy: &str) -> anyhow::Result<Images> {
        let of_bytes = |values: [f64; 3]| values.map(|value| 255.0 * value);
        let mut images = Images::none(SHAPE, &of_bytes(self.mean), &of_bytes(self.std));
        for name in names {
            let path = folder.join(name);
            let add = |images: &mut Images| {
                let bytes = gzip::read_data(&path, |bytes| !bytes.starts_with(&[0x1f, 0x8b]))?;
                let records = parse(&bytes, self.classes, self.coarse)?;
                images.pixels.extend(records.pixels());
                images.labels.extend(records.classes().into_iter().map(u32::from));
                Ok(())
            };
            add(&mut images).map_err(|reason: String| {
                let (path, title) = (path.display(), self.title);
                anyhow!("The data file {path} can't be used for {title}. {reason} {remedy}")
            })?;
        }
        Ok(images)
    }

    /// Calls `work` with where it can be fetched.
    fn with_remote<T>(&self, work: impl FnOnce(Remote<'_>) -> T) -> T {
        work(Remote {
            title: self.title,
            folder: self.kind,
            names: &self.names(),
            origin: &format!("{ADDRESS}/{}", self.archive.name),
            megabytes: self.archive.bytes / 1_000_000,
            address_variable: self.address_variable,
        })
    }

    /// The folder that has the whole data set on this machine.
    pub fn find(&self) -> Option<PathBuf> {
        let folder = self.inside(&self.with_remote(|remote| remote.cache())?);
        self.names().iter().all(|name| folder.join(name).is_file()).then_some(folder)
    }

    /// Its location, for `lookahead doctor`.
    pub fn location(&self) -> String {
        self.with_remote(|remote| remote.location(self.find()))
    }

    fn find_or_fetch(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = self.find() {
            return Ok(folder);
        }
        self.with_remote(|remote| {
            let address = remote.mirror().unwrap_or_else(|| ADDRESS.to_owned());
            remote.fetch(&[(address.clone(), &|cache| self.fetch(&address, cache))])
        })
    }

    /// Fetches its files into the cache.
    fn fetch(&self, address: &str, cache: &Path) -> anyhow::Result<()> {
        fetch::download_archive(address, &self.archive, &self.names(), cache, |folder| {
            for names in [self.train, self.test] {
                self.images(folder, names, "The download is discarded.")?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
