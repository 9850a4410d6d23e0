//! What is wrong with a table that is not a configuration, in the words of the table of [keys](super::keys): serde,
//! which refuses it, knows only Rust's names of types.

use lookahead_core::Schedule;
use toml::{Table, Value};

use super::guess;
use super::issue::{
    ConfigIssue, check_bounds, format_number, listed, quoted, sentence, unknown_choice,
};
use super::key::ValueType;
use super::keys::{self, KeyEntry, SectionKeys, shown};
use super::kinds::Kinds;
use super::train::device_meant;

/// All faults: unknown sections, unknown keys, and values of the wrong type. Empty if there is another one.
pub(super) fn find(kinds: &Kinds, table: &Table) -> Vec<ConfigIssue> {
    let all = Names::new(kinds);
    let mut found = Vec::new();
    let mut ranges = Vec::new();
    for (name, value) in table {
        let Some(section) = all.sections.iter().find(|section| section.name == name) else {
            found.push(all.unknown_section(name, value));
            continue;
        };
        let Some(own) = value.as_table() else {
            found.push(not_a_section(name, value));
            continue;
        };
        let default = section.keys.iter().find(|entry| entry.key.name == "kind");
        let default = default.and_then(|entry| entry.only_default()?.as_str().map(str::to_owned));
        let kind = own.get("kind").and_then(Value::as_str).map(str::to_owned).or(default);
        let kind = kind.as_deref().unwrap_or_default();
        for (key, value) in own {
            let entries = || section.keys.iter().filter(|entry| entry.key.name == key);
            let entry = entries().find(|entry| entry.kinds.contains(&kind)).or(entries().next());
            match entry {
                None => found.push(
                    all.nested_section(section.name, key, value)
                        .unwrap_or_else(|| all.unknown_key(section, kind, key)),
                ),
                Some(entry) => {
                    found.extend(wrong_value(entry, value));
                    ranges.extend(out_of_range(entry, value));
                }
            }
        }
    }
    // Not all whole numbers have the same range, so this is the answer only if nothing else explains the refusal.
    if found.is_empty() { ranges } else { found }
}

struct Names {
    sections: Vec<SectionKeys>,
    /// All dotted keys.
    keys: Vec<String>,
}

impl Names {
    fn new(kinds: &Kinds) -> Self {
        let sections = keys::sections(kinds);
        Names { keys: keys::names(&sections), sections }
    }

    fn unknown_section(&self, name: &str, value: &Value) -> ConfigIssue {
        let sections: Vec<&str> = self.sections.iter().map(|section| section.name).collect();
        let all = || format!("The sections are {}.", listed(&sections));
        let message = if value.is_table() {
            let meant = guess::section(&sections, name);
            let remedy = meant.map_or_else(all, |meant| format!("Did you mean `[{meant}]`?"));
            format!("There is no section `[{name}]`. {remedy}")
        } else {
            let meant = guess::key(&self.keys, None, name).and_then(|key| key.split_once('.'));
            let remedy = meant.map_or_else(all, |(section, key)| {
                format!("Write `{key}` on a line below `[{section}]`.")
            });
            format!("`{name}` is in no section. {remedy}")
        };
        ConfigIssue::new(name.to_owned(), message)
    }

    /// The fault of a section that is in another one, as `[optimizer.schedule]` is.
    fn nested_section(&self, outer: &str, name: &str, value: &Value) -> Option<ConfigIssue> {
        let sections: Vec<&str> = self.sections.iter().map(|section| section.name).collect();
        let meant = guess::section(&sections, name).filter(|_| value.is_table())?;
        let message = format!(
            "There is no section `[{outer}.{name}]`: sections are not in one another. Write `[{meant}]`."
        );
        Some(ConfigIssue::new(format!("{outer}.{name}"), message))
    }

    fn unknown_key(&self, section: &SectionKeys, kind: &str, name: &str) -> ConfigIssue {
        let dotted = format!("{}.{name}", section.name);
        let has_types = section.keys.iter().any(|entry| entry.kinds.contains(&kind));
        let of_kind = |entry: &&KeyEntry| entry.is_of(kind) || !has_types;
        // Not a key of another kind, which would be refused too.
        let own: Vec<String> = section.keys.iter().filter(of_kind).map(KeyEntry::dotted).collect();
        let elsewhere = |key: &&String| key.split('.').next() != Some(section.name);
        let names: Vec<String> = self.keys.iter().filter(elsewhere).cloned().chain(own).collect();
        let remedy = match guess::key(&names, Some(section.name), name) {
            Some(meant) => format!("Did you mean `{meant}`?"),
            None => {
                let known = section.keys.iter().filter(of_kind).map(|entry| entry.key.name);
                format!(
                    "The keys of `[{}]` are {}. {}",
                    section.name,
                    quoted(known),
                    super::issue::documentation()
                )
            }
        };
        ConfigIssue::new(dotted.clone(), format!("There is no key `{dotted}`. {remedy}"))
    }
}

