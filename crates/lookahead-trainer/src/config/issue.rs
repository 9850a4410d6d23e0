//! Checks that the sections of a configuration share.

use std::borrow::Cow;
use std::fmt;

use lookahead_run::program_name;
use toml::{Table, Value};

pub(crate) use super::bounds::format_number;
use super::key::Key;
use crate::nearest::{letters, similar};

/// A value that can't be used: its key, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigIssue {
    /// The dotted key, for example `lookahead.k`.
    pub key: Cow<'static, str>,
    /// Full sentences: the value, what is allowed, and the fix.
    pub message: String,
}

impl ConfigIssue {
    /// Refuses the value of `key`.
    pub fn new(key: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        ConfigIssue { key: key.into(), message: message.into() }
    }
}

/// The TOML reader's error as a sentence, for faults that nothing else describes.
pub(super) fn sentence(error: &toml::de::Error) -> String {
    let text = error.message().trim().replace('\n', ", ");
    let mut letters = text.chars();
    let capital: String = letters.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let stop = if text.ends_with('.') { "" } else { "." };
    format!("{capital}{}{stop} {}", letters.as_str(), documentation())
}

/// The TOML reader's error about the value of a key, as a sentence.
pub(super) fn of_value(key: &str, error: &toml::de::Error) -> String {
    let range = |name: &str| {
        Some(match name {
            "u8" => (0, i64::from(u8::MAX)),
            "u16" => (0, i64::from(u16::MAX)),
            "u32" => (0, i64::from(u32::MAX)),
            "u64" | "usize" => (0, i64::MAX),
            "i8" => (i64::from(i8::MIN), i64::from(i8::MAX)),
            "i16" => (i64::from(i16::MIN), i64::from(i16::MAX)),
            "i32" => (i64::from(i32::MIN), i64::from(i32::MAX)),
            _ => return None,
        })
    };
    let out_of_range = || {
        let first = error.message().trim().lines().next()?;
        let (found, wanted) =
            first.strip_prefix("invalid value: integer `")?.split_once("`, expected ")?;
        let (least, most) = range(wanted)?;
        Some(format!("`{key}` is {found}. Use a whole number from {least} to {most}."))
    };
    out_of_range().unwrap_or_else(|| format!("`{key}`: {}", sentence(error)))
}

/// A sentence that leads to the documentation.
pub(super) fn documentation() -> String {
    format!("`{} config` explains every key.", program_name())
}

/// Refuses a name that can't be chosen, with the one that was probably meant.
pub(super) fn unknown_choice(key: &str, found: &str, choices: &[&'static str]) -> ConfigIssue {
    let remedy = if key == "optimizer.kind" && letters(found) == "lookahead" {
        "Lookahead is a section around the optimizer: write `[lookahead]`.".to_owned()
    } else {
        similar(choices.iter().copied(), found)
            .map(|name| format!("Did you mean `{name}`?"))
            .unwrap_or_default()
    };
    let space = if remedy.is_empty() { "" } else { " " };
    let all = quoted(choices.iter().copied());
    ConfigIssue::new(
        key.to_owned(),
        format!("`{key}` is {found}. {remedy}{space}Use one of {all}."),
    )
}

/// Names with commas, each as code.
pub(super) fn quoted(names: impl Iterator<Item = &'static str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The kinds that have a key. Empty: all.
fn owners(keys: &[Key], name: &str) -> &'static [&'static str] {
    keys.iter().find(|key| key.name == name).map_or(&[], |key| key.kinds)
}

/// Whether a key belongs to kinds other than `kind`.
pub(super) fn is_foreign(keys: &[Key], kind: &str, key: &str) -> bool {
    let owners = owners(keys, key);
    !owners.is_empty() && !owners.contains(&kind)
}

/// Sets a key of some [kinds](Key::kinds) to its default if the kind has it.
///
/// # Errors
/// If the key is set and the kind doesn't have it.
pub(super) fn resolve_kind_key<T>(
    value: &mut Option<T>,
    default: T,
    (section, name): (&str, &str),
    keys: &[Key],
    kind: &str,
) -> Result<(), ConfigIssue> {
    if !is_foreign(keys, kind, name) {
        value.get_or_insert(default);
    } else if value.is_some() {
        return Err(foreign_key(section, name, keys));
    }
    Ok(())
}

/// Refuses a key that the section's kind doesn't have.
pub(super) fn foreign_key(section: &str, name: &str, keys: &[Key]) -> ConfigIssue {
    let key = format!("{section}.{name}");
    let message = format!(
        "`{key}` belongs to {} only. Remove it, or choose a kind that has it.",
        listed(owners(keys, name))
    );
    ConfigIssue::new(key, message)
}

/// Words with commas and an "and".
pub(crate) fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Refuses a value out of the bounds of its key. A value of another type is not refused here.
pub(super) fn check_bounds(section: &str, key: &Key, value: &Value) -> Result<(), ConfigIssue> {
    let as_number = |value: &Value| value.as_float().or(value.as_integer().map(|n| n as f64));
    let fits = match value {
        Value::Array(values) => {
            key.bounds.fit(values.len())
                && values.iter().filter_map(as_number).all(|number| key.bounds.contain(number))
        }
        value => as_number(value).is_none_or(|number| key.bounds.contain(number)),
    };
    if fits {
        return Ok(());
    }
    let found = match value {
        Value::Float(number) => format_number(*number),
        value => value.to_string(),
    };
    let dotted = format!("{section}.{}", key.name);
    let message = format!("`{dotted}` is {found}. Use {}.", key.allowed_words());
    Err(ConfigIssue::new(dotted, message))
}

/// Refuses the first value of a section that is out of the bounds of its key.
pub(super) fn check_all_bounds(
    section: &str,
    keys: &[Key],
    values: &Table,
) -> Result<(), ConfigIssue> {
    keys.iter().try_for_each(|key| match values.get(key.name) {
        Some(value) => check_bounds(section, key, value),
        None => Ok(()),
    })
}

/// An error unless `holds`: the value `found` is not what `allowed` describes, which follows "Use".
pub fn require(
    holds: bool,
    key: &'static str,
    found: impl fmt::Display,
    allowed: &str,
) -> Result<(), ConfigIssue> {
    if holds {
        return Ok(());
    }
    Err(ConfigIssue::new(key, format!("`{key}` is {found}. Use {allowed}.")))
}

#[cfg(test)]
mod tests;
