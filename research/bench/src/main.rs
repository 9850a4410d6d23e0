//! `just bench`: Lookahead against PyTorch with timm's and pytorch_optimizer's Lookahead, in turns.

use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use lookahead_bench::machine::{Ticks, load_average, processors};
use lookahead_bench::measure;
use lookahead_bench::parts::{self, Part};
use lookahead_bench::peers::{self, Peer};
use lookahead_bench::plan::{Plan, Programs};
use lookahead_bench::report::Report;
use lookahead_bench::worker;

/// Lookahead against PyTorch with timm's and pytorch_optimizer's Lookahead, in turns.
#[derive(Debug, Parser)]
#[command(name = "lookahead-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only these workloads, by their names or parts of them; may be given several times
    #[arg(long, value_name = "NAME", global = true)]
    only: Vec<String>,
    /// Rounds [default: 9, quick 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000), global = true)]
    rounds: Option<u16>,
    /// Seconds of a contender's slice in a round [default: 0.4, quick 0.25]
    #[arg(long, value_name = "S", value_parser = slice, global = true)]
    seconds: Option<f64>,
    /// Threads inside an operation, on both sides [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), global = true)]
    threads: Option<u16>,
    /// Folder of benchmarks.md and benchmarks.json [default: docs if everything is measured as usual, else
    /// `benchmarks` in the target folder]
    #[arg(long, value_name = "DIR", global = true)]
    output: Option<PathBuf>,
    /// A Python with torch, timm and pytorch_optimizer [default: that of TORCH_PYTHON]
    #[arg(long, value_name = "PROGRAM", global = true)]
    python: Option<PathBuf>,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// A part of it, in less than five minutes on two cores
    Quick,
    /// Only compare the losses of all contenders, and time nothing
    Losses,
    /// Compare the library with other training loops, on two workloads; what is named must have been built, as `just
    /// bench-peers` and `just bench-rust` do
    Peers {
        /// Which peers
        #[arg(required = true)]
        peers: Vec<Peer>,
    },
    /// Time parts of this project against what they replace, without Python; all if none is named
    Parts {
        /// Which parts
        parts: Vec<Part>,
        /// Only the comparisons whose name contains this
        #[arg(long, value_name = "TEXT")]
        filter: Option<String>,
    },
    /// Be a contender
    #[command(hide = true)]
    Worker,
}

fn slice(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.001..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("It must be a number from 0.001 to 3600.".to_owned()),
    }
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    if let Some(Command::Worker) = cli.command {
        return worker::serve();
    }
    let bench = std::env::current_exe().context("The program's own path can't be had.")?;
    let release = bench.parent().context("A program is in a folder.")?;
    let lookahead = release.join("lookahead");
    if !lookahead.is_file() {
        bail!(
            "There is no {}. Build it with `cargo build --release --package lookahead-trainer`, or use `just \
             bench`.",
            lookahead.display()
        );
    }
    if let Some(Command::Parts { parts, filter }) = &cli.command {
        return parts::run(parts, filter.as_deref(), &lookahead, release);
    }
    let wanted = match &cli.command {
        Some(Command::Peers { peers }) => Some(&peers[..]),
        _ => None,
    };
    let needs_python = wanted.is_none_or(|peers| peers.iter().any(|peer| peer.is_python()));
    let python = if needs_python { python(cli.python.as_deref())? } else { PathBuf::new() };
    let programs = Programs { lookahead, python, bench: bench.clone() };
    let threads = cli.threads.map_or_else(processors, usize::from);
    let usual = Plan::usual(matches!(cli.command, Some(Command::Quick)), threads);
    let plan = Plan {
        losses: matches!(cli.command, Some(Command::Losses)),
        only: cli.only.clone(),
        rounds: cli.rounds.map_or(usual.rounds, usize::from),
        seconds: cli.seconds.unwrap_or(usual.seconds),
        ..usual
    };
    let is_whole = !plan.quick
        && !plan.losses
        && wanted.is_none()
        && cli.only.is_empty()
        && cli.rounds.is_none()
        && cli.seconds.is_none();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let output = match (&cli.output, is_whole && docs.is_dir()) {
        (Some(folder), _) => folder.clone(),
        (None, true) => docs.canonicalize().unwrap_or(docs),
        (None, false) => release.parent().unwrap_or(release).join("benchmarks"),
    };

    let mut report = Report::new(&plan);
    report.partial = !is_whole;
    let ticks = Ticks::now();
    match wanted {
        Some(peers) => peers::run(peers, &programs, &plan, &mut report)?,
        None => measure::all(&programs, &plan, &mut report)?,
    }
    report.load_after = load_average();
    report.others = ticks.and_then(Ticks::others_since);
    if wanted.is_some() {
        // Its page is written by hand, from this.
        println!("{}\n{}", report.table(), report.agreement_table());
        println!(
            "{}; {:?}; {:?} of the processors' time to others",
            report.peers.join(", "),
            report.machine,
            report.others
        );
        return Ok(());
    }
    let table = if plan.losses { report.agreement_table() } else { report.table() };
    println!("{table}");
    report.write(&output)?;
    println!("All of it: {}", output.join("benchmarks.md").display());
    if !report.refusals.is_empty() {
        bail!("{} workloads were left out; the page says why.", report.refusals.len());
    }
    Ok(())
}

/// A Python that has all that is needed.
fn python(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let set = std::env::var_os("TORCH_PYTHON").filter(|value| !value.is_empty());
    let Some(python) = given.map(Path::to_owned).or_else(|| set.map(PathBuf::from)) else {
        bail!(
            "Say with `--python PROGRAM` which Python has torch, timm and pytorch_optimizer, or `just bench`."
        );
    };
    let import = "import torch, safetensors.torch, timm.optim, pytorch_optimizer";
    let tried = Process::new(&python).args(["-c", import]).output();
    let tried = tried.with_context(|| format!("{} can't be started.", python.display()))?;
    if !tried.status.success() {
        let said = String::from_utf8_lossy(&tried.stderr);
        let why = said.lines().last().unwrap_or_default().to_owned();
        bail!(
            "{} lacks something of torch, safetensors, timm and pytorch_optimizer: {why}. `just bench` gets them.",
            python.display()
        );
    }
    Ok(python)
}
