//! The kinds of data, models and optimizers that a configuration can select, and what else a program adds to the training.
//!
//! The kinds that are built in are registered here, with the calls that any program can use.

use std::fmt;
use std::sync::Arc;

use lookahead_core::InnerOptimizer;
use lookahead_run::event::Task;
use tch::{Device, nn};

use crate::config::Config;
use crate::config::data::DataConfig;
use crate::config::kinds::{KindOptions, Kinds, TaskPart};
use crate::config::model::ModelConfig;
use crate::config::optimizer::OptimizerConfig;
use crate::config::task::TaskConfig;
use crate::data::kind::DataKind;
use crate::data::{self, DataSpec, Dataset, LoadContext};
use crate::models::kind::ModelKind;
use crate::models::{self, Model, Network};
use crate::objective::kind::{LossKind, MetricKind};
use crate::objective::{
    Loss, Metric, Objective, ObjectiveContext, classes, labels, losses, values,
};
use crate::optimizers;
use crate::optimizers::kind::{OptimizerContext, OptimizerKind};
use crate::train::hook::Hook;
use crate::usage::UsageError;

/// The kinds of data, models and optimizers, and the hooks of every training.
#[derive(Clone)]
pub struct Registry {
    kinds: Kinds,
    data: Vec<DataKind>,
    models: Vec<ModelKind>,
    optimizers: Vec<OptimizerKind>,
    losses: Vec<LossKind>,
    metrics: Vec<MetricKind>,
    hooks: Vec<Arc<MakeHook>>,
}

type MakeHook = dyn Fn(&Config) -> anyhow::Result<Box<dyn Hook>> + Send + Sync;

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("kinds", &self.kinds).finish_non_exhaustive()
    }
}

impl Registry {
    /// No kinds at all; with the losses and metrics of this crate.
    pub fn new() -> Self {
        use Task::{Classification, Language, Multilabel, Quadratic, Regression};
        let empty = Registry {
            kinds: Kinds::default(),
            data: Vec::new(),
            models: Vec::new(),
            optimizers: Vec::new(),
            losses: Vec::new(),
            metrics: Vec::new(),
            hooks: Vec::new(),
        };
        empty
            .loss("cross_entropy", &[Classification, Language], losses::CrossEntropy::new)
            .loss("mse", &[Regression], losses::mse)
            .loss("mae", &[Regression], losses::mae)
            .loss("huber", &[Regression], losses::huber)
            .loss("binary_cross_entropy", &[Multilabel], losses::BinaryCrossEntropy::new)
            .loss("outputs", &[Quadratic], losses::Outputs::new)
            .metric("accuracy", &[Classification, Language], classes::accuracy)
            .metric("top5", &[Classification, Language], classes::top5)
            .metric("macro_f1", &[Classification, Language], classes::MacroF1::new)
            .metric("perplexity", &[Language], classes::Perplexity::new)
            .metric("accuracy", &[Multilabel], labels::accuracy)
            .metric("micro_f1", &[Multilabel], labels::micro_f1)
            .metric("macro_f1", &[Multilabel], labels::macro_f1)
            .metric("mse", &[Regression], values::mse)
            .metric("rmse", &[Regression], values::rmse)
            .metric("mae", &[Regression], values::mae)
            .metric("r2", &[Regression], values::R2::new)
    }

