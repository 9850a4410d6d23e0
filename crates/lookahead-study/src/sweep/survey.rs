//! The state of each run: finished, stopped, failed, in use, or not there.
//!
//! Only a run's folder and log count, whoever made them: a sweep that ended in order, one that was
//! killed, or a user who trained the run.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use lookahead_run::RunFolder;
use lookahead_run::event::Status;
use serde_json::Value as Json;

use super::error::{At, SweepError};
use super::folder::SweepFolder;
use super::plan::{Planned, Resolve, difference};
use super::process::Task;
use super::results::Numbers;
use crate::summary::Summary;

/// The state of a run.
pub(super) enum Found {
    Nothing,
    /// A process of another sweep, or one that a user started, trains it.
    InUse,
    Run(Ended),
}

/// How a run ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// None after a crash.
    pub(super) status: Option<Status>,
    pub(super) message: Option<String>,
    pub(super) numbers: Option<Numbers>,
}

impl Ended {
    /// Reads a run's log; one that can't be read counts as that of a run that has just started.
    pub(super) fn read(run: &Path) -> Ended {
        let Ok(summary) = Summary::read(run) else { return Ended::default() };
        let numbers = Some(Numbers::of(&summary));
        let (status, message) =
            summary.ended.map_or((None, None), |ended| (Some(ended.status), ended.message));
        Ended { status, message, numbers }
    }
}

/// Looks at the place of a run.
///
/// # Errors
/// If it can't be read.
pub(super) fn look(folder: &SweepFolder, name: &str) -> Result<Found, SweepError> {
    let path = folder.run(name);
    if path.symlink_metadata().is_err() {
        return Ok(Found::Nothing);
    }
    let run = match RunFolder::open(&path) {
        Ok(run) => run,
        // Its process was killed before it was a run.
        Err(lookahead_run::Error::NotARun { .. }) if path.is_dir() => {
            folder.remove_run(name)?;
            return Ok(Found::Nothing);
        }
        Err(error) => return Err(error.into()),
    };
    Ok(if run.is_in_use()? { Found::InUse } else { Found::Run(Ended::read(&path)) })
}

/// Refuses a run that was started with another config than the sweep has now.
///
/// # Errors
/// [`SweepError::Changed`] with the first key that differs.
pub(super) fn check_config(
    folder: &SweepFolder,
    planned: &Planned,
    resolve: Resolve,
) -> Result<(), SweepError> {
    let run = folder.run(&planned.point.name);
    let path = run.join("config.toml");
    if !path.exists() {
        return Ok(());
    }
    let found = resolve(&path, &[]).map_err(|refused| SweepError::File {
        path: path.clone(),
        line: None,
        message: format!("{} Remove the run, or fix its config.", refused.message),
    })?;
    let mut wanted = planned.config.clone();
    OF_THE_DATA.iter().for_each(|key| take_default(&mut wanted, &found, key));
    match difference(&found, &wanted) {
        Some((key, found, wanted)) => Err(SweepError::Changed { run, key, found, wanted }),
        None => Ok(()),
    }
}

/// Keys whose defaults may depend on the data: then a run has them, and a plan does not.
const OF_THE_DATA: [&str; 4] =
    ["/data/validation", "/probe/every_syncs", "/probe/samples", "/train/best_by"];

/// Takes the value of a key over from a run's config if the plan has none.
fn take_default(wanted: &mut Json, found: &Json, key: &str) {
    let (section, name) = key.rsplit_once('/').unwrap_or_default();
    let Some(value) = found.pointer(key) else { return };
    if let Some(Json::Object(section)) = wanted.pointer_mut(section) {
        section.entry(name).or_insert_with(|| value.clone());
    }
}

/// What to do with a run that has not ended.
pub(super) fn task(folder: &SweepFolder, name: &str) -> Task {
    let run = RunFolder::open(&folder.run(name));
    let can_resume = run.is_ok_and(|run| run.checkpoints().newest_valid().is_ok());
    if can_resume { Task::Resume } else { Task::Train }
}

/// How many runs in the folder are not points of the sweep.
pub(super) fn strangers(folder: &SweepFolder, points: &[Planned]) -> usize {
    let names: HashSet<&str> = points.iter().map(|planned| planned.point.name.as_str()).collect();
    let found = fs::read_dir(folder.runs()).into_iter().flatten().flatten();
    found
        .filter(|entry| entry.file_name().to_str().is_none_or(|name| !names.contains(name)))
        .count()
}

/// The runs of a sweep to watch: those that are running, then the latest, at most `most`.
///
/// # Errors
/// If the folder can't be read.
pub fn latest(folder: &Path, most: usize) -> Result<Vec<RunFolder>, SweepError> {
    let found = fs::read_dir(folder).at("read the folder", folder)?;
    let mut runs: Vec<_> = found
        .flatten()
        .filter_map(|entry| RunFolder::open(&entry.path()).ok())
        .map(|run| {
            let running = run.is_in_use().unwrap_or(false);
            let written = run.events_path().metadata().and_then(|found| found.modified());
            (running, written.ok(), run)
        })
        .collect();
    runs.sort_by(|a, b| (b.0, b.1).cmp(&(a.0, a.1)).then_with(|| a.2.name().cmp(b.2.name())));
    Ok(runs.into_iter().take(most).map(|(_, _, run)| run).collect())
}

#[cfg(test)]
mod tests;
