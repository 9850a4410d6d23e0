//! The kinds of models that are built in: a line each.

use std::sync::LazyLock;

use lookahead_run::event::Task;
use tch::nn;

use super::network::Network;
use crate::config::kinds::{KindOptions, Schema};
use crate::config::model::ModelConfig;
use crate::data::dataset::Problem;
use crate::usage::UsageError;

/// A kind of model: its configuration, and how it is built.
pub struct ModelKind {
    /// Its name and its keys.
    pub schema: Schema,
    build: Box<Build>,
}

type Build =
    dyn Fn(toml::Table, &nn::Path<'_>, &Problem) -> anyhow::Result<Box<dyn Network>> + Send + Sync;

impl ModelKind {
    /// The kind that `build` builds under a path, and that learns `task`. The weights are drawn from libtorch's
    /// generator.
    pub fn new<O: KindOptions + 'static, N: Network + 'static>(
        name: &'static str,
        task: Task,
        build: fn(O, &nn::Path<'_>, &Problem) -> Result<N, UsageError>,
    ) -> Self {
        ModelKind {
            schema: Schema::of::<O>(name, task, 0),
            build: Box::new(move |options, path, problem| {
                Ok(Box::new(build(options.try_into()?, path, problem)?))
            }),
        }
    }
}

/// The kinds that are built in.
pub fn builtin() -> &'static [ModelKind] {
    static KINDS: LazyLock<Vec<ModelKind>> = LazyLock::new(|| {
        use Task::{Classification, Language, Quadratic};
        vec![
            ModelKind::new("cnn", Classification, super::cnn::build),
            ModelKind::new("mlp", Classification, super::mlp::build),
            ModelKind::new("resnet", Classification, super::resnet::build),
            ModelKind::new("lstm", Language, super::lstm::build),
            ModelKind::new("transformer", Language, super::transformer::build),
            ModelKind::new("quadratic", Quadratic, super::quadratic::build),
        ]
    });
    &KINDS
}

/// Builds the network of a configuration under a path.
///
/// # Errors
/// If model and data don't fit each other.
pub fn build(
    config: &ModelConfig,
    path: &nn::Path<'_>,
    problem: &Problem,
) -> anyhow::Result<Box<dyn Network>> {
    let name = &config.kind;
    let kind = builtin().iter().find(|kind| kind.schema.name == *name);
    let kind = kind.ok_or_else(|| UsageError::new(format!("`model.kind` {name} is unknown.")))?;
    (kind.build)(kind.schema.own(&config.options), path, problem)
}
