//! Which checkpoints are kept, the best among them, and a run that ends when it gets no better.

mod common;

use common::{SMALL, Sandbox, failed, sets, stderr};
use lookahead_run::event::{Event, Split, Weights};

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
fn the_newest_and_every_so_manieth() {
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
fn the_best_by_validation() {
    let sandbox = Sandbox::new(SMALL);
    // A large learning rate, so that it does not get better all the time.
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
    let details = manifest.unwrap().details;
    assert_eq!(details.metrics["validation/accuracy"], best.1);
    assert_eq!(details.integers["train/best_step"], best.0 as i64);

    // What is the best so far is known after a resume too.
    sandbox.resume("run", &["--set", "train.max_steps=64"]);
    let later = accuracies(&sandbox, "run").pop().unwrap();
    let expected = if later.1 > best.1 { vec![64] } else { vec![best.0, 64] };
    assert_eq!(steps(&sandbox, "run"), expected);
}

#[test]
fn a_run_that_gets_no_better_ends() {
    let sandbox = Sandbox::new(SMALL);
    let more = &sets(&[
        "train.patience=3",
        "train.best_by=loss",
        "train.max_steps=4000",
        "optimizer.lr=0.3",
        "checkpoint.every_steps=0",
    ])[..];
    let output = sandbox.train("run", more);
    assert!(stderr(&output).contains("Finished at step"), "{}", stderr(&output));
    let records = sandbox.records("run");
    let losses: Vec<(u64, f64)> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Evaluation(e) if e.split == Split::Validation && e.weights == Weights::Slow => {
                Some((record.step, e.loss))
            }
            _ => None,
        })
        .collect();
    let best = losses.iter().enumerate().min_by(|a, b| a.1.1.total_cmp(&b.1.1)).unwrap().0;
    assert_eq!(losses.len(), best + 1 + 3, "{losses:?}");
    let last = losses.last().unwrap().0;
    assert_eq!(steps(&sandbox, "run"), [last]);

    let nothing = stderr(&sandbox.resume("run", &[]));
    assert!(nothing.contains("3 evaluations came without a better one"), "{nothing}");
    // The count goes on where it stood.
    let resumed = sandbox.resume("run", &["--set", "train.patience=4"]);
    assert!(stderr(&resumed).contains("Going on from"), "{}", stderr(&resumed));
    let records = sandbox.records("run");
    let ended = records.last().unwrap().step;
    assert!(ended > last);
    sandbox.train("whole", &[more, &["--set", "train.patience=4"]].concat());
    assert_eq!(sandbox.records("whole").last().unwrap().step, ended);
    assert!(sandbox.tensors("run", ended) == sandbox.tensors("whole", ended));
}

/// The evaluation at the end of a run that ends inside an epoch is not one that a longer run has.
#[test]
fn a_run_given_more_steps_has_the_best_of_the_longer_run() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("whole", &sets(&["train.max_steps=14"]));
    sandbox.train("run", &sets(&["train.max_steps=6"]));
    sandbox.resume("run", &sets(&["train.max_steps=14"]));
    let best = |run: &str, step: u64| {
        let all = sandbox.checkpoints(run);
        let (_, found) = all.into_iter().find(|(of, _)| *of == step).unwrap();
        let details = found.unwrap().details;
        let counts = ["train/best_step", "train/since_best"].map(|key| details.integers[key]);
        (counts, details.numbers["train/best"])
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
