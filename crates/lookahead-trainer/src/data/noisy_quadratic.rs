//! The noisy quadratic model: ½ Σ aᵢ(xᵢ − cᵢ)² with aᵢ = 1/i. Every sample draws c from a normal distribution
//! with mean 0 and variance s²/aᵢ, so that the gradient of a direction has a variance of s²aᵢ, and a part of the
//! loss remains for every x.
//!
//! G. Zhang, L. Li, Z. Nado, J. Martens, S. Sachdeva, G. Dahl, C. Shallue, R. Grosse, *Which
//! Algorithmic Choices Matter at Which Batch Sizes?*, 2019. Lookahead's paper explains with it why
//! φ varies less.
//!
//! Validation and test sets are one sample with c = 0, whose loss, ½ Σ aᵢxᵢ², is exactly the expected loss
//! above the minimum.

use std::f64::consts::TAU;
use std::ops::Range;
use std::sync::Arc;

use lookahead_run::event::Task;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind as Element, Tensor};

use super::dataset::{Batch, Dataset, LoadContext, Samples, on_device};
use super::random::{SampleKey, generator};
use super::spec::DataSpec;
use crate::config::key::Key;
use crate::config::kinds::KindOptions;

/// The keys of `[data]` for this problem.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoisyQuadraticOptions {
    /// The number of directions.
    pub dimensions: usize,
    /// The standard deviation of the gradient in a direction of curvature 1.
    pub noise: f64,
}

impl Default for NoisyQuadraticOptions {
    fn default() -> Self {
        NoisyQuadraticOptions { dimensions: 100, noise: 1.0 }
    }
}

/// The key of the number of directions.
pub(super) const DIMENSIONS: Key =
    Key::whole("dimensions", "number of directions").at_least(1.0).at_most(16777216.0);

/// Batches in an epoch. No sample comes twice.
const EPOCH: usize = 100;

impl KindOptions for NoisyQuadraticOptions {
    const KEYS: &'static [Key] = &[
        DIMENSIONS,
        Key::number("noise", "standard deviation of the gradient noise at curvature 1")
            .at_least(0.0)
            .at_most(1e6),
    ];
    const TASKS: &'static [Task] = &[Task::Quadratic];
    const VALIDATION: Option<usize> = Some(1);

    fn about(_kind: &str) -> &'static str {
        "a quadratic function with noisy gradients, to study optimizers"
    }

    fn starter(_kind: &str) -> &'static str {
        r#"
[data]
batch_size = 1

[model]
kind = "quadratic"

[optimizer]
lr = 0.5
momentum = 0.0

[train]
epochs = 50

[probe]
every_syncs = 1
"#
    }
}

/// Makes the problem.
pub fn load(options: NoisyQuadraticOptions, context: &LoadContext) -> anyhow::Result<Dataset> {
    let NoisyQuadraticOptions { dimensions, noise } = options;
    let curvatures: Vec<f32> = (1..=dimensions).map(|i| (1.0 / i as f64) as f32).collect();
    let deviations = (1..=dimensions).map(|i| noise * (i as f64).sqrt()).collect();
    Ok(Dataset {
        name: context.name,
        spec: DataSpec::of_points(context.name, curvatures),
        train: Arc::new(Points::training(context, deviations)),
        validation: Arc::new(Points::optimum(dimensions)),
        test: Arc::new(Points::optimum(dimensions)),
    })
}

/// Samples c, drawn when they are needed.
#[derive(Debug)]
pub(super) struct Points {
    count: usize,
    /// The standard deviation of each component.
    deviations: Vec<f64>,
}

impl Points {
    /// The samples of an epoch.
    pub(super) fn training(context: &LoadContext, deviations: Vec<f64>) -> Self {
        Points { count: EPOCH.saturating_mul(context.batch_size), deviations }
    }

    /// The mean of c, at which the loss is least.
    pub(super) fn optimum(dimensions: usize) -> Self {
        Points { count: 1, deviations: vec![0.0; dimensions] }
    }

    fn to_batch(&self, values: Vec<f32>, device: Device) -> Batch {
        let dimensions = self.deviations.len() as i64;
        Batch {
            inputs: on_device(Tensor::from_slice(&values), device).reshape([-1, dimensions]),
            targets: Tensor::zeros([0], (Element::Int64, device)),
        }
    }
}

impl Samples for Points {
    fn len(&self) -> usize {
        self.count
    }

    /// The mean of c for each sample.
    fn slice(&self, range: Range<usize>, device: Device) -> anyhow::Result<Batch> {
        Ok(self.to_batch(vec![0.0; range.len() * self.deviations.len()], device))
    }

    /// New samples: `f32` of shape (n, dimensions).
    fn gather(&self, indices: &[usize], key: SampleKey, device: Device) -> anyhow::Result<Batch> {
        let mut values = vec![0.0; indices.len() * self.deviations.len()];
        if self.deviations.iter().any(|&deviation| deviation > 0.0) {
            let mut generator = generator(key, b"quadrat.");
            for sample in values.chunks_exact_mut(self.deviations.len()) {
                for (pair, deviations) in sample.chunks_mut(2).zip(self.deviations.chunks(2)) {
                    let drawn = normals(&mut generator);
                    for ((value, normal), deviation) in pair.iter_mut().zip(drawn).zip(deviations) {
                        *value = (normal * deviation) as f32;
                    }
                }
            }
        }
        Ok(self.to_batch(values, device))
    }
}

/// Two independent standard normal numbers (Box and Muller, 1958).
fn normals(generator: &mut ChaCha8Rng) -> [f64; 2] {
    // The radius is drawn from (0, 1], since it needs a logarithm, and the angle from [0, 1).
    let unit = |bits: u64| (bits >> 11) as f64 / (1u64 << 53) as f64;
    let (radius, angle) = (1.0 - unit(generator.next_u64()), TAU * unit(generator.next_u64()));
    let radius = (-2.0 * radius.ln()).sqrt();
    [radius * angle.cos(), radius * angle.sin()]
}

#[cfg(test)]
mod tests;
