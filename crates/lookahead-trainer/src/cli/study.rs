//! The arguments of `sweep` and `compare`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `lookahead sweep`.
#[derive(Debug, Args)]
pub struct Sweep {
    /// The sweep: a TOML file, or the name of one here or in configs/sweeps/
    #[arg(value_name = "SWEEP")]
    pub file: PathBuf,
    /// Name of the sweep [default: `name` in its file, otherwise the file's name]
    #[arg(long)]
    pub name: Option<String>,
    /// Folder in which the sweep's folder is created
    #[arg(long, value_name = "DIR", default_value = "checkpoints")]
    pub out: PathBuf,
    /// Processes at once [default: `jobs` in the file, otherwise as many as there are processors for
    /// their train.threads]
    #[arg(long, value_name = "N", value_parser = jobs)]
    pub jobs: Option<u16>,
    /// Check all configs and list the runs, but train none
    #[arg(long)]
    pub dry_run: bool,
    /// Retry runs that failed when the sweep was run before
    #[arg(long)]
    pub retry_failed: bool,
    /// Exit with 0 although runs diverged, for example at the ends of a grid
    #[arg(long)]
    pub allow_divergence: bool,
    /// Print only warnings and errors
    #[arg(long)]
    pub quiet: bool,
}

/// `lookahead compare`.
#[derive(Debug, Args)]
pub struct Compare {
    /// Runs and sweeps: their names in checkpoints/, or their folders
    #[arg(required = true, value_name = "RUN_OR_SWEEP")]
    pub paths: Vec<PathBuf>,
    /// The metric: loss, or one that the runs measured, for example accuracy, perplexity, macro_f1 or r2 [default: the
    /// first that all have]
    #[arg(long, value_name = "NAME")]
    pub metric: Option<String>,
    /// The data on which it is reported; the best point of a group is always chosen on validation data
    #[arg(long, default_value = "test")]
    pub split: SplitArgument,
    /// Group by this key; may be given several times [default: all that differ except optimizer.lr]
    #[arg(long, value_name = "KEY")]
    pub by: Vec<String>,
    /// The group to compare the others with, or words of its label [default: the first]
    #[arg(long, value_name = "LABEL")]
    pub baseline: Option<String>,
    /// Allow runs on different data in one table
    #[arg(long)]
    pub mixed_data: bool,
    /// Print one JSON object to stdout instead of tables: groups and runs with all digits
    #[arg(long)]
    pub json: bool,
    /// Write the tables as Markdown
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write the groups as CSV, with all digits
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write the runs as CSV, one per row
    #[arg(long, value_name = "FILE")]
    pub runs_csv: Option<PathBuf>,
    /// Draw all figures that have data into this folder
    #[arg(long, value_name = "DIR")]
    pub figures: Option<PathBuf>,
    /// The format of figures: svg or png
    #[arg(long, default_value = "svg", value_name = "FORMAT")]
    pub format: PictureArgument,
    /// Replace existing files
    #[arg(long)]
    pub force: bool,
}

/// Parts of the data, as arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SplitArgument {
    /// The test set
    Test,
    /// The validation set
    Validation,
}

/// Formats of pictures, as arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PictureArgument {
    /// Vector graphics
    Svg,
    /// Bitmap
    Png,
}

fn jobs(text: &str) -> Result<u16, String> {
    let found = text.parse().ok().filter(|jobs| (1..=1024).contains(jobs));
    found.ok_or_else(|| format!("`{text}` is not a number of processes. Use 1 to 1024."))
}
