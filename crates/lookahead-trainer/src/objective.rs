//! What is learned: a loss that is minimized, and metrics that evaluations measure. `[task]` selects them.
//!
//! | module | what is in it |
//! |---|---|
//! | [`loss`], [`metric`] | the traits of losses and metrics |
//! | [`losses`] | the losses that are built in |
//! | [`classes`], [`labels`], [`values`] | the metrics that are built in: of classes, of several labels, of numbers |
//! | `kind` | what `task.loss` and `task.metrics` select |
//!
//! A network returns outputs, and knows neither loss nor metrics. To add one of your own, implement [`Loss`] or
//! [`Metric`], and register it. Configurations then select it by its name, as they do those that are built in:
//!
//! ```no_run
//! use lookahead_trainer::{App, Loss, Metric, Task};
//! use tch::{Kind, Tensor};
//!
//! /// The mean fourth power of the errors.
//! #[derive(Debug)]
//! struct Quartic;
//!
//! impl Loss for Quartic {
//!     fn mean(&self, outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor> {
//!         Ok((outputs - targets).f_square()?.f_square()?.f_mean(Kind::Float)?)
//!     }
//! }
//!
//! /// The fraction of predictions that are at most 0.1 off.
//! #[derive(Debug)]
//! struct Close;
//!
//! impl Metric for Close {
//!     fn higher_is_better(&self) -> bool {
//!         true
//!     }
//!
//!     fn is_fraction(&self) -> bool {
//!         true
//!     }
//!
//!     fn number_of_sums(&self) -> usize {
//!         2
//!     }
//!
//!     fn sums(&self, outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor> {
//!         let close = (outputs - targets).f_abs()?.f_le_tensor(&Tensor::from(0.1))?;
//!         let close = close.f_to_kind(Kind::Double)?;
//!         Ok(Tensor::f_stack(&[close.f_sum(Kind::Double)?, close.f_ones_like()?.f_sum(Kind::Double)?], 0)?)
//!     }
//!
//!     fn value(&self, sums: &[f64]) -> f64 {
//!         sums[0] / sums[1]
//!     }
//! }
//!
//! fn main() {
//!     App::builtin() // task.loss = "quartic", task.metrics = ["close", "r2"]
//!         .loss("quartic", &[Task::Regression], |_| Ok(Quartic))
//!         .metric("close", &[Task::Regression], |_| Ok(Close))
//!         .run()
//! }
//! ```

pub mod classes;
pub(crate) mod kind;
pub mod labels;
pub mod loss;
pub mod losses;
pub mod metric;
#[cfg(test)]
mod tests;
pub mod values;

use lookahead_run::event::{Evaluation, MetricInfo, Split, Task, TaskInfo, Weights};
use tch::{Device, Kind as Element, Tensor};

use self::metric::filled;
use crate::config::task::{ACCURACY, TaskConfig};
use crate::data::{Batch, DataSpec};
use crate::models::Model;

pub use loss::Loss;
pub use metric::Metric;

/// What a loss or a metric is built from.
#[derive(Debug, Clone, Copy)]
pub struct ObjectiveContext<'a> {
    /// `[task]`.
    pub config: &'a TaskConfig,
    /// The model's inputs and outputs.
    pub spec: &'a DataSpec,
    /// Where the model is.
    pub device: Device,
}

/// The loss and the metrics of a training.
#[derive(Debug)]
pub struct Objective {
    task: Task,
    loss: Box<dyn Loss>,
    metrics: Vec<NamedMetric>,
    /// The number of classes, if there is a confusion matrix.
    confusion: Option<i64>,
}

#[derive(Debug)]
struct NamedMetric {
    info: MetricInfo,
    metric: Box<dyn Metric>,
}

/// The most classes with a confusion matrix.
const MOST_CLASSES: usize = 100;

/// The sums that an evaluation consists of. They are on the model's device until they are read, so that nothing
/// waits for a GPU between batches.
#[derive(Debug)]
pub struct Sums {
    /// The loss, its weight, those of each metric, and the confusion matrix if it is measured.
    values: Tensor,
    samples: usize,
}

