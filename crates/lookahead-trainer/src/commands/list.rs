//! `lookahead list`: runs and sweeps with their state.

mod table;

use std::path::{Path, PathBuf};

use lookahead_run::{Glance, RunFolder, format, program_name};
use lookahead_study::sweep::SweepFolder;
use serde::Serialize;

use super::find;
use super::remote::Address;
use crate::cli;
use crate::console::{eprint_line, print_data, print_line};
use crate::usage::UsageError;

/// Prints a row for each run and sweep in some folders of this machine or another one, the latest first.
///
/// # Errors
/// If one of the folders is not there, they are of several machines, or there is no connection to the other one.
pub fn list(arguments: &cli::List) -> anyhow::Result<()> {
    let all: Vec<_> = arguments.folders.iter().map(|typed| find::remote(typed)).collect();
    let Some(first) = all.iter().flatten().next() else { return here(arguments) };
    let mut words = vec!["list"];
    for address in &all {
        let Some(address) = address.as_ref().filter(|address| address.host == first.host) else {
            return Err(UsageError::new(format!(
                "`{first}` is on another machine than other folders. List those of each machine apart."
            ))
            .into());
        };
        // The folder that is listed by default.
        words.push(Some(&*address.run).filter(|run| !run.is_empty()).unwrap_or(find::RUNS));
    }
    if all.len() == 1 && first.run.is_empty() {
        words.pop();
    }
    words.extend(arguments.json.then_some("--json"));
    first.run(arguments.remote.program(), &words)
}

/// As [`list`], for folders of this machine.
pub(super) fn here(arguments: &cli::List) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    if arguments.folders.is_empty() {
        rows.extend(rows_of(Path::new(find::RUNS)));
    }
    for typed in &arguments.folders {
        rows.extend(rows_of(&folder(typed)?));
    }
    rows.sort_by(|a, b| {
        let time = |row: &Row| row.last_event().unwrap_or(f64::NEG_INFINITY);
        time(b).total_cmp(&time(a)).then_with(|| a.name().cmp(b.name()))
    });
    if rows.is_empty() {
        let folders: Vec<String> =
            arguments.folders.iter().map(|folder| folder.display().to_string()).collect();
        let place = if folders.is_empty() { find::RUNS.to_owned() } else { folders.join(", ") };
        eprint_line(format_args!(
            "There is no run in {place} yet. Start one with `{} train CONFIG`.",
            program_name()
        ));
    }
    if arguments.json {
        for row in &rows {
            print_data(serde_json::to_string(row)?)?;
        }
    } else if !rows.is_empty() {
        print_line(table::text(&rows).trim_end())?;
    }
    for row in &rows {
        if let Row::Run(RunRow { name, glance }) = row
            && let (Some(fault), false) = (&glance.fault, arguments.json)
        {
            eprint_line(format_args!("{}: {fault}", format::safe(name)));
        }
    }
    Ok(())
}

/// A line of the list.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Row {
    Run(RunRow),
    Sweep(SweepRow),
}

#[derive(Debug, Serialize)]
struct RunRow {
    /// As it can be typed for a command.
    name: String,
    #[serde(flatten)]
    glance: Box<Glance>,
}

#[derive(Debug, Serialize)]
struct SweepRow {
    /// As it can be typed for a command.
    name: String,
    /// The number of its runs that have begun.
    runs: usize,
    /// The number of those that are running.
    running: usize,
    /// Unix time at which a run's log was last written.
    last_event: Option<f64>,
}

impl Row {
    fn name(&self) -> &str {
        match self {
            Row::Run(run) => &run.name,
            Row::Sweep(sweep) => &sweep.name,
        }
    }

    fn last_event(&self) -> Option<f64> {
        match self {
            Row::Run(run) => run.glance.last_event,
            Row::Sweep(sweep) => sweep.last_event,
        }
    }
}

impl SweepRow {
    fn new(name: String, sweep: &SweepFolder) -> SweepRow {
        let runs = find::runs_and_sweeps(&sweep.runs());
        let last = runs.iter().filter_map(|run| find::written(run)).max();
        let last = last.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        SweepRow {
            name,
            running: runs.iter().filter(|run| find::is_running(run)).count(),
            runs: runs.len(),
            last_event: last.map(|time| time.as_secs_f64()),
        }
    }
}

/// What was typed: a folder, or the name of one in `checkpoints/`.
fn folder(typed: &Path) -> Result<PathBuf, UsageError> {
    let named = Path::new(find::RUNS).join(typed);
    let found = [typed.to_owned(), named.clone()].into_iter().find(|path| path.is_dir());
    found.ok_or_else(|| {
        if let Some(address) = Address::parse(typed) {
            return address.not_here();
        }
        // An absolute path names nothing else.
        let also = (named != typed).then(|| format!(", nor `{}`", named.display()));
        UsageError::new(format!(
            "There is no folder `{}`{}. `{} list` lists all of `{}/`.",
            typed.display(),
            also.unwrap_or_default(),
            program_name(),
            find::RUNS
        ))
    })
}

/// The rows of a folder: of the run that it is, the runs of the sweep that it is, or the runs and sweeps in it.
fn rows_of(folder: &Path) -> Vec<Row> {
    let paths = match SweepFolder::open(folder) {
        Some(sweep) => find::runs_and_sweeps(&sweep.runs()),
        None if RunFolder::open(folder).is_ok() => vec![folder.to_owned()],
        None => find::runs_and_sweeps(folder),
    };
    let row = |path: &PathBuf| {
        let name = path.strip_prefix(find::RUNS).unwrap_or(path).display().to_string();
        match (RunFolder::open(path), SweepFolder::open(path)) {
            (Ok(run), _) => Some(Row::Run(RunRow { name, glance: Box::new(Glance::read(&run)) })),
            (_, Some(sweep)) => Some(Row::Sweep(SweepRow::new(name, &sweep))),
            // It was removed meanwhile.
            _ => None,
        }
    };
    paths.iter().filter_map(row).collect()
}
