//! Metrics of classes and tokens. A class is predicted if its output is the largest.

use tch::{Kind as Element, Tensor};

use super::metric::filled;
use super::{Metric, ObjectiveContext};
use crate::usage::UsageError;

/// The fraction of samples or tokens for which something holds.
#[derive(Debug)]
pub struct Fraction {
    /// Whether it holds, from outputs and targets: true once for each sample or token for which it does.
    holds: fn(&Tensor, &Tensor) -> anyhow::Result<Tensor>,
}

/// The fraction of samples or tokens whose class is predicted: `accuracy`.
///
/// # Errors
/// Never.
pub fn accuracy(_: &ObjectiveContext<'_>) -> anyhow::Result<Fraction> {
    let holds = |outputs: &Tensor, targets: &Tensor| {
        Ok(outputs.f_argmax(-1, false)?.f_eq_tensor(targets)?)
    };
    Ok(Fraction { holds })
}

/// The fraction of samples or tokens whose class has one of the five largest outputs: `top5`.
///
/// # Errors
/// If it would always be 1.
pub fn top5(context: &ObjectiveContext<'_>) -> anyhow::Result<Fraction> {
    let classes = context.spec.outputs.unwrap_or(0);
    if classes <= 5 {
        return Err(UsageError::new(format!(
            "The metric top5 is 100 % with {classes} classes. Use it with 6 or more, or remove it from `task.metrics` \
             and `train.best_by`."
        ))
        .into());
    }
    let holds = |outputs: &Tensor, targets: &Tensor| {
        let (_, best) = outputs.f_topk(5, -1, true, true)?;
        Ok(best.f_eq_tensor(&targets.f_unsqueeze(-1)?)?)
    };
    Ok(Fraction { holds })
}

impl Metric for Fraction {
    fn higher_is_better(&self) -> bool {
        true
    }

    fn is_fraction(&self) -> bool {
        true
    }

    fn number_of_sums(&self) -> usize {
        2
    }

    /// For how many it holds, and how many there are.
    fn sums(&self, outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor> {
        let holds = (self.holds)(outputs, targets)?.f_sum(Element::Double)?.f_reshape([1])?;
        let all = filled(&[1], targets.numel(), holds.device())?;
        Ok(Tensor::f_cat(&[holds, all], 0)?)
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
