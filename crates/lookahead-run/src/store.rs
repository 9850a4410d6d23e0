//! The checkpoints of a run: published by a single rename, so that one is there whole or not at
//! all, and verified before use.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint::{self, Checkpoint, verify};
use crate::disk::{self, At, shown};
use crate::draft::Draft;
use crate::error::{self, BoxError, Error, Result};
use crate::hold::Hold;
use crate::identity;
use crate::manifest::{Details, Manifest};

/// The checkpoints in the folder of a run. What their files mean is for the caller to know.
///
/// Everything that changes the store is for the holder of the run's lock; reading is for
/// everybody, at any time.
#[derive(Debug, Clone)]
pub struct CheckpointStore {
    pub(crate) run: PathBuf,
    /// Of a folder that is held open.
    pub(crate) hold: Option<Arc<Hold>>,
}

/// What came of [`CheckpointStore::publish`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The checkpoint's folder.
    pub path: PathBuf,
    /// The folder's name, such as `step-00001500`.
    pub name: String,
    /// Size of its files together, without the manifest.
    pub bytes: u64,
    /// Whether a valid checkpoint of the step was there before, and was kept as it was.
    pub already_there: bool,
}

/// The newest checkpoint that is whole, with those that were passed over.
#[derive(Debug)]
pub struct Newest {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Its manifest.
    pub manifest: Manifest,
    /// Newer checkpoints, newest first, with what is wrong with each.
    pub rejected: Vec<(Checkpoint, Error)>,
}

impl CheckpointStore {
    /// The store in the folder of a run, which must exist; see also
    /// [`RunFolder::checkpoints`](crate::RunFolder::checkpoints).
    pub fn new(run: &Path) -> CheckpointStore {
        CheckpointStore { run: run.to_owned(), hold: None }
    }

    /// To be asked before anything is published, moved or removed: see
    /// [`RunFolder::check`](crate::RunFolder::check).
    pub(crate) fn check_hold(&self) -> Result<()> {
        self.hold.as_ref().map_or(Ok(()), |hold| hold.check())
    }

    /// All checkpoints by name, oldest first. Nothing is verified.
    pub fn list(&self) -> Result<Vec<Checkpoint>> {
        let mut checkpoints = Vec::new();
        for entry in fs::read_dir(&self.run).at("list the folder", &self.run)? {
            let entry = entry.at("list the folder", &self.run)?;
            let step = entry.file_name().to_str().and_then(checkpoint::step_of);
            let path = entry.path();
            // A link is not followed: it could lead out of the run's folder.
            if let Some(step) = step
                && entry.file_type().at("look at", &path)?.is_dir()
            {
                checkpoints.push(Checkpoint { step, path });
            }
        }
        checkpoints.sort_by_key(|checkpoint| checkpoint.step);
        Ok(checkpoints)
    }

    /// Publishes the checkpoint of `details.step`, whose files `write` makes in the draft that it is
    /// given.
    ///
    /// Each file is flushed as it is finished, read back and compared with what was written, and
    /// only then does the whole get its name, by one rename. When this returns, the checkpoint would
    /// survive a power cut. A valid checkpoint of the same step and the same counts and numbers is
    /// kept and `write` is not called; another one, or a damaged one, changes places with the new one
    /// and is moved to `abandoned/`.
    ///
    /// # Errors
    /// [`Error::WriterFailed`] if `write` fails, [`Error::UnfitFile`] if it left a file unfinished or
    /// something else in the folder. After any error, as after a panic in `write`, nothing of the new
    /// checkpoint is left, and all that was there before is in its place. The one exception is
    /// that the very last sync of the run's folder fails: the checkpoint is there and whole then,
    /// and only not sure to survive a power cut.
    pub fn publish<W>(&self, details: Details, write: W) -> Result<Published>
    where
        W: FnOnce(&mut Draft) -> std::result::Result<(), BoxError>,
    {
        let step = details.step;
        let name = checkpoint::folder_name(step);
        let path = self.run.join(&name);
        let taken = disk::is_taken(&path);
        let is_folder = path.symlink_metadata().is_ok_and(|found| found.is_dir());
        if is_folder
            && let Ok(manifest) = verify(&path)
            && manifest.details.is_same_moment(&details)
        {
            return Ok(Published { bytes: manifest.bytes(), path, name, already_there: true });
        }

        self.check_hold()?;
        let mut draft = Draft::create(self.run.join(format!(".{name}.tmp")), self.hold.clone())?;
        let writer_failed =
            |cause: BoxError| Error::WriterFailed { step, cause: error::chain(&*cause) };
        write(&mut draft).map_err(writer_failed)?;
        let manifest = draft.seal(details, identity::read(&self.run))?;

        // Not before all else has succeeded: even a damaged checkpoint stays in its place for
        // nothing worse than a full disk.
        self.check_hold()?;
        match taken {
            true => self.replace(draft, &path, &name)?,
            false => draft.publish(&path)?,
        }
        disk::sync_folder(&self.run)?;
        Ok(Published { bytes: manifest.bytes(), path, name, already_there: false })
    }

