//! `lookahead config`: what a key of a config does.

mod page;

use std::collections::HashSet;
use std::io::Write;

use lookahead_run::program_name;
use serde_json::json;

use crate::cli;
use crate::config::guess;
use crate::config::keys::{self, KeyEntry, SectionKeys};
use crate::config::kinds::Kinds;
use crate::console::{Stdout, stdout_width};
use crate::nearest::{meant, nearest};
use crate::usage::UsageError;

/// What a name refers to.
enum Named<'a> {
    Section(&'a SectionKeys),
    /// A key, once for each of its meanings.
    Key(Vec<&'a KeyEntry>),
    /// A name that a key can have: a kind of a section, a preset, or another choice.
    Choice(Choice<'a>),
}

/// A name that a key can have.
#[derive(Clone, Copy)]
struct Choice<'a> {
    section: &'a SectionKeys,
    entry: &'a KeyEntry,
    name: &'static str,
}

impl<'a> Choice<'a> {
    /// For example `data.csv`.
    fn dotted(&self) -> String {
        format!("{}.{}", self.section.name, self.name)
    }

    fn is_kind(&self) -> bool {
        self.entry.key.name == "kind"
    }

    /// The keys that are a kind's own, and the others that it has.
    fn keys(&self, kinds: &Kinds) -> (Vec<&'a KeyEntry>, Vec<&'a KeyEntry>) {
        let schemas = keys::kinds_of(kinds, self.section.name);
        let schema = schemas.iter().find(|schema| schema.name == self.name);
        let is_own = |entry: &&KeyEntry| match schema {
            Some(schema) => schema.has(entry.key.name),
            None => !entry.kinds.is_empty(),
        };
        self.section.keys.iter().filter(|entry| entry.is_of(self.name)).partition(is_own)
    }
}

/// Prints all keys, or what is known of one, of a section or of a kind.
pub fn config(kinds: &Kinds, arguments: &cli::ConfigKeys) -> anyhow::Result<()> {
    let sections = keys::sections(kinds);
    let group = keys::group(kinds);
    let find = |name| of_group(&group, name).map_or_else(|| find(&sections, name), Ok);
    let named = arguments.key.as_deref().map(find).transpose()?;
    let mut stdout = Stdout::new()?;
    if arguments.json {
        let shown: Vec<serde_json::Value> = match &named {
            None => sections.iter().flat_map(|section| &section.keys).map(as_json).collect(),
            Some(Named::Section(section)) => section.keys.iter().map(as_json).collect(),
            Some(Named::Key(entries)) => entries.iter().map(|entry| as_json(entry)).collect(),
            Some(Named::Choice(choice)) if choice.is_kind() => {
                choice.keys(kinds).0.into_iter().map(as_json).collect()
            }
            Some(Named::Choice(choice)) => vec![as_json(choice.entry)],
        };
        writeln!(stdout, "{}", serde_json::to_string_pretty(&shown)?)?;
    } else {
        let terminal = stdout_width();
        let width = terminal.unwrap_or(100);
        let text = match &named {
            // `grep` reads whole lines.
            None => page::overview(&sections, terminal.unwrap_or(usize::MAX)),
            Some(Named::Section(section)) => page::section(section, width),
            Some(Named::Key(entries)) => {
                let is_group = entries.iter().any(|entry| entry.dotted() == group.name);
                let inner = if is_group { page::group(&group, width) } else { String::new() };
                page::key(kinds, entries, width) + &inner
            }
            Some(Named::Choice(choice)) => page::choice(kinds, *choice, width),
        };
        stdout.write_all(text.as_bytes())?;
    }
    stdout.flush()?;
    Ok(())
}

/// A key of a parameter group, by its dotted name.
fn of_group<'a>(group: &'a SectionKeys, name: &str) -> Option<Named<'a>> {
    let entries: Vec<&KeyEntry> =
        group.keys.iter().filter(|entry| entry.dotted() == name).collect();
    (!entries.is_empty()).then_some(Named::Key(entries))
}

