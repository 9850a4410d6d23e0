//! Which reader reads an input.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::chunks::Take;
use super::preparation::Preparation;
use super::{arrays, numbers, pictures, table};
use crate::data::image_file::{FORMATS, has_image_name};
use crate::data::table::rows;
use crate::usage::UsageError;

/// Samples in one format.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file of rows, with the character between values; no path is stdin.
    Rows(Option<PathBuf>, u8),
    /// Image files, and folders of them.
    Pictures(Vec<PathBuf>),
    /// A file with an array of samples.
    Arrays(PathBuf),
}

/// Whether a name ends in one of these extensions.
fn is_one_of(path: &Path, extensions: &[&str]) -> bool {
    let name = path.to_string_lossy().to_ascii_lowercase();
    extensions.iter().any(|known| name.ends_with(&format!(".{known}")))
}

impl Source {
    /// The sources of the given files and folders, in their order. Consecutive images are one source.
    ///
    /// # Errors
    /// If a file is missing or its extension is unknown, or images and other files are mixed.
    pub(crate) fn all(inputs: &[PathBuf]) -> anyhow::Result<Vec<Source>> {
        let mut sources = Vec::new();
        let mut images = Vec::new();
        for path in inputs {
            if path.as_os_str() == "-" {
                sources.push(Source::Rows(None, b','));
            } else if !path.exists() {
                return Err(missing(path));
            } else if path.is_dir() || has_image_name(path) {
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
            Source::Pictures(_) => "the images".to_owned(),
        }
    }

    /// Reads all samples and hands them to `take`, in chunks of at most `most`.
    ///
    /// # Errors
    /// If the source can't be read or doesn't fit the model; those of `take`.
    pub(crate) fn read(
        &self,
        preparation: &Preparation,
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
                match &preparation.spec.table {
                    Some(table) => table::read(source, &name, table, preparation, most, take),
                    None => numbers::read(source, &name, *delimiter, preparation, most, take),
                }
            }
            Source::Pictures(files) => pictures::read(files, preparation, most, take),
            Source::Arrays(path) => arrays::read(path, preparation, most, take),
        }
    }
}

fn missing(path: &Path) -> anyhow::Error {
    UsageError::new(format!(
        "{} does not exist. Name a file with samples, a folder of images, or `-` for CSV on stdin.",
        path.display()
    ))
    .into()
}

fn unknown(path: &Path) -> anyhow::Error {
    UsageError::new(format!(
        "{} is not a known kind of file by its name. Use .csv or .tsv for rows; .npy, .npz or .safetensors for \
         arrays; or an image: {FORMATS}.",
        path.display()
    ))
    .into()
}

#[cfg(test)]
mod tests;
