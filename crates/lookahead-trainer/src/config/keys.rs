//! All keys of a configuration, each with what is known of it.

use serde::Serialize;
use toml::{Table, Value};

use super::alert::{self, AlertConfig};
use super::averaging::{self, AveragingConfig};
use super::checkpoint::{self, CheckpointConfig};
use super::data::{self, DataConfig};
use super::distributed::{self, DistributedConfig};
use super::groups;
use super::issue::{ConfigIssue, check_all_bounds, format_number};
use super::key::{Key, REQUIRED};
use super::kinds::{Kinds, Schema, TaskPart};
use super::log::{self, LogConfig};
use super::model::{self, ModelConfig};
use super::optimizer::{self, OptimizerConfig};
use super::probe::{self, ProbeConfig};
use super::schedule;
use super::task::{self, LOSS, TaskConfig};
use super::train::{self, TrainConfig};
use super::watchdog::{self, WatchdogConfig};
use super::{lookahead, mutable_keys};

/// A section and its keys.
#[derive(Debug, Clone)]
pub struct SectionKeys {
    /// Its name.
    pub name: &'static str,
    /// What it is about, in a phrase.
    pub about: &'static str,
    /// Its keys. If kinds differ in what a key means, it is here once for each meaning.
    pub keys: Vec<KeyEntry>,
}

/// A key of a section.
#[derive(Debug, Clone)]
pub struct KeyEntry {
    /// The section's name.
    pub section: &'static str,
    /// Its documentation.
    pub key: Key,
    /// The names that can be chosen, with those that are registered.
    pub choices: Vec<&'static str>,
    /// The kinds of its section that have it. Empty: all.
    pub kinds: Vec<&'static str>,
    /// Its defaults.
    pub defaults: Vec<KindDefault>,
}

/// A default, and the kinds that have it.
#[derive(Debug, Clone)]
pub struct KindDefault {
    /// The kinds. Empty: all that have the key.
    pub kinds: Vec<&'static str>,
    /// The value, or `None` if there is not one: then the documentation has it in words.
    pub value: Option<Value>,
}

/// When a key may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Changes {
    /// While the run is in progress, and when it is resumed.
    Live,
    /// When the run is resumed.
    OnResume,
    /// Only in a new run.
    Never,
}

impl KeyEntry {
    /// The dotted key, for example `lookahead.k`.
    pub fn dotted(&self) -> String {
        format!("{}.{}", self.section, self.key.name)
    }

    /// When it may change.
    pub fn changes(&self) -> Changes {
        let dotted = self.dotted();
        if mutable_keys::LIVE.contains(&dotted.as_str()) {
            Changes::Live
        } else if mutable_keys::may_change(&dotted) {
            Changes::OnResume
        } else {
            Changes::Never
        }
    }

    /// Whether a kind of its section has it.
    pub fn is_of(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// What a name that can be chosen is, in a phrase. Empty if that is not known.
    pub fn about_choice(&self, kinds: &Kinds, name: &str) -> &'static str {
        let explained = self.key.explained.iter().find(|(own, _)| *own == name);
        let schemas = if self.key.name == "kind" { kinds_of(kinds, self.section) } else { &[] };
        let schema = || schemas.iter().find(|schema| schema.name == name).map(Schema::about);
        explained.map(|(_, about)| *about).or_else(schema).unwrap_or_default()
    }

    /// The values that are allowed, in words. Empty if all values of the type are.
    pub fn allowed(&self) -> String {
        if self.key.allowed.is_empty() && !self.choices.is_empty() {
            return self.choices.join(", ");
        }
        self.key.allowed_words()
    }

    /// The default if it is one value, the same for all kinds.
    pub fn only_default(&self) -> Option<&Value> {
        match &self.defaults[..] {
            [one] => one.value.as_ref(),
            _ => None,
        }
    }

    /// The default of a kind, if it is one value.
    pub fn default_of(&self, kind: &str) -> Option<&Value> {
        self.own_default(kind)?.value.as_ref()
    }

    /// The default of a kind, in words.
    pub fn default_words_of(&self, kind: &str) -> String {
        self.own_default(kind).map_or_else(|| self.default_words(), |own| self.words(own))
    }

    /// The default, or those of the kinds, in words.
    pub fn default_words(&self) -> String {
        let words = |own: &KindDefault| match self.defaults.len() {
            1 => self.words(own),
            _ => format!("{} for {}", self.words(own), own.kinds.join(", ")),
        };
        self.defaults.iter().map(words).collect::<Vec<_>>().join("; ")
    }

    fn own_default(&self, kind: &str) -> Option<&KindDefault> {
        self.defaults.iter().find(|own| own.kinds.is_empty() || own.kinds.contains(&kind))
    }

    fn words(&self, own: &KindDefault) -> String {
        match (&own.value, self.key.default) {
            (Some(value), _) => shown(value),
            (None, "") => "none".to_owned(),
            (None, words) => words.to_owned(),
        }
    }

    /// A value that can be set, as TOML.
    pub fn example(&self) -> String {
        if !self.key.example.is_empty() {
            return self.key.example.to_owned();
        }
        let value = self.defaults.iter().find_map(|own| own.value.as_ref());
        value.map_or_else(|| "…".to_owned(), as_toml)
    }
}

