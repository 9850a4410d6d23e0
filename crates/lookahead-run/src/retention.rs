//! How checkpoints go: put aside, removed, or cleared away as the leftovers of a crash.

use std::fs;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use crate::checkpoint::Checkpoint;
use crate::disk::{self, At};
use crate::error::Result;
use crate::identity;
use crate::manifest::Manifest;
use crate::store::CheckpointStore;

/// Which checkpoints stay when new ones come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// So many of the newest.
    pub newest: NonZeroUsize,
    /// Those of every so manieth step, for good.
    pub every: Option<NonZeroU64>,
    /// The one that was the best so far.
    pub best: Option<Best>,
    /// The one of this step.
    pub step: Option<u64>,
}

impl Retention {
    /// Only the newest `count`.
    pub fn newest(count: NonZeroUsize) -> Self {
        Retention { newest: count, every: None, best: None, step: None }
    }
}

/// By what checkpoints are told better or worse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Best {
    /// A name among [`TrainingMetadata::metrics`](crate::TrainingMetadata::metrics).
    pub metric: String,
    /// Whether more is better.
    pub highest: bool,
}

impl Best {
    /// The step of the best of them, the first of equal ones. One whose manifest can't be trusted,
    /// or has no such metric, or NaN or infinity for it, is never the best.
    pub fn among(&self, checkpoints: &[Checkpoint]) -> Option<u64> {
        let mut best: Option<(f64, u64)> = None;
        for checkpoint in checkpoints {
            let Ok(manifest) = Manifest::read(&checkpoint.path) else { continue };
            let value = manifest.metadata.metrics.get(&self.metric).copied();
            let Some(value) = value.filter(|value| value.is_finite()) else { continue };
            let better = |(than, _): (f64, u64)| match self.highest {
                true => value > than,
                false => value < than,
            };
            if best.is_none_or(better) {
                best = Some((value, checkpoint.step));
            }
        }
        best.map(|(_, step)| step)
    }
}

impl CheckpointStore {
    /// Moves the checkpoints later than `step` to `abandoned/`, and returns the names that they
    /// have there: `step-00001500`, or `step-00001500-2`… where that was taken.
    ///
    /// The newest goes first, so that a crash in between leaves a run without gaps.
    pub fn abandon_after(&self, step: u64) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for checkpoint in self.list()?.iter().rev().take_while(|later| later.step > step) {
            let name = checkpoint.name();
            let path = self.abandon(&name, &name)?;
            names.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
        if !names.is_empty() {
            disk::sync_folder(&self.run)?;
        }
        Ok(names)
    }

    /// Moves the thing that is called `now` in the run's folder to `abandoned/`, under a name like
    /// `name`, and returns where it lies then.
    pub(crate) fn abandon(&self, now: &str, name: &str) -> Result<PathBuf> {
        self.check_hold()?;
        let folder = self.run.join(disk::ABANDONED);
        disk::ensure_folder(&folder)?;
        let mut to = folder.join(name);
        let mut number = 1u64;
        while disk::is_taken(&to) {
            number += 1;
            to = folder.join(format!("{name}-{number}"));
        }
        let from = self.run.join(now);
        disk::rename(&from, &to, "move to `abandoned`", &from)?;
        disk::sync_folder(&folder)?;
        Ok(to)
    }

    /// Removes the checkpoints that `retention` does not keep, and returns their names, oldest first.
    ///
    /// The newest valid checkpoint always stays, also where newer ones that are damaged fill the
    /// number; where none is valid, none is removed, since what is left may still be of use.
    ///
    /// To know this, checkpoints are verified from the newest on until one is found whole, but for
    /// the one of step `valid`, which the caller has just published. Nothing is read where there are
    /// no more than `retention.newest`, and of others only manifests, for their metrics.
    pub fn retain(&self, retention: &Retention, valid: Option<u64>) -> Result<Vec<String>> {
        let mut checkpoints = self.list()?;
        if checkpoints.len() <= retention.newest.get() {
            return Ok(Vec::new());
        }
        checkpoints.retain(|found| !self.is_of_another_run(found));
        let surplus = checkpoints.len().saturating_sub(retention.newest.get());
        let is_valid = |found: &Checkpoint| valid == Some(found.step) || found.verify().is_ok();
        let Some(newest_valid) = checkpoints.iter().rposition(is_valid) else {
            return Ok(Vec::new());
        };
        let best = retention.best.as_ref().and_then(|best| best.among(&checkpoints));

        let (mut names, mut hidden) = (Vec::new(), Vec::new());
        for (index, checkpoint) in checkpoints[..surplus].iter().enumerate() {
            let every = retention.every.is_some_and(|every| checkpoint.step % every == 0);
            let step = Some(checkpoint.step);
            if index == newest_valid || every || step == best || step == retention.step {
                continue;
            }
            self.check_hold()?;
            let name = checkpoint.name();
            let to = self.run.join(format!(".{name}.removed"));
            disk::remove_folder(&to)?;
            disk::rename(&checkpoint.path, &to, "remove the checkpoint", &checkpoint.path)?;
            names.push(name);
            hidden.push(to);
        }
        if names.is_empty() {
            return Ok(names);
        }
        // Only when the names are gone for good may the files go, or else a power cut could leave
        // half a checkpoint under its real name.
        disk::sync_folder(&self.run)?;
        self.check_hold()?;
        hidden.iter().try_for_each(|folder| disk::remove_folder(folder))?;
        Ok(names)
    }

    /// Whether a checkpoint was put here that is another run's: it is not this run's to remove.
    fn is_of_another_run(&self, found: &Checkpoint) -> bool {
        let id = Manifest::read(&found.path).ok().and_then(|manifest| manifest.run_id);
        id.zip(identity::read(&self.run)).is_some_and(|(found, own)| found != own)
    }

    /// Removes what a crash left of checkpoints that were being written or removed, and returns
    /// the names. Checkpoints under their real names are never touched.
    pub fn clear_leftovers(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.run).at("list the folder", &self.run)? {
            let name = entry.at("list the folder", &self.run)?.file_name();
            let name = name.to_string_lossy().into_owned();
            let leftover = name.ends_with(".tmp") || name.ends_with(".removed");
            if name.starts_with(".step-") && leftover {
                names.push(name);
            }
        }
        self.check_hold()?;
        names.sort();
        names.iter().try_for_each(|name| disk::remove_folder(&self.run.join(name)))?;
        Ok(names)
    }
}

#[cfg(test)]
mod tests;
