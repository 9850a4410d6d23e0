//! Which data, in which batches: `[data]`.

use std::path::Path;

use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::issue::{ConfigIssue, require};
use super::key::Key;
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

/// The keys that the section has for every kind.
pub(super) const KEYS: &[Key] = &[

    Key::choice(
        "kind",
        &[],
        "the data set. Data of your own: [images](guide.md#images), [tables](guide.md#tables) as csv, \
         [arrays](guide.md#arrays), and text",
    ),
    Key::whole(
        "batch_size",
        "samples in a batch (per process in a distributed run). If it exceeds the training set, an epoch is one step",
    )
    .at_least(1.0),
    Key::whole(
        "validation",
        "samples taken from the training set as the validation set, on which every choice is made. Of a text, \
         sequences; of images with a folder `validation`, all its images",
    )
    .at_least(0.0)
    .allowed("0 or more; exactly 1 for the quadratic problems")
    .default("a tenth of the training samples, at least 1")
    .example("500"),
];

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
pub(crate) fn section(kinds: &Kinds) -> Section<'_> {
    let common = &["kind", "batch_size", "validation"];
    Section { name: "data", common, neutral: neutral(), kinds: &kinds.data }
}

impl DataConfig {
    /// Fills in defaults, checks ranges, and returns what is learned, if that is known before the data is loaded.
    pub(super) fn resolve(&mut self, kinds: &Kinds) -> Result<Option<Task>, ConfigIssue> {
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
}
