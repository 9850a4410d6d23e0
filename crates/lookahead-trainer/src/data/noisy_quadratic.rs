//! The noisy quadratic model: ½ Σ aᵢ(xᵢ − cᵢ)² with aᵢ = 1/i, where every sample draws c anew from a
//! normal distribution with mean 0 and variance s²/aᵢ. So a direction's gradient has the noise s²aᵢ,
//! and loss has a part that no x can mend.
//!
//! G. Zhang, L. Li, Z. Nado, J. Martens, S. Sachdeva, G. Dahl, C. Shallue, R. Grosse, *Which
//! Algorithmic Choices Matter at Which Batch Sizes?*, 2019; the model by which Lookahead's paper
//! explains why φ varies less.
//!
//! Validation and test are one sample with c = 0: the loss there is the expected risk above the least
//! one, ½ Σ aᵢxᵢ², exactly.

use std::f64::consts::TAU;
use std::ops::Range;

use lookahead_run::event::Task;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use tch::{Device, Kind as Element, Tensor};

use super::batches::generator;
use super::signature::Signature;
use super::{Batch, DataConfig, Dataset, Entry, Place, Problem, Samples, on_device};
use crate::config::check::{ConfigIssue, format_number, require};

/// The problem.
pub const ENTRY: Entry = Entry {
    task: Task::Quadratic,
    keys: &["data.dimensions", "data.noise"],
    validation: 1,
    resolve,
    load,
};

/// What is called an epoch of samples that never come twice, in batches.
const EPOCH: usize = 100;

/// Most directions: each sample has so many numbers.
const MOST: usize = 1 << 24;

fn resolve(config: &mut DataConfig) -> Result<(), ConfigIssue> {
    resolve_dimensions(config)?;
    let noise = *config.noise.get_or_insert(1.0);
    let allowed = "a number from 0 to 1e6: the standard deviation where the curvature is 1";
    require((0.0..=1e6).contains(&noise), "data.noise", format_number(noise), allowed)
}

/// What both quadratic problems have.
pub(super) fn resolve_dimensions(config: &mut DataConfig) -> Result<(), ConfigIssue> {
    let dimensions = *config.dimensions.get_or_insert(100);
    let allowed = format!("from 1 to {MOST}");
    require((1..=MOST).contains(&dimensions), "data.dimensions", dimensions, &allowed)?;
    // The optimum is known: there is nothing to hold out, and one sample tells the exact loss.
    let (kind, validation) = (config.kind.name(), config.validation());
    let allowed = format!(
        "1 for `data.kind` {kind}, whose one sample tells the loss above the least one exactly: take it \
         out, or set it to 1"
    );
    require(validation == 1, "data.validation", validation, &allowed)
}

fn load(config: &DataConfig) -> anyhow::Result<Dataset> {
    let dimensions = config.dimensions.unwrap_or(100);
    let noise = config.noise.unwrap_or(1.0);
    let curvatures: Vec<f32> = (1..=dimensions).map(|i| (1.0 / i as f64) as f32).collect();
    let deviations = (1..=dimensions).map(|i| noise * (i as f64).sqrt()).collect();
    Ok(Dataset {
        name: config.kind.name(),
        problem: Problem::Quadratic { curvatures },
        signature: Signature::of_points(config.kind.name(), dimensions),
        train: Box::new(Points::training(config, deviations)),
        validation: Box::new(Points::optimum(dimensions)),
        test: Box::new(Points::optimum(dimensions)),
    })
}

/// Samples c, each drawn where it is wanted.
#[derive(Debug)]
pub(super) struct Points {
    count: usize,
    /// Standard deviation of each component.
    deviations: Vec<f64>,
}

impl Points {
    /// As many as make an epoch.
    pub(super) fn training(config: &DataConfig, deviations: Vec<f64>) -> Self {
        Points { count: EPOCH.saturating_mul(config.batch_size), deviations }
    }