    /// Puts a draft in the place of what has its name, and that into `abandoned/`. At no moment is
    /// there nothing under the name, where the file system can exchange two names.
    fn replace(&self, draft: Draft, path: &Path, name: &str) -> Result<()> {
        if draft.exchange(path).is_ok() {
            disk::sync_folder(&self.run)?;
            let old = draft.path().file_name().map(|name| name.to_string_lossy().into_owned());
            self.abandon(&old.unwrap_or_default(), name)?;
            return Ok(());
        }
        let old = self.abandon(name, name)?;
        draft.publish(path).inspect_err(|_| drop(fs::rename(old, path)))
    }

    /// The newest checkpoint that is whole. Older ones are not read.
    ///
    /// # Errors
    /// [`Error::NoValidCheckpoint`] with what is wrong with each, if none is whole.
    pub fn newest_valid(&self) -> Result<Newest> {
        let mut rejected = Vec::new();
        for checkpoint in self.list()?.into_iter().rev() {
            match checkpoint.verify() {
                Ok(manifest) => return Ok(Newest { checkpoint, manifest, rejected }),
                Err(error) => rejected.push((checkpoint, error)),
            }
        }
        Err(Error::NoValidCheckpoint { run: shown(&self.run), rejected })
    }

    /// The checkpoint of a step, verified.
    ///
    /// # Errors
    /// [`Error::NoSuchStep`] with the steps that there are, or what is wrong with the checkpoint.
    pub fn at_step(&self, step: u64) -> Result<(Checkpoint, Manifest)> {
        let checkpoints = self.list()?;
        let Some(checkpoint) = checkpoints.iter().find(|checkpoint| checkpoint.step == step) else {
            let available = checkpoints.iter().map(|checkpoint| checkpoint.step).collect();
            return Err(Error::NoSuchStep { run: shown(&self.run), step, available });
        };
        Ok((checkpoint.clone(), checkpoint.verify()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{details, flip, names_in, publish, store};
    use std::io::Write;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn a_published_checkpoint_is_whole_and_nothing_else_is_left() {
        let (temp, store) = store();
        let published = publish(&store, 1500);
        assert_eq!(published.path, temp.path().join("step-00001500"));
        assert_eq!(published.name, "step-00001500");
        let files = ["model.safetensors", "training.safetensors"];
        let size = |name: &&str| fs::metadata(published.path.join(name)).unwrap().len();
        assert_eq!(published.bytes, files.iter().map(size).sum::<u64>());
        assert!(!published.already_there);
        assert_eq!(names_in(temp.path()), ["step-00001500"]);
        let all = ["manifest.json", "model.safetensors", "training.safetensors"];
        assert_eq!(names_in(&published.path), all);
        assert_eq!(verify(&published.path).unwrap().bytes(), published.bytes);
    }

    #[test]
    fn a_valid_checkpoint_of_the_step_is_kept_untouched() {
        let (temp, store) = store();
        let first = publish(&store, 1500);
        let look = || -> Vec<_> {
            let names = names_in(&first.path).into_iter();
            let file = |name| {
                let path = first.path.join(name);
                (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap())
            };
            names.map(file).collect()
        };
        let before = look();
        let again = store.publish(details(1500), |_| panic!("there is nothing to write")).unwrap();
        assert_eq!(again, Published { already_there: true, ..first.clone() });
        assert_eq!(look(), before);
        assert_eq!(names_in(temp.path()), ["step-00001500"]);
    }

    /// Such as one that was taken in the middle of what a step has still to do.
    #[test]
    fn another_moment_of_the_same_step_takes_the_place() {
        let (temp, store) = store();
        publish(&store, 1500);
        let mut other = details(1500);
        other.integers.insert("owed".to_owned(), 1);
        let write = |draft: &mut Draft| Ok(draft.create_file("model")?.finish()?);
        let second = store.publish(other.clone(), write).unwrap();
        assert!(!second.already_there);
        assert_eq!(verify(&second.path).unwrap().details, other);
        let moved = verify(&temp.path().join("abandoned/step-00001500")).unwrap();
        assert_eq!(moved.details, details(1500));
        assert_eq!(names_in(temp.path()), ["abandoned", "step-00001500"]);

        // What was measured, and where, makes no other moment.
        other.metrics.clear();
        other.wall_seconds += 1.0;
        other.threads += 1;
        assert!(
            store.publish(other, |_| panic!("there is nothing to write")).unwrap().already_there
        );
    }

    #[test]
    fn a_damaged_checkpoint_of_the_step_is_replaced_and_not_lost() {
        let (temp, store) = store();
        let first = publish(&store, 1500);
        flip(&first.path.join("model.safetensors"), 0);
        let damaged = fs::read(first.path.join("model.safetensors")).unwrap();
        let second = publish(&store, 1500);
        assert!(!second.already_there);
        verify(&second.path).unwrap();
        let moved = temp.path().join("abandoned/step-00001500/model.safetensors");
        assert_eq!(fs::read(moved).unwrap(), damaged);
        assert_eq!(names_in(temp.path()), ["abandoned", "step-00001500"]);
    }

    #[test]
    fn a_file_in_the_place_of_a_checkpoint_is_moved_away_too() {
        let (temp, store) = store();
        fs::write(temp.path().join("step-00001500"), "mine").unwrap();
        verify(&publish(&store, 1500).path).unwrap();
        let moved = temp.path().join("abandoned/step-00001500");
        assert_eq!(fs::read_to_string(moved).unwrap(), "mine");
    }

    #[test]
    fn a_writer_that_fails_leaves_nothing_and_changes_nothing() {
        let (temp, store) = store();
        publish(&store, 1000);
        let damaged = publish(&store, 1500);
        flip(&damaged.path.join("model.safetensors"), 0);
        for step in [1500, 2000] {
            let result = store.publish(details(step), |draft| {
                draft.create_file("model.safetensors")?.write_all(b"half")?;
                Err("the disk is full.".into())
            });
            let error = result.unwrap_err().to_string();
            let start = format!("The checkpoint of step {step} could not be written: the disk is");
            assert!(error.starts_with(&start), "{error}");
            assert_eq!(names_in(temp.path()), ["step-00001000", "step-00001500"]);
        }
        assert!(matches!(verify(&damaged.path), Err(Error::FileDigest { .. })));
    }

    #[test]
    fn a_writer_that_panics_leaves_nothing() {
        let (temp, store) = store();
        let publish = || store.publish(details(1), |_| panic!("as a tensor library may"));
        catch_unwind(AssertUnwindSafe(publish)).unwrap_err();
        assert!(names_in(temp.path()).is_empty());
    }

    #[test]
    fn what_a_manifest_could_not_account_for_is_refused() {
        let (temp, store) = store();
        for name in ["", "manifest.json", "../other", "a/b", ".hidden", "a\nb"] {
            let error = store.publish(details(1), |draft| {
                draft.create_file(name)?.finish()?;
                Ok(())
            });
            let error = error.unwrap_err().to_string();
            assert!(error.contains(&format!("{name:?}")), "{error}");
            assert!(names_in(temp.path()).is_empty());
        }
        let twice = |draft: &mut Draft| {
            draft.create_file("model")?.finish()?;
            draft.create_file("model")?.finish()?;
            Ok(())
        };
        assert!(matches!(store.publish(details(1), twice), Err(Error::WriterFailed { .. })));
        let unfinished = |draft: &mut Draft| Ok(draft.create_file("model")?.write_all(b"all")?);
        let error = store.publish(details(1), unfinished).unwrap_err();
        assert!(matches!(error, Error::UnfitFile { .. }), "{error}");
        let aside = |draft: &mut Draft| {
            draft.create_file("model")?.finish()?;
            Ok(fs::write(draft.path().join("other"), "unknown to the draft")?)
        };
        let error = store.publish(details(1), aside).unwrap_err();
        assert!(matches!(error, Error::UnfitFile { .. }), "{error}");
        assert!(names_in(temp.path()).is_empty());
    }

    /// A disk that takes bytes and gives others back.
    #[test]
    fn what_reads_back_otherwise_than_it_was_written_is_not_published() {
        let (temp, store) = store();
        let error = store.publish(details(1), |draft| {
            let mut file = draft.create_file("model")?;
            file.write_all(b"slow weights")?;
            file.finish()?;
            Ok(fs::write(draft.path().join("model"), "slow weighty")?)
        });
        assert!(matches!(error, Err(Error::FileDigest { .. })), "{error:?}");
        assert!(names_in(temp.path()).is_empty());
    }

    #[test]
    fn a_link_is_no_checkpoint() {
        let (temp, store) = store();
        let elsewhere = tempfile::tempdir().unwrap();
        let other = CheckpointStore::new(elsewhere.path());
        let to = publish(&other, 30).path;
        std::os::unix::fs::symlink(&to, temp.path().join("step-00000030")).unwrap();
        assert!(store.list().unwrap().is_empty());
        // One of the same step gets its place, and what the link leads to stays.
        publish(&store, 30);
        assert_eq!(store.list().unwrap().len(), 1);
        verify(&to).unwrap();
    }

    #[test]
    fn what_a_crash_left_of_the_same_step_does_not_get_into_the_checkpoint() {
        let (temp, store) = store();
        let leftover = temp.path().join(".step-00001500.tmp");
        fs::create_dir(&leftover).unwrap();
        fs::write(leftover.join("old.safetensors"), "old").unwrap();
        let published = publish(&store, 1500);
        assert!(!names_in(&published.path).contains(&"old.safetensors".to_owned()));
        assert_eq!(names_in(temp.path()), ["step-00001500"]);
    }

    #[test]
    fn a_run_folder_that_is_gone_is_named() {
        let (temp, _) = store();
        let store = CheckpointStore::new(&temp.path().join("gone"));
        let errors = [
            store.list().unwrap_err(),
            store.newest_valid().unwrap_err(),
            store.publish(details(1), |_| Ok(())).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, Error::Io { .. }), "{error}");
            assert!(error.to_string().contains("gone"), "{error}");
        }
    }

    #[test]
    fn the_list_is_by_step_and_holds_nothing_else() {
        let (temp, store) = store();
        assert_eq!(store.list().unwrap(), []);
        for step in [100_000_000, 2, 99_999_999, 0] {
            publish(&store, step);
        }
        for name in ["step-3", "step-000000004", ".step-00000005.tmp", "abandoned", "step-x"] {
            fs::create_dir(temp.path().join(name)).unwrap();
        }
        fs::write(temp.path().join("step-00000006"), "a file").unwrap();
        let list = store.list().unwrap();
        let steps: Vec<_> = list.iter().map(|checkpoint| checkpoint.step).collect();
        assert_eq!(steps, [0, 2, 99_999_999, 100_000_000]);
        assert_eq!(list[1].path, temp.path().join("step-00000002"));
        assert_eq!(list[1].name(), "step-00000002");
    }

    #[test]
    fn the_newest_valid_checkpoint_is_found_behind_damaged_ones() {
        let (_temp, store) = store();
        let paths = [10, 20, 30, 40].map(|step| publish(&store, step).path);
        let newest = store.newest_valid().unwrap();
        assert_eq!(newest.checkpoint.step, 40);
        assert_eq!(newest.manifest.details, details(40));
        assert!(newest.rejected.is_empty());

        flip(&paths[3].join("training.safetensors"), 3);
        fs::remove_file(paths[2].join("manifest.json")).unwrap();
        let newest = store.newest_valid().unwrap();
        assert_eq!(newest.checkpoint, Checkpoint { step: 20, path: paths[1].clone() });
        let [(first, digest), (second, missing)] = &newest.rejected[..] else { panic!() };
        assert_eq!((first.step, second.step), (40, 30));
        assert!(digest.to_string().contains("training.safetensors"), "{digest}");
        assert!(matches!(missing, Error::ManifestMissing { .. }), "{missing}");
    }

    #[test]
    fn without_a_valid_checkpoint_each_is_told_with_its_fault() {
        let (_temp, store) = store();
        let error = store.newest_valid().unwrap_err();
        assert!(error.to_string().contains("has no checkpoint yet"), "{error}");

        let paths = [10, 20].map(|step| publish(&store, step).path);
        fs::write(paths[0].join("manifest.json"), "{").unwrap();
        fs::remove_file(paths[1].join("model.safetensors")).unwrap();
        let error = store.newest_valid().unwrap_err();
        let Error::NoValidCheckpoint { ref rejected, .. } = error else { panic!("{error}") };
        assert_eq!(rejected.len(), 2);
        let lines: Vec<_> = error.to_string().lines().map(str::to_owned).collect();
        assert!(lines[1].contains("step 20") && lines[1].contains("is missing"), "{error}");
        assert!(lines[2].contains("step 10") && lines[2].contains("can't be read"), "{error}");
    }

    #[test]
    fn a_step_is_found_verified_or_the_choice_is_told() {
        let (_temp, store) = store();
        let error = store.at_step(5).unwrap_err();
        assert!(error.to_string().contains("no checkpoint at all"), "{error}");
        publish(&store, 20);
        let path = publish(&store, 10).path;
        let (checkpoint, manifest) = store.at_step(10).unwrap();
        assert_eq!((checkpoint.step, manifest.details.step), (10, 10));
        let error = store.at_step(15).unwrap_err();
        assert!(matches!(error, Error::NoSuchStep { step: 15, .. }), "{error}");
        assert!(error.to_string().ends_with("step 15: choose one of 10, 20."), "{error}");
        flip(&path.join("model.safetensors"), 0);
        assert!(matches!(store.at_step(10), Err(Error::FileDigest { .. })));
    }
}
