//! The loss and the metrics: `[task]`.

use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};

use super::issue::{ConfigIssue, listed, require};
use super::key::Key;
use super::kinds::{Kinds, TaskPart};
use crate::nearest::similar;

/// `[task]`. A key that is not set has the task's default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskConfig {
    /// The loss that is minimized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<String>,
    /// The part of each target that is spread over all classes, of the loss `cross_entropy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f64>,
    /// The weight of each class, of the loss `cross_entropy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<Vec<f64>>,
    /// The error up to which the loss `huber` is a square.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub huber_delta: Option<f64>,
    /// What evaluations measure besides the loss, the most important metric first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Vec<String>>,
}

/// The keys of the section.
pub(super) const KEYS: &[Key] = &[

    Key::choice(
        "loss",
        &[],
        "what is minimized. A loss that doesn't fit what is learned is refused",
    )
    .default("that of what is learned: of classes and text `cross_entropy`, of numbers `mse`")
    .example("\"huber\""),
    Key::number(
        "label_smoothing",
        "of the loss cross_entropy: the part of each target that is spread over all classes, in evaluations too",
    )
    .at_least(0.0)
    .below(1.0)
    .default("0")
    .example("0.1"),
    Key::numbers(
        "class_weights",
        "of the loss cross_entropy: how much the samples of each class count. The mean is weighted, as in PyTorch",
    )
    .at_least(0.0)
    .not_empty()
    .allowed("a number of 0 or more for each class")
    .default("all classes count the same")
    .example("[1.0, 2.5]"),
    Key::number(
        "huber_delta",
        "of the loss huber: the error, in standard deviations of a standardized target, up to which the loss is \
         half its square",
    )
    .above(0.0)
    .default("1")
    .example("1.0"),
    Key::texts(
        "metrics",
        "what evaluations measure besides the loss, the most important one first. The accuracy of classes and \
         `train.best_by` are always measured",
    )
    .default("those of what is learned")
    .example("[\"macro_f1\", \"accuracy\"]"),
];

/// The name of the loss where a metric can be named, which every evaluation has.
pub const LOSS: &str = "loss";
/// The metric of everything that is classified.
pub const ACCURACY: &str = "accuracy";
const CROSS_ENTROPY: &str = "cross_entropy";
const HUBER: &str = "huber";

/// The loss of a task if none is set.
pub fn default_loss(task: Task) -> &'static str {
    match task {
        Task::Classification | Task::Language => CROSS_ENTROPY,
        Task::Regression => "mse",
        Task::Multilabel => "binary_cross_entropy",
        Task::Quadratic | Task::Recorded | Task::Unknown => "outputs",
    }
}

/// The metrics of a task if none are set.
fn default_metrics(task: Task) -> &'static [&'static str] {
    match task {
        Task::Classification => &[ACCURACY],
        Task::Language => &["perplexity", ACCURACY],
        Task::Regression => &["mse", "mae", "r2"],
        Task::Multilabel => &[ACCURACY, "micro_f1", "macro_f1"],
        Task::Quadratic | Task::Recorded | Task::Unknown => &[],
    }
}

/// The metric by which the best model is found if none is set.
fn default_best_by(task: Task) -> &'static str {
    match task {
        Task::Classification | Task::Language => ACCURACY,
        _ => LOSS,
    }
}

impl TaskConfig {
    /// Whether no key is set.
    pub fn is_default(&self) -> bool {
        *self == TaskConfig::default()
    }

    /// The name of the loss.
    pub fn loss(&self, task: Task) -> &str {
        self.loss.as_deref().unwrap_or_else(|| default_loss(task))
    }

    /// The names of the metrics: those of the config or of the task, and what is needed besides. Where something is
    /// classified that is the accuracy, which every event of an evaluation has, and `best_by`.
    pub fn metrics(&self, task: Task, best_by: Option<&str>) -> Vec<String> {
        let own = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let mut names = self.metrics.clone().unwrap_or_else(|| own(default_metrics(task)));
        let accuracy = matches!(task, Task::Classification | Task::Language).then_some(ACCURACY);
        for needed in accuracy.into_iter().chain(best_by.filter(|&name| name != LOSS)) {
            if !names.iter().any(|name| name == needed) {
                names.push(needed.to_owned());
            }
        }
        names
    }

