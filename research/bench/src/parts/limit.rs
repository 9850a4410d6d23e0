//! How much of a step a processor at its peak would need for the matrix products and convolutions alone.
//!
//! The peak is that of a large product of matrices through libtorch, measured in turns with slices of the library's
//! contender.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use crate::machine::processors;
use crate::plan::Programs;
use crate::protocol::Job;
use crate::statistics::{Short, Spread};
use crate::workload::{TRAININGS, Work};

const WORKLOADS: [&str; 3] = ["mlp-32", "cnn-32", "cnn-128"];
const ROUNDS: usize = 21;
const SECONDS: f64 = 0.2;
/// Rows and columns of the large matrices: 16 MB each.
const ROWS: i64 = 2048;

/// Measures all workloads and prints a table.
pub(super) fn measure(folder: &Path, filter: Option<&str>) -> anyhow::Result<()> {
    let bench = std::env::current_exe()?;
    let programs = Programs { bench, lookahead: PathBuf::new(), python: PathBuf::new() };
    let threads = processors();
    tch::set_num_threads(i32::try_from(threads)?);
    let [a, b] = [0, 1].map(|_| Tensor::randn([ROWS, ROWS], (Kind::Float, Device::Cpu)));
    let product = || {
        let start = Instant::now();
        drop(a.matmul(&b));
        start.elapsed().as_secs_f64()
    };
    println!(
        "\n| workload | GFLOP a step | step | peak, GFLOP/s | share of the step at the peak [quartiles] |"
    );
    println!("|---|---|---|---|---|");
    let wanted = |name: &str| filter.is_none_or(|filter| name.contains(filter));
    for name in WORKLOADS.into_iter().filter(|name| wanted(name)) {
        let training = TRAININGS.iter().find(|training| training.name == name);
        let work = training.context("It is one of the trainings.")?.work(threads, folder)?;
        let Work::Training { config, .. } = &work else { continue };
        let flop = config.data.batch_size as f64 * flop_of_a_sample(&config.to_json()["model"])?;
        let mut worker = programs.ours("library", folder)?;
        worker.prepare(Job {
            contender: "library".to_owned(),
            threads,
            form: String::new(),
            storage: String::new(),
            work: work.clone(),
            initial: None,
            order: None,
            samples: None,
        })?;
        let (mut steps, mut peaks, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let step = worker.seconds_per_step(SECONDS, 25)?;
            // The best of a few: a peak is what the processor can do, not what it does beside other programs.
            let best = (0..3).map(|_| product()).fold(f64::INFINITY, f64::min);
            let peak = 2.0 * (ROWS as f64).powi(3) / best;
            // The first round does not count.
            if round > 0 {
                steps.push(step);
                peaks.push(peak);
                shares.push(flop / peak / step);
            }
        }
        let median = |values: &[f64]| Spread::of(values).map_or(f64::NAN, |spread| spread.median);
        let share = Spread::of(&shares).context("There were rounds.")?;
        println!(
            "| {name} | {:.4} | {} ms | {:.0} | {:.1} % [{:.1}, {:.1}] |",
            flop / 1e9,
            Short(1e3 * median(&steps)),
            median(&peaks) / 1e9,
            100.0 * share.median,
            100.0 * share.low,
            100.0 * share.high
        );
    }
    Ok(())
}

/// Multiplications and additions of the products and convolutions for one image of Fashion-MNIST, forward and backward:
/// a layer computes its output, the gradient of its weights and, except for the first one, that of its input.
fn flop_of_a_sample(model: &Value) -> anyhow::Result<f64> {
    let numbers = |key: &str| -> Vec<f64> {
        model[key].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    let (mut channels, mut side) = (1.0, 28.0);
    let mut layers = Vec::new();
    for next in numbers("channels") {
        layers.push(2.0 * 9.0 * channels * next * side * side);
        (channels, side) = (next, f64::floor(side / 2.0));
    }
    let mut width = channels * side * side;
    for next in numbers("hidden").into_iter().chain([10.0]) {
        layers.push(2.0 * width * next);
        width = next;
    }
    let first = layers.first().context("A model has layers.")?;
    Ok(3.0 * layers.iter().sum::<f64>() - first)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn products_of_each_layer_are_counted() {
        // 784 × 10, twice; then 784 × 4 twice, and 4 × 10 three times.
        let of = |model| flop_of_a_sample(&model).unwrap();
        assert_eq!(of(json!({"hidden": []})), 2.0 * 2.0 * 7840.0);
        assert_eq!(of(json!({"hidden": [4]})), 2.0 * (2.0 * 3136.0 + 3.0 * 40.0));
        // A 3×3 convolution at 28 × 28, twice, and 2 × 14 × 14 × 10 three times.
        let cnn = json!({"channels": [2], "hidden": []});
        assert_eq!(of(cnn), 2.0 * (2.0 * 9.0 * 2.0 * 784.0 + 3.0 * 3920.0));
    }
}
