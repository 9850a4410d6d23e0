//! Losses and metrics, by the whole program.

use lookahead_run::event::{Evaluation, Event, RunInfo, Split, Task, Weights};
use serde_json::Value;

use crate::common::ranks::{start, succeed};
use crate::common::{SMALL, Sandbox, failed, sets, stderr, succeeded, train};

const REGRESSION: &str = r#"
[data]
kind = "csv"
file = "prices.csv"
target = "price"
test_fraction = 0.25
batch_size = 16

[model]
kind = "mlp"
hidden = [8]

[optimizer]
lr = 0.02

[lookahead]
k = 3

[train]
epochs = 6
threads = 1
best_by = "r2"

[checkpoint]
every_steps = 1
keep = 100
"#;

/// Prices of some hundreds, by two numbers.
fn prices() -> String {
    let row = |i: u32| {
        let (size, age) = (i * 37 % 101, i * 53 % 89);
        format!("{size},{age},{}\n", 500 + 4 * size - 2 * age + i * 29 % 31)
    };
    format!("size,age,price\n{}", (0..160).map(row).collect::<String>())
}

fn info(sandbox: &Sandbox, run: &str) -> RunInfo {
    match sandbox.records(run).remove(0).event {
        Event::RunStarted(info) => info,
        other => panic!("{other:?}"),
    }
}

/// The evaluations of φ on a split, with their steps.
fn evaluations(sandbox: &Sandbox, run: &str, split: Split) -> Vec<(u64, Evaluation)> {
    let records = sandbox.records(run).into_iter();
    let found = records.filter_map(|record| match record.event {
        Event::Evaluation(e) if e.split == split && e.weights == Weights::Slow => {
            Some((record.step, e))
        }
        _ => None,
    });
    found.collect()
}

fn eval(sandbox: &Sandbox, run: &str, more: &[&str]) -> Value {
    let folder = sandbox.run_folder(run);
    let arguments = [&["eval", folder.to_str().unwrap(), "--json"], more].concat();
    serde_json::from_slice(&succeeded(sandbox.lookahead(&arguments)).stdout).unwrap()
}

fn near(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-6 * b.abs(), "{a} and {b}");
}

#[test]
fn a_regression_is_measured_chosen_and_compared_by_its_metrics() {
    let sandbox = Sandbox::new(REGRESSION);
    std::fs::write(sandbox.path().join("prices.csv"), prices()).unwrap();
    let said = stderr(&sandbox.train("run", &["--no-tui"]));
    assert!(said.contains(", r2 0."), "{said}");
    let task = info(&sandbox, "run").task;
    let names: Vec<&str> = task.metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!((task.kind, &names[..]), (Task::Regression, &["mse", "mae", "r2"][..]));
    assert_eq!(
        task.metrics.iter().map(|m| m.higher_is_better).collect::<Vec<_>>(),
        [false, false, true]
    );

    // The loss is of the standardized target, the errors are in the unit of the price.
    let (_, test) = evaluations(&sandbox, "run", Split::Test).pop().unwrap();
    let report = eval(&sandbox, "run", &[]);
    let of = |name: &str| report["metrics"][name].as_f64().unwrap();
    let manifest = sandbox.checkpoints("run").pop().unwrap().1.unwrap();
    let std = manifest.metadata.signature["target"]["std"][0].as_f64().unwrap();
    assert!(std > 50.0, "{std}");
    near(of("mse"), test.loss * std * std);
    near(of("rmse").powi(2), of("mse"));
    for name in ["mse", "mae", "r2"] {
        assert_eq!(of(name), test.metrics[name], "{name}");
    }
    assert!(report["accuracy"].is_null() && report["confusion_matrix"].is_null(), "{report}");
    let folder = sandbox.run_folder("run");
    let folder = folder.to_str().unwrap();
    let text = succeeded(sandbox.lookahead(&["eval", folder])).stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains(": test mse ") && text.contains(", mae ") && text.contains("samples of csv"),
        "{text}"
    );

    // More is better.
    let all = evaluations(&sandbox, "run", Split::Validation);
    let value = |found: &Evaluation| found.metrics["r2"];
    let best = all.iter().max_by(|a, b| value(&a.1).total_cmp(&value(&b.1))).unwrap();
    assert_eq!(eval(&sandbox, "run", &["--from", "best"])["step"], best.0);
    let manifests = sandbox.checkpoints("run");
    let manifest = manifests.iter().find(|(step, _)| *step == best.0).unwrap().1.as_ref().unwrap();
    assert_eq!(manifest.metadata.metrics["validation/r2"], value(&best.1));

    let compare = |metric: &str| sandbox.lookahead(&["compare", folder, "--metric", metric]);
    let table = String::from_utf8(succeeded(compare("r2")).stdout).unwrap();
    assert!(table.contains("test r2") && table.contains("highest"), "{table}");
    failed(&compare("accuracy"), 2, &["`accuracy`", "`mse`, `mae`, `r2`, `loss`"]);

    // What is not set is filled in once the data is known, and other metrics may be measured after a resume.
    let config = std::fs::read_to_string(sandbox.run_folder("run").join("config.toml")).unwrap();
    assert!(config.contains("best_by = \"r2\""), "{config}");
    let more = ["train.epochs=7", "task.metrics=[\"rmse\"]"];
    sandbox.resume("run", &sets(&more));
    let (_, test) = evaluations(&sandbox, "run", Split::Test).pop().unwrap();
    assert_eq!(test.metrics.into_keys().collect::<Vec<_>>(), ["r2", "rmse"]);
}

