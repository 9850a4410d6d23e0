//! Changes of a configuration from the command line: `--set KEY=VALUE`.

use std::fmt;

use toml::{Table, Value};

use super::keys;
use super::kinds::Kinds;
use super::mutable_keys::{ALPHA_SCHEDULE, PERIOD_SCHEDULE, PRESET};
use super::{averaging, data, guess, issue, lookahead, model, optimizer, schedule};

/// The keys that `false` removes, as it removes the section `lookahead`.
pub(crate) const REMOVED_BY_FALSE: [&str; 3] = ["train.max_steps", ALPHA_SCHEDULE, PERIOD_SCHEDULE];

/// One `--set KEY=VALUE`.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    /// The dotted key.
    pub key: String,
    /// The value: what TOML reads in it, or else a string.
    pub value: Value,
    /// The value as it was typed on the command line: `2024` and `true` may be names of files.
    pub typed: Option<String>,
}

impl Override {
    /// A value that was not typed, so that its type is known.
    pub fn of_value(key: impl Into<String>, value: Value) -> Self {
        Override { key: key.into(), value, typed: None }
    }

    /// `KEY=VALUE`, as it can be typed.
    pub fn typed(&self) -> String {
        match &self.typed {
            Some(typed) => format!("{}={typed}", self.key),
            None => format!("{}={}", self.key, self.value),
        }
    }

    /// Whether a list was typed of which the shell has taken the quotes or a part.
    pub(super) fn is_broken_list(&self) -> bool {
        self.value.as_str().is_some_and(|text| text.starts_with('['))
    }

    /// The same with what was typed as a string.
    pub(super) fn as_string(&self) -> Option<Override> {
        let value = Value::String(self.typed.clone()?);
        Some(Override { value, ..self.clone() })
    }

    /// A key that is a section, or whose section is missing.
    fn without_section(&self, kinds: &Kinds) -> String {
        let key = &self.key;
        let sections = keys::sections(kinds);
        let names: Vec<&str> = sections.iter().map(|section| section.name).collect();
        if names.contains(&key.as_str()) {
            return match key.as_str() {
                "lookahead" => "`lookahead` is a section, not a key. Use `lookahead=false` to remove it, so that the \
                                inner optimizer trains alone, or set one of its keys, for example `lookahead.k=5`."
                    .to_owned(),
                _ => format!("`{key}` is a section, not a key. Set one of its keys: `{key}.KEY=VALUE`."),
            };
        }
        let remedy = match guess::key(&keys::names(&sections), None, key) {
            Some(meant) => format!("Did you mean `{meant}`?"),
            None => format!("Use SECTION.KEY; the sections are {}.", issue::listed(&names)),
        };
        format!("`{key}` has no section. {remedy}")
    }

    /// Sets the key in a configuration that is still a table.
    pub(super) fn apply(
        &self,
        kinds: &Kinds,
        table: &mut Table,
        notes: &mut Vec<String>,
    ) -> Result<(), String> {
        let removes = self.value == Value::Boolean(false);
        if removes && self.key == "lookahead" {
            table.remove("lookahead");
            return Ok(());
        }
        let Some((section, key)) = self.key.split_once('.') else {
            return Err(self.without_section(kinds));
        };
        let entry = table
            .entry(section)
            .or_insert_with(|| Value::Table(Table::new()))
            .as_table_mut()
            .ok_or_else(|| format!("`{section}` is not a section of the config."))?;
        if removes && REMOVED_BY_FALSE.contains(&self.key.as_str()) {
            entry.remove(key);
            return Ok(());
        }
        let before = entry.insert(key.to_owned(), self.value.clone());
        if let ("kind", Value::String(kind)) = (key, &self.value)
            && before.as_ref() != Some(&self.value)
        {
            drop_foreign_keys(kinds, section, kind, entry, notes);
        }
        if self.key == PRESET {
            notes.extend(lookahead::replace_by_preset(table));
            if let Some(kind) = lookahead::kind_of_optimizer(table)
                && let Some(section) = table.get_mut("optimizer").and_then(Value::as_table_mut)
            {
                drop_foreign_keys(kinds, "optimizer", &kind, section, notes);
                section.insert("kind".to_owned(), kind.into());
            }
        }
        Ok(())
    }
}

/// Removes the keys that the new kind of a section doesn't have. They would be refused, and one config
/// could not be used to compare kinds.
fn drop_foreign_keys(
    kinds: &Kinds,
    section: &str,
    kind: &str,
    entry: &mut Table,
    notes: &mut Vec<String>,
) {
    let is_foreign = |key: &str| match section {
        "data" => data::section(kinds).is_foreign(kind, key),
        "model" => model::section(kinds).is_foreign(kind, key),
        "optimizer" => optimizer::section(kinds).is_foreign(kind, key),
        "averaging" => issue::is_foreign(averaging::KEYS, kind, key),
        "schedule" => issue::is_foreign(schedule::KEYS, kind, key),
        _ => false,
    };
    let foreign: Vec<String> = entry.keys().filter(|key| is_foreign(key)).cloned().collect();
    for key in foreign {
        entry.remove(&key);
        notes.push(format!("`{section}.{key}` does not belong to {kind} and was dropped."));
    }
}

impl std::str::FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            format!("`{text}` has no `=` and value. Write both as one word: `{text}=VALUE`.")
        })?;
        let key = key.trim();
        if key.is_empty() || key.split('.').any(str::is_empty) {
            return Err(format!(
                "`{text}` names no key. Write SECTION.KEY=VALUE, for example `optimizer.lr=0.1`."
            ));
        }
        // A bare word like `adam` or `cuda:0` is a string without quotes.
        let typed = value.trim();
        let value = toml::from_str::<Table>(&format!("value = {value}"))
            .ok()
            .and_then(|mut table| table.remove("value"))
            .or_else(|| number(typed).map(Value::Float))
            .unwrap_or_else(|| Value::String(typed.to_owned()));
        Ok(Override { key: key.to_owned(), value, typed: Some(typed.to_owned()) })
    }
}

/// A number that TOML does not read, like `.5` or `5.`.
fn number(text: &str) -> Option<f64> {
    let is_plain = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    let is_one = text.contains('.') && text.chars().all(is_plain);
    text.parse().ok().filter(|_| is_one)
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--set {}", self.typed())
    }
}
