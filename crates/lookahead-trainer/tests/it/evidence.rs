//! Runs against theory, runs side by side, and the report of both, by the real program.

use std::path::{Path, PathBuf};

use crate::common::{SMALL, Sandbox, failed, stderr, succeeded};
use lookahead_run::event::{Split, Weights};
use lookahead_study::Summary;
use lookahead_study::compare::statistics::Spread;
use lookahead_study::compare::{Comparison, Options, compare};
use lookahead_study::evidence::quadratics::{
    PART, STANDARD_ERRORS, deterministic_model, late_rate, late_risk, noisy_model,
};

/// SGD on the noisy quadratic model, alone and inside Lookahead.
const NOISY: &str = r#"
config = "test.toml"
seeds = 4

[set]
"data.kind" = "noisy-quadratic"
"data.dimensions" = 20
"model.kind" = "quadratic"
"train.epochs" = 60

[grid]
"optimizer.lr" = [0.3, 0.9]

[[variants]]
name = "sgd"
lookahead = false

[[variants]]
name = "lookahead"
"lookahead.k" = 5
"lookahead.alpha" = 0.5
"#;

/// Momentum on a quadratic function without noise.
const VALLEY: &str = r#"
config = "test.toml"
seeds = 1

[set]
"data.kind" = "quadratic"
"data.condition" = 1000.0
"model.kind" = "quadratic"
"optimizer.momentum" = 0.9
"train.epochs" = 50

[grid]
"optimizer.lr" = [0.1, 1.0]

[[variants]]
name = "alone"
lookahead = false

[[variants]]
name = "lookahead"
"lookahead.k" = 20
"lookahead.alpha" = 0.5
"#;

const PLAIN: &str = r#"
[data]
batch_size = 1
[optimizer]
momentum = 0.0
[lookahead]
[train]
threads = 1
[probe]
every_syncs = 0
[checkpoint]
every_steps = 0
"#;

/// Runs a sweep into `sweeps/NAME`.
fn sweep(sandbox: &Sandbox, name: &str, text: &str) -> PathBuf {
    let file = format!("{name}.toml");
    std::fs::write(sandbox.path().join(&file), text).unwrap();
    succeeded(sandbox.lookahead(&["sweep", &file, "--out", "sweeps", "--quiet"]));
    sandbox.path().join("sweeps").join(name)
}

fn compared(folder: &Path) -> Comparison {
    compare(&[folder.to_owned()], &Options::default()).unwrap()
}

/// Where runs and theory are as far apart as chance allows, a mistake in either is not hidden by a wide
/// bound: a learning rate that is off by a tenth is noticed.
#[test]
fn the_noise_of_sgd_and_lookahead_is_what_theory_says() {
    let sandbox = Sandbox::new(PLAIN);
    let comparison = compared(&sweep(&sandbox, "noisy", NOISY));
    assert_eq!(comparison.points.len(), 4);
    for point in &comparison.points {
        let (stepper, directions) = noisy_model(&point.settings).unwrap();
        let all: Vec<(f64, f64)> = comparison
            .finished(point)
            .map(|run| late_risk(&run.summary, stepper, &directions).unwrap())
            .collect();
        assert_eq!(all.len(), 4, "{}", point.label);
        let measured = Spread::of(&all.iter().map(|found| found.0).collect::<Vec<_>>()).unwrap();
        let error = measured.standard_error().unwrap();
        let expected = all[0].1;
        let apart = (measured.mean - expected).abs() / error;
        let label = &point.label;
        assert!(apart < STANDARD_ERRORS, "{label}: {measured:?} for {expected}, {apart} errors");
        // The bound is worth something.
        assert!(error < 0.06 * expected, "{label}: {error} of {expected}");
    }
}

#[test]
fn momentum_gets_along_a_valley_as_fast_as_theory_says() {
    let sandbox = Sandbox::new(PLAIN);
    let comparison = compared(&sweep(&sandbox, "valley", VALLEY));
    assert_eq!(comparison.points.len(), 4);
    for point in &comparison.points {
        let (momentum, curvatures) = deterministic_model(&point.settings).unwrap();
        let run = comparison.finished(point).next().unwrap();
        let (measured, expected) = late_rate(&run.summary, momentum, &curvatures).unwrap();
        let apart = (measured / expected - 1.0).abs();
        assert!(apart < PART, "{}: {measured} for {expected}", point.label);
        let other = lookahead_study::theory::Momentum { momentum: 0.85, ..momentum };
        let (_, wrong) = late_rate(&run.summary, other, &curvatures).unwrap();
        assert!((measured / wrong - 1.0).abs() > PART, "{}: any theory fits", point.label);
    }
}

const DIGITS: &str = r#"
config = "test.toml"
seeds = 3

[set]
"train.max_steps" = 60
"probe.every_syncs" = 0

[grid]
"optimizer.lr" = [0.001, 0.1]

[[variants]]
name = "momentum"
lookahead = false

[[variants]]
name = "momentum-lookahead"
"#;

