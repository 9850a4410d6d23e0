//! The arguments of `list`, `completions`, `man` and of the commands that concern another machine.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;
use lookahead_dashboard::Bookmark;
use lookahead_run::program_name;

/// `lookahead list`.
#[derive(Debug, Args)]
pub struct List {
    /// Folders of runs and sweeps, for example evidence/ or a sweep: their paths, or their names in checkpoints/
    /// [default: checkpoints]
    ///
    /// HOST:DIR is a folder on another machine, through ssh; paths are from the home folder there, and HOST: is
    /// checkpoints there.
    #[arg(value_name = "DIR")]
    pub folders: Vec<PathBuf>,
    /// HOST:DIR.
    #[command(flatten)]
    pub remote: Remote,
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

/// `lookahead forwarded`.
#[derive(Debug, Args)]
pub struct Forwarded {
    /// The words after the program's name, encoded
    pub words: Vec<String>,
}

/// The option of commands that take HOST:RUN.
#[derive(Debug, Args)]
pub struct Remote {
    /// With HOST:RUN: what the shell there runs as this program [default: its name here]
    #[arg(long, value_name = "COMMAND", global = true)]
    pub remote_program: Option<String>,
}

impl Remote {
    /// What the shell there runs.
    pub fn program(&self) -> &str {
        self.remote_program.as_deref().unwrap_or(program_name())
    }
}
