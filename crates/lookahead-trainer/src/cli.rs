//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use lookahead_dashboard::{Axis, Options, ThemeName};
use lookahead_run::event::Weights;
use lookahead_run::program_name;

use crate::config::Override;
use crate::initial::Rename;
use crate::observer::Show;

mod configuring;
mod examples;
mod listing;
pub(crate) mod mistakes;
mod prediction;
mod study;
#[cfg(test)]
mod tests;

pub use configuring::{ConfigKeys, Init, Schema, SchemaOf};
pub use listing::{Completions, Forwarded, List, Man, Relay, Remote};
pub use prediction::{Generate, Predict, RowFormat};
pub use study::{Compare, PictureArgument, SplitArgument, Sweep};

use examples::examples;

/// Train models with the Lookahead optimizer (k steps forward, 1 step back) and watch them live.
#[derive(Debug, Parser)]
#[command(name = program_name(), version = version(), arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The version of this crate, behind the name of the program.
fn version() -> &'static str {
    match program_name() {
        "lookahead" => env!("CARGO_PKG_VERSION"),
        _ => concat!("(lookahead ", env!("CARGO_PKG_VERSION"), ")"),
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a run from a config
    #[command(after_help = examples(&[
        "train digits",
        "train digits --set optimizer.lr=0.1 --name larger-lr --no-tui",
    ]))]
    Train(Train),
    /// Run one config in many variations, several at once; resumes if started again
    #[command(after_help = examples(&["sweep digits-lr --dry-run", "sweep digits-lr --jobs 2"]))]
    Sweep(Sweep),
    /// Compare runs and sweeps: tables with the spread over seeds, and figures
    #[command(after_help = examples(&[
        "compare digits larger-lr",
        "compare digits-lr --figures figures",
        "compare digits-lr --json > comparison.json",
    ]))]
    Compare(Compare),
    /// List runs and sweeps with their state and last evaluation, the latest first
    #[command(after_help = examples(&["list", "list digits-lr --json", "list gpu-box:"]))]
    List(List),
    /// Resume a run from its newest valid checkpoint
    #[command(after_help = examples(&[
        "resume",
        "resume digits --from 1500 --set train.epochs=20",
    ]))]
    Resume(Resume),
    /// Evaluate a run's model on the test set
    #[command(after_help = examples(&["eval", "eval digits --from best --json"]))]
    Eval(Eval),
    /// Predict for samples of your own: tables, images or arrays
    #[command(after_help = examples(&[
        "predict digits samples.csv",
        "predict digits scans/ --output predictions.csv",
    ]))]
    Predict(Predict),
    /// Continue a text with a text model
    #[command(after_help = examples(&[
        "generate --prompt \"Once upon\"",
        "generate text-lstm --prompt \"## \" --length 500 --temperature 0.8",
    ]))]
    Generate(Generate),
    /// Control a run in progress: pause, stop, change settings
    #[command(after_help = examples(&["ctl pause", "ctl digits set optimizer.lr=0.01", "ctl gpu-box:digits stop"]))]
    Ctl(Ctl),
    /// Open the dashboard on running or finished runs, several overlaid, or on a table of runs
    #[command(after_help = examples(&[
        "watch",
        "watch digits larger-lr",
        "watch checkpoints",
        "watch gpu-box:project/checkpoints/digits",
    ]))]
    Watch(Watch),
    /// Plot runs to an SVG or PNG file
    #[command(after_help = examples(&[
        "plot --output curves.svg",
        "plot digits larger-lr --output curves.png --charts loss,gain",
    ]))]
    Plot(Plot),
    /// Verify a run or a checkpoint and list its contents
    #[command(after_help = examples(&["inspect", "inspect digits/step-00001500 --json"]))]
    Inspect(Inspect),
    /// Export the model of a checkpoint, or the numbers of runs for TensorBoard or as CSV
    #[command(after_help = examples(&[
        "export digits --output phi.safetensors",
        "export digits --from best --output net.pt",
        "export digits digits-lr --tensorboard tensorboard",
        "export digits --csv tables",
    ]))]
    Export(Export),
    /// Write a commented config for a kind of data
    #[command(after_help = examples(&[
        "init",
        "init digits",
        "init csv --data houses.csv --target price",
        "init images --data photos --set model.kind=resnet --output photos.toml",
    ]))]
    Init(Init),
    /// Explain the keys of a config
    #[command(after_help = examples(&["config", "config lookahead", "config optimizer.lr", "config csv"]))]
    Config(ConfigKeys),
    /// Print a JSON Schema of the config, by which editors complete and check it
    #[command(after_help = examples(&[
        "schema > lookahead.schema.json",
        "schema sweep > sweep.schema.json",
    ]))]
    Schema(Schema),
    /// Check this machine: what was found, what is missing, and how to fix it
    #[command(after_help = examples(&["doctor"]))]
    Doctor,
    /// Print a script by which a shell completes commands, options, runs, configs and keys
    #[command(after_help = examples(&["completions bash", "completions fish > completions.fish"]))]
    Completions(Completions),
    /// Write manual pages for man
    #[command(after_help = examples(&["man ~/.local/share/man/man1"]))]
    Man(Man),
    /// Show a run to the `watch` of another machine, which starts this through ssh
    #[command(hide = true)]
    Relay(Relay),
    /// Run the command of another machine, which starts this through ssh
    #[command(hide = true)]
    Forwarded(Forwarded),
}