/// A value as TOML, a small number with an exponent.
pub fn as_toml(value: &Value) -> String {
    match value {
        Value::Float(number) => {
            let short = format_number(*number);
            if short.contains('e') { short } else { value.to_string() }
        }
        other => other.to_string(),
    }
}

/// A value as it is in a text: a number without needless digits, a string without quotes if it is a name.
pub fn shown(value: &Value) -> String {
    let is_name = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-_".contains(c))
    };
    match value {
        Value::Float(number) => format_number(*number),
        Value::String(text) if is_name(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What is known of a section before the kinds are.
struct Known {
    name: &'static str,
    about: &'static str,
    keys: &'static [Key],
    /// The defaults, or those with a kind that has keys of its own.
    defaults: fn(&str) -> Table,
}

const SECTIONS: [Known; 14] = [
    Known {
        name: "data",
        about: "the data set, its batches and its validation set",
        keys: data::KEYS,
        defaults: |_| defaults::<DataConfig>(),
    },
    Known {
        name: "model",
        about: "the model",
        keys: model::KEYS,
        defaults: |_| defaults::<ModelConfig>(),
    },
    Known {
        name: "task",
        about: "the loss, and the metrics of evaluations; the defaults depend on what is learned",
        keys: task::KEYS,
        defaults: |_| defaults::<TaskConfig>(),
    },
    Known {
        name: "optimizer",
        about: "the inner optimizer; each key means what it means in libtorch",
        keys: optimizer::KEYS,
        defaults: |_| defaults::<OptimizerConfig>(),
    },
    Known {
        name: "lookahead",
        about: "slow weights around the inner optimizer; without this section it trains alone",
        keys: lookahead::KEYS,
        defaults: |_| defaults::<lookahead_core::LookaheadConfig>(),
    },
    Known {
        name: "averaging",
        about: "an average as the final model: of θ, or with Lookahead of φ",
        keys: averaging::KEYS,
        defaults: |kind| written(AveragingConfig::of_kind(kind)),
    },
    Known {
        name: "schedule",
        about: "the learning rate over time",
        keys: schedule::KEYS,
        defaults: |kind| written(schedule::of_kind(kind)),
    },
    Known {
        name: "train",
        about: "how long, from which seed, on which device",
        keys: train::KEYS,
        defaults: |_| defaults::<TrainConfig>(),
    },
    Known {
        name: "probe",
        about: "the loss on one fixed validation batch, at θ just before a sync and at φ just after it",
        keys: probe::KEYS,
        defaults: |_| defaults::<ProbeConfig>(),
    },
    Known {
        name: "checkpoint",
        about: "when to save, and which checkpoints to keep",
        keys: checkpoint::KEYS,
        defaults: |_| defaults::<CheckpointConfig>(),
    },
    Known {
        name: "log",
        about: "what is written besides the event log",
        keys: log::KEYS,
        defaults: |_| defaults::<LogConfig>(),
    },
    Known {
        name: "watchdog",
        about: "what to do about a training that goes wrong; NaN and infinity have `lookahead.non_finite`",
        keys: watchdog::KEYS,
        defaults: |_| defaults::<WatchdogConfig>(),
    },
    Known {
        name: "alert",
        about: "notifies a program or a web address when the run fails or ends",
        keys: alert::KEYS,
        defaults: |_| defaults::<AlertConfig>(),
    },
    Known {
        name: "distributed",
        about: "one run in several processes",
        keys: distributed::KEYS,
        defaults: |_| defaults::<DistributedConfig>(),
    },
];

fn defaults<T: Default + Serialize>() -> Table {
    written(T::default())
}

fn written(section: impl Serialize) -> Table {
    Table::try_from(section).unwrap_or_default()
}

/// All sections with their keys.
pub fn sections(kinds: &Kinds) -> Vec<SectionKeys> {
    SECTIONS.iter().map(|known| section(kinds, known)).collect()
}

/// Refuses numbers out of the bounds of the keys that all kinds have. `[lookahead]` and `[schedule]` are the library's
/// own types, which check themselves.
pub(super) fn check_bounds(config: &Table) -> Result<(), ConfigIssue> {
    let own = SECTIONS.iter().filter(|known| !["lookahead", "schedule"].contains(&known.name));
    for known in own {
        if let Some(values) = config.get(known.name).and_then(Value::as_table) {
            check_all_bounds(known.name, known.keys, values)?;
        }
    }
    Ok(())
}

/// All dotted keys, each once.
pub(crate) fn names(sections: &[SectionKeys]) -> Vec<String> {
    let mut names: Vec<String> =
        sections.iter().flat_map(|section| &section.keys).map(KeyEntry::dotted).collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// A key, as the kind of its section has it. Without a kind, or if that kind doesn't have it, as the first kind that
/// does.
pub fn find(kinds: &Kinds, dotted: &str, kind: Option<&str>) -> Option<KeyEntry> {
    let (section_name, key) = dotted.split_once('.')?;
    let known = SECTIONS.iter().find(|known| known.name == section_name)?;
    let named = section(kinds, known).keys.into_iter().filter(|entry| entry.key.name == key);
    let of_kind = |entry: &KeyEntry| kind.is_some_and(|kind| entry.kinds.contains(&kind));
    named.min_by_key(|entry| !of_kind(entry))
}

/// The kinds of a section, if they have types of their own.
pub fn kinds_of<'a>(kinds: &'a Kinds, section: &str) -> &'a [Schema] {
    match section {
        "data" => &kinds.data,
        "model" => &kinds.models,
        "optimizer" => &kinds.optimizers,
        _ => &[],
    }
}

fn section(kinds: &Kinds, known: &Known) -> SectionKeys {
    let schemas = kinds_of(kinds, known.name);
    let mut keys: Vec<KeyEntry> = known.keys.iter().map(|&key| common(kinds, known, key)).collect();
    for schema in schemas {
        for (key, value) in schema.documented_keys() {
            add(&mut keys, known.name, key, schema.name, value);
        }
    }
    for entry in &mut keys {
        // What all kinds have is not that of some.
        if entry.kinds.len() == schemas.len() {
            entry.kinds.clear();
        }
    }
    SectionKeys { name: known.name, about: known.about, keys }
}

/// The keys of a table of `[[optimizer.group]]`: its own, and those of the kinds.
pub fn group(kinds: &Kinds) -> SectionKeys {
    let (name, about) = ("optimizer.group", "parameters with options of their own");
    let choices = |key: &Key| match key.name {
        "kind" => kinds.optimizers.iter().map(|schema| schema.name).collect(),
        _ => Vec::new(),
    };
    let own = groups::KEYS.iter().map(|&key| KeyEntry {
        section: name,
        key,
        choices: choices(&key),
        kinds: Vec::new(),
        defaults: Vec::new(),
    });
    let mut keys: Vec<KeyEntry> = own.collect();
    for schema in &kinds.optimizers {
        for (key, value) in schema.documented_keys() {
            add(&mut keys, name, key, schema.name, value);
        }
    }
    SectionKeys { name, about, keys }
}

/// A key that is not of a kind's own type.
fn common(kinds: &Kinds, known: &Known, key: Key) -> KeyEntry {
    let names = |schemas: &[Schema]| schemas.iter().map(|schema| schema.name).collect();
    let parts = |first: &[&'static str], parts: &[TaskPart]| {
        let mut names = first.to_vec();
        // Several tasks have an accuracy.
        names.extend(parts.iter().map(|part| part.name));
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(*name));
        names
    };
    let choices = match (known.name, key.name) {
        (section, "kind") if key.choices.is_empty() => names(kinds_of(kinds, section)),
        ("task", "loss") => parts(&[], &kinds.losses),
        ("task", "metrics") => parts(&[], &kinds.metrics),
        ("train", "best_by") => parts(&[LOSS], &kinds.metrics),
        _ => key.choices.to_vec(),
    };
    let mut entry = KeyEntry {
        section: known.name,
        key,
        choices,
        kinds: key.kinds.to_vec(),
        defaults: Vec::new(),
    };
    match (known.name, key.name) {
        ("data", "validation") => {
            for schema in &kinds.data {
                let value = schema.validation.and_then(|count| Value::try_from(count).ok());
                entry.add_default(schema.name, value);
            }
        }
        ("optimizer", "weight_decay") => {
            for schema in kinds.optimizers.iter().filter(|schema| schema.weight_decay.is_some()) {
                entry.add_default(schema.name, schema.weight_decay.map(Value::Float));
            }
        }
        (_, name) => {
            let value =
                |kind| (known.defaults)(kind).remove(name).filter(|_| key.default != REQUIRED);
            for &kind in key.kinds {
                entry.add_default(kind, value(kind));
            }
            if key.kinds.is_empty() {
                entry.defaults.push(KindDefault { kinds: Vec::new(), value: value("") });
            }
        }
    }
    entry
}

impl KeyEntry {
    fn add_default(&mut self, kind: &'static str, value: Option<Value>) {
        match self.defaults.iter_mut().find(|own| own.value == value) {
            Some(own) => own.kinds.push(kind),
            None => self.defaults.push(KindDefault { kinds: vec![kind], value }),
        }
    }
}

/// Adds a key of a kind's own, beside those of other kinds with its name.
fn add(
    keys: &mut Vec<KeyEntry>,
    section: &'static str,
    key: Key,
    kind: &'static str,
    value: Option<Value>,
) {
    if let Some(entry) = keys.iter_mut().find(|entry| entry.key == key) {
        entry.kinds.push(kind);
        entry.add_default(kind, value);
        return;
    }
    let mut entry = KeyEntry {
        section,
        key,
        choices: key.choices.to_vec(),
        kinds: vec![kind],
        defaults: Vec::new(),
    };
    entry.add_default(kind, value);
    let namesake = keys.iter().rposition(|other| other.key.name == key.name);
    keys.insert(namesake.map_or(keys.len(), |at| at + 1), entry);
}

#[cfg(test)]
mod tests;
