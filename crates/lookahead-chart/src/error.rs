//! What can go wrong with a picture, in full sentences.

use std::io;
use std::path::PathBuf;

/// Everything that can go wrong with a picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChartError {
    /// The file's name doesn't say which format it has.
    #[error(
        "The picture can't be written to `{}`: {}. Use a name that ends in `.svg` or `.png`.",
        path.display(),
        match found {
            Some(extension) => format!("its name ends in `.{extension}`"),
            None => "its name has no extension".to_owned(),
        }
    )]
    Extension {
        /// The file.
        path: PathBuf,
        /// Its extension in lower case, if it has one.
        found: Option<String>,
    },

    /// The picture would be too small or too large.
    #[error(
        "The {side} of the picture is {pixels} pixels. Use {least} to {most}.",
        least = crate::Size::LEAST,
        most = crate::Size::MOST
    )]
    Size {
        /// `width` or `height`.
        side: &'static str,
        /// The value.
        pixels: u32,
    },

    /// The figure is empty.
    #[error("The figure has no panels, so there is nothing to draw. Add at least one.")]
    NoPanels,

    /// The panels don't fit into the picture.
    #[error(
        "{panels} panel(s) with their titles, labels and notes don't fit into a height of \
         {height} pixels{}",
        match needed {
            Some(height) => format!(", but {height} would do: make the picture higher, or draw fewer panels."),
            None => format!(", nor into the most, {}: draw fewer panels.", crate::Size::MOST),
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
        "`{}` already exists and was left as it is. Choose another name, or allow it to be \
         overwritten.", path.display()
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },

    /// The operating system refused something.
    #[error(
        "The picture could not be written to `{}`: {cause}. Check that the folder exists, can be \
         written to, and has some space left.", path.display()
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's message.
        cause: io::Error,
    },

    /// The pixels can't be drawn or encoded.
    #[error("The picture could not be drawn: {cause}. Try SVG instead of PNG.")]
    Draw {
        /// The library's message.
        cause: String,
    },
}