/// `lookahead train`.
#[derive(Debug, Args)]
pub struct Train {
    /// The config: a TOML file, or the name of one here or in configs/
    pub config: PathBuf,
    /// Name of the run [default: the config's name, with -2, -3… if it is taken]
    #[arg(long, value_name = "RUN")]
    pub name: Option<String>,
    /// Folder in which the run's folder is created
    #[arg(long, value_name = "DIR", default_value = "checkpoints")]
    pub out: PathBuf,
    /// Resume the run of this name from its newest valid checkpoint if it exists, for supervisors that
    /// restart the program after a failure (torchrun)
    #[arg(long, requires = "name", conflicts_with = "init_from")]
    pub auto_resume: bool,
    /// Start from the weights in a safetensors file, for example a checkpoint's model.safetensors
    #[arg(long, value_name = "FILE")]
    pub init_from: Option<PathBuf>,
    /// Load the tensors that match in name and shape, list the others, and initialize the remaining
    /// weights as usual
    #[arg(long, requires = "init_from")]
    pub init_partial: bool,
    /// Names in the file that begin with OLD begin with NEW instead, which may be empty; may be given several times,
    /// and each applies to the result of those before it
    #[arg(long, requires = "init_from", value_name = "OLD=NEW")]
    pub init_rename: Vec<Rename>,
    /// Continue with the optimizer's state in a file, for example of a PyTorch training (docs/pytorch.md): the slow
    /// weights, the phase and the moments that belong to the weights of --init-from
    #[arg(long, requires = "init_from", conflicts_with = "init_partial", value_name = "FILE")]
    pub init_optimizer: Option<PathBuf>,
    /// Settings and display.
    #[command(flatten)]
    pub shared: Shared,
}

/// `lookahead resume`.
#[derive(Debug, Args)]
pub struct Resume {
    /// The run: its name in checkpoints/, its folder, or the folder of one of its checkpoints [default: the
    /// latest in checkpoints/]
    pub run: Option<PathBuf>,
    /// Resume from the checkpoint of this step, or from the best one on validation data; later ones move
    /// to abandoned/
    #[arg(long, value_name = "STEP|best")]
    pub from: Option<CheckpointArgument>,
    /// Settings and display.
    #[command(flatten)]
    pub shared: Shared,
}

/// The options of `train` and `resume`.
#[derive(Debug, Args)]
pub struct Shared {
    /// Change a key of the config, for example optimizer.lr=0.1; can be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<Override>,
    /// Instead of the dashboard, show a progress bar on stderr (lines if it is not a terminal or `TERM` is dumb)
    #[arg(long)]
    pub no_tui: bool,
    /// Without a dashboard, print a line to stderr every SECONDS (0: every step) instead of a progress
    /// bar [default: 10 if stderr is not a terminal]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub progress_every: Option<Duration>,
    /// Print only warnings and errors, and show no dashboard
    #[arg(long, conflicts_with = "progress_every")]
    pub quiet: bool,
    /// Print every event to stdout as a line of JSON, as in events.jsonl, and show no dashboard
    #[arg(long)]
    pub json: bool,
    /// Keep training when the terminal is closed (SIGHUP) instead of saving a checkpoint and ending
    #[arg(long)]
    pub keep_on_hangup: bool,
    /// How the dashboard looks.
    #[command(flatten)]
    pub look: Look,
}