    /// The kinds of this crate.
    pub fn builtin() -> Self {
        Registry::new()
            .data("fashion-mnist", data::fashion_mnist::load)
            .data("digits", data::digits::load)
            .data("cifar10", data::cifar10::load)
            .data("cifar100", data::cifar100::load)
            .data("images", data::image_folder::load)
            .data("text", data::text::load)
            .data("csv", data::table::load)
            .data("arrays", data::arrays::load)
            .data("noisy-quadratic", data::noisy_quadratic::load)
            .data("quadratic", data::quadratic::load)
            .model("cnn", models::cnn::build)
            .model("mlp", models::mlp::build)
            .model("resnet", models::resnet::build)
            .model("lstm", models::lstm::build)
            .model("transformer", models::transformer::build)
            .model("torchscript", models::torchscript::build)
            .model("quadratic", models::quadratic::build)
            .optimizer("sgd", optimizers::sgd::build)
            .optimizer("adam", optimizers::adam::build_adam)
            .optimizer("adamw", optimizers::adam::build_adamw)
            .optimizer("rmsprop", optimizers::rmsprop::build)
            .optimizer("nadam", optimizers::nadam::build)
            .optimizer("radam", optimizers::radam::build)
            .optimizer("adan", optimizers::adan::build)
            .optimizer("adagrad", optimizers::adagrad::build)
            .optimizer("lion", optimizers::lion::build)
            .optimizer("muon", optimizers::muon::build)
    }

    /// Adds the kind of data that `load` loads. `O` is the type of the keys of `[data]` besides `kind`,
    /// `batch_size` and `validation`. A kind with the same name is replaced.
    #[must_use]
    pub fn data<O: KindOptions>(
        mut self,
        name: &'static str,
        load: impl Fn(O, &LoadContext) -> anyhow::Result<Dataset> + Send + Sync + 'static,
    ) -> Self {
        self.data.retain(|kind| kind.schema.name != name);
        self.data.push(DataKind::new(name, load));
        self.kinds.data = self.data.iter().map(|kind| kind.schema).collect();
        self
    }

