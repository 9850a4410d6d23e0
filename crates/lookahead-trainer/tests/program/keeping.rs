//! Which checkpoints are kept; patience, and runs that learn nothing.

use std::process::Output;

use crate::common::{SMALL, Sandbox, failed, sets, stderr, succeeded};
use lookahead_run::event::{Event, Reason, Split, Status, Weights};

fn steps(sandbox: &Sandbox, run: &str) -> Vec<u64> {
    let all = sandbox.checkpoints(run).into_iter();
    all.map(|(step, found)| found.map(|_| step).unwrap()).collect()
}

/// Step and accuracy of φ on validation data.
fn accuracies(sandbox: &Sandbox, run: &str) -> Vec<(u64, f64)> {
    let records = sandbox.records(run);
    let of_phi = records.iter().filter_map(|record| match &record.event {
        Event::Evaluation(e) if e.split == Split::Validation && e.weights == Weights::Slow => {
            Some((record.step, e.accuracy))
        }
        _ => None,
    });
    of_phi.collect()
}

#[test]
fn the_newest_and_every_nth_are_kept() {
    let sandbox = Sandbox::new(SMALL);
    let more = ["--set", "checkpoint.keep=2", "--set", "checkpoint.keep_every_steps=5"];
    sandbox.train("run", &more);
    assert_eq!(steps(&sandbox, "run"), [5, 10, 13, 14]);
    // A resume may ask for less.
    let less = ["--set", "checkpoint.keep_every_steps=0", "--set", "train.max_steps=16"];
    sandbox.resume("run", &less);
    assert_eq!(steps(&sandbox, "run"), [15, 16]);
}

/// The best so far is saved when it is found, though no checkpoint is due, and stays.
#[test]
fn the_best_by_validation_is_kept() {
    let sandbox = Sandbox::new(SMALL);
    // A large learning rate, so that it does not improve at every step.
    let more = &sets(&[
        "checkpoint.keep=1",
        "checkpoint.keep_best=true",
        "checkpoint.every_steps=0",
        "train.max_steps=60",
        "optimizer.lr=1.5",
    ])[..];
    sandbox.train("run", more);
    let found = accuracies(&sandbox, "run");
    let best =
        found.iter().fold(
            (0, -1.0),
            |best, &(step, accuracy)| {
                if accuracy > best.1 { (step, accuracy) } else { best }
            },
        );
    assert!(best.0 < 60, "the last is not the best, or else this shows nothing: {found:?}");
    assert_eq!(steps(&sandbox, "run"), [best.0, 60]);
    let (_, manifest) = sandbox.checkpoints("run").swap_remove(0);
    let metadata = manifest.unwrap().metadata;
    assert_eq!(metadata.metrics["validation/accuracy"], best.1);
    assert_eq!(metadata.train_state["best"]["step"], best.0);

    // A resumed run knows the best so far.
    sandbox.resume("run", &["--set", "train.max_steps=64"]);
    let later = accuracies(&sandbox, "run").pop().unwrap();
    let expected = if later.1 > best.1 { vec![64] } else { vec![best.0, 64] };
    assert_eq!(steps(&sandbox, "run"), expected);
}

