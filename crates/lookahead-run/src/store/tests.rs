use super::*;
use crate::testing::{assert_damaged, flip, metadata, names_in, publish, store};
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
    let again = store.publish(metadata(1500), |_| panic!("there is nothing to write")).unwrap();
    assert_eq!(again, Published { already_there: true, ..first.clone() });
    assert_eq!(look(), before);
    assert_eq!(names_in(temp.path()), ["step-00001500"]);
}

/// For example one that was taken before the evaluations of its step.
#[test]
fn another_moment_of_the_same_step_replaces_it() {
    let (temp, store) = store();
    publish(&store, 1500);
    let mut other = metadata(1500);
    other.train_state["pending"] = "slow".into();
    let write = |writer: &mut CheckpointWriter| Ok(writer.create_file("model")?.finish()?);
    let second = store.publish(other.clone(), write).unwrap();
    assert!(!second.already_there);
    assert_eq!(verify(&second.path).unwrap().metadata, other);
    let moved = verify(&temp.path().join("abandoned/step-00001500")).unwrap();
    assert_eq!(moved.metadata, metadata(1500));
    assert_eq!(names_in(temp.path()), ["abandoned", "step-00001500"]);

    // Measurements, time and machine don't make it another moment.
    other.metrics.clear();
    other.wall_seconds += 1.0;
    other.machine.compute.threads += 1;
    assert!(store.publish(other, |_| panic!("there is nothing to write")).unwrap().already_there);
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
fn a_file_with_a_checkpoints_name_is_moved_away_too() {
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
        let result = store.publish(metadata(step), |writer| {
            writer.create_file("model.safetensors")?.write_all(b"half")?;
            Err("the disk is full.".into())
        });
        let error = result.unwrap_err().to_string();
        let start = format!("The checkpoint of step {step} could not be written: the disk is");
        assert!(error.starts_with(&start), "{error}");
        assert_eq!(names_in(temp.path()), ["step-00001000", "step-00001500"]);
    }
    assert_damaged(verify(&damaged.path), "SHA-256");
}

#[test]
fn a_writer_that_panics_leaves_nothing() {
    let (temp, store) = store();
    let publish = || store.publish(metadata(1), |_| panic!("as a tensor library may"));
    catch_unwind(AssertUnwindSafe(publish)).unwrap_err();
    assert!(names_in(temp.path()).is_empty());
}

#[test]
fn files_with_bad_names_unfinished_or_from_elsewhere_are_refused() {
    let (temp, store) = store();
    for name in ["", "manifest.json", "../other", "a/b", ".hidden", "a\nb"] {
        let error = store.publish(metadata(1), |writer| {
            writer.create_file(name)?.finish()?;
            Ok(())
        });
        let error = error.unwrap_err().to_string();
        assert!(error.contains(&format!("{name:?}")), "{error}");
        assert!(names_in(temp.path()).is_empty());
    }
    let twice = |writer: &mut CheckpointWriter| {
        writer.create_file("model")?.finish()?;
        writer.create_file("model")?.finish()?;
        Ok(())
    };
    assert!(matches!(store.publish(metadata(1), twice), Err(Error::WriterFailed { .. })));
    let unfinished =
        |writer: &mut CheckpointWriter| Ok(writer.create_file("model")?.write_all(b"all")?);
    let error = store.publish(metadata(1), unfinished).unwrap_err();
    assert!(matches!(error, Error::UnfitFile { .. }), "{error}");
    let aside = |writer: &mut CheckpointWriter| {
        writer.create_file("model")?.finish()?;
        Ok(fs::write(writer.path().join("other"), "unknown to the writer")?)
    };
    let error = store.publish(metadata(1), aside).unwrap_err();
    assert!(matches!(error, Error::UnfitFile { .. }), "{error}");
    assert!(names_in(temp.path()).is_empty());
}

/// A disk that returns other bytes than it was given.
#[test]
fn a_file_that_reads_back_differently_is_not_published() {
    let (temp, store) = store();
    let error = store.publish(metadata(1), |writer| {
        let mut file = writer.create_file("model")?;
        file.write_all(b"slow weights")?;
        file.finish()?;
        Ok(fs::write(writer.path().join("model"), "slow weighty")?)
    });
    assert_damaged(error, "SHA-256");
    assert!(names_in(temp.path()).is_empty());
}

#[test]
fn a_link_is_not_a_checkpoint() {
    let (temp, store) = store();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = CheckpointStore::new(elsewhere.path());
    let to = publish(&other, 30).path;
    std::os::unix::fs::symlink(&to, temp.path().join("step-00000030")).unwrap();
    assert!(store.list().unwrap().is_empty());
    // A new checkpoint takes its place, and the target of the link stays.
    publish(&store, 30);
    assert_eq!(store.list().unwrap().len(), 1);
    verify(&to).unwrap();
}

#[test]
fn leftovers_of_a_crash_do_not_get_into_the_checkpoint() {
    let (temp, store) = store();
    let leftover = temp.path().join(".step-00001500.tmp");
    fs::create_dir(&leftover).unwrap();
    fs::write(leftover.join("old.safetensors"), "old").unwrap();
    let published = publish(&store, 1500);
    assert!(!names_in(&published.path).contains(&"old.safetensors".to_owned()));
    assert_eq!(names_in(temp.path()), ["step-00001500"]);
}

#[test]
fn a_missing_run_folder_is_named() {
    let (temp, _) = store();
    let store = CheckpointStore::new(&temp.path().join("gone"));
    let errors = [
        store.list().unwrap_err(),
        store.newest_valid().unwrap_err(),
        store.publish(metadata(1), |_| Ok(())).unwrap_err(),
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
    assert_eq!(newest.manifest.metadata, metadata(40));
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
fn without_a_valid_checkpoint_each_fault_is_listed() {
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
fn a_checkpoint_is_found_by_step_or_the_error_lists_the_steps() {
    let (_temp, store) = store();
    let error = store.at_step(5).unwrap_err();
    assert!(error.to_string().contains("it has no checkpoints"), "{error}");
    publish(&store, 20);
    let path = publish(&store, 10).path;
    let (checkpoint, manifest) = store.at_step(10).unwrap();
    assert_eq!((checkpoint.step, manifest.metadata.step), (10, 10));
    let error = store.at_step(15).unwrap_err();
    assert!(matches!(error, Error::NoSuchStep { step: 15, .. }), "{error}");
    assert!(error.to_string().ends_with("step 15: choose one of 10, 20."), "{error}");
    flip(&path.join("model.safetensors"), 0);
    assert_damaged(store.at_step(10), "SHA-256");
}
