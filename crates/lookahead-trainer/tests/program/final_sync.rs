//! A run that ends inside a cycle ends with a last sync, and one that is given more steps continues as if
//! it had not.

use crate::common::{SMALL, Sandbox, stderr, train};
use lookahead_run::event::{Event, Record, Split, Weights};

/// Cycles of 5, and a checkpoint only at the end unless the test sets more.
fn sandbox() -> Sandbox {
    Sandbox::new(
        &SMALL.replace("k = 3", "k = 5").replace("every_steps = 1\n", "every_steps = 100\n"),
    )
}

fn bytes(sandbox: &Sandbox, run: &str, step: u64, file: &str) -> Vec<u8> {
    let folder = sandbox.run_folder(run).join(format!("step-{step:08}"));
    std::fs::read(folder.join(file)).unwrap()
}

#[test]
fn a_longer_run_continues_from_before_the_last_sync() {
    for settings in [
        &[][..],
        &["--set", "lookahead.recalibrate=2"],
        &["--set", "lookahead.outer_momentum=0.5", "--set", "lookahead.momentum_policy=pullback"],
        &["--set", "optimizer.kind=adam", "--set", "lookahead.non_finite=roll_back"],
        &["--set", "checkpoint.every_steps=3"],
        &["--set", "averaging.kind=polyak"],
        &["--set", "averaging.kind=ema", "--set", "averaging.of=fast"],
        // Ended by early stopping, which then gets more patience.
        &["--set", "train.patience=1", "--set", "optimizer.lr=0"],
    ] {
        let sandbox = sandbox();
        let nine = [settings, &["--set", "train.max_steps=9"]].concat();
        let more = ["--set", "train.max_steps=14", "--set", "train.patience=0"];
        sandbox.train("nine", &nine);
        sandbox.resume("nine", &more);
        sandbox.train("fourteen", &[settings, &more].concat());
        for file in ["model.safetensors", "training.safetensors"] {
            let same = bytes(&sandbox, "nine", 14, file) == bytes(&sandbox, "fourteen", 14, file);
            assert!(same, "{settings:?}: {file}");
        }
        assert_eq!(sandbox.losses("nine"), sandbox.losses("fourteen"), "{settings:?}");
    }
}

/// The model file, the last evaluations and `eval` have φ after the sync.
#[test]
fn the_result_is_phi_after_the_final_sync() {
    let sandbox = sandbox();
    let nine = ["--set", "train.max_steps=9", "--set", "model.dropout=0"];
    // One already has a checkpoint of the same step, which is replaced.
    sandbox.train("with", &[&nine[..], &["--set", "checkpoint.every_steps=9"]].concat());
    sandbox.train("without", &[&nine[..], &["--set", "lookahead.final_sync=false"]].concat());
    let model = |run| bytes(&sandbox, run, 9, "model.safetensors");
    assert!(model("with") != model("without"));
    // The header has the step and phase, and so whether there was a last sync.
    let training = |run| {
        let bytes = bytes(&sandbox, run, 9, "training.safetensors");
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[8 + header..].to_vec()
    };
    assert!(training("with") == training("without"), "the state is the one before");

    let losses = |run: &str| -> Vec<(Weights, f64)> {
        let records = sandbox.records(run);
        let tested = records.iter().filter_map(|record| match &record.event {
            Event::Evaluation(e) if e.split == Split::Test => Some((e.weights, e.loss)),
            _ => None,
        });
        tested.collect()
    };
    let (with, without) = (losses("with"), losses("without"));
    assert_eq!(with[0], without[0], "θ is tested before it");
    assert!(with[1].1 < without[1].1 && with[1].0 == Weights::Slow);
    let eval = sandbox.lookahead(&["eval", "runs/with", "--json"]);
    let eval: serde_json::Value = serde_json::from_slice(&eval.stdout).unwrap();
    assert_eq!(eval["loss"].as_f64().unwrap(), with[1].1);

    let last = |run: &str| {
        let records = sandbox.records(run);
        let sync = |record: &Record| match &record.event {
            Event::Sync(sync) => Some((record.step, sync.sync, sync.last)),
            _ => None,
        };
        records.iter().rev().find_map(sync).unwrap()
    };
    assert_eq!(last("with"), (9, 2, true));
    assert_eq!(last("without"), (5, 1, false));
}

#[test]
fn a_k_beyond_the_last_step_is_refused_or_noted() {
    let sandbox = sandbox();
    let long = ["--set", "lookahead.k=1000", "--set", "train.max_steps=9"];
    let said = stderr(&sandbox.train("told", &long));
    assert!(said.contains("`lookahead.k` is 1000") && said.contains("9 steps"), "{said}");
    let off = ["--set", "lookahead.final_sync=false"];
    let refused = sandbox.lookahead(&train("refused", &[&long[..], &off].concat()));
    let said = stderr(&refused);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("without a sync") && said.contains("at most 9"), "{said}");
    assert!(!sandbox.run_folder("refused").exists());

    sandbox.train("more", &["--set", "train.max_steps=10"]);
    let more = ["--set", "train.max_steps=14", "--set", "lookahead.k=50"];
    let said = stderr(&sandbox.resume("more", &[&more[..], &off].concat()));
    assert!(said.contains("No cycle of 50 steps"), "{said}");
}
