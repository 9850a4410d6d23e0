//! Runs and sweeps side by side, by the real program.

use std::path::{Path, PathBuf};

use lookahead_run::event::{Split, Weights};
use lookahead_study::Summary;

use crate::common::{SMALL, Sandbox, failed, stderr, succeeded};

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

/// Runs a sweep into `sweeps/NAME`.
fn sweep(sandbox: &Sandbox, name: &str, text: &str) -> PathBuf {
    let file = format!("{name}.toml");
    std::fs::write(sandbox.path().join(&file), text).unwrap();
    succeeded(sandbox.lookahead(&["sweep", &file, "--out", "sweeps", "--quiet"]));
    sandbox.path().join("sweeps").join(name)
}

#[test]
fn compare_has_a_table_a_file_and_a_picture_of_the_runs() {
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

    let json = succeeded(sandbox.lookahead(&["compare", "sweeps/digits", "--json"])).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["runs"].as_array().unwrap().len(), 12);
    let means = json["groups"].as_array().unwrap().iter().map(|group| group["mean"].as_f64());
    assert!(means.flatten().any(|found| (found - mean).abs() < 1e-9), "{json}");

    let again = sandbox.lookahead(&arguments);
    failed(&again, 2, &["groups.csv exists", "--force"]);
    succeeded(sandbox.lookahead(&[&arguments[..], &["--force"]].concat()));
    let missing = sandbox.lookahead(&["compare", "sweeps/none"]);
    failed(&missing, 2, &["sweeps/none", "There is no run"]);
    let key = sandbox.lookahead(&["compare", "sweeps/digits", "--by", "optimizer.lrr"]);
    failed(&key, 2, &["optimizer.lrr", "optimizer.lr"]);
}

/// A grid may contain learning rates that diverge.
#[test]
fn a_diverged_run_can_be_a_result() {
    let sandbox = Sandbox::new(SMALL);
    let text = "config = \"test.toml\"\n[grid]\n\"optimizer.lr\" = [0.1, 1e30]\n";
    std::fs::write(sandbox.path().join("wild.toml"), text).unwrap();
    let arguments = ["sweep", "wild.toml", "--out", "sweeps", "--quiet"];
    failed(&sandbox.lookahead(&arguments), 1, &["the training diverged"]);
    let allowed = succeeded(sandbox.lookahead(&[&arguments[..], &["--allow-divergence"]].concat()));
    assert!(stderr(&allowed).contains("1 of 2 runs diverged."), "{}", stderr(&allowed));
}

#[test]
fn a_run_that_is_named_twice_counts_once_and_a_note_says_so() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("one", &[]);
    let once = succeeded(sandbox.lookahead(&["compare", "runs/one"]));
    let twice = succeeded(sandbox.lookahead(&["compare", "runs/one", "runs/../runs/one"]));
    assert_eq!(stderr(&once), "");
    assert_eq!(stderr(&twice), "Note: runs/../runs/one is there twice, and counts once.\n");
    assert_eq!(once.stdout, twice.stdout);
}
