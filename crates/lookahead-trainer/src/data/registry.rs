//! The kinds of data that are built in: a line each.

use std::sync::LazyLock;

use lookahead_run::event::Task;

use super::dataset::{Dataset, LoadContext};
use crate::config::data::DataConfig;
use crate::config::kinds::{KindOptions, Schema};
use crate::usage::UsageError;

/// A kind of data: its configuration, and how it is loaded.
pub struct DataKind {
    /// Its name and its keys.
    pub schema: Schema,
    load: Box<Load>,
}

type Load = dyn Fn(toml::Table, &LoadContext) -> anyhow::Result<Dataset> + Send + Sync;

impl DataKind {
    /// The kind that `load` loads, from which `task` is learned. `validation` is the default size of the
    /// validation set.
    pub fn new<O: KindOptions + 'static>(
        name: &'static str,
        task: Task,
        validation: usize,
        load: fn(O, &LoadContext) -> anyhow::Result<Dataset>,
    ) -> Self {
        DataKind {
            schema: Schema::of::<O>(name, task, validation),
            load: Box::new(move |options, context| load(options.try_into()?, context)),
        }
    }
}

/// The kinds that are built in.
pub fn builtin() -> &'static [DataKind] {
    static KINDS: LazyLock<Vec<DataKind>> = LazyLock::new(|| {
        use Task::{Classification, Language, Quadratic};
        vec![
            DataKind::new("fashion-mnist", Classification, 5000, super::fashion_mnist::load),
            DataKind::new("digits", Classification, 241, super::digits::load),
            DataKind::new("cifar10", Classification, 5000, super::cifar10::load),
            DataKind::new("cifar100", Classification, 5000, super::cifar100::load),
            DataKind::new("text", Language, 100, super::text::load),
            DataKind::new("noisy-quadratic", Quadratic, 1, super::noisy_quadratic::load),
            DataKind::new("quadratic", Quadratic, 1, super::quadratic::load),
        ]
    });
    &KINDS
}

/// Loads a data set, fetching it first if necessary, and takes the validation set out of the training set.
///
/// # Errors
/// If files are missing and can't be fetched, or are damaged; if the validation set is larger than the training
/// set.
pub fn load(config: &DataConfig) -> anyhow::Result<Dataset> {
    let name = &config.kind;
    let kind = builtin().iter().find(|kind| kind.schema.name == *name);
    let kind = kind.ok_or_else(|| UsageError::new(format!("`data.kind` {name} is unknown.")))?;
    let schema = kind.schema;
    let context = LoadContext {
        name: schema.name,
        batch_size: config.batch_size,
        validation: config.validation.unwrap_or(schema.validation),
    };
    (kind.load)(schema.own(&config.options), &context)
}

#[cfg(test)]
mod tests;