    /// The mean of all that can be drawn, which is where the least loss is.
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

    /// Their mean, each.
    fn slice(&self, range: Range<usize>, device: Device) -> Batch {
        self.to_batch(vec![0.0; range.len() * self.deviations.len()], device)
    }

    /// New ones: `f32` of shape (n, dimensions).
    fn gather(&self, indices: &[usize], place: Place, device: Device) -> Batch {
        let mut values = vec![0.0; indices.len() * self.deviations.len()];
        if self.deviations.iter().any(|&deviation| deviation > 0.0) {
            let mut generator = generator(place.seed, place.epoch, place.cursor, b"quadrat.");
            for sample in values.chunks_exact_mut(self.deviations.len()) {
                for (pair, deviations) in sample.chunks_mut(2).zip(self.deviations.chunks(2)) {
                    let drawn = normals(&mut generator);
                    for ((value, normal), deviation) in pair.iter_mut().zip(drawn).zip(deviations) {
                        *value = (normal * deviation) as f32;
                    }
                }
            }
        }
        self.to_batch(values, device)
    }
}

/// Two independent standard normal numbers (Box and Muller, 1958).
fn normals(generator: &mut ChaCha8Rng) -> [f64; 2] {
    // From (0, 1], of which there is a logarithm, and from [0, 1).
    let unit = |bits: u64| (bits >> 11) as f64 / (1u64 << 53) as f64;
    let (radius, angle) = (1.0 - unit(generator.next_u64()), TAU * unit(generator.next_u64()));
    let radius = (-2.0 * radius.ln()).sqrt();
    [radius * angle.cos(), radius * angle.sin()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Kind;

    fn data(dimensions: usize, batch_size: usize) -> Dataset {
        let mut config = DataConfig {
            kind: Kind::NoisyQuadratic,
            dimensions: Some(dimensions),
            noise: Some(0.5),
            batch_size,
            ..DataConfig::default()
        };
        config.resolve().unwrap();
        load(&config).unwrap()
    }

    #[test]
    fn noise_has_the_variance_of_its_direction_and_is_fixed_by_its_place() {
        let data = data(3, 20_000);
        let place = Place { seed: 1, epoch: 2, cursor: 3 };
        let indices: Vec<usize> = (0..20_000).collect();
        let drawn = |place| data.train.gather(&indices, place, Device::Cpu).inputs;
        let values = drawn(place);
        let mean = Vec::<f32>::try_from(values.mean_dim(0, false, Element::Float)).unwrap();
        let variance = Vec::<f32>::try_from(values.var_dim(0, true, false)).unwrap();
        for (i, (mean, variance)) in mean.into_iter().zip(variance).enumerate() {
            let expected = 0.25 * (i + 1) as f32;
            // Five standard errors of a mean, and of a variance, σ²√(2/n) = 0.01 σ².
            assert!(mean.abs() < 5.0 * (expected / 20_000.0).sqrt(), "{i}: {mean}");
            assert!((variance / expected - 1.0).abs() < 0.05, "{i}: {variance}");
        }
        assert_eq!(drawn(place), values);
        assert_ne!(drawn(Place { cursor: 4, ..place }), values);
    }

    #[test]
    fn validation_is_the_optimum_and_cannot_be_more() {
        let data = data(2, 4);
        assert_eq!((data.train.len(), data.validation.len(), data.test.len()), (400, 1, 1));
        let point = data.validation.slice(0..1, Device::Cpu).inputs;
        assert_eq!(Vec::<f32>::try_from(point.reshape([-1])).unwrap(), [0.0; 2]);
        let mut config =
            DataConfig { kind: Kind::NoisyQuadratic, validation: Some(2), ..DataConfig::default() };
        let said = config.resolve().unwrap_err().message;
        assert!(said.contains("`data.validation` is 2, and it must be 1"), "{said}");
    }
}
