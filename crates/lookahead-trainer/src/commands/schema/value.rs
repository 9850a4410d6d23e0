//! The values of a key.

use serde_json::{Map, Value, json};

use crate::commands::prose::{plain, sentence};
use crate::config::bounds::Bounds;
use crate::config::key::{REQUIRED, ValueType};
use crate::config::keys::{Changes, KeyEntry};

/// The values that a key allows, with its documentation and its default.
pub(super) fn documented(entry: &KeyEntry) -> Map<String, Value> {
    let mut schema = allowed(entry);
    let mut texts = vec![sentence(&plain(entry.key.meaning))];
    if !entry.kinds.is_empty() {
        texts.push(format!("Of {}.", entry.kinds.join(", ")));
    }
    let in_words = plain(&entry.allowed());
    if !in_words.is_empty() && entry.choices.is_empty() {
        texts.push(format!("Allowed: {in_words}."));
    }
    match entry.only_default().map(serde_json::to_value) {
        Some(Ok(default)) => {
            schema.insert("default".to_owned(), default);
        }
        _ if entry.key.default == REQUIRED => texts.push("Required.".to_owned()),
        _ if entry.defaults.is_empty() => {}
        _ => texts.push(format!("Default: {}.", plain(&entry.default_words()))),
    }
    if entry.changes() == Changes::Live {
        texts.push("It can be set while the run is running.".to_owned());
    }
    texts.retain(|text| !text.is_empty());
    schema.insert("description".to_owned(), texts.join("\n\n").into());
    schema
}

/// The values that a key allows.
pub(super) fn allowed(entry: &KeyEntry) -> Map<String, Value> {
    let bounds = &entry.key.bounds;
    let text = || match &entry.choices[..] {
        [] if entry.key.pattern.is_empty() => json!({ "type": "string" }),
        [] => json!({ "type": "string", "pattern": entry.key.pattern }),
        choices => json!({ "type": "string", "enum": choices }),
    };
    let of_group = entry.section == "optimizer.group";
    // In a group, one value is allowed instead of a list of one.
    let list = |item: Value| match (of_group, list(bounds, item.clone())) {
        (true, list) => json!({ "anyOf": [item, list] }),
        (false, list) => list,
    };
    let schema = match entry.key.value {
        ValueType::Whole => number("integer", bounds),
        ValueType::Number => number("number", bounds),
        ValueType::Switch => json!({ "type": "boolean" }),
        ValueType::Text | ValueType::Path => text(),
        ValueType::Wholes => list(number("integer", bounds)),
        ValueType::Numbers => list(number("number", bounds)),
        ValueType::Texts if of_group => list(json!({ "type": "string", "minLength": 1 })),
        ValueType::Texts => list(text()),
        ValueType::Schedule => schedule(),
        ValueType::Tables => json!({ "type": "array", "items": { "type": "object" } }),
        ValueType::Any => json!({}),
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

fn list(bounds: &Bounds, item: Value) -> Value {
    let mut list = json!({ "type": "array", "items": item });
    if bounds.fewest > 0 {
        list["minItems"] = bounds.fewest.into();
    }
    if let Some(longest) = bounds.longest {
        list["maxItems"] = longest.into();
    }
    list
}

fn number(kind: &str, bounds: &Bounds) -> Value {
    let mut schema = json!({ "type": kind });
    for (bound, including, excluding) in [
        (bounds.least, "minimum", "exclusiveMinimum"),
        (bounds.most, "maximum", "exclusiveMaximum"),
    ] {
        let Some((value, is_excluded)) = bound else { continue };
        let is_whole = value.fract() == 0.0 && value.abs() < 1e15;
        let value = if is_whole { json!(value as i64) } else { json!(value) };
        schema[if is_excluded { excluding } else { including }] = value;
    }
    schema
}

/// A [`Schedule`](lookahead_core::Schedule).
fn schedule() -> Value {
    let to = json!({ "type": "number", "exclusiveMinimum": 0 });
    let steps = json!({ "type": "integer", "minimum": 0 });
    let kind = |name: &str, mut keys: Value, required: &[&str]| {
        keys["kind"] = json!({ "type": "string", "enum": [name] });
        let required = [&["kind"], required].concat();
        json!({ "type": "object", "properties": keys, "additionalProperties": false, "required": required })
    };
    json!({ "anyOf": [
        kind("constant", json!({}), &[]),
        kind("linear", json!({ "to": to, "steps": steps }), &["to"]),
        kind("cosine", json!({ "to": to, "steps": steps }), &["to"]),
        kind(
            "power",
            json!({ "to": to, "power": { "type": "number", "exclusiveMinimum": 0 }, "steps": steps }),
            &["to", "power"],
        ),
        kind(
            "steps",
            json!({ "factor": { "type": "number", "exclusiveMinimum": 0 }, "every": { "type": "integer", "minimum": 1 } }),
            &["factor", "every"],
        ),
    ] })
}