/// Test accuracies in per cent of the final weights of three runs.
fn accuracies(folder: &Path, run: &str, weights: Weights) -> Vec<f64> {
    let of = |seed| {
        let summary = Summary::read(&folder.join("runs").join(format!("{run}-s{seed}"))).unwrap();
        100.0 * summary.last(Split::Test, weights).unwrap().accuracy
    };
    (0..3).map(of).collect()
}

/// The report's numbers are those of the logs, and chapters without a sweep are told.
#[test]
fn a_report_holds_what_runs_came_to() {
    let sandbox = Sandbox::new(SMALL);
    let folder = sweep(&sandbox, "digits-optimizers", DIGITS);
    let refused = sandbox.lookahead(&["evidence", "sweeps", "--output", "docs"]);
    failed(&refused, 2, &["mlp-optimizers", "--partial", "just reproduce"]);
    let arguments = ["evidence", "sweeps", "--output", "docs", "--partial"];
    let told = succeeded(sandbox.lookahead(&arguments));
    let said = stderr(&told);
    assert!(said.contains("mlp-optimizers is left out: its sweep was not run."), "{said}");
    let report = std::fs::read_to_string(sandbox.path().join("docs/evidence.md")).unwrap();

    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let alone = accuracies(&folder, "momentum-lr0.1", Weights::Fast);
    let lookahead = accuracies(&folder, "momentum-lookahead-lr0.1", Weights::Slow);
    let difference = mean(&lookahead) - mean(&alone);
    let signed = format!("{difference:+.2}").replace('-', "−");
    for number in [format!("{:.2} ±", mean(&alone)), format!("{:.2} ±", mean(&lookahead)), signed]
    {
        assert!(report.contains(&number), "no {number} in {report}");
    }
    assert!(report.contains("| SGD with momentum | Lookahead | 0.1 |"), "{report}");
    assert!(report.contains("| 12 | 0 |"), "the runs are counted: {report}");
    for line in report.lines().filter(|line| line.starts_with("![")) {
        let file = line.split_once("](").unwrap().1.trim_end_matches(')');
        let svg = std::fs::read(sandbox.path().join("docs").join(file)).unwrap();
        assert!(svg.starts_with(b"<svg"), "{file}");
    }
    let nothing = sandbox.lookahead(&["evidence", "docs", "--partial"]);
    failed(&nothing, 2, &["There is no sweep of the report in `docs`", "just reproduce"]);
}

#[test]
fn runs_stand_side_by_side() {
    let sandbox = Sandbox::new(SMALL);
    let folder = sweep(&sandbox, "digits", DIGITS);
    let arguments = ["compare", "sweeps/digits", "--csv", "groups.csv", "--runs-csv", "runs.csv"];
    let more = ["--markdown", "tables.md", "--figures", "figures"];
    let output = succeeded(sandbox.lookahead(&[&arguments[..], &more].concat()));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("lookahead=false") && table.contains("optimizer.lr=0.1"), "{table}");

    let read = |file: &str| -> Vec<csv::StringRecord> {
        let mut reader = csv::Reader::from_path(sandbox.path().join(file)).unwrap();
        reader.records().map(Result::unwrap).collect()
    };
    let groups = read("groups.csv");
    let alone = accuracies(&folder, "momentum-lr0.1", Weights::Fast);
    let mean = alone.iter().sum::<f64>() / 3.0;
    let has_mean = |row: &csv::StringRecord| {
        row.iter().any(|cell| cell.parse().is_ok_and(|value: f64| (value - mean).abs() < 1e-9))
    };
    assert!(groups.len() == 2 && groups.iter().any(has_mean), "{groups:?}");
    assert_eq!(read("runs.csv").len(), 12);
    assert!(std::fs::read_to_string(sandbox.path().join("tables.md")).unwrap().contains("| --"));
    assert!(sandbox.path().join("figures/by-optimizer-lr.svg").is_file());

    let again = sandbox.lookahead(&arguments);
    failed(&again, 2, &["groups.csv exists", "--force"]);
    succeeded(sandbox.lookahead(&[&arguments[..], &["--force"]].concat()));
    let missing = sandbox.lookahead(&["compare", "sweeps/none"]);
    failed(&missing, 2, &["sweeps/none", "neither the folder of a run"]);
    let key = sandbox.lookahead(&["compare", "sweeps/digits", "--by", "optimizer.lrr"]);
    failed(&key, 2, &["optimizer.lrr", "optimizer.lr"]);
}

/// A grid may reach beyond what an optimizer bears.
#[test]
fn divergence_may_be_a_result() {
    let sandbox = Sandbox::new(SMALL);
    let text = "config = \"test.toml\"\n[grid]\n\"optimizer.lr\" = [0.1, 1e30]\n";
    std::fs::write(sandbox.path().join("wild.toml"), text).unwrap();
    let arguments = ["sweep", "wild.toml", "--out", "sweeps", "--quiet"];
    failed(&sandbox.lookahead(&arguments), 1, &["the training diverged"]);
    let allowed = succeeded(sandbox.lookahead(&[&arguments[..], &["--allow-divergence"]].concat()));
    assert!(stderr(&allowed).contains("1 of 2 runs diverged."), "{}", stderr(&allowed));
}