/// Finds a section, a dotted key, a name that a key can have like `data.csv` or `lookahead.preset=snoo`, or the name of
/// one of them without its section.
fn find<'a>(sections: &'a [SectionKeys], given: &str) -> Result<Named<'a>, UsageError> {
    // As in a file, `[lookahead]`, or with a value, `lookahead.k=5`.
    let lower = given.to_lowercase();
    let (name, value) = match lower.split_once('=') {
        Some((name, value)) => (name, value.trim().trim_matches('"')),
        None => (&*lower, ""),
    };
    let name = name.trim().trim_matches(['[', ']']);
    if let Some(section) = sections.iter().find(|section| section.name == name) {
        return Ok(Named::Section(section));
    }
    let all = || sections.iter().flat_map(|section| &section.keys);
    let mut entries: Vec<&KeyEntry> = all().filter(|entry| entry.dotted() == name).collect();
    if entries.is_empty() {
        entries = all().filter(|entry| entry.key.name == name).collect();
    }
    if let [entry, ..] = entries[..] {
        let dotted = distinct(entries.iter().map(|entry| entry.dotted()));
        let of_entry =
            |choice: &Choice<'_>| choice.entry.dotted() == entry.dotted() && choice.name == value;
        return match (&dotted[..], choices(sections).into_iter().find(of_entry)) {
            ([_], Some(choice)) => Ok(Named::Choice(choice)),
            ([_], None) => Ok(Named::Key(entries)),
            _ => Err(in_several(given, &dotted)),
        };
    }
    let mut found = choices(sections);
    found.retain(|choice| choice.name == name || choice.dotted() == name);
    // A kind, if one has that name, rather than the value of another key.
    if found.iter().any(Choice::is_kind) {
        found.retain(Choice::is_kind);
    }
    match found[..] {
        [] => Err(unknown(sections, given, name)),
        [choice] => Ok(Named::Choice(choice)),
        _ if found.iter().all(Choice::is_kind) => {
            Err(in_several(given, &distinct(found.iter().map(Choice::dotted))))
        }
        _ => {
            let keys = distinct(found.iter().map(|choice| choice.entry.dotted()));
            Err(UsageError::new(format!(
                "`{given}` is a value of several keys. Name one of these: {}.",
                quoted(&keys)
            )))
        }
    }
}

/// All names that keys can have.
fn choices(sections: &[SectionKeys]) -> Vec<Choice<'_>> {
    let mut found = Vec::new();
    for section in sections {
        for entry in &section.keys {
            found.extend(entry.choices.iter().map(|name| Choice { section, entry, name }));
        }
    }
    found
}

/// Each once, in their order.
fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = HashSet::new();
    names.filter(|name| seen.insert(name.clone())).collect()
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn in_several(given: &str, names: &[String]) -> UsageError {
    UsageError::new(format!(
        "`{given}` is in several sections. Name one of these: {}.",
        quoted(names)
    ))
}

fn unknown(sections: &[SectionKeys], given: &str, name: &str) -> UsageError {
    let names = suggestions(sections, name);
    let hint = match &names[..] {
        [] => String::new(),
        [one] => format!(" Did you mean `{one}`?"),
        several => format!(" The nearest: {}.", quoted(several)),
    };
    UsageError::new(format!(
        "A config has no key, section, kind or other value `{given}`.{hint} `{} config` lists all.",
        program_name()
    ))
}

/// Names that are probably meant.
fn suggestions(sections: &[SectionKeys], name: &str) -> Vec<String> {
    const SHOWN: usize = 4;
    let (section, own) = match name.split_once('.') {
        Some((section, own)) => (Some(section), own),
        None => (None, name),
    };
    let names: Vec<&str> = sections.iter().map(|section| section.name).collect();
    let keys = keys::names(sections);
    let kinds = distinct(choices(sections).iter().map(Choice::dotted));
    let last = |dotted: &str| dotted.rsplit('.').next().unwrap_or_default().to_owned();
    let all: Vec<String> = keys.iter().chain(&kinds).cloned().collect();
    let with_last = |wanted: &str| -> Vec<String> {
        let same = all.iter().filter(|dotted| last(dotted) == wanted).cloned();
        distinct(same)
    };
    let same = with_last(own);
    if !same.is_empty() {
        return same;
    }
    let lasts: Vec<String> = all.iter().map(|dotted| last(dotted)).collect();
    let lasts = || lasts.iter().map(String::as_str);
    let of_section =
        || section.map_or_else(|| guess::section(&names, own), |_| None).map(str::to_owned);
    let misspelt = || {
        let first = match section {
            Some(_) => guess::key(&keys, section, own).map(|key| vec![key.to_owned()]),
            None => None,
        };
        first.or_else(|| meant(lasts(), own).map(with_last))
    };
    let also = || guess::key(&keys, section, own).map(|key| vec![key.to_owned()]);
    of_section().map(|section| vec![section]).or_else(misspelt).or_else(also).unwrap_or_else(|| {
        let near = nearest(own, lasts(), all.len());
        let near = near.into_iter().flat_map(with_last);
        distinct(near).into_iter().take(SHOWN).collect()
    })
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
