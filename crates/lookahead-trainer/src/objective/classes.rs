//! Metrics of classes and tokens. A class is predicted if its output is the largest.

use tch::{Kind as Element, Tensor};

use super::metric::filled;
use super::{Metric, ObjectiveContext};
use crate::usage::UsageError;

/// The fraction of samples or tokens whose class is predicted: `accuracy`.
#[derive(Debug)]
pub struct Accuracy;

impl Accuracy {
    /// The metric.
    pub fn new(_: &ObjectiveContext<'_>) -> anyhow::Result<Self> {
        Ok(Accuracy)
    }
}

impl Metric for Accuracy {
    fn higher_is_better(&self) -> bool {
        true
    }

    fn is_fraction(&self) -> bool {
        true
    }

    fn number_of_sums(&self) -> usize {
        2
    }

    fn sums(&self, outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor> {
        let correct = outputs.f_argmax(-1, false)?.f_eq_tensor(targets)?;
        counted(&correct, targets.numel())
    }

    fn value(&self, sums: &[f64]) -> f64 {
        sums[0] / sums[1]
    }
}

/// The number of samples for which something holds, and how many there are.
fn counted(holds: &Tensor, samples: usize) -> anyhow::Result<Tensor> {
    let there = filled(&[1], samples, holds.device())?;
    Ok(Tensor::f_cat(&[holds.f_sum(Element::Double)?.f_reshape([1])?, there], 0)?)
}

/// The fraction of samples whose class has one of the five largest outputs: `top5`.
#[derive(Debug)]
pub struct TopFive;

impl TopFive {
    /// The metric.
    ///
    /// # Errors
    /// If it would always be 1.
    pub fn new(context: &ObjectiveContext<'_>) -> anyhow::Result<Self> {
        match context.spec.outputs {
            Some(classes) if classes > 5 => Ok(TopFive),
            classes => Err(UsageError::new(format!(
                "The metric top5 is 100 % with {} classes. Use it with 6 or more, or remove it from `task.metrics` \
                 and `train.best_by`.",
                classes.unwrap_or(0)
            ))
            .into()),
        }
    }
}

impl Metric for TopFive {
    fn higher_is_better(&self) -> bool {
        true
    }

    fn is_fraction(&self) -> bool {
        true
    }

    fn number_of_sums(&self) -> usize {
        2
    }

    fn sums(&self, outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor> {
        let (_, best) = outputs.f_topk(5, -1, true, true)?;
        counted(&best.f_eq_tensor(&targets.f_unsqueeze(-1)?)?, targets.numel())
    }

    fn value(&self, sums: &[f64]) -> f64 {
        sums[0] / sums[1]
    }
}

/// The mean of the classes' F1 scores: `macro_f1`. A class that is neither in the targets nor predicted does not
/// count.
#[derive(Debug)]
pub struct MacroF1 {
    classes: i64,
}

impl MacroF1 {
    /// The metric.
    ///
    /// # Errors
    /// If there are no classes.
    pub fn new(context: &ObjectiveContext<'_>) -> anyhow::Result<Self> {
        let classes = context.spec.outputs.unwrap_or(0) as i64;
        anyhow::ensure!(classes > 0, "The metric macro_f1 needs classes, and the data has none.");
        Ok(MacroF1 { classes })
    }
}

impl Metric for MacroF1 {
    fn higher_is_better(&self) -> bool {
        true
    }

    fn is_fraction(&self) -> bool {
        true
    }

    fn number_of_sums(&self) -> usize {
        3 * self.classes as usize
    }

    /// Of each class: correct predictions, predictions, and samples.
    fn sums(&self, outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor> {
        let predicted = outputs.f_argmax(-1, false)?;
        let correct = predicted.f_eq_tensor(targets)?.f_to_kind(Element::Double)?;
        let one = correct.f_ones_like()?;
        let all = [
            histogram(targets, &correct, self.classes)?,
            histogram(&predicted, &one, self.classes)?,
            histogram(targets, &one, self.classes)?,
        ];
        Ok(Tensor::f_cat(&all, 0)?)
    }

    fn value(&self, sums: &[f64]) -> f64 {
        let (correct, rest) = sums.split_at(self.classes as usize);
        let (predicted, there) = rest.split_at(self.classes as usize);
        let counts = predicted.iter().zip(there).map(|(predicted, there)| predicted + there);
        mean_f1(correct.iter().copied().zip(counts))
    }
}

/// The mean F1 score of classes or labels: of each, the correct predictions, and all predictions and samples. Those
/// without any don't count.
pub(super) fn mean_f1(each: impl Iterator<Item = (f64, f64)>) -> f64 {
    let scores = each.filter(|(_, there)| *there > 0.0);
    let scores: Vec<f64> = scores.map(|(correct, there)| 2.0 * correct / there).collect();
    scores.iter().sum::<f64>() / scores.len() as f64
}

/// Sums of `values`, of shape (n), by their `places`.
fn histogram(places: &Tensor, values: &Tensor, size: i64) -> anyhow::Result<Tensor> {
    let zeros = Tensor::f_zeros([size], (Element::Double, places.device()))?;
    Ok(zeros.f_scatter_add(0, places, values)?)
}

/// How many samples of each class, outermost, are predicted to be of each class: shape (classes²).
pub(super) fn confusion(
    outputs: &Tensor,
    targets: &Tensor,
    classes: i64,
) -> anyhow::Result<Tensor> {
    let places = targets.f_mul(&Tensor::from(classes))?.f_add(&outputs.f_argmax(-1, false)?)?;
    let one = Tensor::f_ones(places.size(), (Element::Double, places.device()))?;
    histogram(&places, &one, classes * classes)
}

/// e to the power of the mean cross-entropy of tokens, without label smoothing and class weights: `perplexity`.
#[derive(Debug)]
pub struct Perplexity;

impl Perplexity {
    /// The metric.
    pub fn new(_: &ObjectiveContext<'_>) -> anyhow::Result<Self> {
        Ok(Perplexity)
    }
}

impl Metric for Perplexity {
    fn higher_is_better(&self) -> bool {
        false
    }

    fn number_of_sums(&self) -> usize {
        2
    }

    fn sums(&self, outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor> {
        let count = filled(&[1], targets.numel(), outputs.device())?;
        let mean = super::losses::cross_entropy(outputs, targets)?;
        let sum = mean.f_to_kind(Element::Double)?.f_reshape([1])?.f_mul(&count)?;
        Ok(Tensor::f_cat(&[sum, count], 0)?)
    }

    fn value(&self, sums: &[f64]) -> f64 {
        (sums[0] / sums[1]).exp()
    }
}
