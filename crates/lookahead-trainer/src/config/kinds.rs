//! What a configuration knows of the kinds of data, models and optimizers: their names, their keys, and how values
//! are checked.
//!
//! `kind` selects a kind. The section's other keys are the fields of the kind's own serde type.

use lookahead_run::event::Task;
use serde::Serialize;
use serde::de::value::Error as FieldsError;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use toml::{Table, Value};

use super::issue::{
    ConfigIssue, check_all_bounds, listed, of_value, quoted, sentence, unknown_choice,
};
use super::key::{Key, ValueType};

/// The keys of one kind. The type denies unknown fields, and every key has a default. Of a kind of data, the keys
/// `dir`, `file`, `test_file`, `targets_file` and `test_targets_file` are paths: they are made absolute, and may change
/// on resume.
pub trait KindOptions: Serialize + DeserializeOwned + 'static {
    /// What can be learned: from a kind of data its one task, by a model all of its tasks. Empty if that is known
    /// only once the data is loaded, and for a model that can learn everything.
    const TASKS: &'static [Task] = &[];

    /// The default of `data.validation`. Without one it is a tenth of the training samples, at least 1.
    const VALIDATION: Option<usize> = None;

    /// Of an optimizer: the default of `optimizer.weight_decay`. `None` if it has no weight decay: the key is then
    /// refused.
    const WEIGHT_DECAY: Option<f64> = Some(0.0);

    /// Of an optimizer: the `optimizer.lr` with which `lookahead init` begins.
    const LEARNING_RATE: f64 = 0.1;

    /// Of an optimizer: whether it gives a [curvature](lookahead_core::InnerOptimizer::curvature), which
    /// `lookahead.adaptive_alpha` needs.
    const SECOND_MOMENTS: bool = false;

    /// The documentation of the keys. A key that is left out has its name, type and default only.
    const KEYS: &'static [Key] = &[];

    /// What the kind of this name is, in a phrase: several kinds may share a type.
    fn about(_kind: &str) -> &'static str {
        ""
    }

    /// Of a kind of data: a config that suits it, as TOML without `data.kind` and the keys that must be set.
    /// `lookahead init` begins with it.
    fn starter(_kind: &str) -> &'static str {
        ""
    }

    /// Of an optimizer: whether it keeps moments with these options, on which `lookahead.momentum_policy` acts.
    fn keeps_moments(&self) -> bool {
        true
    }

    /// Refuses values that don't fit each other. Those out of the bounds of their [keys](Self::KEYS) are refused before.
    fn check(&self) -> Result<(), ConfigIssue> {
        Ok(())
    }

    /// Why the kind doesn't have a key that other kinds have: a sentence without its subject, the kind.
    fn why_not(_key: &str) -> Option<&'static str> {
        None
    }
}

/// A kind: its name, what is learned with it, and its own serde type behind functions on TOML.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Its name in configurations.
    pub name: &'static str,
    /// [`KindOptions::TASKS`].
    pub tasks: &'static [Task],
    /// [`KindOptions::VALIDATION`].
    pub validation: Option<usize>,
    /// [`KindOptions::WEIGHT_DECAY`].
    pub weight_decay: Option<f64>,
    /// [`KindOptions::LEARNING_RATE`].
    pub learning_rate: f64,
    /// [`KindOptions::SECOND_MOMENTS`].
    pub second_moments: bool,
    keeps_moments: fn(Table) -> bool,
    defaults: fn() -> Option<Table>,
    keys: &'static [&'static str],
    documented: &'static [Key],
    about: fn(&str) -> &'static str,
    starter: fn(&str) -> &'static str,
    parse: fn(Table) -> Result<(), toml::de::Error>,
    resolve: fn(Table) -> Result<Table, ConfigIssue>,
    why_not: fn(&str) -> Option<&'static str>,
}

