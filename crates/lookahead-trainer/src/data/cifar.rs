//! The binary format of CIFAR-10 and CIFAR-100, images of 32×32 in colour, and where their files come
//! from.
//!
//! A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use super::dataset::{Dataset, LoadContext};
use super::images::{ImageFileOptions, Images};
use super::{fetch, gzip};
use crate::console::eprint_line;
use crate::usage::UsageError;

/// Channels, height and width.
pub const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;

/// The images and classes of one file.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    records: &'a [u8],
    /// Bytes before the pixels of an image; the last is its class.
    labels: usize,
}

impl Batch<'_> {
    fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.records.chunks_exact(self.labels + PIXELS)
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
pub fn parse(bytes: &[u8], classes: u8, coarse: bool) -> Result<Batch<'_>, String> {
    let labels = 1 + usize::from(coarse);
    let record = labels + PIXELS;
    if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
        return Err(format!(
            "It has {} bytes, and images have {record} each: it is empty, cut off, or of another \
             format.",
            bytes.len()
        ));
    }
    let batch = Batch { records: bytes, labels };
    match batch.classes().iter().position(|class| *class >= classes) {
        Some(image) => Err(format!(
            "Its image {image}, counted from 0, has the class {}, and classes run from 0 to {}.",
            batch.classes()[image],
            classes.saturating_sub(1)
        )),
        None => Ok(batch),
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

/// One of the two data sets, as its binary version comes.
#[derive(Debug)]
pub struct Version {
    /// What people call it.
    pub title: &'static str,
    /// Its name in configurations, and in the cache.
    pub kind: &'static str,
    /// The compressed archive.
    pub archive: &'static str,
    /// How many bytes that has.
    pub bytes: u64,
    /// And their SHA-256.
    pub sha256: &'static str,
    /// The folder in it.
    pub folder: &'static str,
    /// The files of training images there.
    pub train: &'static [&'static str],
    /// Those of test images.
    pub test: &'static [&'static str],
    /// How many classes.
    pub classes: u8,
    /// What they are called.
    pub names: &'static [&'static str],
    /// The names of the version for Python: its folder, a file in that, and its archive.
    pub python: [&'static str; 3],
    /// The file beside the images that names them, a line each.
    pub names_file: &'static str,
    /// Whether a coarse class comes before each.
    pub coarse: bool,
    /// Mean of the training pixels of each colour, of 1.
    pub mean: [f64; 3],
    /// Their standard deviation.
    pub std: [f64; 3],
    /// Names another address, such as a mirror's, for those who can't reach the data set's own.
    pub address_variable: &'static str,
}

impl Version {
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
                if let Some(sentence) = self.other_version(&folder) {
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
        let unpacked = dir.join(self.folder);
        match !dir.join(self.train[0]).exists() && unpacked.is_dir() {
            true => unpacked,
            false => dir.to_owned(),
        }
    }

