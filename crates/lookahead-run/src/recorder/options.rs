//! What a recorded run is, and what it can be asked for.

use serde::Serialize;
use serde_json::{Map, Value};

use super::settings::{Settings, insert};
use crate::error::{Error, Result};
use crate::event::{
    Compute, FORMAT, MetricInfo, Parameters, RunInfo, Samples, Software, Task, TaskInfo, Versions,
};

/// What a recorded run is, for its log and for those who watch it, and what it can be asked for. Everything has a
/// default.
///
/// ```
/// use lookahead_run::RecorderOptions;
/// use lookahead_run::event::MetricInfo;
///
/// let options = RecorderOptions::new()
///     .about("mnist", "mlp", "adamw")
///     .total_steps(10_000)
///     .metric(MetricInfo::accuracy())
///     .setting("lr", 0.1)
///     .checkpoints();
/// ```
#[derive(Debug, Clone, Default)]
pub struct RecorderOptions {
    data: String,
    model: String,
    optimizer: String,
    total_steps: u64,
    steps_per_epoch: u64,
    parameters: u64,
    seed: Option<u64>,
    metrics: Vec<MetricInfo>,
    config: Map<String, Value>,
    pub(super) settings: Settings,
    pub(super) checkpoints: bool,
}

impl RecorderOptions {
    /// A run of which nothing is known, which can be paused and stopped.
    pub fn new() -> Self {
        RecorderOptions::default()
    }

    /// Names of the data, the model and the optimizer, for headings. Use `""` for what has no name.
    pub fn about(mut self, data: &str, model: &str, optimizer: &str) -> Self {
        (self.data, self.model) = (data.to_owned(), model.to_owned());
        self.optimizer = optimizer.to_owned();
        self
    }

    /// The steps that the run will have taken at its end, for progress and the time left.
    pub fn total_steps(mut self, steps: u64) -> Self {
        self.total_steps = steps;
        self
    }

    /// Steps in one pass over the training data, for an axis in epochs.
    pub fn steps_per_epoch(mut self, steps: u64) -> Self {
        self.steps_per_epoch = steps;
        self
    }

    /// The number of trained parameters.
    pub fn parameters(mut self, count: u64) -> Self {
        self.parameters = count;
        self
    }

    /// The seed, by which `lookahead compare` pairs runs. It is the key `seed` of the configuration, too, unless that has
    /// one.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Says how to read a number that will be logged under this name: whether more is better, and whether it is shown
    /// in percent. The first is the one by which runs are compared; without any, that is the loss.
    pub fn metric(mut self, metric: MetricInfo) -> Self {
        self.metrics.push(metric);
        self
    }

    /// The settings of the run, as a table: in `config.toml` and in the log, and by which `lookahead compare` sorts runs.
    ///
    /// # Errors
    /// [`Error::RecorderConfig`] if it is not a table that TOML can hold: there is no null in TOML.
    pub fn config(mut self, config: &impl Serialize) -> Result<Self> {
        let value = serde_json::to_value(config);
        let value = value.map_err(|cause| Error::RecorderConfig(cause.to_string()))?;
        let Value::Object(table) = value else {
            let fault = format!("it is `{value}`, and not a table of keys and values");
            return Err(Error::RecorderConfig(fault));
        };
        self.config = table;
        Ok(self)
    }

    /// Declares a setting that can be changed while the loop runs, with its first value: by
    /// `lookahead ctl RUN set KEY=VALUE`, or in the dashboard. The loop gets it from
    /// [`poll`](super::Recorder::poll). A new value is of the first one's type; one that was declared as an integer
    /// stays an integer.
    pub fn setting(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.settings.declare(key, value.into());
        self
    }

    /// Declares that the loop saves a checkpoint when [`poll`](super::Recorder::poll) asks for one. Otherwise
    /// `lookahead ctl RUN checkpoint` is refused.
    pub fn checkpoints(mut self) -> Self {
        self.checkpoints = true;
        self
    }

    /// The configuration with the settings that can be changed, as a table and as TOML.
    pub(super) fn resolved_config(&self) -> Result<(Value, String)> {
        let mut config = self.config.clone();
        // It tells a run of seed 0 from one without a seed.
        if let Some(seed) = self.seed.and_then(|seed| i64::try_from(seed).ok()) {
            config.entry("seed").or_insert_with(|| seed.into());
        }
        for (key, value) in self.settings.declared() {
            insert(&mut config, key, value)?;
        }
        let text = toml::to_string(&config);
        let text = text.map_err(|cause| Error::RecorderConfig(cause.to_string()))?;
        Ok((Value::Object(config), text))
    }

    /// What is in the first line of the log.
    pub(super) fn info(&self, run: &str, config: Value) -> RunInfo {
        let program = std::env::current_exe().ok();
        let program = program.as_ref().and_then(|path| path.file_stem());
        RunInfo {
            format: FORMAT,
            run: run.to_owned(),
            data: self.data.clone(),
            task: TaskInfo::new(Task::Recorded, self.metrics.clone()),
            model: self.model.clone(),
            optimizer: self.optimizer.clone(),
            lookahead: None,
            compute: Compute::default(),
            parameters: Parameters { trainable: self.parameters, frozen: 0 },
            total_steps: self.total_steps,
            steps_per_epoch: self.steps_per_epoch,
            samples: Samples::default(),
            seed: self.seed.unwrap_or(0),
            software: Software {
                program: Some(program.map_or_else(
                    || "a program of its own".to_owned(),
                    |name| name.to_string_lossy().into_owned(),
                )),
                versions: Versions {
                    lookahead: env!("CARGO_PKG_VERSION").to_owned(),
                    ..Versions::default()
                },
            },
            config,
        }
    }
}