#[test]
fn a_loss_that_does_not_fit_is_refused_before_the_first_step() {
    let sandbox = Sandbox::new(&REGRESSION.replace("best_by = \"r2\"", ""));
    std::fs::write(sandbox.path().join("prices.csv"), prices()).unwrap();
    let refuses = |set: &str, words: &[&str]| {
        failed(&sandbox.lookahead(&train("run", &sets(&[set]))), 2, words);
        assert!(!sandbox.run_folder("run").exists(), "{set}");
    };
    refuses("task.loss=cross_entropy", &["regression", "mse, mae and huber"]);
    refuses("task.loss=hinge", &["--set task.loss=hinge: ", "is not a loss"]);
    refuses("train.best_by=accuracy", &["accuracy", "loss, mse, rmse, mae and r2"]);
    refuses("task.huber_delta=2", &["belongs to the loss huber only, and the loss is mse"]);
    // By the default, which is known once the data is.
    sandbox.train("run", &sets(&["train.max_steps=2", "task.loss=huber", "task.huber_delta=2"]));
    let config = std::fs::read_to_string(sandbox.run_folder("run").join("config.toml")).unwrap();
    assert!(
        config.contains("best_by = \"loss\"") && config.contains("loss = \"huber\""),
        "{config}"
    );
}

/// Each process measures a share of the samples. One process measures the same.
#[test]
fn two_processes_measure_as_one() {
    let sandbox = Sandbox::new(SMALL);
    let keys = [
        "distributed.mode=local",
        "distributed.timeout_seconds=60",
        "task.metrics=[\"macro_f1\", \"top5\"]",
        "task.class_weights=[1, 2, 1, 1, 0.5, 1, 1, 1, 1, 3]",
        "task.label_smoothing=0.1",
        "train.best_by=macro_f1",
    ];
    succeed(start(&sandbox, 2, &train("run", &sets(&keys))));
    let (_, recorded) = evaluations(&sandbox, "run", Split::Test).pop().unwrap();
    let report = eval(&sandbox, "run", &[]);
    near(report["loss"].as_f64().unwrap(), recorded.loss);
    for name in ["accuracy", "macro_f1", "top5"] {
        near(report["metrics"][name].as_f64().unwrap(), recorded.metrics[name]);
    }
    let matrix = recorded.confusion_matrix.unwrap();
    assert_eq!(report["confusion_matrix"], serde_json::to_value(&matrix).unwrap());
    assert_eq!(matrix.iter().flatten().sum::<u64>(), recorded.samples);
    let correct: u64 = (0..10).map(|class| matrix[class][class]).sum();
    assert_eq!(recorded.accuracy, correct as f64 / recorded.samples as f64);
}
