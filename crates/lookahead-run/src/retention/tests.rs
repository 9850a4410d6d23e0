use super::*;
use crate::checkpoint::verify;
use crate::error::Error;
use crate::testing::{flip, metadata, names_in, publish, store};
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
    let mut metadata = metadata(step);
    metadata.metrics.insert("accuracy".to_owned(), accuracy);
    store.publish(metadata, |writer| Ok(writer.create_file("model")?.finish()?)).unwrap();
}

#[test]
fn later_checkpoints_are_moved_and_not_lost() {
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
fn another_runs_checkpoints_are_neither_counted_nor_removed() {
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
fn the_newest_valid_checkpoint_is_kept_behind_damaged_ones() {
    let (_temp, store) = store();
    let paths = publish_all(&store, [10, 20, 30, 40]);
    flip(&paths[3].join("model.safetensors"), 0);
    fs::remove_file(paths[2].join("manifest.json")).unwrap();
    assert_eq!(store.retain(&keep(1), None).unwrap(), ["step-00000010", "step-00000030"]);
    assert_eq!(steps(&store), [20, 40]);
    assert_eq!(store.newest_valid().unwrap().checkpoint.step, 20);
}

#[test]
fn every_nth_step_stays() {
    let (_temp, store) = store();
    publish_all(&store, [10, 15, 20, 25, 30, 35]);
    let retention = Retention { every: NonZeroU64::new(20), ..keep(2) };
    let removed = store.retain(&retention, None).unwrap();
    assert_eq!(removed, ["step-00000010", "step-00000015", "step-00000025"]);
    assert_eq!(steps(&store), [20, 30, 35]);
    // The next time there is nothing to remove, although there are more than two.
    assert!(store.retain(&retention, None).unwrap().is_empty());
}

#[test]
fn a_requested_step_stays() {
    let (_temp, store) = store();
    publish_all(&store, [10, 20, 30, 40]);
    store.retain(&Retention { step: Some(20), ..keep(1) }, None).unwrap();
    assert_eq!(steps(&store), [20, 40]);
}

#[test]
fn the_best_stays_and_is_never_nan_or_infinite() {
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
fn the_best_is_not_chosen_by_a_damaged_manifest() {
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

/// The caller names the checkpoint that it has just published, which is then not read again.
#[test]
fn a_checkpoint_known_to_be_valid_is_not_read_again() {
    let (_temp, store) = store();
    let paths = publish_all(&store, [10, 20, 30]);
    flip(&paths[2].join("model.safetensors"), 0);
    store.retain(&keep(1), Some(30)).unwrap();
    assert_eq!(steps(&store), [30]);
}

#[test]
fn if_none_is_valid_none_is_removed() {
    let (_temp, store) = store();
    for step in [10, 20, 30] {
        flip(&publish(&store, step).path.join("model.safetensors"), 0);
    }
    assert!(store.retain(&keep(1), None).unwrap().is_empty());
    assert_eq!(steps(&store), [10, 20, 30]);
}

#[test]
fn a_leftover_of_the_same_step_does_not_prevent_removal() {
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
