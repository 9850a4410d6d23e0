//! `lookahead watch`: the dashboard on runs of other processes.

mod lines;

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

/// The number of runs of a sweep shown from the start, so that their curves can be distinguished.
const MOST: usize = 8;
/// The interval in which new runs of a sweep are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// Shows runs until the user quits or, on a terminal that can only show lines, until they end.
///
/// # Errors
/// If a folder is neither a run's nor a sweep's, or there is no terminal to draw on.
pub fn watch(arguments: &cli::Watch) -> anyhow::Result<()> {
    let (mut runs, mut sweeps) = (Vec::new(), Vec::new());
    let paths = find::present_or_future(&arguments.runs)?;
    for path in &paths {
        match SweepFolder::open(path) {
            Some(sweep) => sweeps.push(Sweep::new(&sweep, &mut runs)?),
            None => runs.push(RunFolder::open_or_await(path)?),
        }
    }
    if !std::io::stdout().is_terminal() {
        let (program, path) = (program_name(), paths[0].display());
        let instead = if sweeps.is_empty() {
            format!("Use `{program} ctl {path} status`, or read {path}/events.jsonl.")
        } else {
            format!("Use `{program} list {path}`.")
        };
        return Err(UsageError::new(format!(
            "`{program} watch` needs a terminal, but standard output is not one. {instead}"
        ))
        .into());
    }
    let later = (!sweeps.is_empty()).then(|| newcomers(sweeps)).transpose()?;
    if let (true, Some(later)) = (runs.is_empty(), &later) {
        eprint_line("No run has started yet. Waiting for the first one.");
        runs.extend(later.recv());
    }
    if let Some(reason) = lookahead_dashboard::incapable_terminal() {
        eprint_line(format_args!("Note: {reason}. Showing lines instead of the dashboard."));
        return lines::watch(&runs, later);
    }
    Ok(lookahead_dashboard::watch(&runs, later, arguments.look.options())?)
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
