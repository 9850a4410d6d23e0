//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lookahead_run::event::Weights;

use crate::config::Override;

/// Trains real tasks with Lookahead (k steps forward, 1 step back), watched live.
#[derive(Debug, Parser)]
#[command(name = "lookahead", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a run from a config
    Train(Train),
    /// Go on with a run from its newest valid checkpoint
    Resume(Resume),
    /// Loss and accuracy of a run's model on the test set
    Eval(Eval),
    /// Ask a run that lives, in another terminal or without one
    Ctl(Ctl),
    /// What a run or a checkpoint holds, verified
    Inspect(Inspect),
    /// Write the weights of a checkpoint to a safetensors file
    Export(Export),
    /// What is found on this machine, what is missing, and how to mend it
    Doctor,
}

/// `lookahead train`.
#[derive(Debug, Args)]
pub struct Train {
    /// The config, a TOML file such as configs/digits.toml
    pub config: PathBuf,
    /// Name of the run [default: the config's name, with -2, -3… where that is taken]
    #[arg(long, value_name = "RUN")]
    pub name: Option<String>,
    /// Folder in which the run's folder is made
    #[arg(long, value_name = "DIR", default_value = "checkpoints")]
    pub out: PathBuf,
    /// Begin with the weights of a safetensors file, such as a checkpoint's model.safetensors
    #[arg(long, value_name = "FILE")]
    pub init_from: Option<PathBuf>,
    /// Take those tensors of the file that fit, and leave the other weights as they are drawn
    #[arg(long, requires = "init_from")]
    pub init_partial: bool,
    /// What to change and how to show it.
    #[command(flatten)]
    pub shared: Shared,
}

/// `lookahead resume`.
#[derive(Debug, Args)]
pub struct Resume {
    /// The run's folder, such as checkpoints/fashion-mnist
    #[arg(value_name = "RUN_DIR")]
    pub run: PathBuf,
    /// Go on from the checkpoint of this step; later ones are moved to abandoned/
    #[arg(long, value_name = "STEP")]
    pub from: Option<u64>,
    /// What to change and how to show it.
    #[command(flatten)]
    pub shared: Shared,
}

/// What `train` and `resume` share.
#[derive(Debug, Args)]
pub struct Shared {
    /// Change a key of the config, such as optimizer.lr=0.1; can be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<Override>,
    /// Plain lines on stderr instead of the dashboard
    #[arg(long)]
    pub no_tui: bool,
}

/// `lookahead eval`.
#[derive(Debug, Args)]
pub struct Eval {
    /// The run's folder, such as checkpoints/fashion-mnist
    #[arg(value_name = "RUN_DIR")]
    pub run: PathBuf,
    /// Evaluate the checkpoint of this step [default: the newest valid one]
    #[arg(long, value_name = "STEP")]
    pub from: Option<u64>,
    /// Which weights [default: slow; fast for a run without Lookahead]
    #[arg(long)]
    pub weights: Option<WeightsArgument>,
    /// One JSON object on stdout
    #[arg(long)]
    pub json: bool,
}

/// `lookahead ctl`.
#[derive(Debug, Args)]
pub struct Ctl {
    /// The run's folder, such as checkpoints/fashion-mnist
    #[arg(value_name = "RUN_DIR")]
    pub run: PathBuf,
    /// What it should do, at its next step.
    #[command(subcommand)]
    pub command: CtlCommand,
}

/// What can be asked of a run.
#[derive(Debug, Subcommand)]
pub enum CtlCommand {
    /// Take no further step until it is told to continue or to stop
    Pause,
    /// Go on after a pause
    Continue,
    /// Save a checkpoint, and go on
    Checkpoint,
    /// Save a checkpoint, and end
    Stop,
    /// How it is; of a run that does not live, how it ended
    Status {
        /// One JSON object on stdout
        #[arg(long)]
        json: bool,
    },
    /// Change optimizer.lr, lookahead.k, lookahead.alpha or probe.every_syncs, and go on
    ///
    /// It holds from the next step on, lookahead.k from the next cycle on: a cycle ends as it began.
    /// Later checkpoints and the run's config.toml have it too, so that a resume goes on with it.
    Set {
        /// The key and its new value, such as lookahead.alpha=0.8
        #[arg(value_name = "KEY=VALUE")]
        setting: Override,
    },
}

/// `lookahead inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The folder of a run or of a checkpoint, such as checkpoints/fashion-mnist
    pub path: PathBuf,
    /// One JSON object on stdout
    #[arg(long)]
    pub json: bool,
}

/// `lookahead export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The run's folder, such as checkpoints/fashion-mnist
    #[arg(value_name = "RUN_DIR")]
    pub run: PathBuf,
    /// The file to write, which must not exist yet
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Export the checkpoint of this step [default: the newest valid one]
    #[arg(long, value_name = "STEP")]
    pub from: Option<u64>,
    /// Which weights [default: slow; fast for a run without Lookahead]
    #[arg(long)]
    pub weights: Option<WeightsArgument>,
}

/// The two sets of weights, as arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WeightsArgument {
    /// φ, the final model
    Slow,
    /// θ, what the inner optimizer moves
    Fast,
}

impl From<WeightsArgument> for Weights {
    fn from(argument: WeightsArgument) -> Self {
        match argument {
            WeightsArgument::Slow => Weights::Slow,
            WeightsArgument::Fast => Weights::Fast,
        }
    }
}
