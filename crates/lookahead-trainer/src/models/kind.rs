//! A kind of model, as `model.kind` selects it.

use std::sync::Arc;

use tch::nn;

use super::network::Network;
use crate::config::kinds::{KindOptions, Schema};
use crate::config::model::ModelConfig;
use crate::data::DataSpec;

/// A kind of model: its configuration, and how it is built.
#[derive(Clone)]
pub(crate) struct ModelKind {
    /// Its name and its keys.
    pub(crate) schema: Schema,
    build: Arc<Build>,
}

type Build =
    dyn Fn(toml::Table, &nn::Path<'_>, &DataSpec) -> anyhow::Result<Box<dyn Network>> + Send + Sync;

impl ModelKind {
    /// The kind that `build` builds under a path. The weights are drawn from libtorch's generator.
    pub(crate) fn new<O, N, E>(
        name: &'static str,
        build: impl Fn(O, &nn::Path<'_>, &DataSpec) -> Result<N, E> + Send + Sync + 'static,
    ) -> Self
    where
        O: KindOptions,
        N: Network + 'static,
        E: Into<anyhow::Error>,
    {
        ModelKind {
            schema: Schema::of::<O>(name),
            build: Arc::new(move |options, path, spec| {
                Ok(Box::new(build(options.try_into()?, path, spec).map_err(Into::into)?))
            }),
        }
    }

    /// Builds the network of a configuration of this kind.
    pub(crate) fn build(
        &self,
        config: &ModelConfig,
        path: &nn::Path<'_>,
        spec: &DataSpec,
    ) -> anyhow::Result<Box<dyn Network>> {
        (self.build)(self.schema.own(&config.options), path, spec)
    }
}
