//! A training, described by a TOML file.
//!
//! Each section is a file here: plain data, and checks that need nothing but data. Serde refuses unknown
//! keys and wrong types, and each section's `resolve` or `check` refuses values out of range. Both errors
//! carry the line in the file, or the `--set` that brought the value.
//!
//! | module | what is in it |
//! |---|---|
//! | [`data`], [`model`], [`task`] | the task |
//! | [`train`], [`optimizer`], `lookahead`, [`schedule`] | how long, from which seed, on which device; with which optimizer |
//! | [`groups`] | parameter groups with options of their own |
//! | [`kinds`] | each kind of data, model and optimizer has a type for its keys |
//! | [`averaging`], [`probe`], [`checkpoint`], [`log`], [`watchdog`], [`alert`], [`distributed`] | what happens during the training |
//! | [`overrides`] | `--set KEY=VALUE` |
//! | [`mutable_keys`] | which keys may change during a run |
//! | [`key`], [`keys`], [`bounds`] | what each key does, and what is allowed: the texts of help, messages and documentation |
//! | [`issue`] | the error of a value, and checks that sections share |

pub mod alert;
pub mod averaging;
pub mod bounds;
pub mod checkpoint;
pub mod data;
pub mod distributed;
mod faults;
pub mod groups;
pub(crate) mod guess;
pub mod issue;
pub mod key;
pub mod keys;
pub mod kinds;
pub mod log;
pub(crate) mod lookahead;
pub mod model;
pub mod mutable_keys;
pub mod optimizer;
pub mod overrides;
pub(crate) mod paths;
pub mod probe;
pub mod schedule;
pub mod task;
pub mod train;
pub mod watchdog;

use std::fmt;
use std::ops::Range;
use std::path::Path;

use lookahead_core::{LookaheadConfig, NonFinite};
use lookahead_run::event::Task;
use lookahead_run::folder::read_given_config;
use lookahead_run::toml_fault;
use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use alert::AlertConfig;
use averaging::AveragingConfig;
use checkpoint::CheckpointConfig;
use data::DataConfig;
use distributed::DistributedConfig;
use issue::sentence;
use kinds::Kinds;
use log::LogConfig;
use model::ModelConfig;
use mutable_keys::PRESET;
use optimizer::OptimizerConfig;
use probe::ProbeConfig;
use schedule::ScheduleConfig;
use task::TaskConfig;
use train::TrainConfig;
use watchdog::WatchdogConfig;

use crate::file_kind;
use crate::usage::UsageError;

pub use issue::ConfigIssue;
pub use overrides::Override;

/// A whole configuration. Every key has a default; `configs/` documents them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which data, in which batches.
    pub data: DataConfig,
    /// Which model.
    pub model: ModelConfig,
    /// The loss and the metrics.
    #[serde(skip_serializing_if = "TaskConfig::is_default")]
    pub task: TaskConfig,
    /// The inner optimizer.
    pub optimizer: OptimizerConfig,
    /// Lookahead around it. Without this section, the inner optimizer trains alone.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lookahead::read")]
    pub lookahead: Option<LookaheadConfig>,
    /// A mean of the weights as the final model, without Lookahead.
    pub averaging: AveragingConfig,
    /// The learning rate over time.
    pub schedule: ScheduleConfig,
    /// How long, from which seed, on which device.
    pub train: TrainConfig,
    /// The fast and the slow loss around a sync.
    pub probe: ProbeConfig,
    /// When to save.
    pub checkpoint: CheckpointConfig,
    /// What is written besides the event log.
    #[serde(skip_serializing_if = "LogConfig::is_default")]
    pub log: LogConfig,
    /// What to do about a training that goes wrong.
    #[serde(
        skip_serializing_if = "WatchdogConfig::is_default",
        serialize_with = "without_defaults"
    )]
    pub watchdog: WatchdogConfig,
    /// What is notified when it fails or ends.
    #[serde(skip_serializing_if = "AlertConfig::is_default", serialize_with = "without_defaults")]
    pub alert: AlertConfig,
    /// One run in several processes.
    pub distributed: DistributedConfig,
}

/// Writes only what is not at its default: one key that is set is one difference between two configurations.
fn without_defaults<T, S>(section: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Serialize + Default,
    S: serde::Serializer,
{
    let table = |section: &T| toml::Table::try_from(section).map_err(serde::ser::Error::custom);
    let (mut own, defaults) = (table(section)?, table(&T::default())?);
    own.retain(|key, value| defaults.get(key) != Some(value));
    own.serialize(serializer)
}

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    origin: String,
    message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}

impl ConfigError {
    pub(crate) fn new(origin: impl Into<String>, message: impl Into<String>) -> Self {
        ConfigError { origin: origin.into(), message: message.into() }
    }

