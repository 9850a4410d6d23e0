//! `lookahead evidence`: the report of what holds of the claims for Lookahead.

use lookahead_study::evidence::write;

use super::compare::refusal;
use crate::cli;
use crate::say::say;

/// Writes the report and its figures, from the sweeps that are there.
///
/// # Errors
/// Where none is there, runs can't be compared, or a file can't be written.
pub fn evidence(arguments: &cli::Evidence) -> anyhow::Result<()> {
    let (report, notes) =
        write(&arguments.sweeps, &arguments.output, arguments.partial).map_err(refusal)?;
    for note in notes {
        say(format_args!("Note: {note}"));
    }
    say(format_args!("Written: {}", report.display()));
    Ok(())
}
