//! `just reproduce`: writes the evidence report.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use lookahead_evidence::{Error, write};

/// Writes the report on which claims for Lookahead hold, from the runs of its sweeps
#[derive(Debug, Parser)]
#[command(name = "lookahead-evidence", version)]
struct Cli {
    /// The folder that holds the sweeps
    #[arg(default_value = "checkpoints/evidence")]
    sweeps: PathBuf,
    /// The folder for evidence.md and the figures in evidence/, which are replaced
    #[arg(long, short, value_name = "DIR", default_value = "docs")]
    output: PathBuf,
    /// Write it although sweeps are missing or unfinished; their chapters are left out
    #[arg(long)]
    partial: bool,
}

fn main() -> ExitCode {
    let arguments = Cli::parse();
    match write(&arguments.sweeps, &arguments.output, arguments.partial) {
        Ok((report, notes)) => {
            for note in notes {
                eprintln!("Note: {note}");
            }
            eprintln!("Written: {}", report.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            // The remedy for these is another command line.
            let usage = matches!(error, Error::NoSweeps(_) | Error::LackingSweeps(_));
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}
