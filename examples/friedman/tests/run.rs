//! The example as its users run it: its binary, with the whole command line of `lookahead`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("friedman.toml")
}

fn output(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_friedman"));
    let output = command.current_dir(folder).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    output
}

/// A number in a line of JSON.
fn number(json: &str, key: &str) -> f64 {
    let (_, rest) =
        json.split_once(&format!("\"{key}\":")).unwrap_or_else(|| panic!("{key}: {json}"));
    rest.split([',', '}']).next().unwrap().parse().unwrap()
}

#[test]
fn the_function_is_learned_with_an_optimizer_a_metric_and_a_hook_of_the_programs_own() {
    let folder = TempDir::new().unwrap();
    let (path, config) = (folder.path(), config());
    let mut arguments = vec!["train", config.to_str().unwrap(), "--no-tui", "--quiet"];
    // With a cosine, a run of fewer steps would take others.
    for set in
        ["train.threads=1", "schedule.kind=constant", "optimizer.kind=sign", "optimizer.lr=0.001"]
    {
        arguments.extend(["--set", set]);
    }
    // The run stops inside a cycle, and is resumed: optimizer and hook continue.
    output(path, &[&arguments[..], &["--name", "run", "--set", "train.max_steps=402"]].concat());
    let more =
        ["resume", "checkpoints/run", "--no-tui", "--quiet", "--set", "train.max_steps=1800"];
    output(path, &more);
    output(path, &[&arguments[..], &["--name", "whole", "--set", "train.max_steps=1800"]].concat());
    let weights = |run: &str| {
        let file = format!("checkpoints/{run}/step-00001800/model.safetensors");
        std::fs::read(path.join(file)).unwrap()
    };
    assert!(weights("run") == weights("whole"), "the resumed run has other weights");

    let log = |run: &str| {
        std::fs::read_to_string(path.join("checkpoints").join(run).join("events.jsonl"))
    };
    let clipped = |log: &str| {
        let line =
            log.lines().rfind(|line| line.contains("steps were clipped")).unwrap().to_owned();
        let (_, rest) = line.split_once("The gradients of ").unwrap();
        rest.split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let (resumed, whole) = (log("run").unwrap(), log("whole").unwrap());
    assert!(clipped(&resumed) > 0);
    assert_eq!(clipped(&resumed), clipped(&whole));
    assert!(whole.contains("\"within_1\""), "{whole}");

    let report = String::from_utf8(output(path, &["eval", "checkpoints/whole", "--json"]).stdout);
    let report = report.unwrap();
    // The function's variance is 23.8.
    assert!(number(&report, "mse") < 1.0 && number(&report, "r2") > 0.95, "{report}");
    assert!(number(&report, "within_1") > 0.7, "{report}");
}
