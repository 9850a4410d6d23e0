//! Clipping in several processes, each of which clips its own gradients between syncs.

use crate::common::ranks::{start, succeed};
use crate::common::{SMALL, Sandbox, sets, train};
use lookahead_trainer::tensor_file::read;
use tch::Kind;

/// With plain SGD a step is as long as the learning rate times the norm of the gradients.
fn run(sandbox: &Sandbox, name: &str, more: &[&str]) {
    let keys = [
        "distributed.mode=local",
        "distributed.timeout_seconds=60",
        "optimizer.momentum=0",
        "model.dropout=0",
        "model.batch_norm=false",
        "train.max_steps=6",
    ];
    let all = sets(&[&keys[..], more].concat());
    succeed(start(sandbox, 2, &train(name, &all)));
}

/// How far φ moves in the second cycle, from step 3 to step 6.
fn movement(sandbox: &Sandbox, name: &str) -> f64 {
    let [from, to] = [3, 6].map(|step| {
        let folder = sandbox.run_folder(name).join(format!("step-{step:08}"));
        read(&folder.join("model.safetensors")).unwrap()
    });
    let squares = from.iter().map(|(name, from)| {
        (to[name].to_kind(Kind::Double) - from).square().sum(Kind::Double).double_value(&[])
    });
    squares.sum::<f64>().sqrt()
}

#[test]
fn processes_that_train_apart_clip_their_own_gradients() {
    let sandbox = Sandbox::new(SMALL);
    run(&sandbox, "free", &[]);
    run(&sandbox, "wide", &["train.clip_grad_norm=1e6", "train.clip_grad_value=1e6"]);
    assert_eq!(sandbox.losses("wide"), sandbox.losses("free"), "a limit that is not reached");
    assert!(sandbox.tensors("wide", 6) == sandbox.tensors("free", 6));

    run(&sandbox, "narrow", &["train.clip_grad_norm=0.05"]);
    // α times three steps in each process.
    let most = 0.5 * 3.0 * 0.05 * 0.05;
    let (free, narrow) = (movement(&sandbox, "free"), movement(&sandbox, "narrow"));
    assert!(free > 2.0 * most && narrow < 1.001 * most && narrow > 0.5 * most, "{free}, {narrow}");

    // Resumed inside a cycle.
    run(&sandbox, "parts", &["train.clip_grad_norm=0.05", "train.max_steps=4"]);
    let more = ["resume", "runs/parts", "--set", "train.max_steps=6"];
    succeed(start(&sandbox, 2, &more));
    assert!(sandbox.tensors("parts", 6) == sandbox.tensors("narrow", 6));
}
