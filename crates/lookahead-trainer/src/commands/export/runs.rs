//! The runs that were named, those of sweeps too.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use lookahead_run::RunFolder;
use lookahead_study::sweep::SweepFolder;

use super::super::find;
use crate::usage::UsageError;

/// A run, and its name among all that are exported.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) run: RunFolder,
    /// `RUN`, or `SWEEP/RUN`.
    pub(super) name: String,
}

/// Refuses the folder of a run for exported files: its process may be writing there.
pub(super) fn refuse_run_folder(folder: &Path, instead: &str) -> Result<(), UsageError> {
    if RunFolder::open(folder).is_err() {
        return Ok(());
    }
    Err(UsageError::new(format!(
        "{} is the folder of a run, which only its training writes. {instead}",
        folder.display()
    )))
}

/// The runs that were typed, and those of the sweeps that were; by default the latest run.
///
/// # Errors
/// If there is no such run, a sweep has none, or two runs have the same name.
pub(super) fn find(typed: &[PathBuf]) -> anyhow::Result<Vec<Named>> {
    let mut runs = Vec::new();
    if typed.is_empty() {
        let run = RunFolder::open(&find::run(None)?)?;
        runs.push(Named { name: run.name().to_owned(), run });
    }
    for typed in typed {
        let path = find::run_or_sweep(typed)?;
        let Some(sweep) = SweepFolder::open(&path) else {
            let run = RunFolder::open(&path)?;
            runs.push(Named { name: run.name().to_owned(), run });
            continue;
        };
        // `.` is not a name.
        let folder = path.canonicalize()?;
        let sweep_name = folder.file_name().unwrap_or_default().display();
        let folders = find::runs_and_sweeps(&sweep.runs()).into_iter();
        let mut of_sweep: Vec<Named> = folders
            .filter_map(|folder| RunFolder::open(&folder).ok())
            .map(|run| Named { name: format!("{sweep_name}/{}", run.name()), run })
            .collect();
        if of_sweep.is_empty() {
            return Err(UsageError::new(format!(
                "The sweep `{}` has no run yet. Name one that has, or a run.",
                path.display()
            ))
            .into());
        }
        of_sweep.sort_by(|a, b| a.name.cmp(&b.name));
        runs.extend(of_sweep);
    }
    let mut names = HashSet::new();
    if let Some(twice) = runs.iter().find(|named| !names.insert(named.name.as_str())) {
        return Err(UsageError::new(format!(
            "Two of the runs are named {}, so their values could not be told apart. Export one of them at a time.",
            twice.name
        ))
        .into());
    }
    Ok(runs)
}
