//! How checkpoints go: put aside, removed, or cleared away as the leftovers of a crash.

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::disk::{self, At};
use crate::error::Result;
use crate::store::CheckpointStore;

const ABANDONED: &str = "abandoned";

impl CheckpointStore {
    /// Moves the checkpoints later than `step` to `abandoned/`, and returns the names that they
    /// have there: `step-00001500`, or `step-00001500-2`… where that was taken.
    ///
    /// The newest goes first, so that a crash in between leaves a run without gaps.
    pub fn abandon_after(&self, step: u64) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for checkpoint in self.list()?.iter().rev().take_while(|later| later.step > step) {
            let path = self.abandon(&checkpoint.name())?;
            names.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
        if !names.is_empty() {
            disk::sync_folder(&self.run)?;
        }
        Ok(names)
    }

    /// Moves one thing of the run's folder to `abandoned/`, and returns where it lies now.
    pub(crate) fn abandon(&self, name: &str) -> Result<PathBuf> {
        let folder = self.run.join(ABANDONED);
        fs::create_dir_all(&folder).at("make the folder", &folder)?;
        let mut to = folder.join(name);
        let mut number = 1u64;
        while disk::is_taken(&to) {
            number += 1;
            to = folder.join(format!("{name}-{number}"));
        }
        let from = self.run.join(name);
        fs::rename(&from, &to).at("move to `abandoned`", &from)?;
        disk::sync_folder(&folder)?;
        Ok(to)
    }

    /// Removes all checkpoints but the `keep` newest, and returns the names of those removed,
    /// oldest first.
    ///
    /// The newest valid checkpoint always stays, also where newer ones that are damaged fill the
    /// number; where none is valid, none is removed, since what is left may still be of use.
    ///
    /// To know this, checkpoints are verified from the newest on until one is found whole: as a
    /// rule that is one, read back from the memory that has just written it. Nothing is read
    /// where there are no more than `keep`, and none that is older than the one found.
    pub fn retain_newest(&self, keep: NonZeroUsize) -> Result<Vec<String>> {
        let checkpoints = self.list()?;
        let surplus = checkpoints.len().saturating_sub(keep.get());
        if surplus == 0 {
            return Ok(Vec::new());
        }
        let newest_valid = checkpoints.iter().rposition(|checkpoint| checkpoint.verify().is_ok());
        let Some(newest_valid) = newest_valid else { return Ok(Vec::new()) };

        let (mut names, mut hidden) = (Vec::new(), Vec::new());
        for (index, checkpoint) in checkpoints[..surplus].iter().enumerate() {
            if index == newest_valid {
                continue;
            }
            let name = checkpoint.name();
            let to = self.run.join(format!(".{name}.removed"));
            disk::remove_folder(&to)?;
            fs::rename(&checkpoint.path, &to).at("remove the checkpoint", &checkpoint.path)?;
            names.push(name);
            hidden.push(to);
        }
        // Only when the names are gone for good may the files go, or else a power cut could leave
        // half a checkpoint under its real name.
        disk::sync_folder(&self.run)?;
        hidden.iter().try_for_each(|folder| disk::remove_folder(folder))?;
        Ok(names)
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
        names.sort();
        names.iter().try_for_each(|name| disk::remove_folder(&self.run.join(name)))?;
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::verify;
    use crate::testing::{flip, names_in, publish, store};
    use std::fs;

    fn steps(store: &CheckpointStore) -> Vec<u64> {
        store.list().unwrap().iter().map(|checkpoint| checkpoint.step).collect()
    }

    fn publish_all<const N: usize>(store: &CheckpointStore, steps: [u64; N]) -> [PathBuf; N] {
        steps.map(|step| publish(store, step).path)
    }

    fn keep(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
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
        assert!(store.retain_newest(keep(4)).unwrap().is_empty());
        assert_eq!(store.retain_newest(keep(2)).unwrap(), ["step-00000010", "step-00000020"]);
        assert_eq!(names_in(temp.path()), ["step-00000030", "step-00000040"]);
        store.retain_newest(keep(1)).unwrap();
        assert_eq!(steps(&store), [40]);
    }

    #[test]
    fn the_newest_valid_one_stays_behind_damaged_ones() {
        let (_temp, store) = store();
        let paths = publish_all(&store, [10, 20, 30, 40]);
        flip(&paths[3].join("model.safetensors"), 0);
        fs::remove_file(paths[2].join("manifest.json")).unwrap();
        assert_eq!(store.retain_newest(keep(1)).unwrap(), ["step-00000010", "step-00000030"]);
        assert_eq!(steps(&store), [20, 40]);
        assert_eq!(store.newest_valid().unwrap().checkpoint.step, 20);
    }

    #[test]
    fn where_none_is_valid_none_is_removed() {
        let (_temp, store) = store();
        for step in [10, 20, 30] {
            flip(&publish(&store, step).path.join("model.safetensors"), 0);
        }
        assert!(store.retain_newest(keep(1)).unwrap().is_empty());
        assert_eq!(steps(&store), [10, 20, 30]);
    }

    #[test]
    fn a_leftover_removal_of_the_same_step_is_no_obstacle() {
        let (temp, store) = store();
        publish_all(&store, [10, 20]);
        fs::create_dir_all(temp.path().join(".step-00000010.removed/inner")).unwrap();
        store.retain_newest(keep(1)).unwrap();
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
