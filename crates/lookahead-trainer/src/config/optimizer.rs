//! The inner optimizer: `[optimizer]`.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::bounds::SINGLE;
use super::issue::{ConfigIssue, format_number};
use super::key::Key;
use super::kinds::{Kinds, Section};

/// `[optimizer]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, expecting = "a table")]
pub struct OptimizerConfig {
    /// The inner optimizer.
    pub kind: String,
    /// Learning rate, before the schedule.
    pub lr: f64,
    /// Weight decay, in the kind's form. The default is the kind's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// The keys of the kind's own type.
    #[serde(flatten)]
    pub options: Table,
    /// Parameter groups, as they are written: [`groups`](Self::groups) reads them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group: Vec<Table>,
}

/// The keys that the section has for every kind.
pub(super) const KEYS: &[Key] = &[
    Key::choice("kind", &[], "the inner optimizer"),
    Key::number("lr", "learning rate before the schedule").at_least(0.0).at_most(SINGLE),
    Key::number("weight_decay", "weight decay; of adamw, adan, lion and muon, decoupled")
        .at_least(0.0)
        .at_most(SINGLE)
        .example("0.0005"),
    Key::tables(
        "group",
        "parameters with options of their own. Each table has `match` (names, in which `*` is any characters) or `dims` \
         (numbers of dimensions), and any of `lr_scale`, `weight_decay`, `alpha`, and `kind` with its keys",
    )
    .allowed("a list of tables")
    .default("none")
    .example("[{ dims = 1, weight_decay = 0 }]"),
];

impl Default for OptimizerConfig {
    fn default() -> Self {
        let (kind, options) = ("sgd".to_owned(), Table::new());
        OptimizerConfig { kind, lr: 0.1, weight_decay: None, options, group: Vec::new() }
    }
}

/// The section with its kinds.
pub(super) fn section(kinds: &Kinds) -> Section<'_> {
    let common = &["kind", "lr", "weight_decay", "group"];
    Section { name: "optimizer", common, neutral: Table::new(), kinds: &kinds.optimizers }
}

impl OptimizerConfig {
    /// Fills in defaults and checks ranges.
    pub(super) fn resolve(&mut self, kinds: &Kinds) -> Result<(), ConfigIssue> {
        let section = section(kinds);
        let kind = section.find(&self.kind)?;
        self.options = section.resolve(kind, std::mem::take(&mut self.options))?;
        self.weight_decay = match (self.weight_decay, kind.weight_decay) {
            (Some(given), None) => {
                return Err(ConfigIssue::new(
                    "optimizer.weight_decay",
                    format!(
                        "`optimizer.weight_decay` is {}, but {} has no weight decay. Remove it.",
                        format_number(given),
                        kind.name
                    ),
                ));
            }
            (given, default) => given.or(default),
        };
        Ok(())
    }

    /// The number that an option has.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.options.get(key).and_then(Value::as_float)
    }
}
