//! The texts of `lookahead config`.

use lookahead_run::program_name;

use crate::commands::prose::{first_part, indented, plain, sentence, wrap};
use crate::config::key::REQUIRED;
use crate::config::keys::{self, Changes, KeyEntry, SectionKeys, as_toml, shown};
use crate::config::kinds::{Kinds, Schema};
use crate::hints::shell_word;

/// The widest text that is easy to read.
const WIDEST: usize = 100;

/// All keys, each on a line.
pub(super) fn overview(sections: &[SectionKeys], width: usize) -> String {
    const NAME: usize = 36;
    let mut text = String::new();
    for section in sections {
        text += &indented(&format!("[{}]: {}.", section.name, section.about), 0, width);
        for entry in &section.keys {
            let value = entry.only_default().map(|value| format!(" = {}", shown(value)));
            let name = format!("{}{}", entry.dotted(), value.unwrap_or_default());
            let meaning = plain(entry.key.meaning);
            let line = format!("  {name:<NAME$}  {}{}", first_part(&meaning), of_kinds(entry));
            text += &shortened(line.trim_end(), width);
            text.push('\n');
        }
        text.push('\n');
    }
    let program = program_name();
    let more = format!(
        "`{program} config KEY` explains a key, `{program} config SECTION` all keys of a section."
    );
    text + &indented(&more, 0, width)
}

/// A section with all its keys.
pub(super) fn section(section: &SectionKeys, width: usize) -> String {
    let width = width.min(WIDEST);
    let heading = format!("[{}]: {}.", section.name, section.about);
    let mut text = indented(&heading, 0, width) + "\n";
    for entry in &section.keys {
        text += &brief(entry, &of_kinds(entry), width);
    }
    let example = section.keys.first().map(KeyEntry::dotted).unwrap_or_default();
    text + &format!("\n`{} config {example}` explains a key, with examples.\n", program_name())
}

/// A kind of a section with the keys of its own.
pub(super) fn kind(section: &SectionKeys, schema: &Schema, width: usize) -> String {
    let width = width.min(WIDEST);
    let (name, about) = (schema.name, schema.about());
    let about = if about.is_empty() { String::new() } else { format!(": {about}") };
    let mut text = indented(&format!("{}.kind = \"{name}\"{about}.", section.name), 0, width);
    text.push('\n');
    let mut own = super::own_keys(section, schema);
    own.sort_by_key(|entry| entry.key.default != REQUIRED);
    if own.is_empty() {
        text += "It has no keys of its own.\n";
    }
    for entry in own {
        text += &brief(entry, "", width);
    }
    let common: Vec<String> = section
        .keys
        .iter()
        .filter(|entry| !schema.has(entry.key.name) && entry.is_of(name))
        .map(|entry| format!("`{}`", entry.key.name))
        .collect();
    let also = format!("Keys that it shares with all others: {}.", common.join(", "));
    text += "\n";
    text += &indented(&also, 0, width);
    if section.name == "data" {
        text += &format!("`{} init {name}` writes a config for it.\n", program_name());
    }
    text
}

/// The kinds that have a key, in parentheses, if not all have it.
fn of_kinds(entry: &KeyEntry) -> String {
    if entry.kinds.is_empty() { String::new() } else { format!(" ({})", entry.kinds.join(", ")) }
}

/// A key in a list: its name, its default and its meaning.
fn brief(entry: &KeyEntry, kinds: &str, width: usize) -> String {
    let is_required = entry.key.default == REQUIRED;
    let (value, default) = match entry.only_default() {
        Some(value) => (format!(" = {}", as_toml(value)), String::new()),
        None if is_required => (format!("  ({REQUIRED})"), String::new()),
        None => (String::new(), format!(" Default: {}.", plain(&entry.default_words()))),
    };
    let mut text = format!("  {}{value}{kinds}\n", entry.key.name);
    let meaning = sentence(&plain(entry.key.meaning));
    let allowed = plain(&entry.allowed());
    let allowed = if allowed.is_empty() { allowed } else { format!(" Allowed: {allowed}.") };
    text += &indented(&format!("{meaning}{allowed}{default}"), 6, width);
    text
}

/// A key, with its examples. Several entries are its meanings for several kinds.
pub(super) fn key(kinds: &Kinds, entries: &[&KeyEntry], width: usize) -> String {
    let width = width.min(WIDEST);
    let mut text = String::new();
    for (at, entry) in entries.iter().enumerate() {
        let separator = if at > 0 { "\n" } else { "" };
        text += &format!("{separator}{}{}\n\n", entry.dotted(), of_kinds(entry));
        text += &indented(&sentence(&plain(entry.key.meaning)), 2, width);
        text.push('\n');
        text += &row("Type", &entry.key.value.to_string(), width);
        let schemas = keys::kinds_of(kinds, entry.section);
        if entry.key.name == "kind" && !schemas.is_empty() {
            text += "  Allowed\n";
            for schema in schemas {
                text += &row(&format!("  {}", schema.name), schema.about(), width);
            }
        } else if !entry.allowed().is_empty() {
            text += &row("Allowed", &plain(&entry.allowed()), width);
        }
        let default = plain(&entry.default_words());
        text += &row(
            "Default",
            if default == REQUIRED { "none: it must be set" } else { &default },
            width,
        );
        text += &row("May change", changes(entry), width);
    }
    if let Some(entry) = entries.first() {
        text += &examples(entry);
    }
    text
}

/// When a key may change, in words.
fn changes(entry: &KeyEntry) -> &'static str {
    match entry.changes() {
        Changes::Live => "while the run is in progress, and on resume",
        Changes::OnResume => "on resume",
        Changes::Never => "only in a new run",
    }
}

fn examples(entry: &KeyEntry) -> String {
    let (dotted, section, name) = (entry.dotted(), entry.section, entry.key.name);
    let example = entry.example();
    // A bare word needs no quotes.
    let set = shell_word(&format!("{dotted}={}", example.trim_matches('"')));
    let program = program_name();
    let mut text = format!("\nExamples:\n  [{section}]\n  {name} = {example}\n\n");
    text += &format!("  {program} train CONFIG --set {set}\n");
    let changes = entry.changes();
    if changes != Changes::Never {
        text += &format!("  {program} resume RUN --set {set}\n");
    }
    if changes == Changes::Live {
        text += &format!("  {program} ctl RUN set {set}\n");
    }
    text
}

fn row(name: &str, text: &str, width: usize) -> String {
    const NAME: usize = 18;
    let lines = wrap(text, width.saturating_sub(NAME + 2).max(20));
    let mut rows = String::new();
    for (at, line) in lines.iter().enumerate() {
        let name = if at == 0 { name } else { "" };
        rows += &format!("  {name:<NAME$}{line}\n");
    }
    if lines.is_empty() { format!("  {name}\n") } else { rows }
}

/// A line that fits into the width.
fn shortened(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let kept: String = line.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}
