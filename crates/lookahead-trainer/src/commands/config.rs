//! `lookahead config`: what a key of a config does.

mod page;

use std::io::Write;

use lookahead_run::program_name;
use serde_json::json;

use crate::cli;
use crate::config::keys::{self, KeyEntry, SectionKeys};
use crate::config::kinds::{Kinds, Schema};
use crate::console::{Stdout, stdout_width};
use crate::nearest::nearest;
use crate::usage::UsageError;

/// What a name refers to.
enum Named<'a> {
    Section(&'a SectionKeys),
    /// A key, once for each of its meanings.
    Key(Vec<&'a KeyEntry>),
    /// A kind of a section.
    Kind(&'a SectionKeys, &'a Schema),
}

/// Prints all keys, or what is known of one, of a section or of a kind.
pub fn config(kinds: &Kinds, arguments: &cli::ConfigKeys) -> anyhow::Result<()> {
    let sections = keys::sections(kinds);
    let named = arguments.key.as_deref().map(|name| find(kinds, &sections, name)).transpose()?;
    let mut stdout = Stdout::new()?;
    if arguments.json {
        let shown: Vec<serde_json::Value> = match &named {
            None => sections.iter().flat_map(|section| &section.keys).map(as_json).collect(),
            Some(Named::Section(section)) => section.keys.iter().map(as_json).collect(),
            Some(Named::Key(entries)) => entries.iter().map(|entry| as_json(entry)).collect(),
            Some(Named::Kind(section, schema)) => {
                own_keys(section, schema).into_iter().map(as_json).collect()
            }
        };
        writeln!(stdout, "{}", serde_json::to_string_pretty(&shown)?)?;
    } else {
        let terminal = stdout_width();
        let width = terminal.unwrap_or(100);
        let text = match &named {
            // `grep` reads whole lines.
            None => page::overview(&sections, terminal.unwrap_or(usize::MAX)),
            Some(Named::Section(section)) => page::section(section, width),
            Some(Named::Key(entries)) => page::key(kinds, entries, width),
            Some(Named::Kind(section, schema)) => page::kind(section, schema, width),
        };
        stdout.write_all(text.as_bytes())?;
    }
    stdout.flush()?;
    Ok(())
}

/// The keys that are a kind's own.
fn own_keys<'a>(section: &'a SectionKeys, schema: &Schema) -> Vec<&'a KeyEntry> {
    let is_own = |entry: &&KeyEntry| schema.has(entry.key.name) && entry.is_of(schema.name);
    section.keys.iter().filter(is_own).collect()
}

/// Finds a section, a dotted key, a kind like `data.csv`, or the name of one of them without its section.
fn find<'a>(
    kinds: &'a Kinds,
    sections: &'a [SectionKeys],
    given: &str,
) -> Result<Named<'a>, UsageError> {
    // As in a file, `[lookahead]`, or with a value, `lookahead.k=5`.
    let name = given.split('=').next().unwrap_or_default().trim().trim_matches(['[', ']']);
    let name = name.to_lowercase();
    if let Some(section) = sections.iter().find(|section| section.name == name) {
        return Ok(Named::Section(section));
    }
    let all = all_names(kinds, sections);
    let exact = |(section, own): &&(&str, &str)| format!("{section}.{own}") == name;
    let found = match all.iter().find(exact) {
        Some(found) => vec![found],
        None => all.iter().filter(|(_, own)| *own == name).collect(),
    };
    match found[..] {
        [&(section_name, own)] => {
            let section = sections.iter().find(|section| section.name == section_name);
            let section = section.ok_or_else(|| unknown(&all, given, &name))?;
            let entries: Vec<&KeyEntry> =
                section.keys.iter().filter(|entry| entry.key.name == own).collect();
            let schemas = keys::kinds_of(kinds, section.name);
            match schemas.iter().find(|schema| schema.name == own) {
                Some(schema) if entries.is_empty() => Ok(Named::Kind(section, schema)),
                _ => Ok(Named::Key(entries)),
            }
        }
        [] => Err(unknown(&all, given, &name)),
        _ => Err(UsageError::new(format!(
            "`{given}` is in several sections. Name one of these: {}.",
            dotted(found.into_iter())
        ))),
    }
}

/// The section and the name of each key and each kind, once.
fn all_names<'a>(kinds: &'a Kinds, sections: &'a [SectionKeys]) -> Vec<(&'a str, &'a str)> {
    let mut names = Vec::new();
    for section in sections {
        let keys = section.keys.iter().map(|entry| entry.key.name);
        let own_kinds = keys::kinds_of(kinds, section.name).iter().map(|schema| schema.name);
        names.extend(keys.chain(own_kinds).map(|name| (section.name, name)));
    }
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(*name));
    names
}

fn dotted<'a>(names: impl Iterator<Item = &'a (&'a str, &'a str)>) -> String {
    let names = names.map(|(section, name)| format!("`{section}.{name}`"));
    names.collect::<Vec<_>>().join(", ")
}

fn unknown(all: &[(&str, &str)], given: &str, name: &str) -> UsageError {
    const SHOWN: usize = 4;
    let own = name.rsplit('.').next().unwrap_or_default();
    let same: Vec<&(&str, &str)> = all.iter().filter(|(_, other)| *other == own).collect();
    let similar = nearest(own, all.iter().map(|(_, name)| *name), SHOWN);
    let similar = all.iter().filter(|(_, name)| similar.contains(name)).collect();
    let shown = if same.is_empty() { similar } else { same };
    let hint = match shown[..] {
        [] => String::new(),
        [one] => format!(" Did you mean {}?", dotted(std::iter::once(one))),
        _ => format!(" The nearest: {}.", dotted(shown.into_iter())),
    };
    UsageError::new(format!(
        "A config has no key, section or kind `{given}`.{hint} `{} config` lists all.",
        program_name()
    ))
}

fn as_json(entry: &KeyEntry) -> serde_json::Value {
    let defaults = entry.defaults.iter();
    let defaults =
        defaults.map(|own| json!({ "kinds": own.kinds, "value": own.value })).collect::<Vec<_>>();
    json!({
        "key": entry.dotted(),
        "kinds": entry.kinds,
        "type": entry.key.value.to_string(),
        "allowed": entry.allowed(),
        "choices": entry.choices,
        "defaults": defaults,
        "default": entry.default_words(),
        "changes": entry.changes(),
        "example": entry.example(),
        "meaning": super::prose::plain(entry.key.meaning),
    })
}

#[cfg(test)]
mod tests;
