//! What is trained, and what the optimizer alone works on.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use lookahead_trainer::config::{Config, Override};
use lookahead_trainer::data::{self, fashion_mnist};
use lookahead_trainer::registry::Registry;
use serde::{Deserialize, Serialize};

/// What a contender works on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// A training.
    Training {
        /// The trainer's whole configuration.
        config: Box<Config>,
        /// The folder of the data set's files, or the file of the text.
        data: PathBuf,
        /// Mean of the images' bytes in each channel, or one for all.
        mean: Vec<f64>,
        /// Their standard deviation.
        std: Vec<f64>,
    },
    /// Steps of the inner optimizer alone, on gradients that stay the same, or syncs alone.
    Optimizer {
        /// How many parameters.
        parameters: i64,
        /// In how many tensors.
        tensors: i64,
        /// `sgd`, with momentum 0.9, `adamw`, or one of the step rules.
        inner: String,
        /// Syncs, not inner steps.
        sync: bool,
    },
}

/// A training workload.
#[derive(Debug, Clone)]
pub struct Training {
    /// Its name.
    pub name: &'static str,
    /// One of the trainer's configs.
    config: &'static str,
    /// What is changed of it.
    set: &'static [&'static str],
    /// Further settings, if it is a variant of another workload.
    variant: Option<&'static str>,
    /// The aim: how many times as fast as timm's Lookahead in PyTorch the trainer is.
    pub aim: f64,
    /// Whether [`aim`](Self::aim) counts as reached if the spread reaches it.
    pub within_spread: bool,
    /// What Lookahead may cost the plain loop: the time with it, of that without.
    pub own_cost: Option<f64>,
    /// Whether it is measured in the quick benchmark.
    pub quick: bool,
    /// Whether it is measured without being selected by name.
    pub usual: bool,
}

const MLP: &str = include_str!("../../../configs/fashion-mnist-mlp.toml");
const CNN: &str = include_str!("../../../configs/fashion-mnist.toml");
const RESNET: &str = include_str!("../../../configs/cifar10-small.toml");
const LSTM: &str = include_str!("../../../configs/text-lstm.toml");
const TRANSFORMER: &str = include_str!("../../../configs/text-transformer.toml");

/// So that the losses of both sides can be compared, and only steps are in the time: no random
/// numbers, no evaluation, and a run that does not end.
const ALIKE: [&str; 5] = [
    "schedule.kind=constant",
    "schedule.warmup_steps=0",
    "train.evaluate_every_epochs=0",
    "train.max_steps=1000000000",
    "train.device=cpu",
];

/// All trainings.
pub const TRAININGS: &[Training] = &[
    Training {
        name: "mlp-32",
        config: MLP,
        set: &["data.batch_size=32", "model.dropout=0"],
        variant: None,
        aim: 1.15,
        within_spread: false,
        own_cost: Some(1.10),
        quick: true,
        usual: true,
    },
    Training {
        name: "mlp-128",
        config: MLP,
        set: &["data.batch_size=128", "model.dropout=0"],
        variant: None,
        aim: 1.15,
        within_spread: false,
        own_cost: None,
        quick: false,
        usual: true,
    },
    Training {
        name: "cnn-32",
        config: CNN,
        set: &["data.batch_size=32"],
        own_cost: Some(1.01),
        quick: true,
        ..EVEN
    },
    Training {
        name: "cnn-128",
        config: CNN,
        set: &["data.batch_size=128"],
        own_cost: Some(1.01),
        ..EVEN
    },
    Training { name: "resnet-32", config: RESNET, set: &RESNET_SET, ..EVEN },
    Training {
        name: "lstm-16",
        config: LSTM,
        set: &["data.batch_size=16", "model.dropout=0", "data.validation=100"],
        quick: true,
        ..EVEN
    },
    Training {
        name: "transformer-16",
        config: TRANSFORMER,
        set: &["data.batch_size=16", "model.dropout=0", "data.validation=100"],
        quick: true,
        ..EVEN
    },
    Training { name: "mlp-32-sgd", config: MLP, set: &MLP_SGD, usual: false, ..EVEN },
    Training {
        name: "mlp-32-plain",
        config: MLP,
        set: &MLP_SGD,
        variant: Some("lookahead=false"),
        usual: false,
        ..EVEN
    },
    Training {
        name: "cnn-32-plain",
        config: CNN,
        set: &["data.batch_size=32"],
        variant: Some("lookahead=false"),
        usual: false,
        ..EVEN
    },
    Training {
        name: "cnn-128-channels-last",
        config: CNN,
        set: &["data.batch_size=128"],
        variant: Some("train.channels_last=true"),
        usual: false,
        ..EVEN
    },
    Training {
        name: "cnn-128-bf16",
        config: CNN,
        set: &["data.batch_size=128"],
        variant: Some("train.autocast=bf16"),
        usual: false,
        ..EVEN
    },
    Training {
        name: "resnet-32-channels-last",
        config: RESNET,
        set: &RESNET_SET,
        variant: Some("train.channels_last=true"),
        usual: false,
        ..EVEN
    },
    Training {
        name: "resnet-32-bf16",
        config: RESNET,
        set: &RESNET_SET,
        variant: Some("train.autocast=bf16"),
        usual: false,
        ..EVEN
    },
];

