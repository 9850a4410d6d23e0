//! From paths to runs.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread::ScopedJoinHandle;

use super::error::CompareError;
use crate::error::Result;
use crate::summary::Summary;
use crate::sweep::{SweepFile, points};

/// What was found at some paths.
#[derive(Debug)]
pub(super) struct Found {
    /// In the order of the paths; those of a sweep by their names.
    pub(super) runs: Vec<Summary>,
    /// Runs of sweeps that could not be read, with the cause.
    pub(super) unread: Vec<(PathBuf, String)>,
    /// Whether the first path is a run, and so the user's first choice.
    pub(super) first_is_a_run: bool,
    /// Names of runs in sweeps' folders that are no longer points of theirs.
    pub(super) stale: Vec<String>,
}

/// Reads all runs at these paths.
pub(super) fn read(paths: &[PathBuf]) -> Result<Found> {
    let mut folders: Vec<(PathBuf, bool)> = Vec::new();
    let mut known = BTreeSet::new();
    let mut stale = Vec::new();
    for path in paths {
        let planned = planned(path);
        for (folder, of_sweep) in folders_of(path)? {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // The sweep's file has changed since: its own results leave them out too.
            if of_sweep && planned.as_ref().is_some_and(|names| !names.contains(&name)) {
                stale.push(name);
                continue;
            }
            // The same run by two paths would count twice.
            if known.insert(folder.canonicalize().unwrap_or_else(|_| folder.clone())) {
                folders.push((folder, of_sweep));
            }
        }
    }
    let first_is_a_run = folders.first().is_some_and(|(_, of_sweep)| !of_sweep);
    let (mut runs, mut unread) = (Vec::new(), Vec::new());
    for ((folder, of_sweep), summary) in folders.iter().zip(summaries(&folders)) {
        match summary {
            Ok(summary) => runs.push(summary),
            // A running sweep has runs that have not started; a run that the user named must be read.
            Err(cause) if *of_sweep => unread.push((folder.clone(), cause.to_string())),
            Err(cause) => return Err(cause),
        }
    }
    if runs.is_empty() {
        return Err(CompareError::NoRuns(paths.to_vec()).into());
    }
    Ok(Found { runs, unread, first_is_a_run, stale })
}

/// The names of all runs of a sweep's file; `None` if it is not a sweep, or its file can't be read.
pub fn planned(sweep: &Path) -> Option<BTreeSet<String>> {
    let file = SweepFile::read(&sweep.join("sweep.toml")).ok()?;
    let points = points::expand(&file).ok()?;
    Some(points.into_iter().map(|point| point.name).collect())
}

/// The runs at a path, and whether they are those of a sweep.
fn folders_of(path: &Path) -> Result<Vec<(PathBuf, bool)>> {
    let within = path.join("runs");
    if path.join("events.jsonl").exists() || path.join("config.toml").exists() {
        return Ok(vec![(path.to_owned(), false)]);
    }
    if !within.is_dir() {
        // A sweep that has not started a run is empty.
        let sweep = path.join("sweep.toml").exists();
        return if sweep { Ok(vec![]) } else { Err(CompareError::Neither(path.to_owned()).into()) };
    }
    let list = |cause| CompareError::List { folder: within.clone(), cause };
    let mut folders = Vec::new();
    for entry in within.read_dir().map_err(list)? {
        let folder = entry.map_err(list)?.path();
        let hidden = folder.file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'.');
        if folder.is_dir() && !hidden {
            folders.push((folder, true));
        }
    }
    folders.sort();
    Ok(folders)
}

/// Reads the logs on all processors: those of a large sweep are gigabytes.
fn summaries(folders: &[(PathBuf, bool)]) -> Vec<Result<Summary>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = folders.len().div_ceil(threads).max(1);
    let read = |part: &[(PathBuf, bool)]| -> Vec<Result<Summary>> {
        part.iter().map(|(folder, _)| Summary::read(folder)).collect()
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> =
            folders.chunks(share).map(|part| scope.spawn(move || read(part))).collect();
        let join =
            |part: ScopedJoinHandle<_>| part.join().unwrap_or_else(|panic| resume_unwind(panic));
        parts.into_iter().flat_map(join).collect()
    })
}
