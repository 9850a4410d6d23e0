//! The sections of a config, and which kind has which key.

use serde_json::{Map, Value, json};

use super::value::{allowed, documented};
use crate::config::key::REQUIRED;
use crate::config::keys::{self, KeyEntry, SectionKeys};
use crate::config::kinds::Kinds;
use crate::config::lookahead::{PRESET_WITH_OPTIMIZER, config_of_preset};
use crate::config::optimizer::OptimizerConfig;
use crate::config::{data, model};

/// A section. A key of some kinds depends on `kind`, so that a fault names the key.
pub(super) fn section(kinds: &Kinds, section: &SectionKeys) -> Value {
    let mut schema = keys_of(kinds, section);
    schema["description"] = crate::commands::prose::sentence(section.about).into();
    if section.name == "optimizer" {
        schema["properties"]["group"]["items"] = group(kinds);
    }
    schema
}

/// That the keys of the optimizer that a preset chooses need its preset or a `kind`.
pub(super) fn kind_or_preset(sections: &[SectionKeys]) -> Value {
    let Some(of_preset) = kind_of_preset() else { return json!({}) };
    let entries = sections.iter().filter(|section| section.name == "optimizer");
    let entries = entries.flat_map(|section| &section.keys);
    let default = |kinds: &[&str]| kinds.contains(&OptimizerConfig::default().kind.as_str());
    let own = entries.filter(|entry| entry.kinds.contains(&&*of_preset) && !default(&entry.kinds));
    let needed: Map<String, Value> =
        own.map(|entry| (entry.key.name.to_owned(), json!({ "required": ["kind"] }))).collect();
    json!({
        "if": {
            "properties": { "lookahead": {
                "type": "object", "properties": { "preset": { "enum": [PRESET_WITH_OPTIMIZER] } }, "required": ["preset"],
            } },
            "required": ["lookahead"],
        },
        "else": { "properties": { "optimizer": { "dependencies": needed } } },
    })
}

/// The inner optimizer that a preset chooses.
fn kind_of_preset() -> Option<String> {
    let preset = config_of_preset(PRESET_WITH_OPTIMIZER);
    Some(preset.get("optimizer")?.get("kind")?.as_str()?.to_owned())
}

/// A table of `[[optimizer.group]]`.
fn group(kinds: &Kinds) -> Value {
    let mut schema = keys_of(kinds, &keys::group(kinds));
    // They say which parameters belong to it.
    schema["anyOf"] = json!([{ "required": ["match"] }, { "required": ["dims"] }]);
    schema
}

fn keys_of(kinds: &Kinds, section: &SectionKeys) -> Value {
    let kind = section.keys.iter().find(|entry| entry.key.name == "kind");
    let default = kind.and_then(|entry| entry.only_default()?.as_str());
    let of_preset = kind_of_preset().filter(|_| section.name == "optimizer");
    let chosen: Vec<&str> = default.into_iter().chain(of_preset.as_deref()).collect();
    let (mut properties, mut dependencies, mut required) = (Map::new(), Map::new(), Vec::new());
    let mut entries = &section.keys[..];
    while let [first, ..] = entries {
        let name = first.key.name;
        // Meanings for several kinds are next to each other.
        let count = entries.iter().take_while(|other| other.key.name == name).count();
        let (own, rest) = entries.split_at(count);
        entries = rest;
        properties.insert(name.to_owned(), meanings(own).into());
        if let Some(condition) = owners(kinds, section.name, own, &chosen) {
            dependencies.insert(name.to_owned(), condition);
        }
        required.extend(own.iter().filter(|entry| entry.key.default == REQUIRED).map(needed));
    }
    let mut schema = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    });
    if !dependencies.is_empty() {
        schema["dependencies"] = dependencies.into();
    }
    if !required.is_empty() {
        schema["allOf"] = required.into();
    }
    schema
}

/// The values of a key in all of its meanings.
pub(super) fn meanings(entries: &[KeyEntry]) -> Map<String, Value> {
    match entries {
        [one] => documented(one),
        several => {
            let several = several.iter().map(|entry| documented(entry).into());
            Map::from_iter([("anyOf".to_owned(), several.collect::<Vec<Value>>().into())])
        }
    }
}

/// The condition of a key that not all kinds have: its `kind`, which need not be there if it may be one of `chosen`, or a
/// value that every kind accepts.
fn owners(kinds: &Kinds, section: &str, entries: &[KeyEntry], chosen: &[&str]) -> Option<Value> {
    let mut alternatives = Vec::new();
    for entry in entries {
        let owners = owners_of(kinds, section, entry)?;
        let mut condition = json!({ "properties": { "kind": { "enum": owners } } });
        if !chosen.iter().any(|kind| owners.contains(kind)) {
            condition["required"] = json!(["kind"]);
        }
        if entries.len() > 1 {
            condition["properties"][entry.key.name] = allowed(entry).into();
        }
        alternatives.push(condition);
    }
    let neutral = match section {
        "data" => data::section(kinds).neutral,
        "model" => model::section(kinds).neutral,
        _ => toml::Table::new(),
    };
    let name = entries.first()?.key.name;
    if let Some(neutral) = neutral.get(name) {
        alternatives.push(json!({ "properties": { name: { "enum": [neutral] } } }));
    }
    match &mut alternatives[..] {
        [one] => Some(one.take()),
        _ => Some(json!({ "anyOf": alternatives })),
    }
}

/// The kinds that have a key, if not all do.
fn owners_of<'a>(kinds: &'a Kinds, section: &str, entry: &'a KeyEntry) -> Option<Vec<&'a str>> {
    if !entry.kinds.is_empty() {
        return Some(entry.kinds.clone());
    }
    let of_optimizer = section == "optimizer" || section == "optimizer.group";
    if !of_optimizer || entry.key.name != "weight_decay" {
        return None;
    }
    let decaying = kinds.optimizers.iter().filter(|schema| schema.weight_decay.is_some());
    let decaying: Vec<&str> = decaying.map(|schema| schema.name).collect();
    (decaying.len() < kinds.optimizers.len()).then_some(decaying)
}

/// That a kind needs its key.
fn needed(entry: &KeyEntry) -> Value {
    json!({
        "if": { "properties": { "kind": { "enum": entry.kinds } }, "required": ["kind"] },
        "then": { "required": [entry.key.name] },
    })
}