    /// The file, with the line if it is known, or the `--set`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What is wrong, in full sentences, without the origin.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// A configuration, and notes for the user.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Every default filled in.
    pub config: Config,
    /// Sentences for stderr, for example about keys that a `--set` dropped.
    pub notes: Vec<String>,
}

impl Config {
    /// As [`parse`](Self::parse), with the text of the file at `path`.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); if the file can't be read.
    pub fn load(kinds: &Kinds, path: &Path, overrides: &[Override]) -> Result<Loaded, ConfigError> {
        let origin = path.display().to_string();
        if path.is_dir() {
            let message = "It is a folder, and a config is a TOML file in one.";
            return Err(ConfigError::new(&origin, message));
        }
        let text = read_given_config(path).map_err(|error| {
            format!("The config can't be read. {error} The project's are in `configs/`.")
        });
        let text = text.and_then(|text| match file_kind::stand_in(text.as_bytes()) {
            Some(sentence) => Err(sentence.to_owned()),
            None => Ok(text),
        });
        let text = text.map_err(|message| {
            let other = file_kind::instead_of_config(path);
            ConfigError::new(&origin, other.unwrap_or(message))
        })?;
        Config::parse(kinds, &origin, &text, overrides).map_err(|error| {
            let other = file_kind::is_table(&text)
                .then(|| file_kind::not_a_config(path, "a table of data", "csv"));
            other.map_or(error, |sentence| ConfigError::new(&origin, sentence))
        })
    }

    /// Reads a text from `origin`, applies the overrides in their order, fills in all defaults and checks all
    /// values.
    ///
    /// # Errors
    /// A [`ConfigError`] for the first fault.
    pub fn parse(
        kinds: &Kinds,
        origin: &str,
        text: &str,
        overrides: &[Override],
    ) -> Result<Loaded, ConfigError> {
        let mut table: toml::Table = toml::from_str(text).map_err(|error: toml::de::Error| {
            let at = error.span().map_or(text.len(), |span| span.start);
            let message = toml_fault::describe(text, at, error.message());
            ConfigError::new(located(origin, text, Some(at..at)), message)
        })?;
        // Reading the text itself, not the table, gives errors their lines.
        let in_text = |issue: ConfigIssue| {
            ConfigError::new(located(origin, text, span_of(text, &issue.key)), issue.message)
        };
        // The fault that comes first in the text.
        let first = || {
            let place = |issue: &ConfigIssue| span_of(text, &issue.key).map(|span| span.start);
            faults::find(kinds, &table).into_iter().min_by_key(place).map(in_text)
        };
        let read: Config = toml::from_str(text).map_err(|error: toml::de::Error| {
            let unknown =
                || ConfigError::new(located(origin, text, error.span()), sentence(&error));
            first().unwrap_or_else(unknown)
        })?;
        read.check_types(kinds).map_err(|issue| first().unwrap_or_else(|| in_text(issue)))?;

        let notes = Config::apply(kinds, &mut table, overrides)?;
        let mut config = Config::read_table(kinds, &table)
            .map_err(|message| ConfigError::new(origin, message))?;
        lookahead::check_optimizer(&table).and_then(|()| config.resolve(kinds)).map_err(
            |issue| match overrides.iter().rev().find(|set| has_set(&set.key, &issue.key)) {
                Some(set) => ConfigError::new(set.to_string(), issue.message),
                None => in_text(issue),
            },
        )?;
        Ok(Loaded { config, notes })
    }

    /// Applies the overrides in their order to a configuration that is still a table, and returns notes for the user.
    ///
    /// # Errors
    /// If a key is unknown, or a value isn't of its type.
    pub(crate) fn apply(
        kinds: &Kinds,
        table: &mut toml::Table,
        overrides: &[Override],
    ) -> Result<Vec<String>, ConfigError> {
        let in_set = |set: &Override, message: String| {
            let note = if set.is_broken_list() { " Quote the setting for the shell." } else { "" };
            ConfigError::new(set.to_string(), message + note)
        };
        let find = |wanted: &dyn Fn(&Override) -> bool| overrides.iter().find(|set| wanted(set));
        let is_off =
            |set: &Override| set.key == "lookahead" && set.value == toml::Value::Boolean(false);
        if let (Some(off), Some(preset)) = (find(&is_off), find(&|set| set.key == PRESET)) {
            let message = format!("There is no Lookahead for `{preset}`. Remove one of the two.");
            return Err(in_set(off, message));
        }
        let mut notes = Vec::new();
        // The other settings override a preset, wherever it is.
        let mut overrides = overrides.to_vec();
        overrides.sort_by_key(|set| set.key != PRESET);
        for (number, set) in overrides.iter().enumerate() {
            let before = table.clone();
            set.apply(kinds, table, &mut notes).map_err(|message| in_set(set, message))?;
            let Err(message) = Config::read_table(kinds, table) else { continue };
            // Its kind may be set after it.
            let message = later_kind(set, &overrides[number + 1..], table)
                .and_then(|table| Config::read_table(kinds, &table).err())
                .unwrap_or(message);
            // What looks like a number may be the name that the key wants.
            let as_name = || {
                let set = set.as_string()?;
                let mut table = before;
                set.apply(kinds, &mut table, &mut notes).ok()?;
                Config::read_table(kinds, &table).is_ok().then_some(table)
            };
            *table = as_name().ok_or_else(|| in_set(set, message))?;
        }
        Ok(notes)
    }