#[test]
fn patience_ends_a_run() {
    let sandbox = Sandbox::new(SMALL);
    let more = &sets(&[
        "train.patience=3",
        "train.best_by=loss",
        "train.max_steps=4000",
        "optimizer.lr=0.3",
        "checkpoint.keep=1",
        "checkpoint.every_steps=0",
    ])[..];
    let output = sandbox.train("run", more);
    assert!(stderr(&output).contains("Finished at step"), "{}", stderr(&output));
    let records = sandbox.records("run");
    let mut losses: Vec<(u64, f64)> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Evaluation(e) if e.split == Split::Validation && e.weights == Weights::Slow => {
                Some((record.step, e.loss))
            }
            _ => None,
        })
        .collect();
    // The evaluation after the last sync does not count: a longer run would not have it.
    losses.dedup_by_key(|(step, _)| *step);
    let best = losses.iter().enumerate().min_by(|a, b| a.1.1.total_cmp(&b.1.1)).unwrap().0;
    assert_eq!(losses.len(), best + 1 + 3, "{losses:?}");
    let last = losses.last().unwrap().0;
    // The best one is kept, though `keep` alone would remove it.
    let best = losses[best].0;
    assert_eq!(steps(&sandbox, "run"), [best, last]);
    let Event::RunEnded(ended) = &records.last().unwrap().event else { panic!("{records:?}") };
    assert_eq!((ended.status, ended.best_step), (Status::Finished, Some(best)));
    assert_eq!(ended.reason, Some(Reason::EarlyStopping));

    check_the_result_is_the_best(&sandbox, [best, last], &stderr(&output));

    let nothing = stderr(&sandbox.resume("run", &[]));
    assert!(nothing.contains("3 evaluations came without a better one"), "{nothing}");
    // The count continues.
    let resumed = sandbox.resume("run", &["--set", "train.patience=4"]);
    assert!(stderr(&resumed).contains("Resuming from"), "{}", stderr(&resumed));
    let records = sandbox.records("run");
    let ended = records.last().unwrap().step;
    assert!(ended > last);
    sandbox.train("whole", &[more, &["--set", "train.patience=4"]].concat());
    assert_eq!(sandbox.records("whole").last().unwrap().step, ended);
    assert!(sandbox.tensors("run", ended) == sandbox.tensors("whole", ended));
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// After early stopping, the test, `eval`, `export` and the other commands use the best model.
fn check_the_result_is_the_best(sandbox: &Sandbox, [best, last]: [u64; 2], said: &str) {
    assert!(said.contains(&format!("Finished at step {last}, stopped early: ")), "{said}");
    assert!(said.contains(&format!("at step {best}, whose model `eval`")), "{said}");
    let records = sandbox.records("run");
    let tested: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Evaluation(e) if e.split == Split::Test => Some(e),
            _ => None,
        })
        .collect();
    assert_eq!(tested.len(), 2, "θ and φ: {tested:?}");
    for found in &tested {
        assert_eq!(found.model_step, Some(best));
        let set = if found.weights == Weights::Slow { "slow" } else { "fast" };
        let output = sandbox.lookahead(&["eval", "runs/run", "--weights", set, "--json"]);
        let (report, said) = (json(&output), stderr(&output));
        assert_eq!((&report["step"], &report["loss"]), (&best.into(), &found.loss.into()));
        assert!(
            said.contains(&format!("best model, of step {best}; use `--from {last}`")),
            "{said}"
        );
    }
    let last_one = sandbox.lookahead(&["eval", "runs/run", "--from", &last.to_string(), "--json"]);
    assert_eq!(json(&last_one)["step"], last);
    assert_eq!(stderr(&last_one), "");

    let file = sandbox.path().join("best.safetensors");
    let export = sandbox.lookahead(&["export", "runs/run", "-o", file.to_str().unwrap()]);
    let said = stderr(&succeeded(export));
    assert!(said.contains("best model") && said.contains(&format!("step-{best:08}")), "{said}");
    let status = sandbox.lookahead(&["ctl", "runs/run", "status", "--json"]);
    assert_eq!(json(&status)["reason"], "early_stopping");
    assert_eq!(
        (&json(&status)["best_step"], &json(&status)["state"]),
        (&best.into(), &"finished".into())
    );
    let status = sandbox.lookahead(&["ctl", "runs/run", "status"]);
    let said = String::from_utf8(status.stdout).unwrap();
    let ending = format!("stopped early, at step {last} of 4,000, ");
    assert!(said.contains(&ending) && said.contains(": no better validation loss"), "{said}");

    let found = json(&sandbox.lookahead(&["inspect", "runs/run", "--json"]));
    assert_eq!(found["reason"], "early_stopping");
    let marks = |i: usize| {
        (found["checkpoints"][i]["step"].clone(), found["checkpoints"][i]["best"].clone())
    };
    assert_eq!((marks(0), marks(1)), ((best.into(), true.into()), (last.into(), false.into())));
    let inspected = sandbox.lookahead(&["inspect", "runs/run"]);
    let said = String::from_utf8(inspected.stdout).unwrap();
    assert!(said.starts_with(&format!("run: stopped early at step {last} of 4000: no")), "{said}");
    assert_eq!(said.matches("(the best)").count(), 1, "{said}");
}

/// The result is then the last model; the test, `eval` and `export` report it.
#[test]
fn a_missing_best_checkpoint_is_reported() {
    let sandbox = Sandbox::new(SMALL);
    let more = ["train.patience=1", "optimizer.lr=0", "train.max_steps=100", "checkpoint.keep=1"];
    sandbox.train("run", &[&sets(&more)[..], &sets(&["checkpoint.every_steps=0"])].concat());
    assert_eq!(steps(&sandbox, "run"), [4, 8]);
    std::fs::remove_dir_all(sandbox.run_folder("run").join("step-00000004")).unwrap();
    let output = sandbox.lookahead(&["eval", "runs/run", "--json"]);
    assert_eq!(json(&output)["step"], 8);
    let said = stderr(&output);
    assert!(said.contains("stopped early") && said.contains("its last model"), "{said}");
    // It is the best of those left.
    let output = sandbox.lookahead(&["eval", "runs/run", "--from", "best", "--json"]);
    assert_eq!(json(&output)["step"], 8);
}

