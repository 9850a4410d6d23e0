//! Gradients of several batches for one step, and gradients that are clipped, in the whole program.

use std::collections::BTreeMap;

use lookahead_run::event::Event;
use lookahead_trainer::tensor_file;
use tch::Tensor;

use crate::common::ranks::{start, succeed};
use crate::common::{SMALL, Sandbox, copy_folder, failed, sets, signal, succeeded, train};

/// Without what differs between batches of other sizes.
const PLAIN: [&str; 3] = ["model.dropout=0", "model.batch_norm=false", "train.clip_grad_norm=0.3"];

fn values(sandbox: &Sandbox, run: &str) -> Vec<f64> {
    sandbox.losses(run).into_iter().map(|(_, bits)| f64::from_bits(bits)).collect()
}

fn model(sandbox: &Sandbox, run: &str) -> BTreeMap<String, Tensor> {
    let path = sandbox.run_folder(run).join("step-00000014/model.safetensors");
    tensor_file::read(&path).unwrap().into_iter().collect()
}

/// How far two models are apart.
fn apart(sandbox: &Sandbox, one: &str, other: &str) -> f64 {
    let (one, other) = (model(sandbox, one), model(sandbox, other));
    let far = |(name, own): (&String, &Tensor)| (own - &other[name]).abs().max().double_value(&[]);
    one.iter().map(far).fold(0.0, f64::max)
}

/// The logs are those of the large batch: steps, epochs, learning rates, losses.
#[test]
fn accumulated_batches_train_as_one_large_batch() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("large", &sets(&PLAIN));
    let small = ["data.batch_size=75", "train.accumulate=4"];
    sandbox.train("small", &sets(&[&PLAIN[..], &small].concat()));
    let (large, small) = (values(&sandbox, "large"), values(&sandbox, "small"));
    assert_eq!(large.len(), 14);
    for (large, small) in large.iter().zip(&small) {
        assert!((large - small).abs() < 1e-5 * large, "{large} and {small}");
    }
    assert!(apart(&sandbox, "large", "small") < 1e-5);
    // Epochs, evaluations and probes come at the same steps.
    let events = |run: &str| -> Vec<(u64, u64)> {
        let records = sandbox.records(run);
        let found = records.iter().filter_map(|record| match &record.event {
            Event::Step(step) => Some((record.step, step.epoch)),
            Event::Evaluation(_) => Some((record.step, 1000)),
            Event::Probe(probe) => Some((record.step, 2000 + probe.sync)),
            _ => None,
        });
        found.collect()
    };
    assert_eq!(events("large"), events("small"));
    // Two processes: the norm is that of the mean gradient.
    let parallel = ["distributed.mode=data_parallel", "data.batch_size=50", "train.accumulate=3"];
    let all = sets(&[&PLAIN[..], &parallel].concat());
    succeed(start(&sandbox, 2, &train("parallel", &all)));
    assert!(apart(&sandbox, "large", "parallel") < 1e-5);
    sandbox.train("unclipped", &sets(&PLAIN[..2]));
    assert!(apart(&sandbox, "large", "unclipped") > 1e-3, "the limit acts");
}

/// With dropout, batch normalization and a smaller last step of an epoch.
#[test]
fn accumulation_resumes_bit_for_bit() {
    let sandbox = Sandbox::new(SMALL);
    let keys = ["data.batch_size=70", "train.accumulate=3", "train.clip_grad_norm=0.5"];
    let keys = [&keys[..], &["train.clip_grad_value=0.05"]].concat();
    sandbox.train("whole", &sets(&keys));
    let whole = sandbox.losses("whole");
    for step in [1, 3, 5, 6] {
        let resumed = format!("from-{step}");
        copy_folder(&sandbox.run_folder("whole"), &sandbox.run_folder(&resumed));
        sandbox.resume(&resumed, &["--from", &step.to_string()]);
        assert_eq!(sandbox.losses(&resumed), whole, "{resumed}");
        assert!(sandbox.tensors(&resumed, 14) == sandbox.tensors("whole", 14), "{resumed}");
    }
    failed(
        &sandbox.lookahead(&["resume", "runs/whole", "--set", "train.accumulate=2"]),
        2,
        &["`train.accumulate` can't change on resume"],
    );

    // A request to stop waits for the end of the step.
    let endless = [&keys[..], &["train.max_steps=1000000", "checkpoint.every_steps=0"]].concat();
    let mut child = sandbox.start("stopped", &sets(&endless));
    sandbox.wait_for("stopped", &mut child, |record| {
        matches!(record.event, Event::Step(_)) && record.step >= 5
    });
    signal(&child, "TERM");
    succeeded(child.wait_with_output().unwrap());
    let taken = sandbox.losses("stopped").len();
    let end = format!("train.max_steps={}", taken + 6);
    sandbox.resume("stopped", &["--set", &end]);
    sandbox
        .train("uninterrupted", &sets(&[&keys[..], &[&end, "checkpoint.every_steps=0"]].concat()));
    assert_eq!(sandbox.losses("stopped"), sandbox.losses("uninterrupted"));
}

#[test]
fn a_limit_that_is_not_reached_changes_nothing_and_the_norm_is_logged() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("plain", &[]);
    let wide = ["train.clip_grad_norm=1e6", "train.clip_grad_value=1e6", "probe.every_syncs=0"];
    sandbox.train("wide", &sets(&wide));
    assert_eq!(sandbox.losses("plain"), sandbox.losses("wide"));
    let norms = |run: &str| -> Vec<Option<f64>> {
        let records = sandbox.records(run);
        let found = records.iter().filter_map(|record| match record.event {
            Event::Sync(sync) => Some(sync.gradient_norm),
            _ => None,
        });
        found.collect()
    };
    // As it is before clipping, at each sync.
    for (measured, clipped) in norms("plain").into_iter().zip(norms("wide")) {
        let (measured, clipped) = (measured.unwrap(), clipped.unwrap());
        assert!((clipped / measured - 1.0).abs() < 1e-5, "{measured} and {clipped}");
    }
    sandbox.train("narrow", &sets(&["train.clip_grad_norm=0.01"]));
    assert!(norms("narrow")[0].unwrap() > 0.02);
}

#[test]
fn limits_and_counts_out_of_range_are_refused() {
    let sandbox = Sandbox::new(SMALL);
    for (key, words) in [
        ("train.accumulate=0", "`train.accumulate` is 0. Use 1 or more."),
        ("train.clip_grad_norm=-1", "`train.clip_grad_norm` is -1. Use 0 or more."),
        ("train.clip_grad_value=inf", "`train.clip_grad_value` is inf. Use 0"),
    ] {
        failed(&sandbox.lookahead(&train("run", &sets(&[key]))), 2, &[words]);
    }
}