/// A workload whose aim is to be as fast as timm.
const EVEN: Training = Training {
    name: "",
    config: CNN,
    set: &[],
    variant: None,
    aim: 1.0,
    within_spread: true,
    own_cost: None,
    quick: false,
    usual: true,
};

const MLP_SGD: [&str; 5] = [
    "data.batch_size=32",
    "model.dropout=0",
    "optimizer.kind=sgd",
    "optimizer.lr=0.02",
    "optimizer.momentum=0.9",
];

/// A checkpoint computes no statistics of batch normalization at φ, as is the default. The learning rate is less than the config's: losses that rise and fall wildly in the first steps
/// would part by rounding alone.
const RESNET_SET: [&str; 5] = [
    "data.batch_size=32",
    "data.augment=none",
    "data.validation=1000",
    "optimizer.lr=0.02",
    "lookahead.recalibrate=0",
];

impl Training {
    /// The trainer's configuration, with the files that data sets need made in `folder`.
    ///
    /// # Errors
    /// If the trainer doesn't know a key, or the data is missing.
    pub fn work(&self, threads: usize, folder: &Path) -> anyhow::Result<Work> {
        let threads = format!("train.threads={threads}");
        let sets =
            self.set.iter().copied().chain(self.variant).chain(ALIKE).chain([threads.as_str()]);
        let mut sets: Vec<Override> = sets
            .map(|set| set.parse().map_err(|why: String| anyhow::anyhow!(why)))
            .collect::<anyhow::Result<_>>()?;
        let mut add = |key: &str, path: &Path| {
            let value = path.display().to_string().into();
            sets.push(Override::of_value(key, value));
        };
        let mut fashion = false;
        match self.config {
            RESNET => add("data.dir", &images(folder)?),
            LSTM | TRANSFORMER => add("data.file", &text(folder)?),
            _ => fashion = true,
        }
        let config =
            Config::parse(Registry::builtin().kinds(), self.name, self.config, &sets)?.config;
        if fashion && fashion_mnist::find().is_none() {
            // This fetches it.
            Registry::builtin().load_data(&config.data)?;
        }
        // Of all of Fashion-MNIST's pixels, and of each colour of CIFAR's.
        let (data, mean, std) = match (config.data.path("dir"), config.data.path("file")) {
            (Some(dir), _) => {
                let cifar = &data::cifar10::CIFAR10;
                (dir.to_owned(), cifar.mean.to_vec(), cifar.std.to_vec())
            }
            (None, Some(file)) => (file.to_owned(), Vec::new(), Vec::new()),
            (None, None) => {
                let dir = fashion_mnist::find().context("Fashion-MNIST was there or fetched.")?;
                (dir, vec![0.2860], vec![0.3530])
            }
        };
        let of_bytes = |values: Vec<f64>| values.into_iter().map(|value| 255.0 * value).collect();
        let (mean, std) = (of_bytes(mean), of_bytes(std));
        Ok(Work::Training { config: Box::new(config), data, mean, std })
    }
}

/// Bytes that look random, always the same.
struct Noise(u64);

