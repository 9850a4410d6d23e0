//! Friedman's first function: y = 10 sin(π x₁x₂) + 20 (x₃ − ½)² + 10 x₄ + 5 x₅ and normal noise with variance 1, for
//! ten features of which the last five mean nothing. The best possible mean squared error is that of the noise, 1.
//!
//! J. H. Friedman, *Multivariate Adaptive Regression Splines*, 1991.

use std::f64::consts::PI;

use lookahead_trainer::{
    Array, ConfigIssue, DataSpec, Dataset, InMemory, Inputs, KindOptions, LoadContext, Scale, Task,
    require,
};
use serde::{Deserialize, Serialize};

/// Features of a sample.
const FEATURES: usize = 10;

/// The keys of `[data]` for this function.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FriedmanOptions {
    /// The number of training samples, with those for validation.
    pub samples: usize,
    /// The standard deviation of the noise.
    pub noise: f64,
}

impl Default for FriedmanOptions {
    fn default() -> Self {
        FriedmanOptions { samples: 5000, noise: 1.0 }
    }
}

impl KindOptions for FriedmanOptions {
    const TASKS: &'static [Task] = &[Task::Regression];

    fn check(&self) -> Result<(), ConfigIssue> {
        let samples = self.samples;
        require((2..=1 << 20).contains(&samples), "data.samples", samples, "2 to 1048576")?;
        require((0.0..=100.0).contains(&self.noise), "data.noise", self.noise, "0 to 100")
    }
}

/// Draws the samples, the same for every seed of the training.
pub fn load(options: FriedmanOptions, context: &LoadContext) -> anyhow::Result<Dataset> {
    let scale = Scale { mean: vec![14.4], std: vec![5.0] };
    let inputs = Inputs::raw(&[FEATURES], &["feature"], "float32");
    let spec = DataSpec {
        target: Some(scale.clone()),
        ..DataSpec::new(context.name, Task::Regression, inputs, 1)
    };
    let train = draw(options.samples, options.noise, 1, &scale)?;
    // Without noise, so that the error on test data is that of the function.
    let test = draw(1000, 0.0, 2, &scale)?;
    Ok(Dataset::in_memory(context, spec, train, test)?)
}

fn draw(count: usize, noise: f64, seed: u64, scale: &Scale) -> anyhow::Result<InMemory> {
    let mut random = SplitMix(seed);
    let (mut features, mut targets) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let x: [f64; FEATURES] = std::array::from_fn(|_| random.next());
        let y = 10.0 * (PI * x[0] * x[1]).sin()
            + 20.0 * (x[2] - 0.5).powi(2)
            + 10.0 * x[3]
            + 5.0 * x[4]
            + noise * random.normal();
        features.extend(x.map(|x| x as f32));
        targets.push(((y - scale.mean[0]) / scale.std[0]) as f32);
    }
    let inputs = Array::new(&[count, FEATURES], features).map_err(anyhow::Error::msg)?;
    let targets = Array::new(&[count, 1], targets).map_err(anyhow::Error::msg)?;
    Ok(InMemory::new(inputs, targets)?)
}

/// Random numbers that are the same on every machine (Steele, Lea and Flood, 2014).
struct SplitMix(u64);

impl SplitMix {
    /// Evenly from 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Nearly normal, with variance 1: the sum of twelve, less its mean.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}
