//! A point x that looks for the minimum of a quadratic function.

use lookahead_run::event::Task;
use tch::{Tensor, nn};

use super::{Entry, ModelConfig, Network};
use crate::data::Problem;
use crate::usage::UsageError;

/// The model.
pub const ENTRY: Entry = Entry {
    task: Task::Quadratic,
    keys: &[],
    resolve: |_| Ok(()),
    widest: |_, problem| problem.curvatures().map_or(1, <[f32]>::len),
    build,
};

#[derive(Debug)]
struct Point {
    x: Tensor,
    curvatures: Tensor,
}

/// x starts with 1 in every direction.
fn build(
    path: &nn::Path<'_>,
    _: &ModelConfig,
    problem: &Problem,
) -> Result<Box<dyn Network>, UsageError> {
    let curvatures = problem.curvatures()?;
    let x = path.ones("x", &[curvatures.len() as i64]);
    let curvatures = Tensor::from_slice(curvatures).to_device(path.device());
    Ok(Box::new(Point { x, curvatures }))
}

impl Network for Point {
    /// ½ Σ aᵢ(xᵢ − cᵢ)² for each c.
    fn forward(&self, inputs: &Tensor, _: bool) -> Tensor {
        let squares = (&self.x - inputs).square();
        (squares * &self.curvatures).sum_dim_intlist(-1, false, None) * 0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn each_sample_has_its_loss() {
        let vs = nn::VarStore::new(Device::Cpu);
        let problem = Problem::Quadratic { curvatures: vec![1.0, 0.5] };
        let model = build(&vs.root(), &ModelConfig::default(), &problem).unwrap();
        let samples = Tensor::from_slice(&[1.0f32, 1.0, 0.0, 3.0]).reshape([2, 2]);
        let losses = Vec::<f32>::try_from(model.forward(&samples, true)).unwrap();
        // ½(1·0² + ½·0²) and ½(1·1² + ½·2²).
        assert_eq!(losses, [0.0, 1.5]);
    }
}
