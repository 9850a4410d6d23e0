//! `lookahead watch`: the dashboard on runs of other processes.

mod lines;

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use lookahead_dashboard::{RemoteError, RemoteRun, WatchedRun};
use lookahead_run::{RunFolder, program_name};
use lookahead_study::sweep::{SweepFolder, latest};

use super::find;
use super::remote::Address;
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
/// If a folder is neither a run's nor a sweep's, another machine can't be reached, or there is no terminal to draw on.
pub fn watch(arguments: &cli::Watch) -> anyhow::Result<()> {
    let (mut runs, mut sweeps) = (Vec::new(), Vec::new());
    let places = places(&arguments.runs)?;
    let instead = places.first().map(instead).unwrap_or_default();
    for place in places {
        match place {
            Place::Remote(address) => runs.push(Run::Remote(address)),
            Place::Here(path) => match SweepFolder::open(&path) {
                Some(folder) => {
                    let (sweep, first) = Sweep::new(&folder)?;
                    sweeps.push(sweep);
                    runs.extend(first.into_iter().map(Run::Here));
                }
                None => runs.push(Run::Here(RunFolder::open_or_await(&path)?)),
            },
        }
    }
    if !std::io::stdout().is_terminal() {
        let program = program_name();
        return Err(UsageError::new(format!(
            "`{program} watch` needs a terminal, but standard output is not one. {instead}"
        ))
        .into());
    }
    let later = (!sweeps.is_empty()).then(|| newcomers(sweeps)).transpose()?;
    if let (true, Some(later)) = (runs.is_empty(), &later) {
        eprint_line("No run has started yet. Waiting for the first one.");
        runs.extend(later.recv().map(Run::Here));
    }
    if let Some(reason) = lookahead_dashboard::incapable_terminal() {
        let mut folders = Vec::new();
        for run in runs {
            match run {
                Run::Here(folder) => folders.push(folder),
                Run::Remote(address) => return Err(address.not_as_lines(reason).into()),
            }
        }
        eprint_line(format_args!("Note: {reason}. Showing lines instead of the dashboard."));
        return lines::watch(&folders, later);
    }
    let program = arguments.remote_program.as_deref().unwrap_or(program_name());
    let connected = runs.into_iter().map(|run| run.connect(program)).collect::<Result<_, _>>()?;
    Ok(lookahead_dashboard::watch(connected, later, arguments.look.options())?)
}

/// What was typed.
enum Place {
    /// The folder of a run or of a sweep.
    Here(PathBuf),
    Remote(Address),
}

/// By default the latest run here.
fn places(typed: &[PathBuf]) -> Result<Vec<Place>, UsageError> {
    if typed.is_empty() {
        return Ok(find::present_or_future(typed)?.into_iter().map(Place::Here).collect());
    }
    let mut places = Vec::new();
    for typed in typed {
        match find::remote(typed) {
            Some(address) => places.push(Place::Remote(address)),
            None => {
                let here = find::present_or_future(std::slice::from_ref(typed))?;
                places.extend(here.into_iter().map(Place::Here));
            }
        }
    }
    Ok(places)
}

/// A run that is to be watched.
enum Run {
    Here(RunFolder),
    Remote(Address),
}

impl Run {
    fn connect(self, program: &str) -> Result<WatchedRun, RemoteError> {
        Ok(match self {
            Run::Here(folder) => WatchedRun::Here(folder),
            Run::Remote(address) => {
                eprint_line(format_args!("Connecting to {}…", address.host));
                let (name, command) = (address.to_string(), address.relay(program));
                WatchedRun::Remote(RemoteRun::connect(&name, &address.host, &command)?)
            }
        })
    }
}

/// What to use instead of the dashboard in a script.
fn instead(place: &Place) -> String {
    let program = program_name();
    match place {
        Place::Remote(address) => format!("Use `{}`.", address.there("ctl", "status")),
        Place::Here(path) if SweepFolder::open(path).is_some() => {
            format!("Use `{program} list {}`.", path.display())
        }
        Place::Here(path) => {
            let path = path.display();
            format!("Use `{program} ctl {path} status`, or read {path}/events.jsonl.")
        }
    }
}

/// A sweep that is watched.
struct Sweep {
    runs: PathBuf,
    /// The names of the runs that existed at the start.
    known: BTreeSet<String>,
    shown: BTreeSet<String>,
}

impl Sweep {
    /// The sweep, and its latest runs, the newest last.
    fn new(folder: &SweepFolder) -> anyhow::Result<(Sweep, Vec<RunFolder>)> {
        let all = latest(&folder.runs(), usize::MAX)?;
        let known = all.iter().map(|run| run.name().to_owned()).collect();
        let first: Vec<RunFolder> = all.into_iter().take(MOST).rev().collect();
        let shown = first.iter().map(|run| run.name().to_owned()).collect();
        Ok((Sweep { runs: folder.runs(), known, shown }, first))
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