/// A section that is something else.
fn not_a_section(name: &str, value: &Value) -> ConfigIssue {
    let remedy = match value {
        Value::Array(_) => format!("Write `[{name}]`, with single brackets."),
        Value::Boolean(false) if name == "lookahead" => {
            "Leave it out: the inner optimizer then trains alone.".to_owned()
        }
        Value::String(kind) if ["data", "model", "optimizer", "schedule"].contains(&name) => {
            format!("Write `[{name}]`, and on the next line `kind = \"{kind}\"`.")
        }
        _ => format!("Write `[{name}]`, and its keys on the lines below."),
    };
    ConfigIssue::new(name.to_owned(), format!("`{name}` is a section, not a key. {remedy}"))
}

/// The fault of a value, if it is of the wrong type or not one of those that can be chosen.
fn wrong_value(entry: &KeyEntry, value: &Value) -> Option<ConfigIssue> {
    let wanted = entry.key.value;
    if fits(wanted, value) {
        if wanted == ValueType::Schedule {
            return wrong_schedule(entry, value);
        }
        let name = value.as_str().filter(|_| !entry.choices.is_empty())?;
        let known = entry.choices.contains(&name);
        return (!known).then(|| unknown_choice(&entry.dotted(), name, &entry.choices));
    }
    if let Some(issue) = too_large(entry, value) {
        return Some(issue);
    }
    if !entry.choices.is_empty() && wanted == ValueType::Text {
        return Some(unknown_choice(&entry.dotted(), &value.to_string(), &entry.choices));
    }
    let dotted = entry.dotted();
    let better = match dotted.as_str() {
        "train.device" => device_meant(&value.to_string()).map(|device| format!("{device:?}")),
        _ => converted(wanted, value),
    };
    if let Some(better) = better.as_ref().filter(|_| wanted == ValueType::Switch) {
        return Some(ConfigIssue::new(
            dotted.clone(),
            format!("`{dotted}` is {}. Use true or false, here {better}.", in_words(value)),
        ));
    }
    let remedy = match (better, &*entry.example()) {
        (Some(better), _) => format!(": {better}"),
        (None, "…") => String::new(),
        (None, example) => format!(", for example {example}"),
    };
    let message = format!("`{dotted}` is {}. Use {wanted}{remedy}.", in_words(value));
    Some(ConfigIssue::new(dotted, message))
}

/// The fault of a number that TOML can't hold, which is therefore a text, or that no integer is.
fn too_large(entry: &KeyEntry, value: &Value) -> Option<ConfigIssue> {
    const MOST: f64 = i64::MAX as f64;
    let most = match entry.key.value {
        ValueType::Whole => MOST,
        ValueType::Number => f64::MAX,
        _ => return None,
    };
    let found = match value {
        Value::String(text) => text.replace('_', ""),
        Value::Float(number) => format_number(*number),
        _ => return None,
    };
    let is_number = found.starts_with(|c: char| c.is_ascii_digit() || "+-".contains(c));
    let number: f64 = found.parse().ok().filter(|_| is_number)?;
    if number.abs() < most || value.is_float() && number.is_infinite() {
        return None;
    }
    let (dotted, allowed) = (entry.dotted(), entry.allowed());
    let end = match (entry.key.value, entry.key.bounds.most) {
        (ValueType::Whole, None) => format!(", at most {}", i64::MAX),
        _ => String::new(),
    };
    let allowed = if allowed.is_empty() { "a smaller number" } else { &allowed };
    let message = format!("`{dotted}` is {found}, which is too large. Use {allowed}{end}.");
    Some(ConfigIssue::new(dotted, message))
}

