//! What can go wrong with a picture, in full sentences.

use std::io;
use std::path::{Path, PathBuf};

use crate::geometry::Size;

/// Everything that can go wrong with a picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChartError {
    /// The file's name doesn't name a format.
    #[error(
        "The picture can't be written to `{}`: {}. Use a name that ends in `.svg` or `.png`.",
        .0.display(),
        ending(.0)
    )]
    Extension(PathBuf),

    /// The width or the height is too small or too large.
    #[error("The {0} of the picture is {1} pixels. Use {least} to {most}.",
        least = Size::LEAST, most = Size::MOST)]
    Size(&'static str, u32),

    /// The figure is empty.
    #[error("The figure has no panels, so there is nothing to draw. Add at least one.")]
    NoPanels,

    /// The panels don't fit into the picture.
    #[error(
        "{panels} panel(s) with their titles, labels and notes don't fit into a height of \
         {height} pixels{}",
        match needed {
            Some(height) => format!(", but {height} would do: make the picture higher, or draw fewer panels."),
            None => format!(", nor into the most, {}: draw fewer panels.", Size::MOST),
        }
    )]
    TooLow {
        /// The number of panels.
        panels: usize,
        /// The height of the picture.
        height: u32,
        /// The least height that would do, if one is allowed.
        needed: Option<u32>,
    },

    /// The file exists.
    #[error(
        "{} exists. Use another name for the picture.", .0.display()
    )]
    Exists(PathBuf),

    /// The folder of the file doesn't exist.
    #[error("There is no folder {} for the picture. Create it, or use another name.", .0.display())]
    NoFolder(PathBuf),

    /// The operating system refused to write the file.
    #[error(
        "The picture could not be written to `{}`: {}. Check that the folder can be written to, and has some space \
         left.", .0.display(), system_words(.1)
    )]
    Write(PathBuf, io::Error),

    /// The pixels can't be drawn or encoded.
    #[error("The picture could not be drawn: {0}. Try SVG instead of PNG.")]
    Draw(String),
}

/// The system's own words, without its number for the error and the temporary file's name.
fn system_words(cause: &io::Error) -> String {
    cause.to_string().split(" (os error ").next().unwrap_or_default().to_owned()
}

fn ending(path: &Path) -> String {
    match path.extension() {
        Some(extension) => format!("its name ends in `.{}`", extension.to_string_lossy()),
        None => "its name has no extension".to_owned(),
    }
}
