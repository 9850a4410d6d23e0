//! A training, described by a TOML file.
//!
//! Each section is a file here: plain data, and checks that need nothing but data. Serde refuses unknown
//! keys and wrong types, each section's `resolve` or `check` refuses values out of range, and both errors
//! carry the file's line, or the `--set` that brought the value.
//!
//! | module | what is in it |
//! |---|---|
//! | [`data`], [`model`], [`kinds`] | what is learned by what; each kind has a type of its own |
//! | [`train`], [`optimizer`], `lookahead`, [`schedule`] | how long, from which seed, where; with what |
//! | [`averaging`], [`probe`], [`checkpoint`], [`distributed`] | what happens on the way |
//! | [`mutable_keys`] | which keys may change in a run |
//! | [`check`] | the error of a value, and checks that sections share |

pub mod averaging;
pub mod check;
pub mod checkpoint;
pub mod data;
pub mod distributed;
pub mod kinds;
mod lookahead;
pub mod model;
pub mod mutable_keys;
pub mod optimizer;
pub mod probe;
pub mod schedule;
pub mod train;

use std::fmt;
use std::path::Path;

use lookahead_core::{LookaheadConfig, NonFinite};
use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use crate::file_kind;

use averaging::AveragingConfig;
use check::sentence;
use checkpoint::CheckpointConfig;
use data::DataConfig;
use distributed::DistributedConfig;
use kinds::Kinds;
use model::ModelConfig;
use optimizer::OptimizerConfig;
use probe::ProbeConfig;
use schedule::ScheduleConfig;
use train::TrainConfig;

pub use check::ConfigIssue;

/// A whole configuration. Every key has a default; `configs/` documents them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which data, in which batches.
    pub data: DataConfig,
    /// Which model.
    pub model: ModelConfig,
    /// The inner optimizer.
    pub optimizer: OptimizerConfig,
    /// Lookahead around it; absent, the inner optimizer trains alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookahead: Option<LookaheadConfig>,
    /// A mean of θ as the final model, without Lookahead.
    pub averaging: AveragingConfig,
    /// The learning rate over time.
    pub schedule: ScheduleConfig,
    /// How long, from which seed, where.
    pub train: TrainConfig,
    /// The two curves around a sync.
    pub probe: ProbeConfig,
    /// When to save.
    pub checkpoint: CheckpointConfig,
    /// The same run in several processes.
    pub distributed: DistributedConfig,
}

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    place: String,
    message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl ConfigError {
    /// Where it is: a file, with its line where that is known, or a `--set`.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What is wrong, in full sentences, without where.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// One `--set KEY=VALUE`.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    /// The dotted key.
    pub key: String,
    /// The value: what TOML reads in it, or else a string.
    pub value: toml::Value,
    /// The value as it was typed, where it was: `2024` and `true` may be names of files.
    pub typed: Option<String>,
}

impl Override {
    /// A value that was not typed, so that its type is known.
    pub fn of_value(key: impl Into<String>, value: toml::Value) -> Self {
        Override { key: key.into(), value, typed: None }
    }
}

impl std::str::FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            format!("`{text}` is no KEY=VALUE: write for example `--set lookahead.k=10`.")
        })?;
        let key = key.trim();
        if key.is_empty() || key.split('.').any(str::is_empty) {
            return Err(format!("`{key}` is no dotted key such as `optimizer.lr`."));
        }
        // A bare word such as `adam` or `cuda:0` is a string without quotes.
        let typed = value.trim();
        let value = toml::from_str::<toml::Table>(&format!("value = {value}"))
            .ok()
            .and_then(|mut table| table.remove("value"))
            .or_else(|| number(typed).map(toml::Value::Float))
            .unwrap_or_else(|| toml::Value::String(typed.to_owned()));
        Ok(Override { key: key.to_owned(), value, typed: Some(typed.to_owned()) })
    }
}

/// A number that TOML does not read, such as `.5` or `5.`.
fn number(text: &str) -> Option<f64> {
    let is_plain = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    let is_one = text.contains('.') && text.chars().all(is_plain);
    text.parse().ok().filter(|_| is_one)
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--set {}={}", self.key, self.value)
    }
}

/// A configuration and what its reader should be told of it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Every default filled in.
    pub config: Config,
    /// Sentences for stderr, such as keys that a `--set` made meaningless.
    pub notes: Vec<String>,
}

