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
    /// A name among [`Details::metrics`](crate::Details::metrics).
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
            let value = manifest.details.metrics.get(&self.metric).copied();
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
mod tests {
    use super::*;
    use crate::checkpoint::verify;
    use crate::error::Error;
    use crate::testing::{details, flip, names_in, publish, store};
    use std::fs;

    fn steps(store: &CheckpointStore) -> Vec<u64> {
        store.list().unwrap().iter().map(|checkpoint| checkpoint.step).collect()
    }

    fn publish_all<const N: usize>(store: &CheckpointStore, steps: [u64; N]) -> [PathBuf; N] {
        steps.map(|step| publish(store, step).path)
    }

    fn keep(count: usize) -> Retention {
        Retention::newest(NonZeroUsize::new(count).unwrap())
    }

    /// A checkpoint whose manifest has the metric.
    fn publish_with(store: &CheckpointStore, step: u64, accuracy: f64) {
        let mut details = details(step);
        details.metrics.insert("accuracy".to_owned(), accuracy);
        store.publish(details, |draft| Ok(draft.create_file("model")?.finish()?)).unwrap();
    }

    #[test]
    fn later_checkpoints_are_put_aside_and_not_lost() {
        let (temp, store) = store();
        publish_all(&store, [10, 20, 30, 40]);
        assert_eq!(store.abandon_after(20).unwrap(), ["step-00000040", "step-00000030"]);
        assert_eq!(steps(&store), [10, 20]);
        verify(&temp.path().join("abandoned/step-00000030")).unwrap();
        assert!(store.abandon_after(20).unwrap().is_empty());
    }

    #[test]
    fn a_step_can_be_abandoned_again_and_again() {
        let (temp, store) = store();
        for expected in ["step-00000030", "step-00000030-2", "step-00000030-3"] {
            publish(&store, 30);
            assert_eq!(store.abandon_after(0).unwrap(), [expected]);
        }
        for name in names_in(&temp.path().join("abandoned")) {
            verify(&temp.path().join("abandoned").join(name)).unwrap();
        }
        assert_eq!(names_in(&temp.path().join("abandoned")).len(), 3);
    }

    #[test]
    fn nothing_to_abandon_makes_no_folder() {
        let (temp, store) = store();
        publish(&store, 10);
        store.abandon_after(10).unwrap();
        assert_eq!(names_in(temp.path()), ["step-00000010"]);
    }

    #[test]
    fn the_newest_are_kept_and_the_rest_removed() {
        let (temp, store) = store();
        publish_all(&store, [10, 20, 30, 40]);
        assert!(store.retain(&keep(4), None).unwrap().is_empty());
        assert_eq!(store.retain(&keep(2), None).unwrap(), ["step-00000010", "step-00000020"]);
        assert_eq!(names_in(temp.path()), ["step-00000030", "step-00000040"]);
        store.retain(&keep(1), None).unwrap();
        assert_eq!(steps(&store), [40]);
    }

    #[test]
    fn what_another_run_has_saved_is_neither_counted_nor_removed() {
        let (temp, store) = store();
        identity::write(temp.path(), &"a".repeat(32)).unwrap();
        publish_all(&store, [10, 20]);
        identity::write(temp.path(), &"b".repeat(32)).unwrap();
        publish_all(&store, [30, 40]);
        assert!(store.retain(&keep(2), None).unwrap().is_empty());
        assert_eq!(store.retain(&keep(1), None).unwrap(), ["step-00000030"]);
        assert_eq!(steps(&store), [10, 20, 40]);
        let error = store.at_step(20).unwrap_err();
        assert!(matches!(error, Error::OtherRun { .. }), "{error}");
    }

    #[test]
    fn the_newest_valid_one_stays_behind_damaged_ones() {
        let (_temp, store) = store();
        let paths = publish_all(&store, [10, 20, 30, 40]);
        flip(&paths[3].join("model.safetensors"), 0);
        fs::remove_file(paths[2].join("manifest.json")).unwrap();
        assert_eq!(store.retain(&keep(1), None).unwrap(), ["step-00000010", "step-00000030"]);
        assert_eq!(steps(&store), [20, 40]);
        assert_eq!(store.newest_valid().unwrap().checkpoint.step, 20);
    }

