//! What can go wrong with a picture, in full sentences.

use std::io;
use std::path::PathBuf;

use super::Size;

/// Everything that can go wrong with a picture.
///
/// A message is complete: it holds the cause where there is one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The name of the file doesn't say how to write it.
    #[error(
        "The picture can't be written to `{}`: {}; only `.svg` and `.png` are known. Give the \
         file a name that ends in one of them.",
        path.display(), ending(found.as_deref())
    )]
    Extension {
        /// The file that was asked for.
        path: PathBuf,
        /// Its extension in lower case, if it has one.
        found: Option<String>,
    },

    /// The picture would be too small or too large.
    #[error(
        "The {side} of the picture is {pixels} pixels, but it must be from {} to {}: choose \
         another {side}.",
        Size::LEAST,
        Size::MOST
    )]
    Size {
        /// `width` or `height`.
        side: &'static str,
        /// What was asked for.
        pixels: u32,
    },

    /// There is nothing to draw.
    #[error("The figure has no panels, so there is nothing to draw: give it at least one.")]
    NoPanels,

    /// What was asked for doesn't fit into the picture.
    #[error(
        "{panels} panel(s) with their titles, labels and notes don't fit into a height of \
         {height} pixels{}", remedy(*needed)
    )]
    TooLow {
        /// How many panels the figure has.
        panels: usize,
        /// The height that was asked for.
        height: u32,
        /// A height that would do, if one that is allowed does.
        needed: Option<u32>,
    },

    /// There is a file of that name already.
    #[error(
        "`{}` already exists and was left as it is: choose another name, or allow it to be \
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
        /// What the operating system said.
        cause: io::Error,
    },

    /// A library that draws or encodes gave up.
    #[error("The picture could not be drawn: {cause}. Try the other format, SVG or PNG.")]
    Draw {
        /// What the library said.
        cause: String,
    },
}

fn ending(found: Option<&str>) -> String {
    match found {
        Some(extension) => format!("its name ends in `.{extension}`"),
        None => "its name has no extension".to_owned(),
    }
}

fn remedy(needed: Option<u32>) -> String {
    match needed {
        Some(height) => {
            format!(", but {height} would do: make the picture higher, or draw fewer panels.")
        }
        None => format!(", nor would they into {}, the most: draw fewer panels.", Size::MOST),
    }
}
