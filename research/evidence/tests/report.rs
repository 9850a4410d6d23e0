//! Runs of the real program against theory, and the report on them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lookahead_evidence::quadratics::{
    PART, STANDARD_ERRORS, deterministic_model, late_rate, late_risk, noisy_model,
};
use lookahead_evidence::theory;
use lookahead_run::event::{Split, Weights};
use lookahead_study::Summary;
use lookahead_study::compare::statistics::Spread;
use lookahead_study::compare::{Comparison, Options, compare};
use tempfile::TempDir;

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

/// A temporary folder with a config in it.
struct Sandbox(TempDir);

impl Sandbox {
    fn new(config: &str) -> Sandbox {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("test.toml"), config).unwrap();
        Sandbox(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> Output {
        Command::new(program).args(arguments).current_dir(self.path()).output().unwrap()
    }

    /// Runs a sweep into `sweeps/NAME`.
    fn sweep(&self, name: &str, text: &str) -> PathBuf {
        let file = format!("{name}.toml");
        std::fs::write(self.path().join(&file), text).unwrap();
        let arguments = ["sweep", &file, "--out", "sweeps", "--quiet"];
        let output = self.run(&trainer(), &arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        self.path().join("sweeps").join(name)
    }

    fn report(&self, arguments: &[&str]) -> Output {
        self.run(Path::new(env!("CARGO_BIN_EXE_lookahead-evidence")), arguments)
    }
}

/// The trainer, which is built beside this package's program.
fn trainer() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_lookahead-evidence")).with_file_name("lookahead");
    assert!(program.is_file(), "build the trainer first: cargo build --release");
    program
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn refused(output: &Output, words: &[&str]) {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(words.iter().all(|word| message.contains(word)), "{message}");
}

fn compared(folder: &Path) -> Comparison {
    compare(&[folder.to_owned()], &Options::default()).unwrap()
}

/// If runs and theory are as far apart as chance allows, a mistake in either is not hidden by a wide
/// bound: a learning rate that is off by a tenth is noticed.
#[test]
fn the_noise_of_sgd_and_lookahead_is_what_theory_says() {
    let sandbox = Sandbox::new(PLAIN);
    let comparison = compared(&sandbox.sweep("noisy", NOISY));
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
    let comparison = compared(&sandbox.sweep("valley", VALLEY));
    assert_eq!(comparison.points.len(), 4);
    for point in &comparison.points {
        let (momentum, curvatures) = deterministic_model(&point.settings).unwrap();
        let run = comparison.finished(point).next().unwrap();
        let (measured, expected) = late_rate(&run.summary, momentum, &curvatures).unwrap();
        let apart = (measured / expected - 1.0).abs();
        assert!(apart < PART, "{}: {measured} for {expected}", point.label);
        let other = theory::Momentum { momentum: 0.85, ..momentum };
        let (_, wrong) = late_rate(&run.summary, other, &curvatures).unwrap();
        assert!((measured / wrong - 1.0).abs() > PART, "{}: any theory fits", point.label);
    }
}

/// A small net on the digits.
const SMALL: &str = r#"
[data]
kind = "digits"
batch_size = 300
validation = 341

[model]
kind = "mlp"
hidden = [16]
dropout = 0.3
batch_norm = true

[optimizer]
kind = "sgd"
lr = 0.05

[lookahead]
k = 3
alpha = 0.5

[train]
max_steps = 14
threads = 1

[probe]
every_syncs = 1

[checkpoint]
every_steps = 1
keep = 100
"#;

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

/// The report's numbers are those of the logs, and chapters without a sweep are named.
#[test]
fn a_report_holds_what_runs_came_to() {
    let sandbox = Sandbox::new(SMALL);
    let folder = sandbox.sweep("digits-optimizers", DIGITS);
    let incomplete = sandbox.report(&["sweeps", "--output", "docs"]);
    refused(&incomplete, &["mlp-optimizers", "--partial", "just reproduce"]);
    let partial = sandbox.report(&["sweeps", "--output", "docs", "--partial"]);
    let notes = stderr(&partial);
    assert!(partial.status.success(), "{notes}");
    assert!(notes.contains("mlp-optimizers is left out: its sweep was not run."), "{notes}");
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
    let nothing = sandbox.report(&["docs", "--partial"]);
    refused(&nothing, &["There is no sweep of the report in `docs`", "just reproduce"]);
}
