//! The arguments of `list`, `completions`, `man` and `relay`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;
use lookahead_dashboard::Bookmark;

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

/// `lookahead man`.
#[derive(Debug, Args)]
pub struct Man {
    /// The folder to write to, created if it is missing; pages of these names are replaced
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// `lookahead relay`.
#[derive(Debug, Args)]
pub struct Relay {
    /// The run, encoded
    pub run: String,
    /// How much of its log the other machine has
    #[arg(long)]
    pub after: Bookmark,
}
