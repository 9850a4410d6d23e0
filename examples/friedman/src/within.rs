//! A metric: how many predictions are within 1 of the target.

use lookahead_trainer::{Metric, ObjectiveContext, Scale};
use tch::{Kind, Tensor};

/// The fraction of samples whose prediction differs from the target by at most 1, in the data's own unit.
#[derive(Debug)]
pub struct Within1 {
    /// What 1 is after the targets were standardized.
    tolerance: f64,
}

/// Makes the metric for the data.
pub fn build(context: &ObjectiveContext<'_>) -> anyhow::Result<Within1> {
    let unit = |scale: &Scale| scale.std[0];
    Ok(Within1 { tolerance: 1.0 / context.spec.target.as_ref().map_or(1.0, unit) })
}

impl Metric for Within1 {
    fn higher_is_better(&self) -> bool {
        true
    }

    fn is_fraction(&self) -> bool {
        true
    }

    fn number_of_sums(&self) -> usize {
        2
    }

    /// How many are within, and how many samples there are.
    fn sums(&self, outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor> {
        let errors = outputs.f_sub(targets)?.f_abs()?;
        let within = errors.f_le_tensor(&Tensor::from(self.tolerance))?.f_to_kind(Kind::Double)?;
        Ok(Tensor::f_stack(&[within.f_sum(None)?, within.f_ones_like()?.f_sum(None)?], 0)?)
    }

    fn value(&self, sums: &[f64]) -> f64 {
        sums[0] / sums[1]
    }
}