    #[test]
    fn every_so_manieth_step_stays_for_good() {
        let (_temp, store) = store();
        publish_all(&store, [10, 15, 20, 25, 30, 35]);
        let retention = Retention { every: NonZeroU64::new(20), ..keep(2) };
        let removed = store.retain(&retention, None).unwrap();
        assert_eq!(removed, ["step-00000010", "step-00000015", "step-00000025"]);
        assert_eq!(steps(&store), [20, 30, 35]);
        // The next time there is nothing to remove, though there are more than two.
        assert!(store.retain(&retention, None).unwrap().is_empty());
    }

    #[test]
    fn a_step_that_is_wanted_stays() {
        let (_temp, store) = store();
        publish_all(&store, [10, 20, 30, 40]);
        store.retain(&Retention { step: Some(20), ..keep(1) }, None).unwrap();
        assert_eq!(steps(&store), [20, 40]);
    }

    #[test]
    fn the_best_stays_and_what_is_no_number_is_never_the_best() {
        let best = |highest| Some(Best { metric: "accuracy".to_owned(), highest });
        for (highest, kept) in [(true, [20, 60]), (false, [30, 60])] {
            let (_temp, store) = store();
            publish(&store, 5);
            let values = [0.7, 0.9, 0.1, 0.9, f64::NAN, if highest { -1.0 } else { 0.8 }];
            for (i, value) in values.into_iter().enumerate() {
                publish_with(&store, 10 * (i as u64 + 1), value);
            }
            for (step, value) in [(7, f64::INFINITY), (8, f64::NEG_INFINITY)] {
                publish_with(&store, step, value);
            }
            let retention = Retention { best: best(highest), ..keep(1) };
            store.retain(&retention, None).unwrap();
            assert_eq!(steps(&store), kept);
        }
    }

    #[test]
    fn the_best_is_told_by_manifests_that_can_be_trusted() {
        let (temp, store) = store();
        for (step, value) in [(10, 0.9), (20, 0.8), (30, 0.1)] {
            publish_with(&store, step, value);
        }
        let manifest = temp.path().join("step-00000010/manifest.json");
        let text = fs::read_to_string(&manifest).unwrap();
        fs::write(&manifest, text.replace("0.9", "0.7")).unwrap();
        let best = Best { metric: "accuracy".to_owned(), highest: true };
        store.retain(&Retention { best: Some(best), ..keep(1) }, None).unwrap();
        assert_eq!(steps(&store), [20, 30]);
    }

    /// The caller's word for the one that it has just published spares reading it all again.
    #[test]
    fn one_that_is_known_to_be_valid_is_not_read_again() {
        let (_temp, store) = store();
        let paths = publish_all(&store, [10, 20, 30]);
        flip(&paths[2].join("model.safetensors"), 0);
        store.retain(&keep(1), Some(30)).unwrap();
        assert_eq!(steps(&store), [30]);
    }

    #[test]
    fn where_none_is_valid_none_is_removed() {
        let (_temp, store) = store();
        for step in [10, 20, 30] {
            flip(&publish(&store, step).path.join("model.safetensors"), 0);
        }
        assert!(store.retain(&keep(1), None).unwrap().is_empty());
        assert_eq!(steps(&store), [10, 20, 30]);
    }

    #[test]
    fn a_leftover_removal_of_the_same_step_is_no_obstacle() {
        let (temp, store) = store();
        publish_all(&store, [10, 20]);
        fs::create_dir_all(temp.path().join(".step-00000010.removed/inner")).unwrap();
        store.retain(&keep(1), None).unwrap();
        assert_eq!(names_in(temp.path()), ["step-00000020"]);
    }

    #[test]
    fn leftovers_are_cleared_and_nothing_else() {
        let (temp, store) = store();
        publish(&store, 10);
        for name in [".step-00000020.tmp", ".step-00000005.removed", ".mine", ".step-mine"] {
            fs::create_dir_all(temp.path().join(name).join("inner")).unwrap();
        }
        let cleared = store.clear_leftovers().unwrap();
        assert_eq!(cleared, [".step-00000005.removed", ".step-00000020.tmp"]);
        assert_eq!(names_in(temp.path()), [".mine", ".step-mine", "step-00000010"]);
        verify(&temp.path().join("step-00000010")).unwrap();
        assert!(store.clear_leftovers().unwrap().is_empty());
    }
}
