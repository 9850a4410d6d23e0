//! Which model: `[model]`.

use lookahead_run::event::Task;
use serde::{Deserialize, Deserializer, Serialize};
use toml::{Table, Value};

use super::check::ConfigIssue;
use super::kinds::{KindName, Kinds, Section, split};

/// `[model]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelConfig {
    /// Which model.
    pub kind: KindName,
    /// The keys of the kind's own type.
    #[serde(flatten)]
    pub options: Table,
}

const FIXED: [&str; 1] = ["kind"];

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fixed {
    kind: KindName,
}

impl Default for Fixed {
    fn default() -> Self {
        Fixed { kind: "cnn".into() }
    }
}

impl<'de> Deserialize<'de> for ModelConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (Fixed { kind }, options) = split::<D, Fixed>(deserializer, &FIXED)?;
        Ok(ModelConfig { kind, options })
    }
}

impl Default for ModelConfig {
    fn default() -> Self {
        let options = neutral().map(|(key, value)| (key.to_owned(), value)).into_iter().collect();
        ModelConfig { kind: Fixed::default().kind, options }
    }
}

fn neutral() -> [(&'static str, Value); 2] {
    [("dropout", Value::from(0.0)), ("batch_norm", Value::from(false))]
}

/// Calls `work` with the section's description.
pub(super) fn with_section<T>(kinds: &Kinds, work: impl FnOnce(Section<'_>) -> T) -> T {
    work(Section { name: "model", fixed: &FIXED, neutral: &neutral(), schemas: &kinds.models })
}

impl ModelConfig {
    /// Refuses keys that no kind has, and values of another type.
    pub(super) fn check_types(&self, kinds: &Kinds) -> Result<(), ConfigIssue> {
        with_section(kinds, |section| section.kind(self.kind.name(), &self.options).map(drop))
    }

    /// Fills in defaults, and checks ranges and whether the model learns `task` from `data`.
    pub(super) fn resolve(
        &mut self,
        kinds: &Kinds,
        task: Task,
        data: &str,
    ) -> Result<(), ConfigIssue> {
        let options = std::mem::take(&mut self.options);
        self.options = with_section(kinds, |section| {
            let own = section.kind(self.kind.name(), &options)?;
            if own.task != task {
                let fitting = section.schemas.iter().filter(|schema| schema.task == task);
                let fitting: Vec<&str> = fitting.map(|schema| schema.name).collect();
                return Err(ConfigIssue::new(
                    "model.kind",
                    format!(
                        "`model.kind` is {}, which can't learn from the data {data}: choose one of {}.",
                        own.name,
                        fitting.join(", ")
                    ),
                ));
            }
            section.resolve(own, options.clone())
        })?;
        Ok(())
    }
}
