//! The arguments of `list` and `completions`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// `lookahead list`.
#[derive(Debug, Args)]
pub struct List {
    /// Folders of runs and sweeps, for example evidence/ or a sweep: their paths, or their names in checkpoints/
    /// [default: checkpoints]
    #[arg(value_name = "DIR")]
    pub folders: Vec<PathBuf>,
    /// Print one JSON object per run or sweep, a line each
    #[arg(long)]
    pub json: bool,
}

/// `lookahead completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}
