//! Checks that the sections of a configuration share.

use std::fmt;

/// A value that can't be used: which key, and a sentence that says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigIssue {
    /// The dotted key, such as `lookahead.k`.
    pub key: &'static str,
    /// A full sentence with the value found, what is allowed, and the remedy.
    pub message: String,
}

impl ConfigIssue {
    /// A refusal of `key`.
    pub fn new(key: &'static str, message: impl Into<String>) -> Self {
        ConfigIssue { key, message: message.into() }
    }
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
mod tests {
    use super::format_number;

    #[test]
    fn numbers_are_written_as_people_do() {
        let written = [0.0, 0.1, -1.5, 1e30, -2e-9, f64::NAN].map(format_number);
        assert_eq!(written, ["0", "0.1", "-1.5", "1e30", "-2e-9", "NaN"]);
    }
}
