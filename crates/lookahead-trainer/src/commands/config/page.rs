//! The texts of `lookahead config`.

use lookahead_run::program_name;

use super::Choice;
use crate::commands::prose::{first_part, indented, plain, sentence, wrap};
use crate::config::key::REQUIRED;
use crate::config::keys::{Changes, KeyEntry, SectionKeys, as_toml, shown};
use crate::config::kinds::Kinds;
use crate::config::lookahead;
use crate::config::mutable_keys::PRESET;
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

/// A name that a key can have: a kind with the keys of its own, a preset with what it sets, or a mere value with its
/// key.
pub(super) fn choice(kinds: &Kinds, choice: Choice<'_>, width: usize) -> String {
    let width = width.min(WIDEST);
    let (dotted, name) = (choice.entry.dotted(), choice.name);
    let about = plain(choice.entry.about_choice(kinds, name));
    let about = if about.is_empty() { String::new() } else { format!(": {about}") };
    let mut text = indented(&format!("{dotted} = \"{name}\"{about}."), 0, width);
    text.push('\n');
    if dotted == PRESET {
        text += "It sets these keys, which the config's own override:\n";
        text += &indented_lines(&lookahead::config_of_preset(name).to_string());
    } else if choice.is_kind() {
        text += &own_and_shared(kinds, choice, width);
        return text;
    }
    text + &format!("\n`{} config {dotted}` explains the key.\n", program_name())
}

fn own_and_shared(kinds: &Kinds, choice: Choice<'_>, width: usize) -> String {
    let mut text = String::new();
    let (mut own, shared) = choice.keys(kinds);
    own.sort_by_key(|entry| entry.key.default != REQUIRED);
    if own.is_empty() {
        text += "It has no keys of its own.\n";
    }
    for entry in own {
        text += &brief(entry, "", width);
    }
    let shared = shared.iter().map(|entry| format!("`{}`", entry.key.name));
    let shared = shared.collect::<Vec<_>>().join(", ");
    text += "\n";
    text += &indented(&format!("Keys that it shares with all others: {shared}."), 0, width);
    if choice.section.name == "data" {
        text += &format!("`{} init {}` writes a config for it.\n", program_name(), choice.name);
    }
    text
}

fn indented_lines(text: &str) -> String {
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") };
    text.lines().map(line).collect()
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

/// The keys of a parameter group that are not a kind's.
pub(super) fn group(group: &SectionKeys, width: usize) -> String {
    let width = width.min(WIDEST);
    let own = group.keys.iter().filter(|entry| entry.kinds.is_empty());
    let keys: String = own.map(|entry| brief(entry, "", width)).collect();
    format!("\nThe keys of a group, besides those of its kind\n{keys}")
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
        let is_explained = |name: &&str| !entry.about_choice(kinds, name).is_empty();
        if entry.choices.iter().any(is_explained) {
            text += "  Allowed\n";
            for name in &entry.choices {
                text += &row(&format!("  {name}"), &plain(entry.about_choice(kinds, name)), width);
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
