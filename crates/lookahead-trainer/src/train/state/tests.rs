use std::path::Path;

use lookahead_run::Manifest;
use serde_json::json;

use super::*;

const FORMAT_1: &str = include_str!("../../../tests/golden/format-1/step-00000004/manifest.json");

fn metrics(step: u64, values: [f64; 2]) -> Option<Metrics> {
    let names = ["validation/accuracy", "validation/loss"].map(str::to_owned);
    Some(Metrics { step, values: names.into_iter().zip(values).collect() })
}

#[test]
fn a_manifest_of_an_earlier_version_is_read() {
    let manifest = Manifest::parse(Path::new("golden"), FORMAT_1.as_bytes()).unwrap();
    let mut metadata = manifest.metadata;
    let found = TrainState::from_metadata(&metadata).unwrap();
    let values = &metadata.metrics;
    assert_eq!(values.len(), 2);
    let values = [values["validation/accuracy"], values["validation/loss"]];
    let expected = TrainState {
        step: 4,
        epoch: 1,
        cursor: 0,
        best: Best { value: Some(metadata.numbers["train/best"]), step: 4, since: 0 },
        metrics: metrics(4, values),
        workers: 1,
        data: DataIdentity { train_samples: Some(1200), fingerprint: None },
        earlier_seconds: metadata.wall_seconds,
        ..TrainState::default()
    };
    assert_eq!(found, expected);

    for (key, value) in [
        ("train/owed", 2),
        ("train/diverging", 7),
        ("train/since_best", 3),
        ("train/averaged", 5),
        ("train/ranks", 2),
        ("train/final_sync", 1),
        ("data/fingerprint", -9),
        ("train/outdated_config", -1),
        ("train/next_k", 6),
    ] {
        metadata.integers.insert(key.to_owned(), value);
    }
    let found = TrainState::from_metadata(&metadata).unwrap();
    let expected = TrainState {
        pending: PendingEvaluation::Slow,
        diverging: 7,
        best: Best { since: 3, ..expected.best },
        averaged_steps: 5,
        workers: 2,
        final_sync: true,
        data: DataIdentity { train_samples: Some(1200), fingerprint: Some(-9) },
        outdated_config: Some(OutdatedConfig { fingerprint: -1, next_k: Some(6) }),
        ..expected
    };
    assert_eq!(found, expected);
}

#[test]
fn a_state_comes_back_from_a_manifest_as_it_was() {
    let state = TrainState {
        roll_backs: RollBacks { count: 2, lr_scale: 0.25 },
        step: 12,
        epoch: 3,
        cursor: 2,
        pending: PendingEvaluation::Both,
        diverging: 1,
        best: Best { value: Some(0.1 + 0.2), step: 9, since: 1 },
        metrics: metrics(12, [0.5, f64::INFINITY]),
        averaged_steps: 11,
        workers: 4,
        final_sync: true,
        data: DataIdentity { train_samples: Some(1200), fingerprint: Some(i64::MIN) },
        outdated_config: Some(OutdatedConfig { fingerprint: i64::MAX, next_k: None }),
        hooks: [("mine".to_owned(), json!({"seen": [1, 2]}))].into(),
        earlier_seconds: 1.0 / 3.0,
    };
    let mut metadata = TrainingMetadata { wall_seconds: 1.0 / 3.0, ..TrainingMetadata::default() };
    state.write_into(&mut metadata);
    let text = serde_json::to_string(&metadata).unwrap();
    let metadata: TrainingMetadata = serde_json::from_str(&text).unwrap();
    assert_eq!((metadata.step, metadata.epoch, metadata.cursor), (12, 3, 2));
    assert_eq!(metadata.metrics["validation/loss"], f64::INFINITY);
    assert_eq!(TrainState::from_metadata(&metadata).unwrap(), state);
    // Those of an earlier step's evaluation are not this checkpoint's.
    let later = TrainState { step: 13, ..state };
    let mut metadata = TrainingMetadata::default();
    later.write_into(&mut metadata);
    assert_eq!(metadata.metrics.len(), 0);
}

#[test]
fn a_state_that_is_no_state_is_refused() {
    for value in
        [json!("no"), json!({"step": -1}), json!({"pending": "never"}), json!({"hooks": 3})]
    {
        let metadata = TrainingMetadata { train_state: value, ..TrainingMetadata::default() };
        let error = TrainState::from_metadata(&metadata).unwrap_err().to_string();
        assert!(error.contains("`train_state`"), "{error}");
    }
}
