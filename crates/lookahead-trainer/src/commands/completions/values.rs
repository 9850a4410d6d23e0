//! The completions that only this program knows: runs, configs, keys and their values.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use clap::Command;
use clap_complete::CompletionCandidate as Candidate;
use clap_complete::engine::{ArgValueCompleter, PathCompleter, ValueCompleter};
use lookahead_run::CheckpointStore;

use crate::commands::find;
use crate::commands::prose::{first_part, plain};
use crate::config::key::ValueType;
use crate::config::keys::{self, Changes, KeyEntry, SectionKeys, as_toml};
use crate::config::kinds::Kinds;
use crate::config::mutable_keys::PRESET;

/// A word, and what it means in a phrase, which may be empty.
type Word = (String, String);

/// The command line with all of them. `words` are those typed, of which one may name the run that others are about.
pub(super) fn with_values(command: Command, kinds: &Kinds, words: &[OsString]) -> Command {
    let sections = Arc::new(keys::sections(kinds));
    let setting = |is_offered: fn(&KeyEntry) -> bool| {
        let sections = Arc::clone(&sections);
        move |word: &OsStr| settings(&sections, is_offered, word)
    };
    let data: Vec<Word> =
        kinds.data.iter().map(|kind| (kind.name.to_owned(), kind.about().to_owned())).collect();
    let mut names: Vec<Word> =
        keys_of(&sections).map(|entry| (entry.dotted(), about(entry))).collect();
    names.dedup_by(|one, other| one.0 == other.0);
    let mut topics = names.clone();
    topics.extend(sections.iter().map(|own| (own.name.to_owned(), own.about.to_owned())));
    let mut bare: Vec<Word> = Vec::new();
    for entry in keys_of(&sections).filter(|own| own.key.name == "kind" || own.dotted() == PRESET) {
        let dotted = |name: &str| format!("{}.{name}", entry.section);
        let about = |name: &str| entry.about_choice(kinds, name).to_owned();
        topics.extend(entry.choices.iter().map(|name| (dotted(name), about(name))));
        bare.extend(entry.choices.iter().map(|name| ((*name).to_owned(), about(name))));
    }
    // A name of two sections needs its section.
    let is_of_one = |(name, _): &Word| bare.iter().filter(|(other, _)| name == other).count() == 1;
    topics.extend(bare.iter().filter(|word| is_of_one(word)).cloned());
    let metrics = kinds.metrics.iter().map(|metric| metric.name);
    let metrics: Vec<Word> = ["loss"].into_iter().chain(metrics).map(plain_word).collect();

    let mut command = command;
    for (name, argument) in [
        ("resume", "run"),
        ("eval", "run"),
        ("predict", "run"),
        ("generate", "run"),
        ("ctl", "run"),
        ("watch", "runs"),
        ("plot", "runs"),
        ("inspect", "path"),
        ("export", "runs"),
        ("compare", "paths"),
        ("list", "folders"),
    ] {
        command = with(command, name, argument, runs);
    }
    for name in ["resume", "eval", "predict", "generate", "export"] {
        // The folder is read only if the option is asked for.
        let words = words.to_vec();
        let from =
            move |word: &OsStr| among(steps(&words).into_iter().chain([plain_word("best")]), word);
        command = with(command, name, "from", from);
    }
    for name in ["train", "init"] {
        command = with(command, name, "overrides", setting(|_| true));
    }
    let on_resume = setting(|entry| entry.changes() != Changes::Never);
    command = with(command, "resume", "overrides", on_resume);
    command = with(command, "train", "config", |word: &OsStr| files("configs", word));
    command = with(command, "sweep", "file", |word: &OsStr| files("configs/sweeps", word));
    for (name, argument, words) in [
        ("init", "kind", data),
        ("config", "key", topics),
        ("compare", "by", names),
        ("compare", "metric", metrics),
    ] {
        command = with(command, name, argument, move |word: &OsStr| among(words.clone(), word));
    }
    let live = setting(|entry| entry.changes() == Changes::Live);
    command.mut_subcommand("ctl", |ctl| with(ctl, "set", "setting", live))
}

fn with(
    command: Command,
    name: &str,
    argument: &str,
    values: impl ValueCompleter + 'static,
) -> Command {
    command.mut_subcommand(name, |command| {
        command.mut_arg(argument, |argument| argument.add(ArgValueCompleter::new(values)))
    })
}

