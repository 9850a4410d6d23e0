//! The binary format of CIFAR-10 and CIFAR-100, images of 32×32 in colour, and where their files come
//! from.
//!
//! A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use super::dataset::{Dataset, LoadContext};
use super::fetch::Archive;
use super::images::{ImageFileOptions, Images};
use super::{fetch, gzip};
use crate::console::eprint_line;
use crate::usage::UsageError;

/// Channels, height and width.
pub const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;

/// The records of one file: a class and an image each.
#[derive(Debug, PartialEq, Eq)]
pub struct Records<'a> {
    bytes: &'a [u8],
    /// Bytes before the pixels of an image; the last is its class.
    labels: usize,
}

impl Records<'_> {
    fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks_exact(self.labels + PIXELS)
    }

    /// The class of each image; CIFAR-100's fine one.
    pub fn classes(&self) -> Vec<u8> {
        self.records().map(|record| record[self.labels - 1]).collect()
    }

    /// All pixels, image after image: 1,024 of red, of green and of blue each.
    pub fn pixels(&self) -> Vec<u8> {
        self.records().flat_map(|record| &record[self.labels..]).copied().collect()
    }
}

/// Reads records of a class, below `classes`, and 3,072 pixels each; where there is a coarse class
/// before, as in CIFAR-100, `coarse` is true.
///
/// # Errors
/// A sentence that says what of the file is not as it should be, for a reader who knows which file.
pub fn parse(bytes: &[u8], classes: u8, coarse: bool) -> Result<Records<'_>, String> {
    let labels = 1 + usize::from(coarse);
    let record = labels + PIXELS;
    if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
        return Err(format!(
            "It has {} bytes, and images have {record} each: it is empty, cut off, or of another \
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

/// The lines of a file that names classes; none if it can't be read.
fn names_in(path: &Path) -> Vec<String> {
    let text = gzip::read(path).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let lines = text.iter().flat_map(|text| text.lines());
    lines.map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The data sets' own address.
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

    /// Loads it from `data.dir`, or else from the cache, fetching it where it is not there.
    pub(super) fn load(
        &self,
        options: &ImageFileOptions,
        context: &LoadContext,
    ) -> anyhow::Result<Dataset> {
        let (folder, remedy) = match &options.dir {
            Some(dir) => {
                let remedy = "Put the right file there, or take `data.dir` out to have it fetched.";
                let folder = self.inside(dir);
                if let Some(sentence) = self.other_form(&folder) {
                    return Err(UsageError::new(sentence).into());
                }
                (folder, remedy.to_owned())
            }
            None => {
                let folder = self.find_or_fetch(ADDRESS)?;
                let remedy = format!("Remove {} to have it fetched again.", folder.display());
                (folder, remedy)
            }
        };
        let train = self.images(&folder, self.train, &remedy)?;
        let test = self.images(&folder, self.test, &remedy)?;
        let data = Dataset::of_images(context, options.images(), self.classes.into(), train, test)?;
        Ok(match &options.dir {
            // The same format may hold other images, whose classes have other names.
            Some(_) => data.with_class_names(names_in(&folder.join(self.names_file))),
            None => data.with_class_names(self.names.iter().copied()),
        })
    }

    /// The folder of the files: the one that is given, or the archive's own in it.
    fn inside(&self, dir: &Path) -> PathBuf {
        let unpacked = dir.join(self.archive.folder);
        match !dir.join(self.train[0]).exists() && unpacked.is_dir() {
            true => unpacked,
            false => dir.to_owned(),
        }
    }

    /// What there is to say of a folder that has the data set in another form than the binary version.
    fn other_form(&self, folder: &Path) -> Option<String> {
        let there = |name: &&str| folder.join(name).exists();
        let (title, archive, shown) = (self.title, self.archive.name, folder.display());
        if there(&self.train[0]) {
            None
        } else if there(&archive) {
            Some(format!(
                "{shown} has {archive} as it was downloaded: unpack it there, by `tar -xzf {archive}`."
            ))
        } else {
            let found = self.python.iter().copied().find(|name| there(name))?;
            Some(format!(
                "{shown} has {title}'s version for Python, {found}, which is pickles, and those aren't \
                 read: put the binary version there, {archive} from {ADDRESS}, or take `data.dir` out to \
                 have that fetched."
            ))
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
                images.labels.extend(records.classes());
                Ok(())
            };
            add(&mut images).map_err(|reason: String| {
                let (path, title) = (path.display(), self.title);
                anyhow!("The data file {path} can't be used for {title}. {reason} {remedy}")
            })?;
        }
        Ok(images)
    }

    /// Where it is put when it is fetched.
    pub fn cache(&self) -> Option<PathBuf> {
        Some(fetch::cache_folder()?.join(self.kind))
    }

    /// The folder where the whole data set lies on this machine, if it does.
    pub fn find(&self) -> Option<PathBuf> {
        let whole = |folder: &PathBuf| self.names().iter().all(|name| folder.join(name).is_file());
        self.cache().map(|cache| self.inside(&cache)).filter(whole)
    }

    fn find_or_fetch(&self, address: &str) -> anyhow::Result<PathBuf> {
        if let Some(folder) = self.find() {
            return Ok(folder);
        }
        let title = self.title;
        let cache = self.cache().with_context(|| {
            format!(
                "{title} is not on this machine, and there is no place to fetch it to: set HOME or \
                 XDG_CACHE_HOME, or say `--set data.dir=FOLDER` where its files are."
            )
        })?;
        let mirror = std::env::var(self.address_variable).ok();
        let address = mirror.as_deref().unwrap_or(address);
        eprint_line(format_args!(
            "{title} is not on this machine: fetching it once, for all clones."
        ));
        self.fetch(address, &cache).map_err(|error| {
            let mut said = format!("{title} is not on this machine and could not be fetched.\n");
            let _ = writeln!(said, "  {address}: {error:#}");
            anyhow!(
                "{said}Put its files ({}), which {ADDRESS}/{} has, into {}, or say `--set \
                 data.dir=FOLDER` where they are; a mirror's address can be given in {}. `just train \
                 digits` needs no download.",
                self.names().join(", "),
                self.archive.name,
                cache.display(),
                self.address_variable
            )
        })?;
        Ok(cache)
    }

    /// Brings its files into the cache.
    fn fetch(&self, address: &str, cache: &Path) -> anyhow::Result<()> {
        fetch::download_archive(address, &self.archive, &self.names(), cache, |folder| {
            for names in [self.train, self.test] {
                self.images(folder, names, "What was fetched is not kept.")?;
            }
            Ok(())
        })
    }

    /// Where it is, for `lookahead doctor`.
    pub fn location(&self) -> String {
        match (self.find(), self.cache()) {
            (Some(folder), _) => format!("in {}", folder.display()),
            (None, Some(cache)) => format!(
                "not here: `just train` fetches it ({} MB) from {ADDRESS}, or put the files of {} \
                 into {}",
                self.archive.bytes / 1_000_000,
                self.archive.name,
                cache.display()
            ),
            (None, None) => "not here, and no place to fetch it to: set HOME".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
