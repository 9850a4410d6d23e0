//! `train.freeze`: parameters that keep their first values, to the bit.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::ranks::{start, succeed};
use crate::common::{SMALL, Sandbox, failed, sets, succeeded, train};
use lookahead_run::event::{Event, Parameters};
use lookahead_trainer::tensor_file::read;
use tch::Tensor;

const FREEZE: [&str; 2] = ["--set", "train.freeze=[\"fc1.*\", \"*bn1.weight\"]"];

fn is_frozen(name: &str) -> bool {
    name.starts_with("fc1.") || name == "fc_bn1.weight"
}

fn file(sandbox: &Sandbox, run: &str, step: u64, file: &str) -> BTreeMap<String, Tensor> {
    read(&sandbox.run_folder(run).join(format!("step-{step:08}")).join(file)).unwrap()
}

/// The weights that the seed draws: at a learning rate of 0 a step changes none.
fn drawn(sandbox: &Sandbox) -> BTreeMap<String, Tensor> {
    sandbox.train("drawn", &sets(&["optimizer.lr=0", "train.max_steps=1"]));
    file(sandbox, "drawn", 1, "model.safetensors")
}

/// Frozen parameters are those of `before`; others, and all buffers, are not.
#[track_caller]
fn check(sandbox: &Sandbox, run: &str, step: u64, before: &BTreeMap<String, Tensor>) {
    let model = file(sandbox, run, step, "model.safetensors");
    let training = file(sandbox, run, step, "training.safetensors");
    for (name, value) in before {
        assert_eq!(model[name] == *value, is_frozen(name), "{run} {name}");
        assert_eq!(training[&format!("fast/{name}")] == *value, is_frozen(name), "{run} {name}");
    }
    // No slow weights, moments or means of them.
    let own = training.keys().filter(|key| is_frozen(key.rsplit('/').next().unwrap()));
    assert!(own.clone().all(|key| key.starts_with("fast/")), "{:?}", own.collect::<Vec<_>>());
}

#[test]
fn frozen_parameters_keep_their_first_values() {
    let sandbox = Sandbox::new(SMALL);
    let before = drawn(&sandbox);
    for (run, keys) in [
        ("sgd", &[][..]),
        ("decay", &["optimizer.weight_decay=0.1", "optimizer.fused=false"]),
        ("adamw", &["optimizer.kind=adamw", "lookahead.momentum_policy=pullback"]),
        ("mean", &["lookahead=false", "averaging.kind=ema"]),
        ("back", &["lookahead.non_finite=roll_back", "lookahead.recalibrate=2"]),
    ] {
        sandbox.train(run, &[&FREEZE[..], &sets(keys)].concat());
        check(&sandbox, run, 14, &before);
    }
    let Event::RunStarted(info) = &sandbox.records("sgd")[0].event else { panic!() };
    // fc1: 64 × 16 and 16; fc_bn1.weight: 16.
    assert_eq!(info.parameters, Parameters { trainable: 16 + 170, frozen: 1056 });
    let inspected = succeeded(sandbox.lookahead(&["inspect", "runs/sgd"]));
    let inspected = String::from_utf8(inspected.stdout).unwrap();
    assert!(inspected.contains("186 parameters and 1,056 frozen ones"), "{inspected}");

    // The values of a file.
    let model = "runs/sgd/step-00000014/model.safetensors";
    sandbox.train("tuned", &[&FREEZE[..], &["--init-from", model]].concat());
    check(&sandbox, "tuned", 14, &file(&sandbox, "sgd", 14, "model.safetensors"));
}

#[test]
fn a_run_with_frozen_parameters_resumes_to_the_bit_and_keeps_them_frozen() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("whole", &FREEZE);
    sandbox.train("parts", &[&FREEZE[..], &sets(&["train.max_steps=8"])].concat());
    for change in ["train.freeze=[]", "train.freeze=[\"fc1.*\"]"] {
        let refused = sandbox.lookahead(&["resume", "runs/parts", "--set", change]);
        failed(&refused, 2, &["`train.freeze` can't change on resume"]);
    }
    sandbox.resume("parts", &sets(&["train.max_steps=14"]));
    assert!(sandbox.tensors("parts", 14) == sandbox.tensors("whole", 14));

    sandbox.train("plain", &sets(&["train.max_steps=2"]));
    let refused = sandbox.lookahead(&[&["resume", "runs/plain"], &FREEZE[..]].concat());
    failed(&refused, 2, &["`train.freeze` can't change on resume"]);
}

#[test]
fn in_several_processes() {
    let sandbox = Sandbox::new(SMALL);
    let before = drawn(&sandbox);
    for mode in ["local", "data_parallel"] {
        let keys = [&format!("distributed.mode={mode}"), "distributed.timeout_seconds=60"];
        succeed(start(&sandbox, 3, &train(mode, &[&FREEZE[..], &sets(&keys)].concat())));
        check(&sandbox, mode, 14, &before);
    }
}

#[test]
fn patterns_that_can_not_be_meant_are_refused_before_the_run_begins() {
    let sandbox = Sandbox::new(SMALL);
    for (patterns, words) in [
        ("[\"fc1.wieght\"]", "pattern `fc1.wieght`, which matches no parameter"),
        ("[\"fc1.wieght\"]", "The nearest names: `fc1.weight`"),
        ("[\"fc*\", \"out.*\"]", "matches all 6 parameters"),
        ("fc1", "Use a list of strings: [\"fc1\"]"),
    ] {
        let set = format!("train.freeze={patterns}");
        failed(&sandbox.lookahead(&train("run", &["--set", &set])), 2, &[words]);
        assert!(!Path::new(&sandbox.run_folder("run")).exists());
    }
}
