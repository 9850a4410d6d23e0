//! What happens to files that can't be read.

use serde::{Deserialize, Serialize};

use crate::data::image_file::ImageError;

/// `data.on_error`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// The program ends with the file's name.
    #[default]
    Error,
    /// The files are left out, with a warning.
    Skip,
}

/// The error and what to do about it.
pub(super) fn with_remedy(error: &ImageError) -> String {
    let remedy = match error {
        ImageError::Size { .. } => {
            "Set `data.resize` to true to resize all images to `data.size`, correct the file, or set `data.on_error` \
             to skip to leave it out."
        }
        ImageError::Unreadable(_) => {
            "Replace or remove the file, or set `data.on_error` to skip to leave it out."
        }
    };
    format!("{error} {remedy}")
}
