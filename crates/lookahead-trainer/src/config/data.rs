//! Which data, in which batches: `[data]`.

use std::path::Path;

use anyhow::Context;
use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::issue::{ConfigIssue, require};
use super::kinds::{Kinds, Section};

/// `[data]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, expecting = "a table")]
pub struct DataConfig {
    /// The data set.
    pub kind: String,
    /// Samples in a batch.
    pub batch_size: usize,
    /// Samples in the validation set, on which every choice is made. The default is the kind's, or a tenth of the
    /// training samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<usize>,
    /// The keys of the kind's own type.
    #[serde(flatten)]
    pub options: Table,
}

impl Default for DataConfig {
    fn default() -> Self {
        let kind = "fashion-mnist".to_owned();
        DataConfig { kind, batch_size: 64, validation: None, options: neutral() }
    }
}

fn neutral() -> Table {
    toml::toml! {
        augment = "none"
        label_noise = 0.0
    }
}

/// The section with its kinds.
pub(super) fn section(kinds: &Kinds) -> Section<'_> {
    let common = &["kind", "batch_size", "validation"];
    Section { name: "data", common, neutral: neutral(), kinds: &kinds.data }
}

impl DataConfig {
    /// Checks the keys that every kind has.
    pub(super) fn check(&self) -> Result<(), ConfigIssue> {
        require(self.batch_size >= 1, "data.batch_size", self.batch_size, "1 or more")
    }

    /// Fills in defaults, checks ranges, and returns what is learned, if that is known before the data is loaded.
    pub(super) fn resolve(&mut self, kinds: &Kinds) -> Result<Option<Task>, ConfigIssue> {
        self.check()?;
        let section = section(kinds);
        let kind = section.find(&self.kind)?;
        self.options = section.resolve(kind, std::mem::take(&mut self.options))?;
        self.validation = self.validation.or(kind.validation);
        if let (&[Task::Quadratic], Some(validation)) = (kind.tasks, self.validation) {
            // The optimum is known: one sample gives the exact loss.
            let allowed = format!(
                "1, or remove it: the one sample of {} gives the loss above the minimum exactly",
                kind.name
            );
            require(validation == 1, "data.validation", validation, &allowed)?;
        }
        Ok(kind.tasks.first().copied())
    }

    /// The fraction of the training images that have a wrong class.
    pub fn label_noise(&self) -> f64 {
        self.options.get("label_noise").and_then(Value::as_float).unwrap_or_default()
    }

    /// The file or folder that an option names.
    pub fn path(&self, key: &str) -> Option<&Path> {
        self.options.get(key)?.as_str().map(Path::new)
    }

    /// Takes the paths of another configuration, which are those of this machine.
    pub fn take_paths(&mut self, other: &DataConfig) {
        for key in PATHS {
            self.options.remove(key);
            if let Some(path) = other.options.get(key) {
                self.options.insert(key.to_owned(), path.clone());
            }
        }
    }

    /// Makes relative paths absolute, so that the run can resume from another working directory.
    pub fn anchor(&mut self) -> anyhow::Result<()> {
        for key in PATHS {
            let Some(path) = self.path(key) else { continue };
            let absolute = std::path::absolute(path)
                .with_context(|| format!("`data.{key}` is {}, not a path.", path.display()))?;
            let absolute =
                absolute.to_str().context("The working directory's name is not UTF-8.")?;
            self.options.insert(key.to_owned(), absolute.into());
        }
        Ok(())
    }
}

/// Options that are paths: they may differ from machine to machine.
pub(super) const PATHS: [&str; 5] =
    ["dir", "file", "test_file", "targets_file", "test_targets_file"];

/// Whether a dotted key is a path of the data.
pub fn is_path(key: &str) -> bool {
    key.strip_prefix("data.").is_some_and(|key| PATHS.contains(&key))
}
