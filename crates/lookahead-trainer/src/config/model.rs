//! Which model: `[model]`.

use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::issue::{ConfigIssue, listed};
use super::key::Key;
use super::kinds::{Kinds, Schema, Section};

/// `[model]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, expecting = "a table")]
pub struct ModelConfig {
    /// The model.
    pub kind: String,
    /// The keys of the kind's own type.
    #[serde(flatten)]
    pub options: Table,
}

/// The keys that the section has for every kind.
pub(super) const KEYS: &[Key] = &[Key::choice(
    "kind",
    &[],
    "the model. Of images: cnn, mlp or resnet; of tables and flat arrays: mlp; of texts: lstm or transformer; \
         of the quadratic problems: quadratic; of all others: torchscript",
)];

impl Default for ModelConfig {
    fn default() -> Self {
        ModelConfig { kind: "cnn".to_owned(), options: neutral() }
    }
}

fn neutral() -> Table {
    toml::toml! {
        dropout = 0.0
        batch_norm = false
    }
}

/// The section with its kinds.
pub(crate) fn section(kinds: &Kinds) -> Section<'_> {
    Section { name: "model", common: &["kind"], neutral: neutral(), kinds: &kinds.models }
}

impl ModelConfig {
    /// Fills in defaults, and checks ranges and whether the model can learn `task` from `data`.
    pub(super) fn resolve(
        &mut self,
        kinds: &Kinds,
        task: Option<Task>,
        data: &str,
    ) -> Result<(), ConfigIssue> {
        let section = section(kinds);
        let kind = section.find(&self.kind)?;
        let learns = |kind: &Schema, task| kind.tasks.is_empty() || kind.tasks.contains(&task);
        if let Some(task) = task.filter(|task| !learns(kind, *task)) {
            let fitting = kinds.models.iter().filter(|kind| learns(kind, task));
            let fitting: Vec<&str> = fitting.map(|kind| kind.name).collect();
            return Err(ConfigIssue::new(
                "model.kind",
                format!(
                    "`model.kind` is {}, which can't learn from the data {data}. Models that can: {}.",
                    kind.name,
                    listed(&fitting)
                ),
            ));
        }
        self.options = section.resolve(kind, std::mem::take(&mut self.options))?;
        Ok(())
    }
}