    /// Checks all values; which ones fit each other, and the task, as far as that is known.
    pub(super) fn check(&self, kinds: &Kinds, task: Option<Task>) -> Result<(), ConfigIssue> {
        if let Some(name) = &self.loss {
            check_name(&kinds.losses, "task.loss", "a loss", name, task)?;
        }
        for name in self.metrics.iter().flatten() {
            check_name(&kinds.metrics, "task.metrics", "a metric", name, task)?;
        }
        let loss = self.loss.as_deref().or(task.map(default_loss));
        for (key, is_set, owner) in [
            ("task.label_smoothing", self.label_smoothing.is_some(), CROSS_ENTROPY),
            ("task.class_weights", self.class_weights.is_some(), CROSS_ENTROPY),
            ("task.huber_delta", self.huber_delta.is_some(), HUBER),
        ] {
            if let (true, Some(loss)) = (is_set && loss != Some(owner), loss) {
                let message = format!(
                    "`{key}` belongs to the loss {owner} only, and the loss is {loss}. Remove it, or set \
                     `task.loss` to {owner}."
                );
                return Err(ConfigIssue::new(key, message));
            }
        }
        if let Some(weights) = &self.class_weights {
            let holds = weights.iter().any(|weight| *weight > 0.0);
            let found = format!("{weights:?}");
            require(holds, "task.class_weights", found, "numbers of 0 or more, one above 0")?;
        }
        Ok(())
    }

    /// The metric by which the best model is found: `given`, which is checked, or the task's default. `None` if the
    /// task is not known yet and none is given.
    pub(super) fn best_by(
        &self,
        given: Option<&str>,
        kinds: &Kinds,
        task: Option<Task>,
    ) -> Result<Option<String>, ConfigIssue> {
        if let Some(name) = given.filter(|&name| name != LOSS) {
            let mut all = vec![TaskPart { name: LOSS, tasks: ALL }];
            all.extend_from_slice(&kinds.metrics);
            check_name(&all, "train.best_by", "a metric", name, task)?;
        }
        Ok(given.or(task.map(default_best_by)).map(str::to_owned))
    }
}

const ALL: &[Task] =
    &[Task::Classification, Task::Language, Task::Quadratic, Task::Regression, Task::Multilabel];

/// Refuses a name that is unknown, or that doesn't fit the task, with those that would do.
fn check_name(
    all: &[TaskPart],
    key: &'static str,
    what: &str,
    name: &str,
    task: Option<Task>,
) -> Result<(), ConfigIssue> {
    let fits = |part: &&TaskPart| task.is_none_or(|task| part.tasks.contains(&task));
    if all.iter().filter(fits).any(|part| part.name == name) {
        return Ok(());
    }
    let mut fitting: Vec<&str> = Vec::new();
    for part in all.iter().filter(fits) {
        // Several tasks have an accuracy.
        if !fitting.contains(&part.name) {
            fitting.push(part.name);
        }
    }
    let known = all.iter().any(|part| part.name == name);
    let of = match task {
        Some(task) if known => format!("doesn't fit this task, {}", task_name(task)),
        _ => format!("is not {what}"),
    };
    let remedy = match &fitting[..] {
        [] => "Remove it.".to_owned(),
        names => format!("Use one of these: {}.", listed(names)),
    };
    let meant = similar(fitting.iter().copied(), name);
    let meant = meant.map(|meant| format!("Did you mean `{meant}`? ")).unwrap_or_default();
    Err(ConfigIssue::new(key, format!("`{key}` names {name}, which {of}. {meant}{remedy}")))
}

/// A task in a sentence.
fn task_name(task: Task) -> &'static str {
    match task {
        Task::Classification => "classification",
        Task::Language => "a language model",
        Task::Quadratic => "a quadratic problem",
        Task::Regression => "regression",
        Task::Multilabel => "several labels for each sample",
        Task::Recorded => "the own loop of a program",
        Task::Unknown => "one of a later version",
    }
}

#[cfg(test)]
mod tests;
