//! A quadratic function without noise, ½ Σ aᵢxᵢ², with curvatures aᵢ from 1 to 1/κ in equal ratios: how fast
//! an optimizer moves along a narrow valley.

use std::sync::Arc;

use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};

use super::dataset::{Dataset, LoadContext};
use super::noisy_quadratic::{DIMENSIONS, Points};
use super::spec::DataSpec;
use crate::config::key::Key;
use crate::config::kinds::KindOptions;

/// The keys of `[data]` for this problem.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuadraticOptions {
    /// The number of directions.
    pub dimensions: usize,
    /// The condition number κ: the largest curvature over the smallest.
    pub condition: f64,
}

impl Default for QuadraticOptions {
    fn default() -> Self {
        QuadraticOptions { dimensions: 100, condition: 1000.0 }
    }
}

impl KindOptions for QuadraticOptions {
    const KEYS: &'static [Key] = &[
        DIMENSIONS,
        Key::number("condition", "largest curvature divided by the smallest")
            .at_least(1.0)
            .at_most(1e12),
    ];
    const TASKS: &'static [Task] = &[Task::Quadratic];
    const VALIDATION: Option<usize> = Some(1);

    fn about(_kind: &str) -> &'static str {
        "a quadratic function, a narrow valley, to study optimizers"
    }

    fn starter(_kind: &str) -> &'static str {
        r#"
[data]
batch_size = 1

[model]
kind = "quadratic"

[optimizer]
lr = 1.0
momentum = 0.99

[lookahead]
k = 20

[train]
epochs = 20

[probe]
every_syncs = 1
"#
    }
}

/// Makes the problem.
pub fn load(options: QuadraticOptions, context: &LoadContext) -> anyhow::Result<Dataset> {
    let QuadraticOptions { dimensions, condition } = options;
    let curvatures: Vec<f32> = (0..dimensions)
        .map(|i| {
            let progress = i as f64 / (dimensions - 1).max(1) as f64;
            condition.powf(-progress) as f32
        })
        .collect();
    Ok(Dataset {
        name: context.name,
        spec: DataSpec::of_points(context.name, curvatures),
        train: Arc::new(Points::training(context, vec![0.0; dimensions])),
        validation: Arc::new(Points::optimum(dimensions)),
        test: Arc::new(Points::optimum(dimensions)),
    })
}

#[cfg(test)]
mod tests;