impl Config {
    /// Reads a file, applies the overrides in their order, fills in all defaults and checks all
    /// values.
    ///
    /// # Errors
    /// A [`ConfigError`] for the first fault.
    pub fn load_with(
        kinds: &Kinds,
        path: &Path,
        overrides: &[Override],
    ) -> Result<Loaded, ConfigError> {
        let place = path.display().to_string();
        let text = lookahead_run::folder::read_given_config(path).map_err(|error| ConfigError {
            place: place.clone(),
            message: format!("The config can't be read. {error} The project's are in `configs/`."),
        })?;
        if let Some(sentence) = file_kind::stand_in(text.as_bytes()) {
            return Err(ConfigError { place, message: sentence.to_owned() });
        }
        Config::parse_with(kinds, &place, &text, overrides)
    }

    /// As [`load_with`](Self::load_with), of a text from `place`.
    ///
    /// # Errors
    /// As [`load_with`](Self::load_with).
    pub fn parse_with(
        kinds: &Kinds,
        place: &str,
        text: &str,
        overrides: &[Override],
    ) -> Result<Loaded, ConfigError> {
        let in_file = |error: toml::de::Error| ConfigError {
            place: located(place, text, error.span()),
            message: sentence(&error),
        };
        let mut table: toml::Table = toml::from_str(text).map_err(in_file)?;
        // Reading the text itself, not the table, gives errors their lines.
        let in_text = |issue: ConfigIssue| ConfigError {
            place: located(place, text, span_of(text, &issue.key)),
            message: issue.message,
        };
        let read: Config = toml::from_str(text).map_err(in_file)?;
        read.check_types(kinds).map_err(in_text)?;

        let mut notes = Vec::new();
        for set in overrides {
            let before = table.clone();
            apply(kinds, &mut table, set, &mut notes).map_err(|message| in_set(set, message))?;
            let Err(message) = typed(kinds, table.clone()) else { continue };
            // What looks like a number may be the name that the key wants.
            let as_name = set
                .typed
                .clone()
                .map(|text| Override { value: toml::Value::String(text), ..set.clone() });
            table = as_name
                .and_then(|set| {
                    let mut table = before;
                    apply(kinds, &mut table, &set, &mut notes).ok()?;
                    typed(kinds, table.clone()).is_ok().then_some(table)
                })
                .ok_or_else(|| in_set(set, message))?;
        }
        let mut config: Config = table.try_into().map_err(|error: toml::de::Error| {
            ConfigError { place: place.to_owned(), message: sentence(&error) }
        })?;
        config.resolve(kinds).map_err(|issue| {
            match overrides.iter().rev().find(|set| set.key == issue.key) {
                Some(set) => in_set(set, issue.message),
                None => in_text(issue),
            }
        })?;
        Ok(Loaded { config, notes })
    }

    fn check_types(&self, kinds: &Kinds) -> Result<(), ConfigIssue> {
        self.data.check_types(kinds)?;
        self.model.check_types(kinds)
    }

    /// Fills in the defaults that depend on other keys, and checks every value.
    fn resolve(&mut self, kinds: &Kinds) -> Result<(), ConfigIssue> {
        let task = self.data.resolve(kinds)?;
        self.model.resolve(kinds, task, self.data.kind.name())?;
        self.optimizer.resolve()?;
        if let Some(config) = &self.lookahead {
            lookahead::check(config, &self.optimizer)?;
        }
        self.averaging.resolve(self.lookahead.is_some())?;
        self.schedule.resolve(self.optimizer.lr)?;
        self.train.resolve(task)?;
        let k = self.lookahead.as_ref().map_or(LookaheadConfig::default().k, |own| own.k);
        self.probe.resolve(self.data.validation(), self.data.batch_size, k)?;
        self.checkpoint.check()?;
        self.distributed.check(self.lookahead.as_ref())?;
        self.check_reading()?;
        self.check_best()
    }

    /// Whether a step can be taken before the loss of the one before is known.
    pub fn losses_may_wait(&self) -> bool {
        self.lookahead.as_ref().is_none_or(|lookahead| lookahead.non_finite == NonFinite::Error)
    }

    /// A policy that drops steps by their loss has to know it.
    fn check_reading(&self) -> Result<(), ConfigIssue> {
        let every = self.train.read_loss_every;
        if every <= 1 || self.losses_may_wait() {
            return Ok(());
        }
        Err(ConfigIssue::new(
            "train.read_loss_every",
            format!(
                "`train.read_loss_every` is {every}, and `lookahead.non_finite` is not error: what \
                 drops a step by its loss must know that in the step. Set `train.read_loss_every` to 1, \
                 or take it out."
            ),
        ))
    }