/// The fault of a table that is not a schedule.
fn wrong_schedule(entry: &KeyEntry, value: &Value) -> Option<ConfigIssue> {
    let fault = value.clone().try_into::<Schedule>().err()?;
    let (dotted, example) = (entry.dotted(), entry.example());
    let message =
        format!("`{dotted}` is not a schedule. {} An example: {example}.", sentence(&fault));
    Some(ConfigIssue::new(dotted, message))
}

/// The fault of a number that the key doesn't allow, or that its type can't hold.
fn out_of_range(entry: &KeyEntry, value: &Value) -> Option<ConfigIssue> {
    if let Err(issue) = check_bounds(entry.section, &entry.key, value) {
        return Some(issue);
    }
    let number = value.as_integer().filter(|_| entry.key.value == ValueType::Whole)?;
    if (0..=i64::from(u32::MAX)).contains(&number) {
        return None;
    }
    let allowed = entry.allowed();
    let allowed = if allowed.is_empty() { "a whole number of 0 or more" } else { &allowed };
    let dotted = entry.dotted();
    Some(ConfigIssue::new(dotted.clone(), format!("`{dotted}` is {number}. Use {allowed}.")))
}

fn in_words(value: &Value) -> String {
    match value {
        Value::Table(_) => "a table of keys".to_owned(),
        Value::String(text) => format!("{text:?}"),
        // 3.0 is refused where 3 is not.
        Value::Float(number) => format!("{number:?}"),
        value => shown(value),
    }
}

fn fits(wanted: ValueType, value: &Value) -> bool {
    let all =
        |fits: fn(&Value) -> bool| value.as_array().is_some_and(|values| values.iter().all(fits));
    let is_number = |value: &Value| value.is_integer() || value.is_float();
    match wanted {
        ValueType::Whole => value.is_integer(),
        ValueType::Number => is_number(value),
        ValueType::Switch => value.is_bool(),
        ValueType::Text | ValueType::Path => value.is_str(),
        ValueType::Wholes => all(Value::is_integer),
        ValueType::Numbers => all(is_number),
        ValueType::Texts => all(Value::is_str),
        ValueType::Schedule => value.is_table(),
        ValueType::Tables => all(Value::is_table),
        ValueType::Any => true,
    }
}

/// The value that was meant, as TOML.
fn converted(wanted: ValueType, value: &Value) -> Option<String> {
    let items = |item: ValueType| {
        let values = match value {
            Value::Array(values) => values.clone(),
            Value::String(text) => {
                let separators = |letter: char| ", ;[]()".contains(letter);
                let words = text.split(separators).filter(|word| !word.is_empty());
                words.map(|word| Value::String(word.to_owned())).collect()
            }
            other => vec![other.clone()],
        };
        let items: Option<Vec<String>> =
            values
                .iter()
                .map(|value| {
                    if fits(item, value) { Some(value.to_string()) } else { converted(item, value) }
                })
                .collect();
        items.filter(|items| !items.is_empty()).map(|items| format!("[{}]", items.join(", ")))
    };
    match (wanted, value) {
        (ValueType::Whole, Value::Float(number)) => {
            let is_whole = number.fract() == 0.0 && number.abs() < 1e15;
            is_whole.then(|| format!("{number:.0}"))
        }
        (ValueType::Whole, Value::String(text)) => {
            let digits: String = text.chars().filter(|letter| !"_ ,.".contains(*letter)).collect();
            let plain = text.trim() == digits;
            digits.parse::<i64>().ok().filter(|_| plain).map(|number| number.to_string())
        }
        (ValueType::Number, Value::String(text)) => {
            let number = text.trim().replace(',', ".").parse::<f64>().ok()?;
            number.is_finite().then(|| number.to_string())
        }
        (ValueType::Whole | ValueType::Number, Value::Array(values)) => match &values[..] {
            [one] if fits(wanted, one) => Some(one.to_string()),
            _ => None,
        },
        (ValueType::Switch, Value::Integer(number @ 0..=1)) => Some((*number == 1).to_string()),
        (ValueType::Switch, Value::String(text)) => match text.to_lowercase().as_str() {
            "true" | "yes" | "on" => Some("true".to_owned()),
            "false" | "no" | "off" => Some("false".to_owned()),
            _ => None,
        },
        (ValueType::Text | ValueType::Path, Value::Integer(_) | Value::Float(_)) => {
            Some(format!("\"{value}\""))
        }
        (ValueType::Wholes, _) => items(ValueType::Whole),
        (ValueType::Numbers, _) => items(ValueType::Number),
        (ValueType::Texts, _) => items(ValueType::Text),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