#[test]
fn eval_can_use_the_best() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &sets(&["train.evaluate_every_epochs=0"]));
    let ask = |run: &str| sandbox.lookahead(&["eval", run, "--from", "best", "--json"]);
    failed(&ask("runs/run"), 2, &["no checkpoint that was evaluated", "`--from STEP`"]);
    let more = ["optimizer.lr=1.5", "train.max_steps=60", "checkpoint.keep_best=true"];
    sandbox.train("other", &sets(&more));
    let found = accuracies(&sandbox, "other");
    let best = found.iter().rev().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
    assert!(best < 60, "{found:?}");
    assert_eq!(json(&ask("runs/other"))["step"], best);
    assert_eq!(json(&sandbox.lookahead(&["eval", "runs/other", "--json"]))["step"], 60);
    let file = sandbox.path().join("best.safetensors");
    let file = file.to_str().unwrap();
    let said = sandbox.lookahead(&["export", "runs/other", "--from", "best", "-o", file]);
    assert!(stderr(&said).contains(&format!("step-{best:08}")), "{}", stderr(&said));
    let whole = sandbox.losses("other");
    let resumed = sandbox.resume("other", &["--from", "best"]);
    let from = format!("Resuming from step-{best:08}");
    assert!(stderr(&resumed).contains(&from), "{}", stderr(&resumed));
    let losses = sandbox.losses("other");
    assert_eq!(losses, whole, "it is the same run again");
    let wrong = sandbox.lookahead(&["eval", "runs/other", "--from", "bests"]);
    failed(&wrong, 2, &["`bests` is neither the number of a step", "`best`"]);
}

/// The evaluation at the end of a run that ends inside an epoch is not one that a longer run has.
#[test]
fn a_run_given_more_steps_keeps_the_best_of_the_longer_run() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("whole", &sets(&["train.max_steps=14"]));
    sandbox.train("run", &sets(&["train.max_steps=6"]));
    sandbox.resume("run", &sets(&["train.max_steps=14"]));
    let best = |run: &str, step: u64| {
        let all = sandbox.checkpoints(run);
        let (_, found) = all.into_iter().find(|(of, _)| *of == step).unwrap();
        let metadata = found.unwrap().metadata;
        metadata.train_state["best"].clone()
    };
    for step in 6..=14 {
        assert_eq!(best("run", step), best("whole", step), "step {step}");
    }
}

#[test]
fn without_validation_there_is_no_best() {
    let sandbox = Sandbox::new(SMALL);
    let train = |more: &[&str]| {
        let fixed = ["train", "test.toml", "--out", "runs", "--set"];
        sandbox.lookahead(&[&fixed, more].concat())
    };
    for wanted in ["train.patience=1", "checkpoint.keep_best=true"] {
        let key = wanted.split('=').next().unwrap();
        let words = [&format!("`{key}` needs evaluations")[..], "`data.validation`"];
        let none = ["--set", "train.evaluate_every_epochs=0"];
        failed(&train(&[&[wanted][..], &none].concat()), 2, &words);
    }
}

/// A finite loss that is no better than chance is reported once during training, and at the end.
#[test]
fn a_run_that_learns_nothing_is_reported() {
    let sandbox = Sandbox::new(SMALL);
    let plain = ["model.batch_norm=false", "model.dropout=0.0", "train.max_steps=80"];
    let said = |run: &str, more: &[&str]| {
        let output = sandbox.train(run, &[&sets(&plain)[..], &sets(more)].concat());
        let records = sandbox.records(run);
        let warnings: Vec<String> = records
            .iter()
            .filter_map(|record| match &record.event {
                Event::Warning(warning) => Some(warning.message.clone()),
                _ => None,
            })
            .collect();
        let Event::RunEnded(ended) = records.last().unwrap().event.clone() else { panic!() };
        assert_eq!(ended.status, Status::Finished);
        (warnings, ended.message, stderr(&output))
    };
    let remedies = [
        (
            "optimizer.lr=100",
            "the training diverged. Start again with a smaller `optimizer.lr` than 100.",
        ),
        ("optimizer.lr=1e-9", "use a larger `optimizer.lr` than 1e-9."),
    ];
    for (lr, remedy) in remedies {
        let (warnings, message, said) = said(lr, &[lr]);
        let [warning] = &warnings[..] else { panic!("{warnings:?}") };
        assert!(warning.starts_with("At the end of epoch "), "{warning}");
        assert!(warning.contains("guessing (2.3026)") && warning.ends_with(remedy), "{warning}");
        let message = message.unwrap();
        assert!(message.starts_with("the loss is ") && message.ends_with(remedy), "{message}");
        assert!(said.contains(&format!("Finished at step 80: {message}")), "{said}");
    }
    // No false alarms: what learns, if slowly, on wrong labels, or for a few steps.
    for (run, more) in [
        ("good", &["optimizer.lr=0.05"][..]),
        ("slow", &["optimizer.lr=0.005"]),
        ("noise", &["data.label_noise=0.9", "optimizer.lr=0.05"]),
        ("short", &["optimizer.lr=1e-9", "train.max_steps=12"]),
        ("warm", &["optimizer.lr=0.05", "schedule.warmup_steps=70"]),
    ] {
        let (warnings, message, _) = said(run, more);
        assert_eq!((warnings, message), (vec![], None), "{run}");
    }
}