impl Schema {
    /// The kind whose keys are the fields of `O`.
    pub fn of<O: KindOptions>(name: &'static str) -> Self {
        Schema {
            name,
            tasks: O::TASKS,
            validation: O::VALIDATION,
            weight_decay: O::WEIGHT_DECAY,
            learning_rate: O::LEARNING_RATE,
            second_moments: O::SECOND_MOMENTS,
            defaults: || Table::try_from(Table::new().try_into::<O>().ok()?).ok(),
            keeps_moments: |given| given.try_into::<O>().is_ok_and(|own| own.keeps_moments()),
            keys: field_names::<O>(),
            documented: O::KEYS,
            about: O::about,
            starter: O::starter,
            parse: |given| given.try_into::<O>().map(drop),
            resolve: |given| {
                let in_kind = |text: String| ConfigIssue::new("kind", text);
                let options: O = given.try_into().map_err(|error| in_kind(sentence(&error)))?;
                options.check()?;
                Table::try_from(&options).map_err(|error| in_kind(error.to_string()))
            },
            why_not: O::why_not,
        }
    }

    /// Those of a section's options that are the kind's own.
    pub fn own(&self, options: &Table) -> Table {
        let own = options.iter().filter(|(key, _)| self.has(key));
        own.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// [`KindOptions::keeps_moments`] with a section's resolved options.
    pub fn keeps_moments(&self, options: &Table) -> bool {
        (self.keeps_moments)(self.own(options))
    }

    /// What it is, in a phrase.
    pub fn about(&self) -> &'static str {
        (self.about)(self.name)
    }

    /// A config that suits it, as TOML.
    pub fn starter(&self) -> &'static str {
        (self.starter)(self.name)
    }

    /// Its own keys with their documentation and their defaults.
    pub fn documented_keys(&self) -> Vec<(Key, Option<Value>)> {
        let mut defaults = (self.defaults)().unwrap_or_default();
        let documented = |name: &'static str| {
            let default = defaults.remove(name);
            let known = self.documented.iter().find(|key| key.name == name).copied();
            let of_default = || default.as_ref().map_or(ValueType::Any, ValueType::of);
            (known.unwrap_or_else(|| Key::new(name, of_default(), "")), default)
        };
        self.keys.iter().copied().map(documented).collect()
    }

    /// Whether a key is the kind's own.
    pub fn has(&self, key: &str) -> bool {
        self.keys.contains(&key)
    }
}

/// All kinds that a configuration can select.
#[derive(Debug, Clone, Default)]
pub struct Kinds {
    /// The kinds of data.
    pub data: Vec<Schema>,
    /// The kinds of models.
    pub models: Vec<Schema>,
    /// The kinds of inner optimizers.
    pub optimizers: Vec<Schema>,
    /// The losses.
    pub losses: Vec<TaskPart>,
    /// The metrics.
    pub metrics: Vec<TaskPart>,
}

/// A loss or a metric.
#[derive(Debug, Clone, Copy)]
pub struct TaskPart {
    /// Its name in configurations.
    pub name: &'static str,
    /// The tasks that it fits.
    pub tasks: &'static [Task],
}

impl TaskPart {
    /// Whether both have one name for one task.
    pub fn overlaps(&self, other: &TaskPart) -> bool {
        self.name == other.name && self.tasks.iter().any(|task| other.tasks.contains(task))
    }
}

impl Kinds {
    /// The default of a kind's own key in a section.
    pub fn default_of(&self, section: &str, kind: &str, key: &str) -> Option<Value> {
        let kinds = match section {
            "data" => &self.data,
            "model" => &self.models,
            "optimizer" => &self.optimizers,
            _ => return None,
        };
        let kind = kinds.iter().find(|known| known.name == kind)?;
        (kind.defaults)()?.remove(key)
    }
}

