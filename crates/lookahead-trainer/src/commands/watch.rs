//! `lookahead watch`: the dashboard on runs that live elsewhere.

use std::io::IsTerminal;

use lookahead_run::RunFolder;

use crate::cli;
use crate::usage::Usage;

/// Shows runs until the user leaves.
///
/// # Errors
/// Where a folder is no run's, or there is no terminal to draw on.
pub fn watch(arguments: &cli::Watch) -> anyhow::Result<()> {
    let runs: Vec<RunFolder> = arguments
        .runs
        .iter()
        .map(|path| RunFolder::open_or_await(path))
        .collect::<Result<_, _>>()?;
    if !std::io::stdout().is_terminal() {
        let run = arguments.runs[0].display();
        return Err(Usage::new(format!(
            "`lookahead watch` draws on a terminal, and standard output is none. How a run fares is \
             told by `lookahead ctl {run} status`; its events are in {run}/events.jsonl."
        ))
        .into());
    }
    Ok(lookahead_dashboard::watch(&runs, arguments.look.options())?)
}