    /// Reads a table, in which all values must be of the types of their keys.
    fn read_table(kinds: &Kinds, table: &toml::Table) -> Result<Config, String> {
        let first = || faults::find(kinds, table).into_iter().next().map(|issue| issue.message);
        let mut filled = table.clone();
        lookahead::add_optimizer(&mut filled);
        let config: Config =
            filled.try_into().map_err(|error| first().unwrap_or_else(|| sentence(&error)))?;
        config.check_types(kinds).map_err(|issue| first().unwrap_or(issue.message))?;
        Ok(config)
    }

    /// Refuses keys that no kind has, and values of the wrong type.
    fn check_types(&self, kinds: &Kinds) -> Result<(), ConfigIssue> {
        data::section(kinds).check_types(&self.data.kind, &self.data.options)?;
        model::section(kinds).check_types(&self.model.kind, &self.model.options)?;
        optimizer::section(kinds).check_types(&self.optimizer.kind, &self.optimizer.options)?;
        self.optimizer.groups(kinds).map(drop)
    }

    fn check_bounds(&self) -> Result<(), ConfigIssue> {
        // A number that TOML can't hold is refused by the section's own check.
        keys::check_bounds(&toml::Table::try_from(self).unwrap_or_default())
    }

    /// Fills in the defaults that depend on other keys, and checks every value.
    fn resolve(&mut self, kinds: &Kinds) -> Result<(), ConfigIssue> {
        self.check_bounds()?;
        let task = self.data.resolve(kinds)?;
        self.model.resolve(kinds, task, &self.data.kind)?;
        self.optimizer.resolve(kinds)?;
        if let Some(config) = &self.lookahead {
            lookahead::check(config, &self.optimizer, kinds)?;
        }
        self.optimizer.check_alphas(self.lookahead.as_ref(), kinds)?;
        self.alert.check()?;
        self.averaging.resolve(self.lookahead.as_ref())?;
        schedule::resolve(&mut self.schedule, self.optimizer.lr)?;
        self.task.check(kinds, task)?;
        self.train.resolve(kinds, &self.task, task)?;
        self.distributed.check(self.lookahead.as_ref())?;
        self.averaging.check_processes(self.distributed.mode)?;
        self.watchdog.check(self.lookahead.as_ref())?;
        self.check_loss_reading()?;
        self.resolve_validation()
    }

    /// Fills in the defaults that depend on the size of the validation set, and checks what needs one, if it is
    /// known.
    fn resolve_validation(&mut self) -> Result<(), ConfigIssue> {
        let Some(validation) = self.data.validation else { return Ok(()) };
        let k = self.lookahead.as_ref().map_or(LookaheadConfig::default().k, |own| own.k);
        let samples = self.data.batch_size.saturating_mul(self.train.accumulate);
        self.probe.resolve(validation, samples, k)?;
        self.check_best(validation)
    }

    /// Fills in the defaults of what a training without a config file uses, and checks the ranges.
    pub(crate) fn resolve_loop(&mut self, kinds: &Kinds, task: Task) -> Result<(), UsageError> {
        let mut resolve = || {
            self.check_bounds()?;
            schedule::resolve(&mut self.schedule, self.optimizer.lr)?;
            self.train.resolve(kinds, &self.task, Some(task))
        };
        resolve().map_err(|issue: ConfigIssue| UsageError::new(issue.message))
    }

    /// Fills in the defaults that are known once the data is loaded: what is learned from it, and the number of
    /// samples in the validation set.
    ///
    /// # Errors
    /// If the data lacks what the configuration needs.
    pub(crate) fn settle(
        &mut self,
        kinds: &Kinds,
        task: Task,
        validation: usize,
    ) -> Result<(), UsageError> {
        self.data.validation.get_or_insert(validation);
        let mut resolve = || {
            self.task.check(kinds, Some(task))?;
            self.train.resolve_best_by(kinds, &self.task, Some(task))?;
            self.resolve_validation()
        };
        resolve().map_err(|issue: ConfigIssue| UsageError::new(issue.message))
    }

