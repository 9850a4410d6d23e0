//! A sweep: keys of the config with a value, a list of values or a distribution. A key is written with its dot in quotes, or
//! in a table of its section.

use serde_json::{Map, Value, json};

use super::sections;
use crate::config::keys::{self, SectionKeys};
use crate::config::kinds::Kinds;
use crate::config::overrides::REMOVED_BY_FALSE;

pub(super) fn sweep(kinds: &Kinds) -> Value {
    let sections = keys::sections(kinds);
    let mut definitions = Map::new();
    for section in &sections {
        for name in names(section) {
            let own: Vec<_> =
                section.keys.iter().filter(|entry| entry.key.name == name).cloned().collect();
            let mut values = Value::from(sections::meanings(&own));
            let dotted = format!("{}.{name}", section.name);
            if REMOVED_BY_FALSE.contains(&dotted.as_str()) {
                values = json!({ "anyOf": [values, { "enum": [false] }] });
            }
            definitions.insert(dotted, values);
        }
    }
    // Each key's values, lists of them and distributions stand once, since they are in several tables.
    let dotted: Vec<String> = definitions.keys().cloned().collect();
    for key in &dotted {
        definitions.insert(format!("list.{key}"), values(reference(key)));
        definitions.insert(format!("drawn.{key}"), distribution(key));
    }
    definitions.extend(ranges());
    let mut keys_of = |form: &str| keys_with(&sections, form, &mut definitions);
    // `lookahead = false` removes the section.
    let set = with(
        keys_of(""),
        "lookahead",
        |section| json!({ "anyOf": [{ "enum": [false] }, section] }),
    );
    let grid = with(
        keys_of("list."),
        "lookahead",
        |section| json!({ "anyOf": [values(json!({ "enum": [false] })), section] }),
    );
    let mut random = keys_of("drawn.");
    random.insert(
        "count".to_owned(),
        described("Number of draws.", json!({ "type": "integer", "minimum": 1 })),
    );
    random.insert(
        "seed".to_owned(),
        described("Fixes the draws.", json!({ "type": "integer", "default": 0 })),
    );
    definitions.insert("grid".to_owned(), described("Every combination of these.", table(grid)));
    let grid = reference("grid");
    let mut variant = set.clone();
    variant.insert("name".to_owned(), described("By which its runs are named.", name()));
    variant.insert("grid".to_owned(), grid.clone());
    let mut variant = table(variant);
    variant["required"] = json!(["name"]);
    let mut random = described("Keys that are drawn.", table(random));
    random["required"] = json!(["count"]);
    let seeds = json!({ "anyOf": [
        { "type": "integer", "minimum": 1, "maximum": 100_000 },
        values(json!({ "type": "integer", "minimum": 0 })),
    ] });
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["config"],
        "properties": {
            "config": described("The config that the runs share, as a path from this file.", name()),
            "name": described("Name of the sweep's folder. Default: this file's name.", json!({ "type": "string", "pattern": "^[^./][^/]*$" })),
            "seeds": described("`train.seed` of the runs: a list, or how many from 0 on.", seeds),
            "jobs": described("Processes at once.", json!({ "type": "integer", "minimum": 1, "maximum": 1024 })),
            "set": described("Keys that are the same in all runs.", table(set)),
            "grid": grid,
            "random": random,
            "variants": described("Named alternatives, each run in every combination.", json!({ "type": "array", "minItems": 1, "items": variant })),
        },
        "definitions": definitions,
    })
}

/// The names of a section's keys, each once.
fn names(section: &SectionKeys) -> Vec<&'static str> {
    let mut names: Vec<&str> = section.keys.iter().map(|entry| entry.key.name).collect();
    names.dedup();
    names
}

fn reference(definition: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{definition}") })
}

/// All keys, dotted and in tables of their sections, with their definitions in a form.
fn keys_with(
    sections: &[SectionKeys],
    form: &str,
    definitions: &mut Map<String, Value>,
) -> Map<String, Value> {
    let mut keys = Map::new();
    for section in sections {
        let of = |name: &str| reference(&format!("{form}{}.{name}", section.name));
        let own = names(section);
        keys.extend(own.iter().map(|name| (format!("{}.{name}", section.name), of(name))));
        let own = own.iter().map(|&name| (name.to_owned(), of(name))).collect();
        let definition = format!("{form}{}", section.name);
        keys.insert(section.name.to_owned(), reference(&definition));
        definitions.insert(definition, table(own));
    }
    keys
}

fn with(
    mut keys: Map<String, Value>,
    name: &str,
    change: impl Fn(Value) -> Value,
) -> Map<String, Value> {
    if let Some(value) = keys.get_mut(name) {
        *value = change(value.take());
    }
    keys
}

fn table(properties: Map<String, Value>) -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn described(text: &str, mut schema: Value) -> Value {
    schema["description"] = text.into();
    schema
}

fn name() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

/// A list of different values.
fn values(item: Value) -> Value {
    json!({ "type": "array", "minItems": 1, "uniqueItems": true, "items": item })
}

/// What a value of a key is drawn from.
fn distribution(key: &str) -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
        "properties": {
            "uniform": reference("range.uniform"),
            "log": reference("range.log"),
            "integers": reference("range.integers"),
            "choice": reference(&format!("list.{key}")),
        },
    })
}

/// The distributions between two ends.
fn ranges() -> [(String, Value); 3] {
    let range = |name: &str, text: &str, end: Value| {
        let ends = json!({ "type": "array", "minItems": 2, "maxItems": 2, "items": end });
        (format!("range.{name}"), described(text, ends))
    };
    [
        range("uniform", "Evenly from LOW to HIGH.", json!({ "type": "number" })),
        range(
            "log",
            "Evenly in the logarithm from LOW to HIGH.",
            json!({ "type": "number", "exclusiveMinimum": 0 }),
        ),
        range("integers", "Whole numbers, both ends included.", json!({ "type": "integer" })),
    ]
}
