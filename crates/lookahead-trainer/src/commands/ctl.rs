//! `lookahead ctl`: asks a run that lives.

use lookahead_run::{RunFolder, control};

use crate::cli;

/// Asks a run for something, and returns once it has accepted it; it does it at its next step.
///
/// # Errors
/// Where the run does not live, or does not accept it.
pub fn ctl(arguments: &cli::Ctl) -> anyhow::Result<()> {
    let folder = RunFolder::open(&arguments.run)?;
    Ok(control::send(&folder, arguments.command.into())?)
}
