//! Metrics of numbers. Errors are in the unit of the targets as they are in the data, before they are standardized.

use anyhow::Context;
use tch::{Kind as Element, Tensor};

use super::metric::filled;
use super::{Metric, ObjectiveContext};
use crate::data::DataSpec;

/// A metric of errors, on average over the outputs.
#[derive(Debug)]
pub struct ErrorMetric {
    kind: ErrorMetricKind,
    /// For each output, what 1 in the standardized targets is in the data.
    units: Vec<f64>,
}

#[derive(Debug, Clone, Copy)]
enum ErrorMetricKind {
    Mse,
    Rmse,
    Mae,
}

/// The mean squared error: `mse`.
///
/// # Errors
/// If there are no targets.
pub fn mse(context: &ObjectiveContext<'_>) -> anyhow::Result<ErrorMetric> {
    ErrorMetric::new(ErrorMetricKind::Mse, context)
}

/// The root of the mean squared error: `rmse`.
///
/// # Errors
/// If there are no targets.
pub fn rmse(context: &ObjectiveContext<'_>) -> anyhow::Result<ErrorMetric> {
    ErrorMetric::new(ErrorMetricKind::Rmse, context)
}

/// The mean absolute error: `mae`.
///
/// # Errors
/// If there are no targets.
pub fn mae(context: &ObjectiveContext<'_>) -> anyhow::Result<ErrorMetric> {
    ErrorMetric::new(ErrorMetricKind::Mae, context)
}

/// The number of outputs, each with a target.
fn outputs(spec: &DataSpec) -> anyhow::Result<usize> {
    spec.outputs
        .filter(|&outputs| outputs > 0)
        .context("This metric needs targets, and the data has none.")
}

impl ErrorMetric {
    fn new(kind: ErrorMetricKind, context: &ObjectiveContext<'_>) -> anyhow::Result<Self> {
        let ones = vec![1.0; outputs(context.spec)?];
        let units = context.spec.target.as_ref().map_or(ones, |scale| scale.std.clone());
        Ok(ErrorMetric { kind, units })
    }
}

impl Metric for ErrorMetric {
    fn higher_is_better(&self) -> bool {
        false
    }

    fn number_of_sums(&self) -> usize {
        self.units.len() + 1
    }

    /// Of each output the squared or absolute errors; then the number of samples.
    fn sums(&self, outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor> {
        let errors = errors(outputs, targets)?;
        let each = match self.kind {
            ErrorMetricKind::Mse | ErrorMetricKind::Rmse => errors.f_square()?,
            ErrorMetricKind::Mae => errors.f_abs()?,
        };
        Ok(Tensor::f_cat(&[over_samples(&each)?, count(outputs)?], 0)?)
    }

    fn value(&self, sums: &[f64]) -> f64 {
        let (sums, count) = sums.split_at(self.units.len());
        let each = sums.iter().zip(&self.units).map(|(sum, unit)| match self.kind {
            ErrorMetricKind::Mse => sum / count[0] * unit.powi(2),
            ErrorMetricKind::Rmse => (sum / count[0]).sqrt() * unit,
            ErrorMetricKind::Mae => sum / count[0] * unit,
        });
        each.sum::<f64>() / self.units.len() as f64
    }
}

fn errors(outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor> {
    Ok(outputs.f_to_kind(Element::Double)?.f_sub(&targets.f_to_kind(Element::Double)?)?)
}

/// The sum for each output, of values of shape (n, outputs).
fn over_samples(each: &Tensor) -> anyhow::Result<Tensor> {
    Ok(each.f_sum_dim_intlist(0, false, Element::Double)?)
}

/// The number of samples, as a sum.
fn count(outputs: &Tensor) -> anyhow::Result<Tensor> {
    filled(&[1], outputs.size()[0] as usize, outputs.device())
}

/// The fraction of the targets' variance that the model explains, on average over the outputs: `r2`. It is 0 for the
/// mean of the targets as the prediction, and negative for worse. NaN if the targets of an output are all equal.
#[derive(Debug)]
pub struct R2 {
    outputs: usize,
}

impl R2 {
    /// The metric.
    ///
    /// # Errors
    /// If there are no targets.
    pub fn new(context: &ObjectiveContext<'_>) -> anyhow::Result<Self> {
        Ok(R2 { outputs: outputs(context.spec)? })
    }
}

impl Metric for R2 {
    fn higher_is_better(&self) -> bool {
        true
    }

    fn number_of_sums(&self) -> usize {
        3 * self.outputs + 1
    }

    /// Of each output: squared errors, targets, and their squares; then the number of samples.
    fn sums(&self, outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor> {
        let squared = over_samples(&errors(outputs, targets)?.f_square()?)?;
        let targets = targets.f_to_kind(Element::Double)?;
        let (sum, squares) = (over_samples(&targets)?, over_samples(&targets.f_square()?)?);
        Ok(Tensor::f_cat(&[squared, sum, squares, count(outputs)?], 0)?)
    }

    fn value(&self, sums: &[f64]) -> f64 {
        let n = self.outputs;
        let count = sums[3 * n];
        let each = (0..n).map(|i| {
            let [error, sum, squares] = [sums[i], sums[n + i], sums[2 * n + i]];
            let variation = squares - sum * sum / count;
            // What is left of equal targets is rounding.
            if variation <= 1e-12 * squares { f64::NAN } else { 1.0 - error / variation }
        });
        each.sum::<f64>() / n as f64
    }
}