impl Shared {
    /// What to show.
    pub fn show(&self) -> Show {
        let without = self.no_tui || self.quiet || self.json;
        Show {
            dashboard: (!without).then(|| self.look.options()),
            every: self.progress_every,
            quiet: self.quiet,
            json: self.json,
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let found = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    found.ok_or_else(|| format!("`{text}` is not a number of seconds. Use for example 10 or 0.5."))
}

/// `lookahead eval`.
#[derive(Debug, Args)]
pub struct Eval {
    /// The run: its name in checkpoints/, its folder, or the folder of one of its checkpoints [default: the
    /// latest in checkpoints/]
    pub run: Option<PathBuf>,
    /// Evaluate the checkpoint of this step, or the best one on validation data [default: the newest
    /// valid one, or the best one if the run stopped early]
    #[arg(long, value_name = "STEP|best")]
    pub from: Option<CheckpointArgument>,
    /// Which weights to use [default: those of the final model]
    #[arg(long)]
    pub weights: Option<WeightsArgument>,
    /// Print one JSON object to stdout
    #[arg(long)]
    pub json: bool,
}

/// `lookahead ctl`.
#[derive(Debug, Args)]
#[command(subcommand_precedence_over_arg = true)]
pub struct Ctl {
    /// The run: its name in checkpoints/, its folder, or HOST:RUN on another machine [default: the latest running one in
    /// checkpoints/, otherwise the latest]
    pub run: Option<PathBuf>,
    /// HOST:RUN.
    #[command(flatten)]
    pub remote: Remote,
    /// What it does at its next step.
    #[command(subcommand)]
    pub command: CtlCommand,
}

/// The commands to a run.
#[derive(Debug, Subcommand)]
pub enum CtlCommand {
    /// Pause until `continue` or `stop`
    #[command(after_help = examples(&["ctl pause", "ctl digits pause"]))]
    Pause,
    /// Continue after a pause
    #[command(after_help = examples(&["ctl continue", "ctl digits continue"]))]
    Continue,
    /// Save a checkpoint and continue
    #[command(after_help = examples(&["ctl checkpoint", "ctl digits checkpoint"]))]
    Checkpoint,
    /// Save a checkpoint and end the run
    #[command(after_help = examples(&["ctl stop", "ctl digits stop"]))]
    Stop,
    /// Set the fast weights back to the slow ones, and continue from there
    ///
    /// The steps since the last sync are dropped; the learning rate and the count of steps stay.
    #[command(after_help = examples(&["ctl roll-back", "ctl digits roll-back"]))]
    RollBack,
    /// Show the run's state, or how it ended
    #[command(after_help = examples(&["ctl status", "ctl digits status --json"]))]
    Status {
        /// Print one JSON object to stdout
        #[arg(long)]
        json: bool,
    },
    /// Change optimizer.lr, lookahead.k, lookahead.alpha or probe.every_syncs
    ///
    /// The value takes effect at the next step, that of lookahead.k at the next cycle.
    /// Later checkpoints and the run's config.toml contain it, so that a resumed run keeps it.
    #[command(after_help = examples(&[
        "ctl set lookahead.alpha=0.8",
        "ctl digits set optimizer.lr=0.01",
    ]))]
    Set {
        /// The key and its new value, for example lookahead.alpha=0.8
        #[arg(value_name = "KEY=VALUE")]
        setting: Override,
    },
}

/// How the dashboard looks.
#[derive(Debug, Args)]
pub struct Look {
    /// Colours of the dashboard: dark, light, color-blind or none [default: dark; none with NO_COLOR]
    #[arg(long, value_name = "THEME")]
    pub theme: Option<ThemeName>,
    /// Draw with ASCII characters only
    #[arg(long)]
    pub ascii: bool,
    /// Leave mouse events to the terminal
    #[arg(long)]
    pub no_mouse: bool,
}

impl Look {
    /// The options of a dashboard.
    pub fn options(&self) -> Options {
        let usual = Options::default();
        Options {
            theme: self.theme.unwrap_or(usual.theme),
            ascii: self.ascii || usual.ascii,
            mouse: usual.mouse && !self.no_mouse,
            ..usual
        }
    }
}

/// `lookahead watch`.
#[derive(Debug, Args)]
pub struct Watch {
    /// Runs, which need not exist yet, sweeps, and folders of runs: their names in checkpoints/, or their paths
    /// [default: the latest run or sweep in checkpoints/]
    ///
    /// A sweep or a folder opens with a table of its runs. HOST:RUN is a run on another machine, through ssh; paths
    /// are from the home folder there, and HOST: is the latest run.
    #[arg(value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// HOST:RUN.
    #[command(flatten)]
    pub remote: Remote,
    /// How it looks.
    #[command(flatten)]
    pub look: Look,
}

