//! Kinds of data and of models, as far as a configuration knows them: names, keys, and how values are checked.
//!
//! `kind` selects a kind, and the section's other keys are those of the kind's own serde type.

use std::fmt;
use std::marker::PhantomData;

use lookahead_run::event::Task;
use serde::de::value::{Error as FieldsError, MapAccessDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::check::{ConfigIssue, sentence};

/// A kind's own keys. The type denies unknown fields, and every key has a default.
pub trait Options: Serialize + DeserializeOwned {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// The first fault.
    fn check(&self) -> Result<(), ConfigIssue> {
        Ok(())
    }
}

/// A kind: its name, what is learned with it, and its own serde type behind functions on TOML.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Its name in configurations.
    pub name: &'static str,
    /// What is learned from the data, or by the model.
    pub task: Task,
    keys: &'static [&'static str],
    parse: fn(Table) -> Result<(), toml::de::Error>,
    resolve: fn(Table) -> Result<Table, ConfigIssue>,
}

impl Schema {
    /// That of a kind whose keys are the fields of `O`.
    pub fn of<O: Options>(name: &'static str, task: Task) -> Self {
        Schema {
            name,
            task,
            keys: field_names::<O>(),
            parse: |given| given.try_into::<O>().map(drop),
            resolve: |given| {
                let in_kind = |text: String| ConfigIssue::new("kind", text);
                let options: O = given.try_into().map_err(|error| in_kind(sentence(&error)))?;
                options.check()?;
                Table::try_from(&options).map_err(|error| in_kind(error.to_string()))
            },
        }
    }

    /// Those of a section's options that are the kind's own.
    pub fn own(&self, options: &Table) -> Table {
        let own = options.iter().filter(|(key, _)| self.has(key));
        own.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains(&key)
    }
}

/// A kind of data.
#[derive(Debug, Clone, Copy)]
pub struct DataSchema {
    /// Its name, task and keys.
    pub schema: Schema,
    /// Samples in the validation set by default.
    pub validation: usize,
}

/// All kinds that a configuration can select.
#[derive(Debug, Clone, Default)]
pub struct Kinds {
    /// Of data.
    pub data: Vec<DataSchema>,
    /// Of models.
    pub models: Vec<Schema>,
}

/// The name of a kind in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KindName(String);

impl KindName {
    /// It as it is written.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl From<&str> for KindName {
    fn from(name: &str) -> Self {
        KindName(name.to_owned())
    }
}

/// A section with kinds.
pub(super) struct Section<'a> {
    /// Its name.
    pub(super) name: &'static str,
    /// The keys that it has for every kind.
    pub(super) fixed: &'static [&'static str],
    /// Keys of some kinds that were once keys of all: with these values they are accepted and written for
    /// every kind, so that configs of all versions can be read and compared.
    pub(super) neutral: &'a [(&'static str, Value)],
    /// Its kinds.
    pub(super) schemas: &'a [Schema],
}