/// A section with kinds.
pub(crate) struct Section<'a> {
    pub(super) name: &'static str,
    /// The keys that it has for every kind.
    pub(super) common: &'static [&'static str],
    /// Keys of some kinds that were once keys of all. With these values they are accepted and written for
    /// every kind, so that configs of all versions can be read and compared.
    pub(crate) neutral: Table,
    pub(super) kinds: &'a [Schema],
}

impl<'a> Section<'a> {
    /// The kind of a name.
    pub(super) fn find(&self, name: &str) -> Result<&'a Schema, ConfigIssue> {
        self.kinds.iter().find(|kind| kind.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.kinds.iter().map(|kind| kind.name).collect();
            unknown_choice(&format!("{}.kind", self.name), name, &known)
        })
    }

    /// Refuses unknown keys, and values of the wrong type. Keys of other kinds are accepted, since an
    /// override may still select such a kind.
    pub(super) fn check_types(&self, kind: &str, options: &Table) -> Result<(), ConfigIssue> {
        let own = self.find(kind)?;
        for (key, value) in options.iter().filter(|(key, value)| !self.is_neutral(key, value)) {
            let owner = std::iter::once(own).chain(self.kinds).find(|kind| kind.has(key));
            let owner = owner.ok_or_else(|| {
                let known = quoted(self.common.iter().chain(own.keys).copied());
                let dotted = format!("{}.{key}", self.name);
                let message = format!("There is no key `{dotted}`. The keys here are {known}.");
                ConfigIssue::new(dotted, message)
            })?;
            let alone = Table::from_iter([(key.clone(), value.clone())]);
            (owner.parse)(alone).map_err(|error| {
                let dotted = format!("{}.{key}", self.name);
                let message = of_value(&dotted, &error);
                ConfigIssue::new(dotted, message)
            })?;
        }
        Ok(())
    }

    /// The kind's options with all defaults filled in, checked.
    pub(super) fn resolve(&self, own: &Schema, options: Table) -> Result<Table, ConfigIssue> {
        let (given, others): (Table, Table) =
            options.into_iter().partition(|(key, _)| own.has(key));
        if let Some((key, _)) = others.iter().find(|(key, value)| !self.is_neutral(key, value)) {
            let owners = self.kinds.iter().filter(|kind| kind.has(key)).map(|kind| kind.name);
            let owners = listed(&owners.collect::<Vec<_>>());
            let why =
                (own.why_not)(key).map(|why| format!(": {} {why}", own.name)).unwrap_or_default();
            let key = format!("{}.{key}", self.name);
            let message = format!(
                "`{key}` belongs to {owners} only{why}. Remove it, or choose a kind that has it."
            );
            return Err(ConfigIssue::new(key, message));
        }
        check_all_bounds(self.name, own.documented, &given)?;
        let mut resolved = (own.resolve)(given)?;
        for (key, neutral) in &self.neutral {
            resolved.entry(key).or_insert_with(|| neutral.clone());
        }
        Ok(resolved)
    }

    /// Whether a key belongs to other kinds only.
    pub(super) fn is_foreign(&self, kind: &str, key: &str) -> bool {
        let own = self.kinds.iter().find(|own| own.name == kind);
        own.is_some_and(|own| !own.has(key)) && self.kinds.iter().any(|kind| kind.has(key))
    }

    fn is_neutral(&self, key: &str, value: &Value) -> bool {
        // A number may be written as an integer or not.
        let number = |value: &Value| value.as_float().or(value.as_integer().map(|n| n as f64));
        self.neutral.get(key).is_some_and(|neutral| {
            neutral == value || (number(value).is_some() && number(value) == number(neutral))
        })
    }
}

/// The names of a type's fields, as serde knows them.
pub(super) fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    let _ = T::deserialize(FieldNames(&mut names));
    names
}

/// Keeps the names of the fields that a type asks for, and then fails.
struct FieldNames<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = FieldsError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, FieldsError> {
        Err(FieldsError::custom("only names are read"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldsError> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests;