/// `lookahead plot`.
#[derive(Debug, Args)]
pub struct Plot {
    /// The runs: their names in checkpoints/, or their folders [default: the latest in checkpoints/]
    #[arg(value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// The file to write: FILE.svg or FILE.png
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// The charts, from top to bottom: those of the dashboard, or the names of numbers that the runs log [default:
    /// loss,gain,cycles; only loss without Lookahead; all numbers of a recorded run]
    #[arg(long, value_name = "CHART", value_delimiter = ',')]
    pub charts: Vec<String>,
    /// What the x axis counts: step, epoch or time
    #[arg(long, value_name = "AXIS", default_value = "step")]
    pub x: Axis,
    /// Use a logarithmic y axis
    #[arg(long)]
    pub log: bool,
    /// Let the y axis cover all values; by default a few that would flatten the rest are cut off and marked
    #[arg(long)]
    pub all_values: bool,
    /// With several runs, draw the fast and the slow weights of each instead of one line for each
    #[arg(long)]
    pub both_weights: bool,
    /// The decay of the running mean, from 0 (no smoothing) to below 1
    #[arg(long, value_name = "BETA", default_value_t = 0.98, value_parser = smoothing)]
    pub smoothing: f64,
    /// Width and height in pixels [default: 1200, and 500 for each chart]
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = size)]
    pub size: Option<(u32, u32)>,
    /// Replace an existing file
    #[arg(long)]
    pub force: bool,
}

fn smoothing(text: &str) -> Result<f64, String> {
    let found = text.parse().ok().filter(|value| (0.0..1.0).contains(value));
    found.ok_or_else(|| format!("`{text}` is not a smoothing. Use 0, which is none, to below 1."))
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once('x').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    sides.ok_or_else(|| format!("`{text}` is not a size in pixels. Use for example 1200x700."))
}

/// `lookahead inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The run or the checkpoint: its folder, or its name in checkpoints/, for example digits/step-00001500 [default:
    /// the latest run in checkpoints/]
    #[arg(value_name = "RUN")]
    pub path: Option<PathBuf>,
    /// Print one JSON object to stdout
    #[arg(long)]
    pub json: bool,
}

/// `lookahead export`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["output", "csv", "tensorboard"])))]
pub struct Export {
    /// The run: its name in checkpoints/, or its folder [default: the latest in checkpoints/]
    ///
    /// With --output, the folder of a checkpoint too. With --csv and --tensorboard, several runs and sweeps.
    #[arg(value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Write the model: FILE.safetensors for the weights alone, FILE.pt for a TorchScript module that
    /// Python runs without the model's code
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write the events of the runs as tables: steps.csv, syncs.csv, probes.csv, layers.csv,
    /// scalars.csv and evaluations.csv in DIR
    #[arg(long, value_name = "DIR")]
    pub csv: Option<PathBuf>,
    /// Write the events of each run for TensorBoard: an event file in DIR/RUN or DIR/SWEEP/RUN
    #[arg(long, value_name = "DIR")]
    pub tensorboard: Option<PathBuf>,
    /// With --output: the checkpoint of this step, or the best one on validation data [default: the newest
    /// valid one, or the best one if the run stopped early]
    #[arg(long, value_name = "STEP|best", conflicts_with_all = ["csv", "tensorboard"])]
    pub from: Option<CheckpointArgument>,
    /// With --output: which weights to use [default: those of the final model]
    #[arg(long, conflicts_with_all = ["csv", "tensorboard"])]
    pub weights: Option<WeightsArgument>,
    /// Replace existing files
    #[arg(long)]
    pub force: bool,
}

/// A checkpoint, as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointArgument {
    /// The checkpoint of a step.
    Step(u64),
    /// The best checkpoint on validation data.
    Best,
}

impl std::str::FromStr for CheckpointArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "best" {
            return Ok(CheckpointArgument::Best);
        }
        text.parse().map(CheckpointArgument::Step).map_err(|_| {
            format!("`{text}` is neither the number of a step nor `best`. Use for example 1500.")
        })
    }
}

/// The sets of weights, as arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WeightsArgument {
    /// The final model of a run with Lookahead
    Slow,
    /// The weights that the inner optimizer updates
    Fast,
    /// The mean of the weights, the final model of a run with `averaging`
    Average,
}

impl From<WeightsArgument> for Weights {
    fn from(argument: WeightsArgument) -> Self {
        match argument {
            WeightsArgument::Slow => Weights::Slow,
            WeightsArgument::Fast => Weights::Fast,
            WeightsArgument::Average => Weights::Average,
        }
    }
}
