//! A kind of inner optimizer, as `optimizer.kind` selects it.

use std::sync::Arc;

use lookahead_core::{InnerOptimizer, RuleOptimizer, StepRule};
use tch::nn;

use crate::config::bounds::SINGLE;
use crate::config::key::Key;
use crate::config::kinds::{KindOptions, Schema};
use crate::config::optimizer::OptimizerConfig;

/// What an inner optimizer is built with besides its own keys.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptimizerContext {
    /// `optimizer.lr`. The training loop sets the schedule's learning rate before each step.
    pub learning_rate: f64,
    /// `optimizer.weight_decay`; 0 if the kind has none.
    pub weight_decay: f64,
}

/// The key that selects this crate's kernels.
pub(super) const FUSED: Key = Key::switch(
    "fused",
    "kernels that take all parameters together; false is libtorch's own step, which is slower and equal up to rounding",
)
.example("false");

/// The key of the momentum.
pub(super) const MOMENTUM: Key = Key::number("momentum", "momentum").at_least(0.0).below(1.0);

/// The key of what is added to the denominator.
pub(super) const EPS: Key =
    Key::number("eps", "added to the denominator").at_least(0.0).at_most(SINGLE);

/// The key of the mean gradient's decay.
pub(super) const BETA1: Key =
    Key::number("beta1", "decay of the first moment").at_least(0.0).below(1.0);

/// The key of the mean squared gradient's decay.
pub(super) const BETA2: Key =
    Key::number("beta2", "decay of the second moment").at_least(0.0).below(1.0);

/// The key of the cautious mask.
pub(super) const CAUTIOUS: Key = Key::switch(
    "cautious",
    "elements of a step that the gradient opposes are left out, and the others of their parameter grow for them",
)
.default("false")
.example("true");

/// The key of what weight decay does.
pub(super) const DECOUPLED: Key = Key::switch(
    "decoupled_weight_decay",
    "the weight decay acts on the weights themselves, as that of adamw does",
)
.example("true");

/// The optimizer of a rule that the library has.
pub(super) fn of_rule<R: StepRule>(
    rule: R,
    context: &OptimizerContext,
    vs: &nn::VarStore,
) -> lookahead_core::Result<RuleOptimizer<R>> {
    let mut optimizer = RuleOptimizer::new(rule, vs, context.learning_rate)?;
    optimizer.set_weight_decay(context.weight_decay)?;
    Ok(optimizer)
}

/// A kind of inner optimizer: its configuration, and how it is built.
#[derive(Clone)]
pub(crate) struct OptimizerKind {
    /// Its name and its keys.
    pub(crate) schema: Schema,
    build: Arc<Build>,
}

type Build = dyn Fn(toml::Table, &OptimizerContext, &nn::VarStore) -> anyhow::Result<Box<dyn InnerOptimizer>>
    + Send
    + Sync;

impl OptimizerKind {
    /// The kind that `build` builds for the trainable variables of a store.
    pub(crate) fn new<O, I, E>(
        name: &'static str,
        build: impl Fn(O, &OptimizerContext, &nn::VarStore) -> Result<I, E> + Send + Sync + 'static,
    ) -> Self
    where
        O: KindOptions,
        I: InnerOptimizer + 'static,
        E: Into<anyhow::Error>,
    {
        OptimizerKind {
            schema: Schema::of::<O>(name),
            build: Arc::new(move |options, context, vs| {
                Ok(Box::new(build(options.try_into()?, context, vs).map_err(Into::into)?))
            }),
        }
    }

    /// Builds the optimizer of a configuration of this kind.
    pub(crate) fn build(
        &self,
        config: &OptimizerConfig,
        vs: &nn::VarStore,
    ) -> anyhow::Result<Box<dyn InnerOptimizer>> {
        let weight_decay = config.weight_decay.or(self.schema.weight_decay).unwrap_or(0.0);
        let context = OptimizerContext { learning_rate: config.lr, weight_decay };
        (self.build)(self.schema.own(&config.options), &context, vs)
    }
}