/// Those that begin with the word, each once.
fn among(all: impl IntoIterator<Item = Word>, word: &OsStr) -> Vec<Candidate> {
    let Some(word) = word.to_str() else { return Vec::new() };
    let mut seen = HashSet::new();
    let fits = |(text, _): &Word| text.starts_with(word) && seen.insert(text.clone());
    let candidate = |(text, about): Word| {
        Candidate::new(text).help((!about.is_empty()).then(|| plain(&about).into()))
    };
    all.into_iter().filter(fits).map(candidate).collect()
}

fn plain_word(text: &str) -> Word {
    (text.to_owned(), String::new())
}

fn about(entry: &KeyEntry) -> String {
    first_part(entry.key.meaning).to_owned()
}

/// The name of a file or folder, or of it without `.toml`.
fn name(name: Option<&OsStr>) -> Option<Word> {
    name.and_then(OsStr::to_str).map(plain_word)
}

/// Runs and sweeps by their names, and folders.
fn runs(word: &OsStr) -> Vec<Candidate> {
    let mut found = find::runs_and_sweeps(Path::new(find::RUNS));
    // The latest first.
    found.sort_by_key(|path| std::cmp::Reverse(find::written(path)));
    let names = found.iter().filter_map(|path| name(path.file_name()));
    let mut found = among(names, word);
    found.extend(PathCompleter::dir().complete(word));
    found
}

/// The steps of the run's checkpoints, the latest first. The run is the first that is named, or else the latest.
fn steps(words: &[OsString]) -> Vec<Word> {
    // The program and its command come first.
    let mut named = words.iter().skip(2).map(Path::new);
    let is_run =
        |word: &&Path| find::is_run(word) || find::is_run(&Path::new(find::RUNS).join(word));
    let Ok(run) = find::run(named.find(is_run)) else { return Vec::new() };
    let checkpoints = CheckpointStore::new(&run).list().unwrap_or_default();
    checkpoints.iter().rev().map(|found| plain_word(&found.step.to_string())).collect()
}

/// TOML files, and the names of those in a folder of the project.
fn files(folder: &str, word: &OsStr) -> Vec<Candidate> {
    let is_toml = |path: &Path| path.extension().is_some_and(|extension| extension == "toml");
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let names = entries.filter(|path| is_toml(path)).filter_map(|path| name(path.file_stem()));
    let mut names: Vec<Word> = names.collect();
    names.sort();
    let mut found = among(names, word);
    found.extend(PathCompleter::file().filter(move |path| is_toml(path)).complete(word));
    found
}

fn keys_of(sections: &[SectionKeys]) -> impl Iterator<Item = &KeyEntry> {
    sections.iter().flat_map(|section| &section.keys)
}

/// `KEY=VALUE`: the keys, or the values of one.
fn settings(
    sections: &[SectionKeys],
    is_offered: fn(&KeyEntry) -> bool,
    word: &OsStr,
) -> Vec<Candidate> {
    let Some(text) = word.to_str() else { return Vec::new() };
    let offered = keys_of(sections).filter(|entry| is_offered(entry));
    match text.split_once('=') {
        None => among(offered.map(|entry| (format!("{}=", entry.dotted()), about(entry))), word),
        Some((key, _)) => {
            let values = offered.filter(|entry| entry.dotted() == key).flat_map(values);
            among(values.map(|value| plain_word(&format!("{key}={value}"))), word)
        }
    }
}

/// Values of a key that can be typed: its choices, its defaults and its example, lists without spaces.
fn values(entry: &KeyEntry) -> Vec<String> {
    let mut values: Vec<String> = entry.choices.iter().map(|&choice| choice.to_owned()).collect();
    if entry.key.value == ValueType::Switch {
        values.extend(["true", "false"].map(str::to_owned));
    }
    if values.is_empty() {
        values.extend(entry.defaults.iter().filter_map(|own| own.value.as_ref().map(as_toml)));
        values.extend((!entry.key.example.is_empty()).then(|| entry.key.example.to_owned()));
    }
    // A word in quotes is typed without them.
    let bare = |value: String| match value.strip_prefix('"').and_then(|text| text.strip_suffix('"'))
    {
        Some(text) => text.to_owned(),
        None => value,
    };
    let typed = values.into_iter().map(bare);
    typed.filter(|value| !value.contains([' ', '"', '{', '\\', '\t'])).collect()
}
