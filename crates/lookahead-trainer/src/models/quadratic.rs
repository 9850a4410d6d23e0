//! A point x, for the minimum of a quadratic function.

use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};
use tch::{Tensor, nn};

use super::network::Network;
use crate::config::kinds::KindOptions;
use crate::data::spec::DataSpec;
use crate::usage::UsageError;

/// `[model]` has no keys for this model.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PointOptions {}

impl KindOptions for PointOptions {
    const TASKS: &'static [Task] = &[Task::Quadratic];

    fn about(_kind: &str) -> &'static str {
        "the point that moves to the minimum of a quadratic problem"
    }
}

/// The model.
#[derive(Debug)]
pub struct Point {
    x: Tensor,
    curvatures: Tensor,
}

/// Builds the point x, which starts at 1 in every direction.
pub fn build(_: PointOptions, path: &nn::Path<'_>, spec: &DataSpec) -> Result<Point, UsageError> {
    let curvatures = spec.curvatures()?;
    let x = path.ones("x", &[curvatures.len() as i64]);
    let curvatures = Tensor::from_slice(curvatures).to_device(path.device());
    Ok(Point { x, curvatures })
}

impl Network for Point {
    /// ½ Σ aᵢ(xᵢ − cᵢ)² for each c.
    fn outputs(&self, inputs: &Tensor, _: bool) -> Tensor {
        let squares = (&self.x - inputs).square();
        (squares * &self.curvatures).sum_dim_intlist(-1, false, None) * 0.5
    }

    fn widest(&self) -> usize {
        self.curvatures.numel()
    }
}

#[cfg(test)]
mod tests;
