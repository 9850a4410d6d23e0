//! What a check of the laws finds.

use std::fmt;

use crate::Result;

/// What [`check`](super::check) found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The optimizer breaks a law.
    #[error("The optimizer breaks a law. {law} But {found}.")]
    Broken {
        /// The law, in a sentence.
        law: &'static str,
        /// What happened instead.
        found: String,
    },
    /// The optimizer failed where it must not.
    #[error(transparent)]
    Failed(#[from] crate::Error),
}

pub(super) type Checked = Result<(), Error>;

pub(super) fn require(holds: bool, law: &'static str, found: impl fmt::Display) -> Checked {
    if holds { Ok(()) } else { Err(Error::Broken { law, found: found.to_string() }) }
}
