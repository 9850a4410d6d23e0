//! Settings that a loop lets others change.

use serde_json::{Map, Value};

use crate::command::Setting;
use crate::error::{Error, Result};

/// The settings that a loop declared, with their values.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings(Vec<(String, Value)>);

impl Settings {
    /// Adds a setting, in the place of an earlier one of this key.
    pub(super) fn declare(&mut self, key: &str, value: Value) {
        self.0.retain(|(other, _)| other != key);
        self.0.push((key.to_owned(), value));
    }

    pub(super) fn declared(&self) -> &[(String, Value)] {
        &self.0
    }

    /// Checks a change, and makes an integer of `2.0` if the setting is one.
    ///
    /// # Errors
    /// A sentence, if no such setting was declared, or with a value of another type.
    pub(super) fn check(&self, change: Setting) -> std::result::Result<Setting, String> {
        let Setting { key, value } = change;
        let Some((_, declared)) = self.0.iter().find(|(known, _)| *known == key) else {
            let known: Vec<&str> = self.0.iter().map(|(key, _)| key.as_str()).collect();
            return Err(if known.is_empty() {
                format!("`{key}` can't be changed: this program lets no setting be changed.")
            } else {
                format!("`{key}` can't be changed. Use one of {}.", known.join(", "))
            });
        };
        let kind = kind(declared);
        let fits = match kind {
            INTEGER => as_integer(&value),
            NUMBER => value.is_number().then_some(value.clone()),
            other => (self::kind(&value) == other).then_some(value.clone()),
        };
        match fits {
            Some(value) => Ok(Setting { key, value }),
            None => Err(format!("`{key}` is {kind}, for example {declared}, and {value} is not.")),
        }
    }
}

const INTEGER: &str = "an integer";
const NUMBER: &str = "a number";

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => NUMBER,
        Value::Number(_) => INTEGER,
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
        Value::Null => "null",
    }
}

/// A whole number as an integer, however it is written.
fn as_integer(value: &Value) -> Option<Value> {
    /// From here on f64 lacks some integers.
    const EXACT: f64 = (1u64 << 53) as f64;
    if kind(value) == INTEGER {
        return Some(value.clone());
    }
    let number = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < EXACT)?;
    Some(Value::from(number as i64))
}

/// Puts a setting into a table, at the place that its dotted key names.
///
/// # Errors
/// [`Error::RecorderConfig`] if the key is empty or leads through something that is not a table.
pub(super) fn insert(config: &mut Map<String, Value>, key: &str, value: &Value) -> Result<()> {
    let (mut table, mut rest) = (config, key);
    loop {
        let (name, inner) = match rest.split_once('.') {
            Some((name, inner)) => (name, Some(inner)),
            None => (rest, None),
        };
        if name.is_empty() {
            let fault = format!("the key `{key}` of a setting has an empty part");
            return Err(Error::RecorderConfig(fault));
        }
        let Some(inner) = inner else {
            table.insert(name.to_owned(), value.clone());
            return Ok(());
        };
        let below = table.entry(name).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(below) = below else {
            let fault = format!("`{name}` is {below}, and the setting `{key}` needs a table there");
            return Err(Error::RecorderConfig(fault));
        };
        (table, rest) = (below, inner);
    }
}
