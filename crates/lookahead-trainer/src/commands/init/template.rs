//! A config with a comment for each key.

use lookahead_run::program_name;
use toml::{Table, Value};

use crate::commands::prose::{plain, sentence, wrap_after};
use crate::config::Config;
use crate::config::key::{REQUIRED, ValueType};
use crate::config::keys::{self, KeyEntry, SectionKeys};
use crate::config::kinds::{Kinds, Schema};

/// Where comments begin.
const COMMENT: usize = 26;
/// The end of the lines.
const WIDTH: usize = 116;

/// The sections that matter first.
const FIRST: [&str; 6] = ["data", "model", "optimizer", "lookahead", "schedule", "train"];

/// Keys that are written even if they have their defaults.
const BASIC: [&str; 9] = [
    "data.batch_size",
    "model.kind",
    "optimizer.kind",
    "optimizer.lr",
    "lookahead.k",
    "lookahead.alpha",
    "schedule.kind",
    "train.epochs",
    "train.seed",
];

/// The config of `values`, with all other keys of its kinds in comments, as they are in `filled`, the config with its
/// defaults. `train` is the command that uses it.
pub(super) fn write(
    kinds: &Kinds,
    data: &Schema,
    values: &Table,
    filled: &Table,
    train: &str,
) -> String {
    let about = match data.about() {
        "" => format!("The data {}", data.name),
        about => about.to_owned(),
    };
    let mut text = format!("#:schema ./{}.schema.json\n\n# {}\n", program_name(), sentence(&about));
    text += "#\n# A key in a comment has its default, or an example if its default is in words.\n";
    text += &format!(
        "# `{} config KEY` explains a key, and `--set KEY=VALUE` changes one on the command line.\n#\n",
        program_name()
    );
    text += &format!("#     {train}\n");
    let mut sections = keys::sections(kinds);
    sections.sort_by_key(|section| {
        FIRST.iter().position(|name| *name == section.name).unwrap_or(FIRST.len())
    });
    for section in sections {
        text.push('\n');
        let of = |config: &'_ Table| config.get(section.name).and_then(Value::as_table).cloned();
        text += &in_section(kinds, &section, of(values).as_ref(), of(filled).as_ref());
    }
    text
}

fn in_section(
    kinds: &Kinds,
    section: &SectionKeys,
    given: Option<&Table>,
    filled: Option<&Table>,
) -> String {
    let kind = kind_of(section.name, given);
    // Without `[lookahead]` the inner optimizer trains alone; all other sections have their defaults.
    let is_absent = section.name == "lookahead" && given.is_none();
    let off = if is_absent { "# " } else { "" };
    let text = commented(&format!("{off}[{}]", section.name), section.about);
    let (mut set, mut unset) = (String::new(), String::new());
    let mut entries: Vec<&KeyEntry> =
        section.keys.iter().filter(|entry| belongs(entry, &kind)).collect();
    entries.sort_by_key(|entry| (entry.key.name != "kind", entry.key.default != REQUIRED));
    for entry in entries {
        let own = given.and_then(|given| given.get(entry.key.name));
        let is_basic = BASIC.contains(&entry.dotted().as_str());
        let is_set = own.is_some() || (is_basic && !is_absent);
        // A default may depend on other keys.
        let filled = filled.and_then(|filled| filled.get(entry.key.name));
        let is_known = own.is_none() && entry.key.value != ValueType::Path;
        let default = filled.filter(|_| is_known).or_else(|| entry.default_of(&kind));
        let value = own.or(default).map_or_else(|| entry.example(), keys::as_toml);
        let has_default = default.is_some() && own.or(default) == default;
        let schema = keys::kinds_of(kinds, section.name).iter().find(|schema| schema.name == kind);
        let comment = match schema.filter(|_| entry.key.name == "kind") {
            Some(schema) => about_kind(entry, schema),
            None => comment(entry, &kind, has_default),
        };
        let line = format!("{} = {value}", entry.key.name);
        if is_set {
            set += &commented(&line, &comment);
        } else {
            unset += &commented(&format!("# {line}"), &comment);
        }
    }
    text + &set + &unset
}

/// What a kind is, and which others there are.
fn about_kind(entry: &KeyEntry, schema: &Schema) -> String {
    let about = if schema.about().is_empty() { entry.key.meaning } else { schema.about() };
    match entry.section {
        // The file is about one kind of data.
        "data" => about.to_owned(),
        _ => format!("{about} [{}]", entry.allowed()),
    }
}

/// The kind of a section, by default that of an empty config.
fn kind_of(section: &str, given: Option<&Table>) -> String {
    let given = given.and_then(|given| given.get("kind")).and_then(Value::as_str);
    let config = Config::default();
    let default = match section {
        "data" => config.data.kind,
        "model" => config.model.kind,
        "optimizer" => config.optimizer.kind,
        _ => String::new(),
    };
    given.map_or(default, str::to_owned)
}

/// Whether a key is in the file: those of other data, models and optimizers are not.
fn belongs(entry: &KeyEntry, kind: &str) -> bool {
    entry.is_of(kind) || !entry.key.kinds.is_empty()
}

/// What a key does, what is allowed, and the default unless it is the value in the file.
fn comment(entry: &KeyEntry, kind: &str, has_default: bool) -> String {
    let of = if entry.key.kinds.is_empty() {
        String::new()
    } else {
        format!("{}: ", entry.key.kinds.join(", "))
    };
    let mut limits = Vec::new();
    if !entry.allowed().is_empty() {
        limits.push(entry.allowed());
    }
    if entry.key.default == REQUIRED {
        limits.push(REQUIRED.to_owned());
    } else if !has_default {
        limits.push(format!("default {}", entry.default_words_of(kind)));
    }
    let limits =
        if limits.is_empty() { String::new() } else { format!(" [{}]", limits.join("; ")) };
    plain(&format!("{of}{}{limits}", entry.key.meaning))
}

/// A line, and beside it a comment of as many lines as it needs.
fn commented(line: &str, comment: &str) -> String {
    let gap = COMMENT - 1;
    // A long line leaves less room for the start of the comment.
    let missing = line.chars().count().saturating_sub(gap);
    let mut text = String::new();
    for (at, part) in wrap_after(comment, missing, WIDTH - COMMENT - 2).iter().enumerate() {
        let line = if at == 0 { line } else { "" };
        text += &format!("{line:<gap$} # {part}\n");
    }
    if text.is_empty() { format!("{line}\n") } else { text }
}
