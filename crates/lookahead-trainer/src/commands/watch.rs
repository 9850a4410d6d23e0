//! `lookahead watch`: the dashboard on runs of other processes.

mod lines;
mod source;

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use lookahead_run::{RunFolder, program_name};
use lookahead_study::sweep::{SweepFolder, latest};

use super::find;
use crate::cli;
use crate::console::eprint_line;
use crate::usage::UsageError;

/// The number of runs of a sweep whose lines are printed from the start.
const MOST: usize = 8;
/// The interval in which new runs of a sweep are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// Shows runs, or a table of those in folders and sweeps, until the user quits or, on a terminal that can only show lines,
/// until they end.
///
/// # Errors
/// If a path is neither a run's nor a sweep's, nor has any in it, or there is no terminal to draw on.
pub fn watch(arguments: &cli::Watch) -> anyhow::Result<()> {
    let paths = find::present_or_future(&arguments.runs)?;
    let is_several = |path: &PathBuf| SweepFolder::open(path).is_some() || find::has_runs(path);
    let is_table = paths.iter().any(is_several);
    if !std::io::stdout().is_terminal() {
        let (program, path) = (program_name(), paths[0].display());
        let instead = if is_table {
            format!("Use `{program} list {path}`.")
        } else {
            RunFolder::open_or_await(&paths[0])?;
            format!("Use `{program} ctl {path} status`, or read {path}/events.jsonl.")
        };
        return Err(UsageError::new(format!(
            "`{program} watch` needs a terminal, but standard output is not one. {instead}"
        ))
        .into());
    }
    let reason = lookahead_dashboard::incapable_terminal();
    if let (true, None) = (is_table, reason) {
        let source = source::of(&paths);
        return Ok(lookahead_dashboard::browse(source, arguments.look.options())?);
    }
    let (mut runs, mut sweeps) = (Vec::new(), Vec::new());
    for path in &paths {
        match SweepFolder::open(path) {
            Some(sweep) => sweeps.push(Sweep::new(&sweep, &mut runs)?),
            None if find::has_runs(path) => {
                return Err(UsageError::new(format!(
                    "A table of runs needs a terminal that can draw, but {}. Use `{} list {}`.",
                    reason.unwrap_or_default(),
                    program_name(),
                    path.display()
                ))
                .into());
            }
            None => runs.push(RunFolder::open_or_await(path)?),
        }
    }
    let Some(reason) = reason else {
        return Ok(lookahead_dashboard::watch(&runs, arguments.look.options())?);
    };
    let later = (!sweeps.is_empty()).then(|| newcomers(sweeps)).transpose()?;
    if let (true, Some(later)) = (runs.is_empty(), &later) {
        eprint_line("No run has started yet. Waiting for the first one.");
        runs.extend(later.recv());
    }
    eprint_line(format_args!("Note: {reason}. Showing lines instead of the dashboard."));
    lines::watch(&runs, later)
}

/// A sweep that is watched.
struct Sweep {
    runs: PathBuf,
    /// The names of the runs that existed at the start.
    known: BTreeSet<String>,
    shown: BTreeSet<String>,
}

impl Sweep {
    /// Adds the latest runs of a sweep to `runs`, the newest last.
    fn new(folder: &SweepFolder, runs: &mut Vec<RunFolder>) -> anyhow::Result<Sweep> {
        let all = latest(&folder.runs(), usize::MAX)?;
        let known = all.iter().map(|run| run.name().to_owned()).collect();
        let first: Vec<RunFolder> = all.into_iter().take(MOST).rev().collect();
        let shown = first.iter().map(|run| run.name().to_owned()).collect();
        runs.extend(first);
        Ok(Sweep { runs: folder.runs(), known, shown })
    }

    /// Sends the runs that have started or resumed since. `None` if no one receives them.
    fn look(&mut self, newcomers: &Sender<RunFolder>) -> Option<()> {
        let entries = std::fs::read_dir(&self.runs).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            if self.shown.contains(&name) {
                continue;
            }
            let Ok(run) = RunFolder::open(&entry.path()) else { continue };
            if !self.known.contains(&name) || run.is_in_use().unwrap_or(false) {
                newcomers.send(run).ok()?;
                self.shown.insert(name);
            }
        }
        Some(())
    }
}

/// The runs that start from now on.
fn newcomers(mut sweeps: Vec<Sweep>) -> anyhow::Result<Receiver<RunFolder>> {
    let (sender, receiver) = unbounded();
    thread::Builder::new().name("sweeps".into()).spawn(move || {
        while sweeps.iter_mut().all(|sweep| sweep.look(&sender).is_some()) {
            thread::sleep(LOOK);
        }
    })?;
    Ok(receiver)
}