    /// Whether a step can be taken before the loss of the previous one is known.
    pub fn losses_may_wait(&self) -> bool {
        self.lookahead.as_ref().is_none_or(|lookahead| lookahead.non_finite == NonFinite::Error)
            && self.watchdog.rolling_back().is_none()
    }

    fn check_loss_reading(&self) -> Result<(), ConfigIssue> {
        let every = self.train.read_loss_every;
        if every <= 1 || self.losses_may_wait() {
            return Ok(());
        }
        let policy = match self.watchdog.rolling_back() {
            Some(key) => format!("`{key}` is `roll_back`"),
            None => "`lookahead.non_finite` is not `error`".to_owned(),
        };
        Err(ConfigIssue::new(
            "train.read_loss_every",
            format!(
                "`train.read_loss_every` is {every}, but {policy}: a policy that drops a step by its loss must know the \
                 loss in that step. Set `train.read_loss_every` to 1, or remove it."
            ),
        ))
    }

    fn check_best(&self, validation: usize) -> Result<(), ConfigIssue> {
        if validation > 0 && self.train.evaluate_every_epochs > 0 {
            return Ok(());
        }
        let key = if self.train.patience > 0 {
            "train.patience"
        } else if self.checkpoint.keep_best {
            "checkpoint.keep_best"
        } else {
            return Ok(());
        };
        Err(ConfigIssue::new(
            key,
            format!(
                "`{key}` needs evaluations on validation data. Set `data.validation` and \
                 `train.evaluate_every_epochs` above 0, or remove `{key}`."
            ),
        ))
    }

    /// Whether the best checkpoint on validation data is saved and kept. A run that may stop early keeps it
    /// too, since its result is then the best model.
    pub fn keeps_best(&self) -> bool {
        self.checkpoint.keep_best || self.train.patience > 0
    }

    /// Makes relative paths absolute, so that the run can resume from another working directory.
    ///
    /// # Errors
    /// If a path is empty, or the working directory has no name in UTF-8.
    pub fn anchor(&mut self) -> anyhow::Result<()> {
        paths::anchor("data", &mut self.data.options)?;
        paths::anchor("model", &mut self.model.options)
    }

    /// Takes the paths of another configuration, which are those of this machine.
    pub(crate) fn take_paths(&mut self, other: &Config) {
        paths::take(&mut self.data.options, &other.data.options);
        paths::take(&mut self.model.options, &other.model.options);
    }

    /// The configuration as TOML, every default written out, apart from sections that don't change what is trained.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a config holds only what TOML can say")
    }

    /// The configuration as JSON, for the event log and checkpoints, without the secret part of `alert.webhook`.
    pub fn to_json(&self) -> serde_json::Value {
        let shown = Config { alert: self.alert.without_secret(), ..self.clone() };
        serde_json::to_value(shown).expect("a config holds only what JSON can say")
    }
}

/// The table with the kind that a later override selects for the section of `set`.
fn later_kind(set: &Override, later: &[Override], table: &toml::Table) -> Option<toml::Table> {
    let (section, _) = set.key.split_once('.')?;
    let kind = later.iter().rfind(|other| other.key == format!("{section}.kind"))?;
    let mut table = table.clone();
    table.get_mut(section)?.as_table_mut()?.insert("kind".to_owned(), kind.value.clone());
    Some(table)
}

fn located(origin: &str, text: &str, span: Option<Range<usize>>) -> String {
    match span.and_then(|span| text.get(..span.start)) {
        Some(before) => format!("{origin}, line {}", before.matches('\n').count() + 1),
        None => origin.to_owned(),
    }
}

/// The position of a section or of a dotted key in a text. In a list of tables a part of the key is a number.
fn span_of(text: &str, key: &str) -> Option<Range<usize>> {
    let root = DeTable::parse(text).ok()?;
    let mut table = root.get_ref();
    let mut parts = key.split('.').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let (name, mut value) = table.iter().find(|(name, _)| name.get_ref() == part)?;
        let mut span = name.span();
        if let Some(items) = value.get_ref().as_array()
            && let Some(index) = parts.next()
        {
            value = items.get(index.parse::<usize>().ok()?)?;
            span = value.span();
        }
        if parts.peek().is_none() {
            return Some(span);
        }
        table = value.get_ref().as_table()?;
    }
    None
}

/// Whether a setting of `set` decides `key`: the same, or one in a list of tables, as `optimizer.group.0.alpha`.
fn has_set(set: &str, key: &str) -> bool {
    let inner = key.strip_prefix(set).and_then(|rest| rest.strip_prefix('.'));
    set == key || inner.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}
