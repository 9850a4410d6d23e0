//! The runs of a table: those of sweeps, of folders, and single ones.

use std::fs;
use std::path::{Path, PathBuf};

use lookahead_dashboard::RunSource;
use lookahead_study::sweep::SweepFolder;

use super::find;

/// The runs at these paths.
pub(super) fn of(paths: &[PathBuf]) -> RunSource {
    let sweeps: Vec<SweepFolder> =
        paths.iter().filter_map(|path| SweepFolder::open(path)).collect();
    let are_sweeps = sweeps.len() == paths.len();
    let planned: Option<usize> = sweeps.iter().map(SweepFolder::planned).sum();
    let names: Vec<String> = paths.iter().map(|path| shown(path)).collect();
    let kind = match (are_sweeps, sweeps.len()) {
        (true, 1) => "sweep ",
        (true, _) => "sweeps ",
        (false, _) => "",
    };
    let paths = paths.to_vec();
    RunSource {
        title: format!("{kind}{}", names.join(", ")),
        planned: planned.filter(|_| are_sweeps),
        find: Box::new(move || runs(&paths)),
    }
}

/// A path without the folder that all runs are in by default.
fn shown(path: &Path) -> String {
    let within = path.strip_prefix(find::RUNS).ok().filter(|rest| !rest.as_os_str().is_empty());
    within.unwrap_or(path).display().to_string()
}

/// The runs that are there now, with their names. The names of several folders begin with the folder.
fn runs(paths: &[PathBuf]) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for path in paths {
        let within = if paths.len() > 1 { shown(path) + "/" } else { String::new() };
        match SweepFolder::open(path) {
            Some(sweep) => found.extend(entries(&sweep.runs(), &within)),
            None if find::is_run(path) => found.push((shown(path), path.clone())),
            None => {
                for (name, entry) in entries(path, &within) {
                    match SweepFolder::open(&entry) {
                        Some(sweep) => found.extend(entries(&sweep.runs(), &(name + "/"))),
                        None => found.push((name, entry)),
                    }
                }
            }
        }
    }
    found
}

fn entries(folder: &Path, within: &str) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| (within.to_owned() + &entry.file_name().to_string_lossy(), entry.path()))
        .collect()
}
