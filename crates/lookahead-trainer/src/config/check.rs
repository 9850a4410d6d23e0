//! Checks that the sections of a configuration share.

use std::borrow::Cow;
use std::fmt;

/// A value that can't be used: which key, and a sentence that says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigIssue {
    /// The dotted key, such as `lookahead.k`.
    pub key: Cow<'static, str>,
    /// A full sentence with the value found, what is allowed, and the remedy.
    pub message: String,
}

impl ConfigIssue {
    /// A refusal of `key`.
    pub fn new(key: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        ConfigIssue { key: key.into(), message: message.into() }
    }
}

/// What the TOML reader says, as a sentence.
pub(super) fn sentence(error: &toml::de::Error) -> String {
    documented(error.message())
}

/// What is wrong with a key or a value, as a sentence that leads to the documentation.
pub(super) fn documented(text: &str) -> String {
    let text = text.trim().replace('\n', ", ");
    // Rust's names of types say nothing about the range to those who don't write Rust.
    let text = text.replace("expected u64", "expected u64, a whole number of at least 0");
    let text = text.replace("expected usize", "expected usize, a whole number of at least 0");
    let text = text.replace("expected u32", "expected u32, a whole number from 0 to 4294967295");
    let mut letters = text.chars();
    let capital: String = letters.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let stop = if text.ends_with('.') { "" } else { "." };
    format!(
        "{capital}{}{stop} Every key is documented in `configs/fashion-mnist.toml`.",
        letters.as_str()
    )
}

/// The value of a key that only some kinds have: the one given, else the default; given for
/// another kind, it is refused.
pub(crate) fn kind_key<T: Clone>(
    value: &mut Option<T>,
    belongs: bool,
    default: T,
    key: &'static str,
    kinds: &str,
) -> Result<(), ConfigIssue> {
    match (belongs, value.is_some()) {
        (true, false) => *value = Some(default),
        (false, true) => {
            return Err(ConfigIssue::new(
                key,
                format!(
                    "The key `{key}` belongs to {kinds} only: take it out, or choose that kind."
                ),
            ));
        }
        _ => {}
    }
    Ok(())
}

/// A number for a sentence: 1e30 is not written out in its 31 digits.
pub(crate) fn format_number(value: f64) -> String {
    match value == 0.0 || !value.is_finite() || (1e-4..1e7).contains(&value.abs()) {
        true => value.to_string(),
        false => format!("{value:e}"),
    }
}

/// An error unless `found` is within the range that `allowed` describes.
pub(crate) fn require(
    holds: bool,
    key: &'static str,
    found: impl fmt::Display,
    allowed: &str,
) -> Result<(), ConfigIssue> {
    match holds {
        true => Ok(()),
        false => {
            Err(ConfigIssue::new(key, format!("`{key}` is {found}, and it must be {allowed}.")))
        }
    }
}

#[cfg(test)]
mod tests;
