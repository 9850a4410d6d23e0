//! `lookahead watch`: the dashboard on runs that live elsewhere.

mod lines;

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use lookahead_run::RunFolder;
use lookahead_study::sweep::{SweepFolder, latest};

use crate::cli;
use crate::console::eprint_line;
use crate::usage::UsageError;

/// Runs of a sweep that are shown from the start: their curves can be told apart.
const MOST: usize = 8;
/// How often it is looked whether runs of a sweep have begun.
const LOOK: Duration = Duration::from_secs(1);

/// Shows runs until the user leaves, or, on a terminal that shows lines only, until they are over.
///
/// # Errors
/// Where a folder is no run's and no sweep's, or there is no terminal to draw on.
pub fn watch(arguments: &cli::Watch) -> anyhow::Result<()> {
    let (mut runs, mut sweeps) = (Vec::new(), Vec::new());
    for path in &arguments.runs {
        match SweepFolder::open(path) {
            Some(sweep) => sweeps.push(Sweep::new(&sweep, &mut runs)?),
            None => runs.push(RunFolder::open_or_await(path)?),
        }
    }
    if !std::io::stdout().is_terminal() {
        let run = arguments.runs[0].display();
        return Err(UsageError::new(format!(
            "`lookahead watch` draws on a terminal, and standard output is none. How a run fares is \
             told by `lookahead ctl {run} status`; its events are in {run}/events.jsonl."
        ))
        .into());
    }
    let later = (!sweeps.is_empty()).then(|| newcomers(sweeps)).transpose()?;
    if let (true, Some(later)) = (runs.is_empty(), &later) {
        eprint_line("No run has begun yet: waiting for the first.");
        runs.extend(later.recv());
    }
    if let Some(reason) = lookahead_dashboard::incapable_terminal() {
        eprint_line(format_args!("Note: {reason}: lines instead of the dashboard."));
        return lines::watch(&runs, later);
    }
    Ok(lookahead_dashboard::watch(&runs, later, arguments.look.options())?)
}

/// A sweep that is watched.
struct Sweep {
    runs: PathBuf,
    /// Names of runs that were there, or are shown.
    known: BTreeSet<String>,
    shown: BTreeSet<String>,
}

impl Sweep {
    /// Takes the runs of a sweep that are to be shown first, the latest last, as they will come.
    fn new(folder: &SweepFolder, runs: &mut Vec<RunFolder>) -> anyhow::Result<Sweep> {
        let all = latest(&folder.runs(), usize::MAX)?;
        let known = all.iter().map(|run| run.name().to_owned()).collect();
        let first: Vec<RunFolder> = all.into_iter().take(MOST).rev().collect();
        let shown = first.iter().map(|run| run.name().to_owned()).collect();
        runs.extend(first);
        Ok(Sweep { runs: folder.runs(), known, shown })
    }

    /// Sends the runs that have begun since, old ones that go on among them; `None` where nobody
    /// listens.
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

/// The runs that begin from now on.
fn newcomers(mut sweeps: Vec<Sweep>) -> anyhow::Result<Receiver<RunFolder>> {
    let (sender, receiver) = unbounded();
    thread::Builder::new().name("sweeps".into()).spawn(move || {
        while sweeps.iter_mut().all(|sweep| sweep.look(&sender).is_some()) {
            thread::sleep(LOOK);
        }
    })?;
    Ok(receiver)
}
