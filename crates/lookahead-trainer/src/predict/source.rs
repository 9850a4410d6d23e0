//! Which reader reads an input.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::chunks::Take;
use super::preparation::Preparation;
use super::{arrays, numbers, pictures, table};
use crate::data::table::rows;
use crate::usage::UsageError;

/// Samples in one format.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file of rows, with the character between values; no path is stdin.
    Rows(Option<PathBuf>, u8),
    /// An image each.
    Pictures(Vec<PathBuf>),
    /// A file with an array of samples.
    Arrays(PathBuf),
}

/// The formats of images that are read, by extension.
const PICTURES: [&str; 13] =
    ["png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff", "pbm", "pgm", "ppm", "pnm", "pam"];

/// Whether a name ends in one of these extensions.
fn is_one_of(path: &Path, extensions: &[&str]) -> bool {
    let name = path.to_string_lossy().to_ascii_lowercase();
    extensions.iter().any(|known| name.ends_with(&format!(".{known}")))
}

impl Source {
    /// The sources of the given files and folders, in their order. Consecutive images are one source.
    ///
    /// # Errors
    /// If a file is missing or its extension is unknown, a folder has no images, or images and other files are
    /// mixed.
    pub(crate) fn all(inputs: &[PathBuf]) -> anyhow::Result<Vec<Source>> {
        let mut sources = Vec::new();
        let mut images = Vec::new();
        for path in inputs {
            if path.as_os_str() == "-" {
                sources.push(Source::Rows(None, b','));
            } else if !path.exists() {
                return Err(missing(path));
            } else if path.is_dir() {
                let before = images.len();
                pictures_in(path, &mut images)?;
                if images.len() == before {
                    return Err(no_pictures(path));
                }
            } else if is_one_of(path, &PICTURES) {
                images.push(path.clone());
            } else if is_one_of(path, &["csv", "csv.gz"]) {
                sources.push(Source::Rows(Some(path.clone()), b','));
            } else if is_one_of(path, &["tsv", "tsv.gz"]) {
                sources.push(Source::Rows(Some(path.clone()), b'\t'));
            } else if is_one_of(path, &["npy", "npz", "safetensors"]) {
                sources.push(Source::Arrays(path.clone()));
            } else {
                return Err(unknown(path));
            }
        }
        if images.is_empty() {
            return Ok(sources);
        }
        if !sources.is_empty() {
            return Err(UsageError::new(
                "Images can't be predicted together with other files, since their rows differ. Use a command for \
                 each.",
            )
            .into());
        }
        Ok(vec![Source::Pictures(images)])
    }

    /// Whether the samples are images, so that each has a file of its own.
    pub(crate) fn has_files(&self) -> bool {
        matches!(self, Source::Pictures(_))
    }

    /// The source, for messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Source::Rows(None, _) => "standard input".to_owned(),
            Source::Rows(Some(path), _) | Source::Arrays(path) => path.display().to_string(),
            Source::Pictures(files) => format!("{} images", files.len()),
        }
    }

    /// Reads all samples and hands them to `take`, in chunks of at most `most`. `array` is the name of the array
    /// in a file with several.
    ///
    /// # Errors
    /// If the source can't be read or doesn't fit the model; those of `take`.
    pub(crate) fn read(
        &self,
        preparation: &Preparation,
        array: Option<&str>,
        most: usize,
        take: &mut Take<'_>,
    ) -> anyhow::Result<()> {
        let name = self.name();
        match self {
            Source::Rows(path, delimiter) => {
                let source: Box<dyn Read> = match path {
                    Some(path) => rows::open(path).map_err(|reason| {
                        UsageError::new(format!("{name} can't be used. {reason}"))
                    })?,
                    None => Box::new(std::io::stdin().lock()),
                };
                match &preparation.table {
                    Some(table) => table::read(source, &name, table, preparation, most, take),
                    None => numbers::read(source, &name, *delimiter, preparation, most, take),
                }
            }
            Source::Pictures(files) => pictures::read(files, preparation, most, take),
            Source::Arrays(path) => arrays::read(path, array, preparation, most, take),
        }
    }
}

/// Adds the images in a folder and in its folders, in the order of their names.
fn pictures_in(folder: &Path, images: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let failed = |cause| UsageError::new(format!("{} can't be read: {cause}.", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect::<anyhow::Result<_>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            pictures_in(&path, images)?;
        } else if is_one_of(&path, &PICTURES) {
            images.push(path);
        }
    }
    Ok(())
}

fn missing(path: &Path) -> anyhow::Error {
    UsageError::new(format!(
        "{} does not exist. Name a file with samples, a folder of images, or `-` for CSV on stdin.",
        path.display()
    ))
    .into()
}

fn no_pictures(folder: &Path) -> anyhow::Error {
    UsageError::new(format!(
        "{} has no images. Their files end in .{}.",
        folder.display(),
        PICTURES.join(", .")
    ))
    .into()
}

fn unknown(path: &Path) -> anyhow::Error {
    UsageError::new(format!(
        "{} is not a known kind of file by its name. Use .csv or .tsv for rows; .npy, .npz or .safetensors for \
         arrays; or an image that ends in .{}.",
        path.display(),
        PICTURES.join(", .")
    ))
    .into()
}

#[cfg(test)]
mod tests;
