//! Configurations as flat keys, and the names of what differs between them.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Keys with their values, for example `optimizer.lr` and 0.1. A section that some of the compared
/// configurations lack is a key of its own, `true` or `false`.
pub type Settings = BTreeMap<String, Value>;

/// Whether a key changes what is trained, and not only how a run is executed or watched.
pub fn matters(key: &str) -> bool {
    let exactly = [
        "train.seed",
        // Of a recorded run.
        "seed",
        "train.threads",
        "train.device",
        "train.read_loss_every",
        "train.channels_last",
        "data.dir",
        "task.metrics",
    ];
    let beginnings = ["alert.", "checkpoint.", "log.", "probe.", "watchdog.stall"];
    !(exactly.contains(&key) || beginnings.iter().any(|beginning| key.starts_with(beginning)))
}

/// All keys of a configuration that [matter](matters).
pub fn flat(config: &Value) -> Settings {
    let mut settings = all(config);
    settings.retain(|key, _| matters(key));
    settings
}

/// All keys of a configuration.
pub fn all(config: &Value) -> Settings {
    fn collect(prefix: &str, value: &Value, settings: &mut Settings) {
        match value {
            Value::Object(entries) => {
                for (key, value) in entries {
                    let dot = if prefix.is_empty() { "" } else { "." };
                    collect(&format!("{prefix}{dot}{key}"), value, settings);
                }
            }
            Value::Null => {}
            value => drop(settings.insert(prefix.to_owned(), value.clone())),
        }
    }
    let mut settings = Settings::new();
    collect("", config, &mut settings);
    settings
}

/// Sections that are there only where they are not at their defaults: what lacks them has all they are about too.
const WITH_DEFAULTS: [&str; 1] = ["watchdog"];

/// Adds a key for each section that some have and others lack.
pub fn add_sections(all: &mut [Settings]) {
    fn sections(settings: &Settings) -> BTreeSet<String> {
        let sections = settings.keys().filter_map(|key| key.split_once('.'));
        sections.map(|(section, _)| section.to_owned()).collect()
    }
    let each: Vec<BTreeSet<String>> = all.iter().map(sections).collect();
    let any: BTreeSet<&String> = each.iter().flatten().collect();
    for section in any {
        let is_in_all = each.iter().all(|sections| sections.contains(section));
        if is_in_all || WITH_DEFAULTS.contains(&section.as_str()) {
            continue;
        }
        for (settings, sections) in all.iter_mut().zip(&each) {
            settings.insert(section.clone(), Value::Bool(sections.contains(section)));
        }
    }
}

/// The keys in which they differ. One that only some have, like a momentum of one kind of
/// optimizer, counts if it differs among these, or if two of them differ in nothing else.
pub fn differing(all: &[&Settings]) -> Vec<String> {
    let keys: BTreeSet<&String> = all.iter().flat_map(|settings| settings.keys()).collect();
    let (mut differing, mut partial) = (Vec::new(), Vec::new());
    for key in keys {
        let values: Vec<&Value> = all.iter().filter_map(|settings| settings.get(key)).collect();
        if values.windows(2).any(|pair| pair[0] != pair[1]) {
            differing.push(key.clone());
        } else if values.len() < all.len() {
            partial.push(key.clone());
        }
    }
    let distinct = |keys: &[String]| {
        all.iter().map(|settings| code(settings, keys)).collect::<BTreeSet<_>>().len()
    };
    for key in partial {
        let before = distinct(&differing);
        differing.push(key);
        if distinct(&differing) == before {
            differing.pop();
        }
    }
    differing.sort();
    differing
}

/// The values of some keys as one text, equal for equal values.
fn code(settings: &Settings, keys: &[String]) -> String {
    let value = |key: &String| settings.get(key).map_or("-".to_owned(), Value::to_string);
    keys.iter().map(value).collect::<Vec<_>>().join("\u{1f}")
}

/// `optimizer.kind=adam lookahead.k=5`: the values of these keys. A section that is
/// there is left out if one of its keys is named.
pub fn label(settings: &Settings, keys: &[String]) -> String {
    let mut words = Vec::new();
    for key in keys {
        let Some(value) = settings.get(key) else { continue };
        let within = format!("{key}.");
        let has_more =
            keys.iter().any(|other| other.starts_with(&within) && settings.contains_key(other));
        if *value == Value::Bool(true) && has_more {
            continue;
        }
        words.push(format!("{key}={}", written(value)));
    }
    words.join(" ")
}

/// A value as on the command line.
pub fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // 1.0 is printed as 1.
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => format!("{float}"),
            _ => number.to_string(),
        },
        value => value.to_string(),
    }
}

/// Numbers by size, `false` before `true`, all else by its text; what lacks a key comes first.
pub fn order(a: &Settings, b: &Settings, keys: &[String]) -> Ordering {
    let one = |a: &Value, b: &Value| match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => written(a).cmp(&written(b)),
    };
    keys.iter()
        .map(|key| match (a.get(key), b.get(key)) {
            (Some(a), Some(b)) => one(a, b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        })
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}