    /// Who wants the best on validation data needs some, and evaluations on it.
    fn check_best(&self) -> Result<(), ConfigIssue> {
        let evaluates = self.data.validation() > 0 && self.train.evaluate_every_epochs > 0;
        let wants = [
            ("train.patience", self.train.patience > 0),
            ("checkpoint.keep_best", self.checkpoint.keep_best),
        ];
        match wants.into_iter().find(|(_, wanted)| *wanted && !evaluates) {
            Some((key, _)) => Err(ConfigIssue::new(
                key,
                format!(
                    "`{key}` needs evaluations on validation data: set `data.validation` and \
                     `train.evaluate_every_epochs` above 0, or take it out."
                ),
            )),
            None => Ok(()),
        }
    }

    /// Whether the best checkpoint on validation data is saved and kept: where that is asked for, and
    /// where the run may stop early, since its result is the best model then.
    pub fn keeps_best(&self) -> bool {
        self.checkpoint.keep_best || self.train.patience > 0
    }

    /// The configuration as TOML, every default written out.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a config holds only what TOML can say")
    }

    /// The configuration as JSON, for the event log.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a config holds only what JSON can say")
    }
}

/// Whether all values are of the types of their keys; a sentence, if not.
fn typed(kinds: &Kinds, table: toml::Table) -> Result<(), String> {
    let config: Config = table.try_into().map_err(|error| sentence(&error))?;
    config.check_types(kinds).map_err(|issue| issue.message)
}

fn in_set(set: &Override, message: String) -> ConfigError {
    ConfigError { place: set.to_string(), message }
}

fn located(place: &str, text: &str, span: Option<std::ops::Range<usize>>) -> String {
    match span.and_then(|span| text.get(..span.start)) {
        Some(before) => format!("{place}, line {}", before.matches('\n').count() + 1),
        None => place.to_owned(),
    }
}

/// Where a dotted key's value stands in a text, if it does.
fn span_of(text: &str, key: &str) -> Option<std::ops::Range<usize>> {
    let root = DeTable::parse(text).ok()?;
    let mut table = root.get_ref();
    let mut parts = key.split('.').peekable();
    while let Some(part) = parts.next() {
        let (_, value) = table.iter().find(|(name, _)| name.get_ref() == part)?;
        if parts.peek().is_none() {
            return Some(value.span());
        }
        table = value.get_ref().as_table()?;
    }
    None
}

/// Sets one key of a configuration that is still a table.
fn apply(
    kinds: &Kinds,
    table: &mut toml::Table,
    set: &Override,
    notes: &mut Vec<String>,
) -> Result<(), String> {
    let (section, key) = match set.key.split_once('.') {
        Some(parts) => parts,
        None if set.value == toml::Value::Boolean(false) && set.key == "lookahead" => {
            table.remove("lookahead");
            return Ok(());
        }
        None => {
            return Err(format!(
                "`{}` is a section, not a key: set one of its keys, such as `{}.KEY=VALUE`. \
                 (`lookahead=false` takes the section out: then the inner optimizer trains alone.)",
                set.key, set.key
            ));
        }
    };
    let entry = table
        .entry(section)
        .or_insert_with(|| toml::Value::Table(toml::Table::new()))
        .as_table_mut()
        .ok_or_else(|| format!("`{section}` is no section of the config."))?;
    if set.key == "train.max_steps" && set.value == toml::Value::Boolean(false) {
        entry.remove(key);
        return Ok(());
    }
    let changed =
        entry.insert(key.to_owned(), set.value.clone()).is_none_or(|old| old != set.value);
    if key == "kind" && changed {
        drop_foreign_keys(kinds, section, entry, notes);
    }
    Ok(())
}

/// Another kind of optimizer has other keys. Those of the old kind would be refused, and a
/// comparison of kinds on one config could not be made.
fn drop_foreign_keys(
    kinds: &Kinds,
    section: &str,
    entry: &mut toml::Table,
    notes: &mut Vec<String>,
) {
    let Some(kind) = entry.get("kind").and_then(toml::Value::as_str).map(str::to_owned) else {
        return;
    };
    let keys: Vec<String> = entry.keys().cloned().collect();
    for key in keys {
        let is_foreign = match section {
            "data" => data::with_section(kinds, |section| section.is_foreign(&kind, &key)),
            "model" => model::with_section(kinds, |section| section.is_foreign(&kind, &key)),
            "optimizer" => optimizer::is_foreign(&kind, &key),
            "averaging" => averaging::is_foreign(&kind, &key),
            "schedule" => schedule::is_foreign(&kind, &key),
            _ => false,
        };
        if is_foreign {
            entry.remove(&key);
            notes.push(format!("`{section}.{key}` does not belong to {kind} and was dropped."));
        }
    }
}