    /// What there is to say of a folder that has the data set in another form than the binary version.
    fn other_version(&self, folder: &Path) -> Option<String> {
        let there = |name: &&str| folder.join(name).exists();
        let (title, archive, shown) = (self.title, self.archive, folder.display());
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
                let batch = parse(&bytes, self.classes, self.coarse)?;
                images.pixels.extend(batch.pixels());
                images.labels.extend(batch.classes());
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
                self.archive,
                cache.display(),
                self.address_variable
            )
        })?;
        Ok(cache)
    }

    /// Brings its files into the cache.
    fn fetch(&self, address: &str, cache: &Path) -> anyhow::Result<()> {
        let names = self.names();
        let archive = fetch::Archive {
            name: self.archive,
            bytes: self.bytes,
            sha256: self.sha256,
            folder: self.folder,
            names: &names,
        };
        fetch::download_archive(address, &archive, cache, |folder| {
            for names in [self.train, self.test] {
                self.images(folder, names, "What was fetched is not kept.")?;
            }
            Ok(())
        })
    }

    /// What `lookahead doctor` says of it.
    pub fn place(&self) -> String {
        match (self.find(), self.cache()) {
            (Some(folder), _) => format!("in {}", folder.display()),
            (None, Some(cache)) => format!(
                "not here: `just train` fetches it ({} MB) from {ADDRESS}, or put the files of {} \
                 into {}",
                self.bytes / 1_000_000,
                self.archive,
                cache.display()
            ),
            (None, None) => "not here, and no place to fetch it to: set HOME".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{archive::tests::packed, cifar10, cifar100, fetch::tests::server};
    use lookahead_run::checkpoint::sha256_of;

    use proptest::prelude::*;

    fn record(labels: &[u8], first: u8) -> Vec<u8> {
        let pixels = (0..PIXELS).map(|i| first.wrapping_add((i % 7) as u8));
        labels.iter().copied().chain(pixels).collect()
    }

    #[test]
    fn records_become_pixels_and_classes() {
        let file = [record(&[3], 10), record(&[9], 100)].concat();
        let batch = parse(&file, 10, false).unwrap();
        assert_eq!(batch.classes(), [3, 9]);
        let pixels = batch.pixels();
        assert_eq!((pixels.len(), pixels[0], pixels[PIXELS]), (2 * PIXELS, 10, 100));
        let file = record(&[19, 99], 7);
        let batch = parse(&file, 100, true).unwrap();
        assert_eq!((batch.classes(), batch.pixels()[0]), (vec![99], 7));
    }

    #[test]
    fn other_files_are_refused() {
        let file = [record(&[3], 10), record(&[10], 100)].concat();
        assert!(
            parse(&file, 10, false)
                .unwrap_err()
                .contains("image 1, counted from 0, has the class 10")
        );
        for length in [0, 1, PIXELS, file.len() - 1] {
            let said = parse(&file[..length], 10, false).unwrap_err();
            assert!(said.contains(&format!("It has {length} bytes")), "{said}");
        }
    }

    /// Two images a file: of a class of their own, and of the last class.
    fn files(version: &Version) -> Vec<(String, Vec<u8>)> {
        let file = |(i, name): (usize, &&str)| {
            let labels = |class: u8| if version.coarse { vec![7, class] } else { vec![class] };
            let records = [record(&labels(i as u8), 10), record(&labels(version.classes - 1), 90)];
            (format!("{}/{name}", version.folder), records.concat())
        };
        version.names().iter().enumerate().map(file).collect()
    }

    #[test]
    fn a_folder_of_files_becomes_a_data_set() {
        for version in [cifar10::VERSION, cifar100::VERSION] {
            let loaded = |dir: &Path, validation| {
                let dir = Some(dir.to_owned());
                let context = LoadContext { name: version.kind, batch_size: 1, validation };
                version.load(&ImageFileOptions { dir, ..Default::default() }, &context)
            };
            let outer = tempfile::tempdir().unwrap();
            let inner = outer.path().join(version.folder);
            std::fs::create_dir(&inner).unwrap();
            for (path, bytes) in files(&version) {
                std::fs::write(outer.path().join(path), bytes).unwrap();
            }
            let count = 2 * version.train.len();
            for dir in [outer.path(), &inner] {
                let data = loaded(dir, 0).unwrap();
                assert_eq!((data.train.len(), data.test.len()), (count, 2));
                assert_eq!(data.signature.classes, None);
                assert_eq!(data.signature.outputs, Some(usize::from(version.classes)));
                let train = data.train.slice(0..count, tch::Device::Cpu);
                assert_eq!(train.inputs.size(), [count as i64, 3, 32, 32]);
                let labels = Vec::<i64>::try_from(train.targets).unwrap();
                assert_eq!(labels[..2], [0, i64::from(version.classes) - 1]);
                // The first pixel of each colour: they repeat after 7, and a colour has 1,024.
                for (channel, pixel) in [(0, 10.0), (1, 12.0), (2, 14.0)] {
                    let expected = (pixel / 255.0 - version.mean[channel]) / version.std[channel];
                    let found = train.inputs.double_value(&[0, channel as i64, 0, 0]);
                    assert!((found - expected).abs() < 1e-5, "{channel}: {found}, {expected}");
                }
            }
            let names = version.names.join("\n") + "\n\n";
            std::fs::write(inner.join(version.names_file), names).unwrap();
            let named = loaded(&inner, 0).unwrap().signature.classes.unwrap();
            assert_eq!(named, version.names);

            let name = version.test[0];
            std::fs::write(inner.join(name), "no").unwrap();
            let said = loaded(&inner, 5000).unwrap_err().to_string();
            assert!(said.contains(name) && said.contains("2 bytes"), "{said}");
            assert!(said.contains("`data.dir`"), "{said}");
        }
    }

    #[test]
    fn an_archive_is_fetched_checked_and_unpacked() {
        let home = tempfile::tempdir().unwrap();
        let cache = home.path().join("set");
        let contents = files(&cifar10::VERSION);
        let contents: Vec<(&str, &[u8])> =
            contents.iter().map(|(path, bytes)| (path.as_str(), &bytes[..])).collect();
        let archive = packed(&contents);
        let sum: &'static str = sha256_of(&archive).leak();
        let version = Version { bytes: archive.len() as u64, sha256: sum, ..cifar10::VERSION };
        let archive: &'static [u8] = archive.leak();
        let fetched = |version: &Version, body: &'static [u8]| {
            version.fetch(&server(body, body.len(), 1), &cache)
        };
        let said = |result: anyhow::Result<()>| format!("{:#}", result.unwrap_err());

        let other = Version { sha256: cifar10::VERSION.sha256, ..version };
        let refused = said(fetched(&other, archive));
        assert!(refused.contains("SHA-256") && refused.contains(sum), "{refused}");
        let refused = said(fetched(&version, &archive[..100]));
        assert!(refused.contains("100 bytes"), "{refused}");
        let longer: &'static [u8] = [archive, b"more"].concat().leak();
        let refused = said(fetched(&version, longer));
        assert!(refused.contains("more than"), "{refused}");
        // Right by its sum, and not what it should hold.
        let finer = Version { classes: 3, ..version };
        let refused = said(fetched(&finer, archive));
        assert!(refused.contains("has the class 9"), "{refused}");
        assert!(!cache.exists(), "what is refused never reaches the cache");

        fetched(&version, archive).unwrap();
        for (path, bytes) in &contents {
            let name = Path::new(path).file_name().unwrap();
            assert_eq!(std::fs::read(cache.join(name)).unwrap(), *bytes);
        }
        assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 6, "nothing else is kept");
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            cases: 64,
            ..Default::default()
        })]

        #[test]
        fn any_records_come_back_unless_a_class_is_none(
            images in prop::collection::vec((any::<u8>(), 0..102u8, any::<u8>()), 1..4),
            cut in 1..PIXELS,
        ) {
            let labels: Vec<u8> = images.iter().map(|(_, fine, _)| *fine).collect();
            let pixels = |first: u8| record(&[], first);
            let all: Vec<u8> = images.iter().flat_map(|(_, _, first)| pixels(*first)).collect();
            for (classes, coarse) in [(10, false), (100, true)] {
                let file: Vec<u8> = images
                    .iter()
                    .flat_map(|(group, fine, first)| {
                        let labels = [*group, *fine];
                        record(if coarse { &labels } else { &labels[1..] }, *first)
                    })
                    .collect();
                let found = parse(&file, classes, coarse);
                match labels.iter().position(|label| *label >= classes) {
                    Some(at) => {
                        let said = found.unwrap_err();
                        let words = format!("image {at}, counted from 0, has the class {}", labels[at]);
                        prop_assert!(said.contains(&words), "{}", said);
                    }
                    None => {
                        let batch = found.unwrap();
                        prop_assert_eq!(batch.classes(), labels.clone());
                        prop_assert_eq!(batch.pixels(), all.clone());
                    }
                }
                prop_assert!(parse(&file[..file.len() - cut], classes, coarse).is_err());
            }
        }
    }
}