    /// Adds the kind of model that `build` builds. `O` is the type of the keys of `[model]` besides `kind`. The
    /// model's variables are those that `build` makes under the path, in the names of their tensors; their first
    /// values must come from libtorch's generator, which is seeded. A kind with the same name is replaced.
    #[must_use]
    pub fn model<O, N, E>(
        mut self,
        name: &'static str,
        build: impl Fn(O, &nn::Path<'_>, &DataSpec) -> Result<N, E> + Send + Sync + 'static,
    ) -> Self
    where
        O: KindOptions,
        N: Network + 'static,
        E: Into<anyhow::Error>,
    {
        self.models.retain(|kind| kind.schema.name != name);
        self.models.push(ModelKind::new(name, build));
        self.kinds.models = self.models.iter().map(|kind| kind.schema).collect();
        self
    }

    /// Adds the kind of inner optimizer that `build` builds for the trainable variables of a store. `O` is the type
    /// of the keys of `[optimizer]` besides `kind`, `lr` and `weight_decay`. A checkpoint holds the optimizer's
    /// [state](InnerOptimizer::state). A kind with the same name is replaced.
    ///
    /// `optimizer.weight_decay` may change on resume: [`set_weight_decay`](InnerOptimizer::set_weight_decay) is
    /// called then, unless [`KindOptions::WEIGHT_DECAY`] is `None`.
    ///
    /// ```
    /// use lookahead_core::{InnerOptimizer, Result, TchOptimizer};
    /// use lookahead_trainer::config::optimizer::OptimizerConfig;
    /// use lookahead_trainer::{KindOptions, OptimizerContext, Registry};
    /// use tch::nn;
    ///
    /// /// The keys of `[optimizer]` for the heavy ball.
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// #[serde(default, deny_unknown_fields)]
    /// struct HeavyBall {
    ///     mass: f64,
    /// }
    ///
    /// impl Default for HeavyBall {
    ///     fn default() -> Self {
    ///         HeavyBall { mass: 0.99 }
    ///     }
    /// }
    ///
    /// impl KindOptions for HeavyBall {}
    ///
    /// // An optimizer of your own implements InnerOptimizer instead.
    /// fn build(own: HeavyBall, given: &OptimizerContext, vs: &nn::VarStore) -> Result<TchOptimizer> {
    ///     let sgd = nn::sgd(own.mass, 0., given.weight_decay, false);
    ///     TchOptimizer::new(sgd, vs, given.learning_rate)
    /// }
    ///
    /// let registry = Registry::builtin().optimizer("heavy-ball", build);
    /// # let vs = nn::VarStore::new(tch::Device::Cpu);
    /// # let _ = vs.root().ones("w", &[1]);
    /// let config = OptimizerConfig { kind: "heavy-ball".into(), lr: 0.01, ..Default::default() };
    /// assert_eq!(registry.build_optimizer(&config, &vs)?.learning_rates()?, [0.01]);
    /// # Ok::<(), anyhow::Error>(())
    /// ```
    #[must_use]
    pub fn optimizer<O, I, E>(
        mut self,
        name: &'static str,
        build: impl Fn(O, &OptimizerContext, &nn::VarStore) -> Result<I, E> + Send + Sync + 'static,
    ) -> Self
    where
        O: KindOptions,
        I: InnerOptimizer + 'static,
        E: Into<anyhow::Error>,
    {
        self.optimizers.retain(|kind| kind.schema.name != name);
        self.optimizers.push(OptimizerKind::new(name, build));
        self.kinds.optimizers = self.optimizers.iter().map(|kind| kind.schema).collect();
        self
    }

    /// Adds the loss that `build` builds, for these tasks. `task.loss` selects it. A loss with the same name for one of
    /// these tasks is replaced.
    #[must_use]
    pub fn loss<L: Loss + 'static>(
        mut self,
        name: &'static str,
        tasks: &'static [Task],
        build: impl Fn(&ObjectiveContext<'_>) -> anyhow::Result<L> + Send + Sync + 'static,
    ) -> Self {
        let part = TaskPart { name, tasks };
        self.losses.retain(|kind| !kind.part.overlaps(&part));
        self.losses.push(LossKind::new(part, move |context| Ok(Box::new(build(context)?))));
        self.kinds.losses = self.losses.iter().map(|kind| kind.part).collect();
        self
    }

    /// Adds the metric that `build` builds, for these tasks. `task.metrics` and `train.best_by` select it. A metric with
    /// the same name for one of these tasks is replaced.
    #[must_use]
    pub fn metric<M: Metric + 'static>(
        mut self,
        name: &'static str,
        tasks: &'static [Task],
        build: impl Fn(&ObjectiveContext<'_>) -> anyhow::Result<M> + Send + Sync + 'static,
    ) -> Self {
        let part = TaskPart { name, tasks };
        self.metrics.retain(|kind| !kind.part.overlaps(&part));
        self.metrics.push(MetricKind::new(part, move |context| Ok(Box::new(build(context)?))));
        self.kinds.metrics = self.metrics.iter().map(|kind| kind.part).collect();
        self
    }

    /// Adds a hook to every training, in every process of it. `make` gets the configuration.
    #[must_use]
    pub fn hook<H: Hook + 'static>(
        mut self,
        make: impl Fn(&Config) -> anyhow::Result<H> + Send + Sync + 'static,
    ) -> Self {
        self.hooks.push(Arc::new(move |config| Ok(Box::new(make(config)?))));
        self
    }

    /// The kinds, as a configuration knows them.
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// Loads a data set, fetching it first if necessary, and takes the validation set out of the training set.
    ///
    /// # Errors
    /// If files are missing and can't be fetched, or are damaged; if the validation set is larger than the
    /// training set.
    pub fn load_data(&self, config: &DataConfig) -> anyhow::Result<Dataset> {
        let kind = self.data.iter().find(|kind| kind.schema.name == config.kind);
        kind.ok_or_else(|| unknown("data", &config.kind))?.load(config)
    }

