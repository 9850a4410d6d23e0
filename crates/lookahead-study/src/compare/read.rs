//! From paths to runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::error::CompareError;
use crate::error::{Error, Result};
use crate::summary::Summary;
use crate::sweep::{SweepFile, points};

/// What was found at some paths.
#[derive(Debug)]
pub(super) struct Found {
    /// In the order of the paths; those of a sweep by their names.
    pub(super) runs: Vec<Summary>,
    /// Runs of sweeps that could not be read, with the reason.
    pub(super) unread: Vec<(PathBuf, String)>,
    /// Whether the first path is a run, and so the user's first choice.
    pub(super) first_is_a_run: bool,
    /// Runs in sweeps' folders that are none of their points any more, by their names.
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
            // A sweep that still runs has some that have not begun; a run that was asked for by its
            // name is another matter.
            Err(cause) if *of_sweep => unread.push((folder.clone(), cause.to_string())),
            Err(cause) => return Err(cause),
        }
    }
    if runs.is_empty() {
        return Err(CompareError::NoRuns(paths.to_vec()).into());
    }
    Ok(Found { runs, unread, first_is_a_run, stale })
}

/// The names of all runs that a sweep's file asks for; `None` of what is no sweep, or one whose file can't
/// be understood here.
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
        // A sweep of which nothing has run yet is an empty one.
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

/// Reads the logs on all processors: of a large sweep they are gigabytes.
fn summaries(folders: &[(PathBuf, bool)]) -> Vec<Result<Summary>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(folders.len());
    let next = AtomicUsize::new(0);
    let read: Mutex<Vec<Option<Result<Summary>>>> =
        Mutex::new(folders.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some((folder, _)) = folders.get(index) else { break };
                    let summary = Summary::read(folder);
                    read.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(summary);
                }
            });
        }
    });
    let read = read.into_inner().unwrap_or_else(PoisonError::into_inner);
    let missing = |index: usize| Err(Error::NotBegun(folders[index].0.clone()));
    read.into_iter()
        .enumerate()
        .map(|(index, summary)| summary.unwrap_or_else(|| missing(index)))
        .collect()
}
