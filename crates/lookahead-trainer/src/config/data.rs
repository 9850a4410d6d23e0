//! Which data, in which batches: `[data]`.

use std::path::Path;

use anyhow::Context;
use lookahead_run::event::Task;
use serde::{Deserialize, Deserializer, Serialize};
use toml::{Table, Value};

use super::check::{ConfigIssue, require};
use super::kinds::{KindName, Kinds, Schema, Section, split};

/// `[data]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataConfig {
    /// Which data set.
    pub kind: KindName,
    /// Samples in a batch.
    pub batch_size: usize,
    /// Samples in the validation set, on which every choice is made. Default 241 for digits, 5000 for other
    /// images, 100 for sequences of text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<usize>,
    /// The keys of the kind's own type.
    #[serde(flatten)]
    pub options: Table,
}

const FIXED: [&str; 3] = ["kind", "batch_size", "validation"];

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fixed {
    kind: KindName,
    batch_size: usize,
    validation: Option<usize>,
}

impl Default for Fixed {
    fn default() -> Self {
        Fixed { kind: "fashion-mnist".into(), batch_size: 64, validation: None }
    }
}

impl<'de> Deserialize<'de> for DataConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (fixed, options) = split::<D, Fixed>(deserializer, &FIXED)?;
        let Fixed { kind, batch_size, validation } = fixed;
        Ok(DataConfig { kind, batch_size, validation, options })
    }
}

impl Default for DataConfig {
    fn default() -> Self {
        let Fixed { kind, batch_size, validation } = Fixed::default();
        let options = neutral().map(|(key, value)| (key.to_owned(), value)).into_iter().collect();
        DataConfig { kind, batch_size, validation, options }
    }
}

fn neutral() -> [(&'static str, Value); 2] {
    [("augment", Value::from("none")), ("label_noise", Value::from(0.0))]
}

/// Calls `work` with the section's description.
pub(super) fn with_section<T>(kinds: &Kinds, work: impl FnOnce(Section<'_>) -> T) -> T {
    let schemas: Vec<Schema> = kinds.data.iter().map(|kind| kind.schema).collect();
    work(Section { name: "data", fixed: &FIXED, neutral: &neutral(), schemas: &schemas })
}

impl DataConfig {
    /// Refuses keys that no kind has, and values of another type.
    pub(super) fn check_types(&self, kinds: &Kinds) -> Result<(), ConfigIssue> {
        with_section(kinds, |section| section.kind(self.kind.name(), &self.options).map(drop))
    }

    /// Fills in defaults, checks ranges, and returns what is learned.
    pub(super) fn resolve(&mut self, kinds: &Kinds) -> Result<Task, ConfigIssue> {
        require(self.batch_size >= 1, "data.batch_size", self.batch_size, "at least 1")?;
        let options = std::mem::take(&mut self.options);
        let (task, name) = with_section(kinds, |section| {
            let own = section.kind(self.kind.name(), &options)?;
            self.options = section.resolve(own, options.clone())?;
            Ok((own.task, own.name))
        })?;
        let usual = kinds.data.iter().find(|kind| kind.schema.name == name);
        let usual = usual.map_or(0, |kind| kind.validation);
        let validation = *self.validation.get_or_insert(usual);
        if task == Task::Quadratic {
            // The optimum is known: one sample gives the exact loss.
            let allowed = format!(
                "1 for `data.kind` {name}, whose one sample tells the loss above the least one exactly: \
                 take it out, or set it to 1"
            );
            require(validation == 1, "data.validation", validation, &allowed)?;
        }
        Ok(task)
    }

    /// Samples in the validation set.
    pub fn validation(&self) -> usize {
        self.validation.unwrap_or_default()
    }

    /// Fraction of the training images that have a wrong class.
    pub fn label_noise(&self) -> f64 {
        self.options.get("label_noise").and_then(Value::as_float).unwrap_or_default()
    }

    /// The file or folder that an option names.
    pub fn path(&self, key: &str) -> Option<&Path> {
        self.options.get(key)?.as_str().map(Path::new)
    }

    /// Takes the options that lead to files from a configuration of another machine.
    pub fn take_paths(&mut self, other: &DataConfig) {
        for key in PATHS {
            match other.options.get(key) {
                Some(path) => drop(self.options.insert(key.to_owned(), path.clone())),
                None => drop(self.options.remove(key)),
            }
        }
    }

    /// Makes relative paths absolute, so that the run can resume from another working directory.
    ///
    /// # Errors
    /// If there is no working directory.
    pub fn anchor(&mut self) -> anyhow::Result<()> {
        for key in PATHS {
            let Some(path) = self.path(key) else { continue };
            let whole = std::path::absolute(path)
                .with_context(|| format!("`data.{key}`, {}, is not a path.", path.display()))?;
            let whole = whole.to_str().context("The working directory's name is not UTF-8.")?;
            self.options.insert(key.to_owned(), whole.into());
        }
        Ok(())
    }
}

/// Options that lead to files.
const PATHS: [&str; 2] = ["dir", "file"];
