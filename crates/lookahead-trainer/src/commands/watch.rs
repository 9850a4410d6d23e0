//! `lookahead watch`: the dashboard on runs of other processes.

mod lines;
mod source;

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use lookahead_dashboard::{Options, RemoteRun, WatchedRun};
use lookahead_run::{RunFolder, program_name};
use lookahead_study::sweep::{SweepFolder, latest};

use super::find;
use super::remote::Address;
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
/// If a path is neither a run's nor a sweep's, nor has any in it, another machine can't be reached, or there is no terminal
/// to draw on.
pub fn watch(arguments: &cli::Watch) -> anyhow::Result<()> {
    let places = places(&arguments.runs)?;
    let here = |place: &Place| match place {
        Place::Here(path) => Some(path.clone()),
        Place::Remote(_) => None,
    };
    let paths: Vec<PathBuf> = places.iter().filter_map(here).collect();
    let is_several = |path: &PathBuf| SweepFolder::open(path).is_some() || find::holds_runs(path);
    let several = paths.iter().find(|path| is_several(path));
    if !std::io::stdout().is_terminal() {
        let program = program_name();
        let instead = match (&places[0], several) {
            (Place::Remote(address), _) => format!("Use `{}`.", address.status()),
            (Place::Here(_), Some(path)) => format!("Use `{program} list {}`.", path.display()),
            (Place::Here(path), None) => {
                RunFolder::open_or_await(path)?;
                let path = path.display();
                format!("Use `{program} ctl {path} status`, or read {path}/events.jsonl.")
            }
        };
        return Err(UsageError::new(format!(
            "`{program} watch` needs a terminal, but standard output is not one. {instead}"
        ))
        .into());
    }
    if let Some(path) = several.filter(|_| paths.len() < places.len()) {
        return Err(UsageError::new(format!(
            "`{}` holds several runs, and a table has only runs of this machine. Name its runs one by one, or watch the \
             two apart.",
            path.display()
        ))
        .into());
    }
    let reason = lookahead_dashboard::incapable_terminal();
    match (reason, several) {
        (Some(reason), _) => as_lines(places, reason),
        (None, Some(_)) => {
            let folder = Some(paths[0].clone()).filter(|_| paths.len() == 1);
            let options = Options { folder, ..arguments.look.options() };
            Ok(lookahead_dashboard::browse(source::of(&paths), options)?)
        }
        (None, None) => {
            let program = arguments.remote.program();
            let runs = places.into_iter().map(|place| place.open(program));
            let runs = runs.collect::<anyhow::Result<_>>()?;
            Ok(lookahead_dashboard::watch(runs, arguments.look.options())?)
        }
    }
}

/// Prints the events as lines, since the terminal can't draw for this reason.
fn as_lines(places: Vec<Place>, reason: &str) -> anyhow::Result<()> {
    let (mut runs, mut sweeps) = (Vec::new(), Vec::new());
    for place in places {
        let path = match place {
            Place::Here(path) => path,
            Place::Remote(address) => return Err(address.not_as_lines(reason).into()),
        };
        match SweepFolder::open(&path) {
            Some(folder) => {
                let (sweep, first) = Sweep::new(&folder)?;
                sweeps.push(sweep);
                runs.extend(first);
            }
            None if find::holds_runs(&path) => {
                return Err(UsageError::new(format!(
                    "A table of runs needs a terminal that can draw, but {reason}. Use `{} list {}`.",
                    program_name(),
                    path.display()
                ))
                .into());
            }
            None => runs.push(RunFolder::open_or_await(&path)?),
        }
    }
    let later = (!sweeps.is_empty()).then(|| newcomers(sweeps)).transpose()?;
    if let (true, Some(later)) = (runs.is_empty(), &later) {
        eprint_line("No run has started yet. Waiting for the first one.");
        runs.extend(later.recv());
    }
    eprint_line(format_args!("Note: {reason}. Showing lines instead of the dashboard."));
    lines::watch(&runs, later)
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

impl Place {
    /// The run, with a connection to its machine if it is on another one.
    fn open(self, program: &str) -> anyhow::Result<WatchedRun> {
        Ok(match self {
            Place::Here(path) => WatchedRun::Here(RunFolder::open_or_await(&path)?),
            Place::Remote(address) => {
                eprint_line(format_args!("Connecting to {}…", address.host));
                let (name, command) = (address.to_string(), address.relay(program));
                WatchedRun::Remote(RemoteRun::connect(&name, &address.host, &command)?)
            }
        })
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