    /// Builds the model of a configuration for data of this spec. The weights are drawn from libtorch's generator:
    /// seed it first.
    ///
    /// # Errors
    /// If model and data don't fit each other.
    pub fn build_model(
        &self,
        config: &ModelConfig,
        spec: &DataSpec,
        device: Device,
    ) -> anyhow::Result<Model> {
        let kind = self.models.iter().find(|kind| kind.schema.name == config.kind);
        let kind = kind.ok_or_else(|| unknown("model", &config.kind))?;
        let vs = nn::VarStore::new(device);
        let network = kind.build(config, &vs.root(), spec)?;
        Ok(Model::new(vs, network))
    }

    /// Builds the inner optimizer of a configuration for the trainable variables of `vs`.
    ///
    /// # Errors
    /// Those of the kind's build function.
    pub fn build_optimizer(
        &self,
        config: &OptimizerConfig,
        vs: &nn::VarStore,
    ) -> anyhow::Result<Box<dyn InnerOptimizer>> {
        let alone = |config: &OptimizerConfig, vs: &nn::VarStore| {
            let kind = self.optimizers.iter().find(|kind| kind.schema.name == config.kind);
            kind.ok_or_else(|| unknown("optimizer", &config.kind))?.build(config, vs)
        };
        if config.group.is_empty() {
            return alone(config, vs);
        }
        let groups = config.groups(&self.kinds).map_err(|issue| UsageError::new(issue.message))?;
        optimizers::groups::build(&alone, config, &groups, vs)
    }

    /// Builds the loss and the metrics of a configuration for data of this spec.
    ///
    /// # Errors
    /// A usage error if the configuration selects one that doesn't fit the data.
    pub fn build_objective(
        &self,
        config: &Config,
        spec: &DataSpec,
        device: Device,
    ) -> anyhow::Result<Objective> {
        let names = config.task.metrics(spec.task, config.train.best_by.as_deref());
        self.objective_of(&config.task, &names, spec, device)
    }

    /// As [`build_objective`](Self::build_objective), with all metrics that fit the data.
    ///
    /// # Errors
    /// As there.
    pub fn build_full_objective(
        &self,
        config: &Config,
        spec: &DataSpec,
        device: Device,
    ) -> anyhow::Result<Objective> {
        let mut names = config.task.metrics(spec.task, config.train.best_by.as_deref());
        let context = ObjectiveContext { config: &config.task, spec, device };
        for kind in self.metrics.iter().filter(|kind| kind.part.tasks.contains(&spec.task)) {
            let name = kind.part.name;
            if !names.iter().any(|own| own == name) && kind.build(&context).is_ok() {
                names.push(name.to_owned());
            }
        }
        self.objective_of(&config.task, &names, spec, device)
    }

    fn objective_of(
        &self,
        config: &TaskConfig,
        metrics: &[String],
        spec: &DataSpec,
        device: Device,
    ) -> anyhow::Result<Objective> {
        let context = ObjectiveContext { config, spec, device };
        let name = config.loss(spec.task);
        let kind = self.losses.iter().find(|kind| kind.is(name, &context));
        let loss = kind.ok_or_else(|| unfit("task.loss", name))?.build(&context)?;
        let mut objective = Objective::new(spec, loss);
        for name in metrics {
            let kind = self.metrics.iter().find(|kind| kind.is(name, &context));
            objective.add(name, kind.ok_or_else(|| unfit("task.metrics", name))?.build(&context)?);
        }
        Ok(objective)
    }

    /// The registered hooks for a training.
    pub(crate) fn make_hooks(&self, config: &Config) -> anyhow::Result<Vec<Box<dyn Hook>>> {
        self.hooks.iter().map(|make| make(config)).collect()
    }
}

impl Default for Registry {
    fn default() -> Self {
        Registry::new()
    }
}

fn unfit(key: &str, name: &str) -> UsageError {
    UsageError::new(format!("`{key}` names {name}, which doesn't fit the data."))
}

fn unknown(section: &str, kind: &str) -> UsageError {
    UsageError::new(format!("`{section}.kind` {kind} is unknown."))
}

#[cfg(test)]
mod tests;