impl Section<'_> {
    /// The kind of a name, once all keys are known and all values are of their types. Keys of other kinds
    /// pass: an override may still select such a kind.
    pub(super) fn kind(&self, name: &str, options: &Table) -> Result<&Schema, ConfigIssue> {
        let Some(own) = self.schemas.iter().find(|schema| schema.name == name) else {
            let known = quoted(self.schemas.iter().map(|schema| schema.name));
            return Err(
                self.issue("kind", format!("unknown variant `{name}`, expected one of {known}"))
            );
        };
        for (key, value) in options.iter().filter(|(key, value)| !self.is_neutral(key, value)) {
            let owner = std::iter::once(own).chain(self.schemas).find(|schema| schema.has(key));
            let Some(owner) = owner else {
                let known = quoted(self.fixed.iter().chain(own.keys).copied());
                return Err(
                    self.issue(key, format!("unknown field `{key}`, expected one of {known}"))
                );
            };
            let alone = Table::from_iter([(key.clone(), value.clone())]);
            (owner.parse)(alone).map_err(|error| self.issue(key, error.message().to_owned()))?;
        }
        Ok(own)
    }

    /// The kind's options with all defaults filled in, checked.
    pub(super) fn resolve(&self, own: &Schema, options: Table) -> Result<Table, ConfigIssue> {
        let (given, foreign): (Table, Table) =
            options.into_iter().partition(|(key, _)| own.has(key));
        for (key, value) in foreign {
            if self.is_neutral(&key, &value) {
                continue;
            }
            let owners = self.schemas.iter().filter(|schema| schema.has(&key));
            let owners: Vec<&str> = owners.map(|schema| schema.name).collect();
            let key = format!("{}.{key}", self.name);
            let message = format!(
                "The key `{key}` belongs to {} only: take it out, or choose such a kind.",
                owners.join(", ")
            );
            return Err(ConfigIssue::new(key, message));
        }
        let mut resolved = (own.resolve)(given).map_err(|issue| {
            if issue.key.contains('.') {
                issue
            } else {
                ConfigIssue::new(format!("{}.{}", self.name, issue.key), issue.message)
            }
        })?;
        for (key, neutral) in self.neutral {
            resolved.entry(*key).or_insert_with(|| neutral.clone());
        }
        Ok(resolved)
    }

    /// Whether a key belongs to other kinds alone.
    pub(super) fn is_foreign(&self, kind: &str, key: &str) -> bool {
        let Some(own) = self.schemas.iter().find(|schema| schema.name == kind) else {
            return false;
        };
        !own.has(key) && self.schemas.iter().any(|schema| schema.has(key))
    }

    fn is_neutral(&self, key: &str, value: &Value) -> bool {
        self.neutral.iter().any(|(name, neutral)| *name == key && is_same(neutral, value))
    }

    fn issue(&self, key: &str, text: String) -> ConfigIssue {
        ConfigIssue::new(format!("{}.{key}", self.name), super::check::documented(&text))
    }
}

fn quoted(names: impl Iterator<Item = &'static str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Whether values are equal, whether numbers are written as integers or not.
fn is_same(one: &Value, other: &Value) -> bool {
    let number = |value: &Value| value.as_float().or(value.as_integer().map(|n| n as f64));
    one == other || number(one).is_some_and(|n| number(other) == Some(n))
}

/// Reads a section: its `fixed` keys as `F`, with their places in errors, and all others as they are.
pub(super) fn split<'de, D: Deserializer<'de>, F: Deserialize<'de>>(
    deserializer: D,
    fixed: &'static [&'static str],
) -> Result<(F, Table), D::Error> {
    deserializer.deserialize_map(Split(fixed, PhantomData))
}

struct Split<F>(&'static [&'static str], PhantomData<F>);

impl<'de, F: Deserialize<'de>> Visitor<'de> for Split<F> {
    type Value = (F, Table);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
        let mut rest = Table::new();
        let own = OfFixed { map, fixed: self.0, rest: &mut rest };
        Ok((F::deserialize(MapAccessDeserializer::new(own))?, rest))
    }
}

struct OfFixed<'a, M> {
    map: M,
    fixed: &'static [&'static str],
    rest: &'a mut Table,
}

impl<'de, M: MapAccess<'de>> MapAccess<'de> for OfFixed<'_, M> {
    type Error = M::Error;

    fn next_key_seed<K: serde::de::DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, M::Error> {
        while let Some(key) = self.map.next_key::<String>()? {
            if self.fixed.contains(&key.as_str()) {
                return seed.deserialize(key.into_deserializer()).map(Some);
            }
            let value = self.map.next_value()?;
            self.rest.insert(key, value);
        }
        Ok(None)
    }

    fn next_value_seed<V: serde::de::DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, M::Error> {
        self.map.next_value_seed(seed)
    }
}

/// The names of a type's fields, as serde knows them.
fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    let _ = T::deserialize(FieldNames(&mut names));
    names
}

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
