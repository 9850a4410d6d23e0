//! A kind of data, as `data.kind` selects it.

use std::sync::Arc;

use super::dataset::{Dataset, LoadContext};
use crate::config::data::DataConfig;
use crate::config::kinds::{KindOptions, Schema};

/// A kind of data: its configuration, and how it is loaded.
#[derive(Clone)]
pub(crate) struct DataKind {
    /// Its name and its keys.
    pub(crate) schema: Schema,
    load: Arc<Load>,
}

type Load = dyn Fn(toml::Table, &LoadContext) -> anyhow::Result<Dataset> + Send + Sync;

impl DataKind {
    /// The kind that `load` loads.
    pub(crate) fn new<O: KindOptions>(
        name: &'static str,
        load: impl Fn(O, &LoadContext) -> anyhow::Result<Dataset> + Send + Sync + 'static,
    ) -> Self {
        DataKind {
            schema: Schema::of::<O>(name),
            load: Arc::new(move |options, context| load(options.try_into()?, context)),
        }
    }

    /// Loads the data set of a configuration of this kind.
    pub(crate) fn load(&self, config: &DataConfig) -> anyhow::Result<Dataset> {
        let schema = self.schema;
        let context = LoadContext {
            name: schema.name,
            batch_size: config.batch_size,
            validation: config.validation.or(schema.validation),
        };
        (self.load)(schema.own(&config.options), &context)
    }
}
