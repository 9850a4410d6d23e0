//! Which checkpoints are kept; the others are removed or moved to `abandoned/`.

use std::fs;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use crate::checkpoint::Checkpoint;
use crate::disk::{self, At};
use crate::error::Result;
use crate::identity;
use crate::manifest::Manifest;
use crate::store::CheckpointStore;

/// Which checkpoints are kept when a new one is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// The newest N.
    pub newest: NonZeroUsize,
    /// Those whose step is a multiple of N, permanently.
    pub every: Option<NonZeroU64>,
    /// The best so far.
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

/// How the best checkpoint is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Best {
    /// A name in [`TrainingMetadata::metrics`](crate::TrainingMetadata::metrics).
    pub metric: String,
    /// Whether more is better.
    pub highest: bool,
}

impl Best {
    /// The step of the best checkpoint, the first of equal ones. One whose manifest is damaged, lacks the
    /// metric, or has NaN or infinity for it, is never the best.
    pub fn among(&self, checkpoints: &[Checkpoint]) -> Option<u64> {
        let mut best: Option<(f64, u64)> = None;
        for checkpoint in checkpoints {
            let Ok(manifest) = Manifest::read(&checkpoint.path) else { continue };
            let value = manifest.metadata.metrics.get(&self.metric).copied();
            let Some(value) = value.filter(|value| value.is_finite()) else { continue };
            let better =
                |(than, _): (f64, u64)| if self.highest { value > than } else { value < than };
            if best.is_none_or(better) {
                best = Some((value, checkpoint.step));
            }
        }
        best.map(|(_, step)| step)
    }
}

impl CheckpointStore {
    /// Moves the checkpoints after `step` to `abandoned/`, and returns their names there:
    /// `step-00001500`, or `step-00001500-2`… if that was taken.
    ///
    /// The newest moves first, so that a crash in between leaves a run without gaps.
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

    /// Moves `current` from the run's folder to `abandoned/`, under `name` or a free name like it, and
    /// returns its new path.
    pub(crate) fn abandon(&self, current: &str, name: &str) -> Result<PathBuf> {
        self.check_lock()?;
        let folder = self.run.join(disk::ABANDONED);
        disk::ensure_folder(&folder)?;
        let mut to = folder.join(name);
        let mut number = 1u64;
        while disk::is_taken(&to) {
            number += 1;
            to = folder.join(format!("{name}-{number}"));
        }
        let from = self.run.join(current);
        disk::rename(&from, &to, "move to `abandoned`", &from)?;
        disk::sync_folder(&folder)?;
        Ok(to)
    }

    /// Removes the checkpoints that `retention` does not keep, and returns their names, oldest first.
    ///
    /// The newest valid checkpoint is always kept, even if damaged newer ones fill the number. If none is
    /// valid, none is removed, since what is left may still be of use. Another run's checkpoints are
    /// neither counted nor removed.
    ///
    /// To find it, checkpoints are verified from the newest until one is valid, except that of step
    /// `valid`, which the caller has just published. Nothing is read if there are at most
    /// `retention.newest`; of the others, only manifests.
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
            self.check_lock()?;
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
        // Files are removed after the names are gone from the disk, or a power cut could leave half a
        // checkpoint under its real name.
        disk::sync_folder(&self.run)?;
        self.check_lock()?;
        hidden.iter().try_for_each(|folder| disk::remove_folder(folder))?;
        Ok(names)
    }

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
        self.check_lock()?;
        names.sort();
        names.iter().try_for_each(|name| disk::remove_folder(&self.run.join(name)))?;
        Ok(names)
    }
}

#[cfg(test)]
mod tests;