impl Sums {
    /// The sums over these samples and others.
    pub(crate) fn and(self, other: &Sums) -> anyhow::Result<Sums> {
        let values = self.values.f_add(&other.values)?;
        Ok(Sums { values, samples: self.samples + other.samples })
    }

    /// The sums, and the number of samples. Waits for the device.
    pub(crate) fn read(&self) -> anyhow::Result<(Vec<f64>, usize)> {
        Ok((Vec::try_from(self.values.f_to_device(Device::Cpu)?)?, self.samples))
    }
}

impl Objective {
    /// A loss without metrics, for data of this spec.
    pub fn new(spec: &DataSpec, loss: Box<dyn Loss>) -> Self {
        let classes = spec.outputs.filter(|&outputs| outputs <= MOST_CLASSES);
        let confusion = classes.filter(|_| spec.task == Task::Classification);
        Objective {
            task: spec.task,
            loss,
            metrics: Vec::new(),
            confusion: confusion.map(|n| n as i64),
        }
    }

    /// Takes another loss, if there is one, and adds metrics, or takes them instead of those of the same names.
    pub(crate) fn replace(
        &mut self,
        loss: Option<Box<dyn Loss>>,
        metrics: Vec<(&'static str, Box<dyn Metric>)>,
    ) {
        if let Some(loss) = loss {
            self.loss = loss;
        }
        for (name, metric) in metrics {
            self.metrics.retain(|named| named.info.name != name);
            self.add(name, metric);
        }
    }

    /// Adds a metric.
    pub(crate) fn add(&mut self, name: &str, metric: Box<dyn Metric>) {
        let (higher_is_better, percent) = (metric.higher_is_better(), metric.is_fraction());
        let info = MetricInfo { name: name.to_owned(), higher_is_better, percent };
        self.metrics.push(NamedMetric { info, metric });
    }

    /// The task and its metrics, for the log.
    pub fn info(&self) -> TaskInfo {
        let metrics = self.metrics.iter().map(|named| named.info.clone()).collect();
        TaskInfo::new(self.task, metrics)
    }

    /// A metric, or `loss`. One that is not measured counts as a loss, where less is better.
    pub fn metric(&self, name: &str) -> MetricInfo {
        let own = self.metrics.iter().map(|named| &named.info).find(|info| info.name == name);
        own.cloned().unwrap_or_else(|| MetricInfo { name: name.to_owned(), ..MetricInfo::loss() })
    }

    /// The loss of guessing, if that says something: see [`Loss::of_guessing`].
    pub(crate) fn loss_of_guessing(&self) -> Option<f64> {
        self.loss.of_guessing()
    }

    /// The mean loss of a batch, in `f32`, with a gradient.
    ///
    /// # Errors
    /// If the outputs don't fit the targets.
    pub fn loss(&self, model: &Model, batch: &Batch, train: bool) -> anyhow::Result<Tensor> {
        // The region ends before the backward pass.
        model.in_autocast(|| {
            let Shaped { outputs, targets, .. } = self.shaped(model, batch, train)?;
            self.loss.mean(&outputs, &targets)
        })
    }

    /// The sums of a batch, in evaluation mode, on the model's device.
    ///
    /// # Errors
    /// If the outputs don't fit the targets.
    pub(crate) fn sums(&self, model: &Model, batch: &Batch, split: Split) -> anyhow::Result<Sums> {
        model.in_autocast(|| {
            let Shaped { outputs, targets, samples } = self.shaped(model, batch, false)?;
            let weight = match self.loss.weight(&targets)? {
                Some(weight) => weight.f_to_kind(Element::Double)?.f_reshape([1])?,
                None => filled(&[1], samples, outputs.device())?,
            };
            let mean = self.loss.mean(&outputs, &targets)?.f_to_kind(Element::Double)?;
            let mut all = vec![mean.f_reshape([1])?.f_mul(&weight)?, weight];
            for NamedMetric { info, metric } in &self.metrics {
                let sums = metric.sums(&outputs, &targets)?;
                anyhow::ensure!(
                    sums.size() == [metric.number_of_sums() as i64] && sums.kind() == Element::Double,
                    "The metric {} returned sums of shape {:?} and type {:?}, and must return {} numbers of type \
                     Double.",
                    info.name,
                    sums.size(),
                    sums.kind(),
                    metric.number_of_sums()
                );
                all.push(sums);
            }
            if let (Some(classes), Split::Test) = (self.confusion, split) {
                all.push(classes::confusion(&outputs, &targets, classes)?);
            }
            Ok(Sums { values: Tensor::f_cat(&all, 0)?, samples })
        })
    }

    /// How many sums [`sums`](Self::sums) has.
    pub(crate) fn number_of_sums(&self, split: Split) -> usize {
        let metrics = self.metrics.iter().map(|named| named.metric.number_of_sums());
        let matrix = self.confusion.filter(|_| split == Split::Test);
        2 + metrics.sum::<usize>() + matrix.map_or(0, |classes| (classes * classes) as usize)
    }

    /// The evaluation that these sums over `samples` samples make.
    pub(crate) fn evaluation(
        &self,
        sums: &[f64],
        samples: usize,
        split: Split,
        weights: Weights,
    ) -> Evaluation {
        let mut found = Evaluation::new(weights, split);
        (found.loss, found.samples) = (sums[0] / sums[1], samples as u64);
        let mut rest = &sums[2..];
        for NamedMetric { info, metric } in &self.metrics {
            let own;
            (own, rest) = rest.split_at(metric.number_of_sums());
            found.metrics.insert(info.name.clone(), metric.value(own));
        }
        if let Some(accuracy) = found.metrics.get(ACCURACY) {
            found.accuracy = *accuracy;
        }
        if let Some(classes) = self.confusion.filter(|_| !rest.is_empty()) {
            let rows = rest.chunks(classes as usize);
            let counts = |row: &[f64]| row.iter().map(|&count| count as u64).collect();
            found.confusion_matrix = Some(rows.map(counts).collect());
        }
        found
    }

    /// Outputs and targets in the shapes that losses and metrics get.
    fn shaped(&self, model: &Model, batch: &Batch, train: bool) -> anyhow::Result<Shaped> {
        let outputs = model.forward(&batch.inputs, train);
        let targets = &batch.targets;
        let fits = match self.task {
            Task::Classification | Task::Language => {
                outputs.dim() >= 2 && outputs.numel().is_multiple_of(targets.numel().max(1))
            }
            Task::Regression | Task::Multilabel => outputs.numel() == targets.numel(),
            Task::Quadratic | Task::Recorded | Task::Unknown => true,
        };
        anyhow::ensure!(
            fits,
            "The model's outputs have shape {:?}, and the targets {:?}: this loss can't compare them.",
            outputs.size(),
            targets.size()
        );
        Ok(match self.task {
            Task::Classification | Task::Language => {
                let targets = targets.f_flatten(0, -1)?;
                let samples = targets.numel();
                Shaped { outputs: outputs.f_flatten(0, -2)?, targets, samples }
            }
            Task::Regression | Task::Multilabel => {
                let samples = batch.inputs.size()[0];
                let outputs = outputs.f_reshape([samples, -1])?.f_to_kind(Element::Float)?;
                // Without this, outputs (n, 1) and targets (n) would be compared all with all.
                let targets = targets.f_reshape(outputs.size())?.f_to_kind(Element::Float)?;
                Shaped { outputs, targets, samples: samples as usize }
            }
            Task::Quadratic | Task::Recorded | Task::Unknown => {
                let samples = outputs.numel();
                Shaped { outputs, targets: targets.shallow_clone(), samples }
            }
        })
    }
}

/// Outputs and targets of the same samples.
struct Shaped {
    outputs: Tensor,
    targets: Tensor,
    samples: usize,
}