impl Iterator for Noise {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        // Knuth's MMIX; the high bits are the good ones.
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        Some((self.0 >> 56) as u8)
    }
}

/// Images of noise in CIFAR-10's format, 2,000 in each of its files.
fn images(folder: &Path) -> anyhow::Result<PathBuf> {
    const COUNT: usize = 2_000;
    let dir = folder.join("cifar-10");
    if dir.exists() {
        return Ok(dir);
    }
    std::fs::create_dir_all(&dir)?;
    let cifar = &data::cifar10::CIFAR10;
    for (i, name) in cifar.train.iter().chain(cifar.test).enumerate() {
        let mut noise = Noise(i as u64);
        let mut bytes = Vec::with_capacity(COUNT * 3073);
        for image in 0..COUNT {
            let class = (image % 10) as u8;
            bytes.push(class);
            // A brightness that depends on the class, so that there is something to learn.
            bytes.extend(noise.by_ref().take(3072).map(|byte| byte / 2 + 12 * class));
        }
        std::fs::write(dir.join(name), bytes)?;
    }
    Ok(dir)
}

/// A text of 500,000 characters out of 64, each of which partly predicts the next one.
fn text(folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("text.txt");
    if path.exists() {
        return Ok(path);
    }
    let letters: Vec<u8> =
        (b'a'..=b'z').chain(b'A'..=b'Z').chain(b'0'..=b'9').chain(*b" \n").collect();
    let mut last = 0;
    let text = Noise(0).take(500_000).map(|byte| {
        last = (5 * last + usize::from(byte % 8) + 1) % letters.len();
        letters[last]
    });
    std::fs::File::create(&path)?.write_all(&text.collect::<Vec<u8>>())?;
    Ok(path)
}

/// The optimizer alone: parameters, tensors, and whether it is measured in the quick benchmark.
pub const SIZES: &[(i64, i64, bool)] = &[
    (100_000, 60, true),
    (100_000, 5_000, false),
    (10_000_000, 60, true),
    (10_000_000, 5_000, true),
    (100_000_000, 60, false),
    (100_000_000, 5_000, false),
];

/// In which sizes the step rules are measured, with how many times as fast as the fastest peer they should be.
pub const RULE_SIZES: [(i64, i64, f64); 2] = [(10_000_000, 60, 1.0), (10_000_000, 5_000, 1.35)];

/// The size in which the wrappers are measured.
pub const WRAPPER_SIZE: (i64, i64) = (10_000_000, 60);

/// What Muon moves: the number of square matrices that hold about that many parameters, and their rows.
pub fn matrices(parameters: i64, tensors: i64) -> (i64, i64) {
    (tensors, (parameters / tensors).isqrt())
}

/// The shapes of `tensors` tensors that together hold `parameters` parameters.
pub fn shapes(parameters: i64, tensors: i64) -> Vec<i64> {
    (0..tensors).map(|i| parameters * (i + 1) / tensors - parameters * i / tensors).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_hold_all_parameters() {
        for (parameters, tensors) in [(10, 3), (100_000, 60), (7, 7)] {
            let shapes = shapes(parameters, tensors);
            assert_eq!(shapes.len() as i64, tensors);
            assert_eq!(shapes.iter().sum::<i64>(), parameters);
            assert!(shapes.iter().max().unwrap() - shapes.iter().min().unwrap() <= 1);
        }
    }

    #[test]
    fn every_usual_training_is_one_of_the_trainers() {
        let folder = tempfile::tempdir().unwrap();
        for training in TRAININGS.iter().filter(|training| training.usual) {
            // Fashion-MNIST may have to be downloaded.
            if [MLP, CNN].contains(&training.config) {
                continue;
            }
            let Work::Training { config, data, .. } = training.work(2, folder.path()).unwrap()
            else {
                panic!("{} is a training", training.name)
            };
            assert!(data.exists());
            assert_eq!(config.train.threads, 2);
            assert_eq!(config.model.options["dropout"].as_float(), Some(0.0));
            let data = Registry::builtin().load_data(&config.data).unwrap();
            assert!(data.train.len() > 1000 && data.test.len() > 100, "{}", training.name);
        }
    }
}
