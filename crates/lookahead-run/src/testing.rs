//! What the tests of several modules share.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::{TempDir, tempdir};

use crate::error::{Error, Result};
use crate::event::{
    Compute, Event, Parameters, Record, Resumed, RunInfo, Samples, Software, Step, Task, Versions,
};
use crate::log::EventLog;
use crate::manifest::{Git, MachineInfo, TrainingMetadata};
use crate::store::{CheckpointStore, Published};

/// Numbers that a careless printer or parser gets wrong by a bit, or altogether.
pub(crate) fn tricky_numbers() -> Vec<f64> {
    vec![
        0.1 + 0.2,
        f64::MIN_POSITIVE,
        5e-324,
        f64::MAX,
        -f64::MAX,
        f64::EPSILON,
        1.0 + f64::EPSILON,
        0.0,
        -0.0,
        9_007_199_254_740_993.0,
        1e23,
        // The largest subnormal number.
        f64::from_bits((1 << 52) - 1),
        // Off by a bit when read without serde_json's feature `float_roundtrip`.
        51.248178375505404,
        -93.31137037688033,
        2.638344616030823e-256,
        1.0 / 3.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ]
}

/// A step that took place `step` seconds into 1970.
pub(crate) fn step(step: u64, loss: f64) -> Record {
    let event = Step { epoch: 0, loss, learning_rate: 0.1, samples_per_second: 900.0, phase: 1 };
    Record { time: step as f64, step, event: Event::Step(event) }
}

fn compute() -> Compute {
    Compute { device: "cpu".into(), threads: 2, cpu_capability: "AVX2".into() }
}

fn versions() -> Versions {
    Versions { lookahead: "1".into(), tch: "2".into(), libtorch: "3".into() }
}

pub(crate) fn info() -> RunInfo {
    RunInfo {
        format: crate::event::FORMAT,
        run: "mnist".into(),
        data: "mnist".into(),
        task: Task::Classification.into(),
        model: "mlp".into(),
        optimizer: "sgd".into(),
        lookahead: None,
        compute: compute(),
        parameters: Parameters { trainable: 10, frozen: 0 },
        total_steps: 100,
        steps_per_epoch: 10,
        samples: Samples { train: 1000, validation: 0, test: 0 },
        seed: u64::MAX,
        software: Software { program: None, versions: versions() },
        config: serde_json::json!({"optimizer": {"lr": 0.1}}),
    }
}

pub(crate) fn resumed(step: u64) -> Record {
    let event = Resumed {
        checkpoint: format!("step-{step:08}"),
        changes: serde_json::Map::from_iter([("optimizer.lr".into(), 0.2.into())]),
        info: info(),
    };
    Record { time: 0.5, step, event: Event::Resumed(event) }
}

/// The path of a log in a temporary folder.
pub(crate) fn log_path() -> (TempDir, PathBuf) {
    let temp = tempdir().unwrap();
    let path = temp.path().join("events.jsonl");
    (temp, path)
}

pub(crate) fn append_all(path: &Path, records: &[Record]) {
    let mut log = EventLog::open(path).unwrap();
    records.iter().for_each(|record| log.append(record).unwrap());
    log.sync().unwrap();
}

pub(crate) fn metadata(step: u64) -> TrainingMetadata {
    TrainingMetadata {
        step,
        phase: step % 5,
        epoch: 1,
        cursor: 7,
        seed: u64::MAX,
        software: Software { program: Some("this one".into()), versions: versions() },
        machine: MachineInfo {
            compute: compute(),
            processor: "Some CPU".into(),
            environment: Some(BTreeMap::from([("MKL_CBWR".into(), "AVX2".into())])),
        },
        train_state: serde_json::json!({"step": step}),
        integers: BTreeMap::from([("sync".into(), i64::MIN), ("most".into(), i64::MAX)]),
        numbers: BTreeMap::from([("lr".into(), 0.1 + 0.2)]),
        metrics: BTreeMap::from([("validation/loss".into(), f64::INFINITY)]),
        wall_seconds: 1.0 / 3.0,
        git: Some(Git { revision: "0123abc".into(), modified: true }),
        config: serde_json::json!({"optimizer": {"lr": 0.1, "kind": "sgd"}}),
        signature: serde_json::json!({"classes": ["a", "b"]}),
    }
}

pub(crate) fn store() -> (TempDir, CheckpointStore) {
    let temp = tempdir().unwrap();
    let store = CheckpointStore::new(temp.path());
    (temp, store)
}

/// A checkpoint of two files whose contents tell the step.
pub(crate) fn publish(store: &CheckpointStore, step: u64) -> Published {
    let published = store.publish(metadata(step), |writer| {
        for (name, what) in [("model", "slow weights"), ("training", "the rest")] {
            let mut file = writer.create_file(&format!("{name}.safetensors"))?;
            write!(file, "{what} of step {step}")?;
            file.finish()?;
        }
        Ok(())
    });
    published.unwrap()
}

/// Changes one bit of one byte.
pub(crate) fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Names of all that is in a folder, hidden names too, sorted.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Whether a file of the checkpoint is damaged, with these words in the error.
#[track_caller]
pub(crate) fn assert_damaged<T>(result: Result<T>, words: &str) {
    let Err(error) = result else { panic!("it is valid") };
    assert!(matches!(error, Error::FileDamaged { .. }), "{error}");
    assert!(error.to_string().contains(words), "{error}");
}
