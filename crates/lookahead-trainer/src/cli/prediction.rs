//! The arguments of `predict` and `generate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{CheckpointArgument, WeightsArgument};

/// `lookahead predict`.
#[derive(Debug, Args)]
pub struct Predict {
    /// The run: its name in checkpoints/, its folder, or the folder of one of its checkpoints
    pub run: PathBuf,
    /// The samples: CSV files (`-` reads CSV from stdin), images or folders of images, or arrays
    /// (.npy, .npz, .safetensors); several of one sort are predicted one after the other
    #[arg(value_name = "INPUT", required = true)]
    pub inputs: Vec<PathBuf>,
    /// The array of samples in a .npz or .safetensors file [default: `data.inputs` of the run's config,
    /// otherwise inputs]
    #[arg(long, value_name = "NAME")]
    pub array: Option<String>,
    /// Predict with the checkpoint of this step, or the best one on validation data [default: the newest
    /// valid one, or the best one if the run stopped early]
    #[arg(long, value_name = "STEP|best")]
    pub from: Option<CheckpointArgument>,
    /// Which weights to use [default: those of the final model]
    #[arg(long)]
    pub weights: Option<WeightsArgument>,
    /// Write to this file instead of stdout, once all samples are predicted
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// One row per sample, or one JSON object per line
    #[arg(long, default_value = "csv")]
    pub format: RowFormat,
    /// Replace an existing file
    #[arg(long, requires = "output")]
    pub force: bool,
}

/// Formats of predictions, as arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RowFormat {
    /// Comma-separated values below a line of names
    Csv,
    /// JSON lines: an object per sample
    Jsonl,
}

/// `lookahead generate`.
#[derive(Debug, Args)]
pub struct Generate {
    /// The run: its name in checkpoints/, its folder, or the folder of one of its checkpoints [default: the
    /// latest in checkpoints/]
    pub run: Option<PathBuf>,
    /// The beginning of the text, in characters of the training text
    #[arg(long, value_name = "TEXT")]
    pub prompt: String,
    /// Characters to append
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = whole)]
    pub length: u64,
    /// 0 always takes the most likely character, 1 draws from the model's probabilities, more is more
    /// random
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = temperature)]
    pub temperature: f64,
    /// The seed of the random numbers; the same one repeats a text
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole)]
    pub seed: u64,
    /// Use the checkpoint of this step, or the best one on validation data [default: the newest
    /// valid one, or the best one if the run stopped early]
    #[arg(long, value_name = "STEP|best")]
    pub from: Option<CheckpointArgument>,
    /// Which weights to use [default: those of the final model]
    #[arg(long)]
    pub weights: Option<WeightsArgument>,
}

fn whole(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not a whole number. Use 0 or more, for example 200."))
}

fn temperature(text: &str) -> Result<f64, String> {
    let found = text.parse().ok().filter(|value: &f64| (0.0..=1e6).contains(value));
    found.ok_or_else(|| format!("`{text}` is not a temperature. Use 0 to 1e6, for example 0.8."))
}
