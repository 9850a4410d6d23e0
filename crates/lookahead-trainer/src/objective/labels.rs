//! Metrics of several labels for each sample. A label is predicted if its probability is above ½: its output is
//! above 0.

use tch::{Kind as Element, Tensor};

use super::classes::mean_f1;
use super::metric::filled;
use super::{Metric, ObjectiveContext};

/// A metric of labels.
#[derive(Debug)]
pub struct LabelMetric {
    kind: LabelMetricKind,
    labels: usize,
}

#[derive(Debug, Clone, Copy)]
enum LabelMetricKind {
    Accuracy,
    MicroF1,
    MacroF1,
}

/// The fraction of labels that are predicted correctly, there or not: `accuracy`.
///
/// # Errors
/// If there are no labels.
pub fn accuracy(context: &ObjectiveContext<'_>) -> anyhow::Result<LabelMetric> {
    LabelMetric::new(LabelMetricKind::Accuracy, context)
}

/// The F1 score of all labels together: `micro_f1`.
///
/// # Errors
/// If there are no labels.
pub fn micro_f1(context: &ObjectiveContext<'_>) -> anyhow::Result<LabelMetric> {
    LabelMetric::new(LabelMetricKind::MicroF1, context)
}

/// The mean of the labels' F1 scores: `macro_f1`. A label that no sample has and that is never predicted does not
/// count.
///
/// # Errors
/// If there are no labels.
pub fn macro_f1(context: &ObjectiveContext<'_>) -> anyhow::Result<LabelMetric> {
    LabelMetric::new(LabelMetricKind::MacroF1, context)
}

impl LabelMetric {
    fn new(kind: LabelMetricKind, context: &ObjectiveContext<'_>) -> anyhow::Result<Self> {
        let labels = context.spec.outputs.unwrap_or(0);
        anyhow::ensure!(labels > 0, "This metric needs labels, and the data has none.");
        Ok(LabelMetric { kind, labels })
    }
}

impl Metric for LabelMetric {
    fn higher_is_better(&self) -> bool {
        true
    }

    fn is_fraction(&self) -> bool {
        true
    }

    fn number_of_sums(&self) -> usize {
        3 * self.labels
    }

    /// Of each label: how often it is predicted and there, how often it is predicted plus how often it is there, and
    /// the number of samples.
    fn sums(&self, outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor> {
        let predicted = outputs.f_gt_tensor(&Tensor::from(0.0f32))?.f_to_kind(Element::Double)?;
        let targets = targets.f_to_kind(Element::Double)?;
        let over_samples = |each: &Tensor| each.f_sum_dim_intlist(0, false, Element::Double);
        let both = over_samples(&predicted.f_mul(&targets)?)?;
        let count = filled(&both.size(), outputs.size()[0] as usize, both.device())?;
        let either = over_samples(&predicted.f_add(&targets)?)?;
        Ok(Tensor::f_cat(&[both, either, count], 0)?)
    }

    fn value(&self, sums: &[f64]) -> f64 {
        let (both, rest) = sums.split_at(self.labels);
        let (either, count) = rest.split_at(self.labels);
        let total = |each: &[f64]| each.iter().sum::<f64>();
        match self.kind {
            // A wrong one is either predicted or there.
            LabelMetricKind::Accuracy => 1.0 - (total(either) - 2.0 * total(both)) / total(count),
            LabelMetricKind::MicroF1 => 2.0 * total(both) / total(either),
            LabelMetricKind::MacroF1 => mean_f1(both.iter().copied().zip(either.iter().copied())),
        }
    }
}
