//! Comparisons of runs on disk.

use std::fs;
use std::path::{Path, PathBuf};

use lookahead_run::event::{MetricInfo, Split, Status, Task, TaskInfo};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use super::statistics::{Paired, Verdict};
use super::testing::Made;
use super::*;
use crate::error::{Error, Result};
use crate::summary::Summary;

fn sgd(lr: f64) -> Value {
    json!({"data": {"kind": "digits"}, "model": {"kind": "mlp", "hidden": [8]},
        "optimizer": {"kind": "sgd", "lr": lr, "momentum": 0.9}, "train": {"epochs": 2}})
}

fn lookahead(lr: f64, k: u64) -> Value {
    let mut config = sgd(lr);
    config["lookahead"] = json!({"k": k, "alpha": 0.5});
    config
}

fn adam(lr: f64) -> Value {
    let mut config = sgd(lr);
    config["optimizer"] = json!({"kind": "adam", "lr": lr, "beta1": 0.9});
    config
}

/// A sweep of these runs.
pub(crate) fn sweep(made: &[Made]) -> TempDir {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("sweep.toml"), "").unwrap();
    let runs = folder.path().join("runs");
    fs::create_dir(&runs).unwrap();
    for (index, made) in made.iter().enumerate() {
        made.write(&runs, &format!("run-{index:03}"));
    }
    folder
}

fn verdict(group: &Group) -> Option<Verdict> {
    group.against.as_ref().map(Paired::verdict)
}

fn compared(made: &[Made], options: &Options) -> Result<Comparison> {
    compare(&[sweep(made).path().to_owned()], options)
}

/// SGD alone at two learning rates, one better on validation and one on test data; with Lookahead at two
/// rates, of which the better one diverges once.
fn study() -> Vec<Made> {
    let mut made = Vec::new();
    for seed in 0..4 {
        let luck = f64::from(seed as u32) * 0.01;
        made.push(Made::new(sgd(0.1), seed, 0.80 + luck, 0.78 + luck));
        made.push(Made::new(sgd(0.01), seed, 0.70 + luck, 0.90 + luck));
        made.push(Made::new(lookahead(0.1, 5), seed, 0.85 + luck, 0.82 + 1.5 * luck));
        let wild = if seed == 2 {
            Made::diverged(lookahead(1.0, 5), seed)
        } else {
            Made::new(lookahead(1.0, 5), seed, 0.95, 0.95)
        };
        made.push(wild);
    }
    made
}

#[test]
fn the_best_point_is_chosen_on_validation_and_reported_on_test() {
    let comparison = compared(&study(), &Options::default()).unwrap();
    assert_eq!(comparison.metric.title(), "accuracy in %");
    assert_eq!(comparison.keys, ["lookahead", "optimizer.lr"]);
    assert_eq!(comparison.by, ["lookahead"]);
    let labels: Vec<_> = comparison.groups.iter().map(|group| group.label.as_str()).collect();
    assert_eq!(labels, ["lookahead=false", "lookahead=true"]);
    let points: Vec<_> = comparison.points.iter().map(|point| point.label.as_str()).collect();
    assert_eq!(
        points,
        [
            "lookahead=false optimizer.lr=0.01",
            "lookahead=false optimizer.lr=0.1",
            "lookahead=true optimizer.lr=0.1",
            "lookahead=true optimizer.lr=1",
        ]
    );
    // Of SGD the one that is better on validation data and worse on test data; of Lookahead the one of
    // which all seeds finished.
    let best: Vec<_> = comparison.groups.iter().map(|group| group.best).collect();
    assert_eq!(best, [1, 2]);
    let spread = comparison.points[1].spread().unwrap();
    assert!((spread.mean - 79.5).abs() < 1e-9 && spread.n == 4, "{spread:?}");
    // Differences 4, 4.5, 5, 5.5.
    let against = comparison.groups[1].against.as_ref().unwrap();
    assert!((against.mean - 4.75).abs() < 1e-9 && against.wins == 4);
    assert_eq!(verdict(&comparison.groups[1]), Some(Verdict::Better));
    assert_eq!(verdict(&comparison.groups[0]), None);
    assert_eq!(comparison.failed(), 1);
    assert_eq!(comparison.notes, ["1 of 16 runs diverged: run-011."]);
}

#[test]
fn tables_have_all_numbers() {
    let comparison = compared(&study(), &Options::default()).unwrap();
    let wanted = "\
test accuracy in %: mean ± standard deviation over seeds
group            chosen            seeds   mean ± sd  highest  failed  difference  95 % interval  won/tied/lost  verdict
─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
lookahead=false  optimizer.lr=0.1      4  79.5 ± 1.3     81.0  –                –              –              –  baseline
lookahead=true   optimizer.lr=0.1      4  84.2 ± 1.9     86.5  –             +4.8   [+3.7, +5.8]          4/0/0  better
";
    assert_eq!(comparison.group_table().to_terminal(200), wanted);
    let wanted = "\
**All points: accuracy in %, mean ± standard deviation over seeds**

| point | runs | failed | validation accuracy | test accuracy | chosen |
| :-- | --: | :-- | --: | --: | :-- |
| lookahead=false optimizer.lr=0.01 | 4 | – | 71.5 ± 1.3 | 91.5 ± 1.3 |  |
| lookahead=false optimizer.lr=0.1 | 4 | – | 81.5 ± 1.3 | 79.5 ± 1.3 | best of its group |
| lookahead=true optimizer.lr=0.1 | 4 | – | 86.5 ± 1.3 | 84.2 ± 1.9 | best of its group |
| lookahead=true optimizer.lr=1 | 4 | 1 of 4 diverged | 95.0 ± 0.0 | 95.0 ± 0.0 |  |
";
    assert_eq!(comparison.point_table().to_markdown(), wanted);
    for width in [1, 60, 90, 200] {
        let text = comparison.to_terminal(width);
        assert!(width < 60 || text.lines().all(|line| line.chars().count() <= width), "{text}");
        assert!(width < 60 || text.contains("run-011"), "{text}");
    }
    let csv = comparison.to_csv();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    let cell = |row: usize, name: &str| {
        rows[row][rows[0].iter().position(|column| *column == name).unwrap()]
    };
    assert_eq!(
        [cell(1, "mean"), cell(2, "mean"), cell(2, "difference")],
        ["79.5", "84.25", "4.75"]
    );
    assert_eq!([cell(1, "baseline"), cell(1, "low"), cell(2, "verdict")], ["true", "", "better"]);
    let runs = comparison.runs_to_csv();
    assert_eq!(runs.lines().count(), 17);
    assert!(runs.contains(",2,diverged,20,"), "{runs}");

    // The same as JSON: numbers are numbers, and what is missing is null.
    let json = comparison.to_json().unwrap();
    assert!(json.find("\"best_point\"") < json.find("\"mean\""), "the order of columns");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["metric"], "accuracy");
    assert_eq!(json["grouped_by"], serde_json::json!(["lookahead"]));
    let [baseline, lookahead] = &json["groups"].as_array().unwrap()[..] else { panic!("{json}") };
    assert_eq!((&baseline["mean"], &lookahead["difference"]), (&79.5.into(), &4.75.into()));
    assert_eq!((&baseline["baseline"], &baseline["verdict"]), (&true.into(), &().into()));
    let json_runs = json["runs"].as_array().unwrap();
    assert_eq!(json_runs.len(), 16);
    assert_eq!(json_runs[0]["optimizer.lr"], 0.01);
    let columns: Vec<&str> = runs.lines().next().unwrap().split(',').collect();
    assert!(columns.iter().all(|column| json_runs[0].get(column).is_some()), "{columns:?}");
}

#[test]
fn the_user_chooses_groups_and_baseline() {
    let by = |keys: &[&str]| keys.iter().map(|key| key.to_string()).collect::<Vec<_>>();
    let options = Options { by: by(&["optimizer.lr"]), ..Options::default() };
    let comparison = compared(&study(), &options).unwrap();
    let labels: Vec<_> = comparison.groups.iter().map(|group| group.label.as_str()).collect();
    assert_eq!(labels, ["optimizer.lr=0.01", "optimizer.lr=0.1", "optimizer.lr=1"]);
    let baseline = Some("lookahead=true".to_owned());
    let comparison = compared(&study(), &Options { baseline, ..Options::default() }).unwrap();
    assert_eq!(comparison.baseline, 1);
    assert_eq!(verdict(&comparison.groups[0]), Some(Verdict::Worse));
    let options = Options { baseline: Some("adam".into()), ..Options::default() };
    let error = compared(&study(), &options).unwrap_err().to_string();
    assert!(error.contains("`adam` names 0 of") && error.contains("`lookahead=true`"), "{error}");
    let options = Options { by: by(&["optimizer.rate"]), ..Options::default() };
    let error = compared(&study(), &options).unwrap_err().to_string();
    assert!(error.contains("`optimizer.rate`") && error.contains("`optimizer.lr`"), "{error}");
}

#[test]
fn the_first_run_that_is_named_is_the_baseline() {
    let folder = tempdir().unwrap();
    let paths: Vec<PathBuf> = [lookahead(0.1, 10), sgd(0.1), adam(0.1)]
        .into_iter()
        .enumerate()
        .map(|(index, config)| {
            Made::new(config, 0, 0.5, 0.5).write(folder.path(), &format!("run-{index}"))
        })
        .collect();
    let comparison = compare(&paths, &Options::default()).unwrap();
    let base = &comparison.groups[comparison.baseline];
    assert_eq!(base.label, "lookahead=true optimizer.kind=sgd");
    // The same folder twice is one run, and one seed decides nothing.
    let twice = [&paths[..], &paths[..]].concat();
    assert_eq!(compare(&twice, &Options::default()).unwrap().runs.len(), 3);
    let verdicts: Vec<_> = comparison.groups.iter().map(verdict).collect();
    assert_eq!(verdicts.iter().flatten().count(), 2);
    assert!(verdicts.into_iter().flatten().all(|verdict| verdict == Verdict::Undecided));
    comparison.to_terminal(80);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let message = |paths: &[PathBuf]| compare(paths, &Options::default()).unwrap_err().to_string();
    assert!(message(&[]).contains("no folder was given"));
    let nowhere = Path::new("/nowhere/at/all");
    assert!(message(&[nowhere.to_owned()]).contains("`/nowhere/at/all` is neither"));
    let empty = sweep(&[]);
    assert!(message(&[empty.path().to_owned()]).contains("no run has started in"));
    let mut other = sgd(0.1);
    other["data"]["kind"] = json!("fashion-mnist");
    let mixed = [Made::new(sgd(0.1), 0, 0.5, 0.5), Made::new(other, 0, 0.5, 0.5)];
    let error = compared(&mixed, &Options::default()).unwrap_err();
    assert!(matches!(error, Error::Compare(CompareError::MixedData(_))));
    assert!(error.to_string().contains("`digits` (1 run), `fashion-mnist` (1 run)"));
    let options = Options { mixed_data: true, ..Options::default() };
    assert_eq!(compared(&mixed, &options).unwrap().groups.len(), 2);
}

#[test]
fn runs_without_numbers_are_counted_and_not_left_out() {
    let whole = Made::new(sgd(0.1), 0, 0.5, 0.5);
    let made = [
        whole.clone(),
        Made { accuracy: None, seed: 1, ..whole.clone() },
        Made { ended: None, seed: 2, steps: 7, ..whole.clone() },
        Made { ended: Some((Status::Failed, Some("No space."))), seed: 3, ..whole },
        Made::diverged(sgd(0.1), 4),
    ];
    let comparison = compared(&made, &Options::default()).unwrap();
    let outcomes: Vec<_> = comparison.runs.iter().map(|run| run.outcome).collect();
    let wanted = [Outcome::Finished, Outcome::Unevaluated, Outcome::Unfinished, Outcome::Failed];
    assert_eq!(outcomes, [&wanted[..], &[Outcome::Diverged]].concat());
    let text = comparison.to_terminal(120);
    assert!(text.contains("1 of 5 diverged, 1 failed, 1 unfinished, 1 not evaluated"), "{text}");
    for (run, words) in
        [(1, "is not evaluated"), (2, "is unfinished"), (3, "failed"), (4, "diverged")]
    {
        assert!(text.contains(&format!("1 of 5 runs {words}: run-00{run}.")), "{text}");
    }
    let error = compared(&made[1..], &Options::default()).unwrap_err().to_string();
    assert!(error.contains("None of the runs (4) has a final accuracy"), "{error}");
    assert!(error.contains("1 of 4 diverged"), "{error}");
    // In a running sweep, a run that has not started is reported and not an error.
    let folder = sweep(&made);
    fs::create_dir(folder.path().join("runs/later")).unwrap();
    let comparison = compare(&[folder.path().to_owned()], &Options::default()).unwrap();
    assert!(comparison.notes[0].starts_with("1 run of the sweep could not be read"));
    assert!(comparison.notes[0].contains("later"), "{:?}", comparison.notes);
}

#[test]
fn a_task_without_classes_is_compared_by_loss() {
    let made: Vec<Made> =
        (0..3).map(|seed| Made::new(sgd(0.1), seed, f64::NAN, f64::NAN)).collect();
    let comparison = compared(&made, &Options::default()).unwrap();
    assert_eq!(comparison.metric.title(), "loss");
    assert_eq!(comparison.points[0].spread().unwrap().mean, 0.5);
    let options = Options { metric: Some("perplexity".into()), ..Options::default() };
    let error = compared(&made, &options).unwrap_err().to_string();
    assert!(error.contains("Compare by one of: `accuracy`, `loss`"), "{error}");
    let options = Options { metric: Some("accuracy".into()), ..Options::default() };
    let error = compared(&made, &options).unwrap_err().to_string();
    assert!(error.contains("use `--metric loss`"), "{error}");
}

/// By the first one, or by any other, in its direction; not by one that only some runs have.
#[test]
fn runs_are_compared_by_their_own_metrics() {
    let named = |name: &str, higher_is_better, percent| MetricInfo {
        name: name.to_owned(),
        higher_is_better,
        percent,
    };
    let all = [named("mae", false, false), named("macro_f1", true, true)];
    let comparison = compared(&study(), &Options::default()).unwrap();
    let mut summaries: Vec<Summary> = comparison.runs.into_iter().map(|run| run.summary).collect();
    for run in &mut summaries {
        run.info.task = TaskInfo::new(Task::Regression, all.to_vec());
        for (_, found) in &mut run.evaluations {
            let values =
                [("mae".to_owned(), 10.0 * found.loss), ("macro_f1".to_owned(), found.accuracy)];
            found.metrics = values.into();
            found.accuracy = f64::NAN;
        }
    }
    let of = |summaries: &[Summary], metric: Option<&str>| {
        let options = Options { metric: metric.map(str::to_owned), ..Options::default() };
        of_summaries(summaries.to_vec(), &options, false)
    };
    let by_default = of(&summaries, None).unwrap();
    assert_eq!(by_default.metric.title(), "mae");
    let by_f1 = of(&summaries, Some("macro_f1")).unwrap();
    assert_eq!(by_f1.metric.title(), "macro F1 in %");
    let mean =
        |comparison: &Comparison| comparison.best_of(&comparison.groups[0]).spread().unwrap().mean;
    // Both find the point whose validation accuracy is best.
    assert!((mean(&by_f1) - 79.5).abs() < 1e-9 && (mean(&by_default) - 2.05).abs() < 1e-9);
    assert!(by_f1.runs_to_csv().contains("reported_test_macro_f1"));
    summaries[0].info.task.metrics.pop();
    let error = of(&summaries, Some("macro_f1")).unwrap_err().to_string();
    assert!(error.contains("`macro_f1`") && error.contains("`mae`, `loss`"), "{error}");
}

#[test]
fn texts_are_compared_by_perplexity_and_distinguished_by_their_files() {
    let text = |file: &str| {
        let mut config = sgd(0.1);
        config["data"] = serde_json::json!({ "kind": "text", "file": file });
        config
    };
    let made: Vec<Made> = (0..3).map(|seed| Made::new(text("a.txt"), seed, 0.5, 0.5)).collect();
    let comparison = compared(&made, &Options::default()).unwrap();
    assert_eq!(comparison.metric.title(), "perplexity");
    // e^0.5
    assert!((comparison.points[0].spread().unwrap().mean - 1.648_721_270_7).abs() < 1e-9);
    let other = [made, vec![Made::new(text("b.txt"), 0, 0.5, 0.5)]].concat();
    let error = compared(&other, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("`text` a.txt (3 runs), `text` b.txt (1 run)"), "{error}");
    assert!(error.contains("--mixed-data"), "{error}");
}

#[test]
fn without_test_data_validation_takes_their_place() {
    let options = Options { split: Split::Validation, ..Options::default() };
    let comparison = compared(&study(), &options).unwrap();
    assert!((comparison.points[1].spread().unwrap().mean - 81.5).abs() < 1e-9);
    let mut summaries: Vec<Summary> = comparison.runs.into_iter().map(|run| run.summary).collect();
    for run in &mut summaries {
        run.evaluations.retain(|(_, found)| found.split == Split::Validation);
    }
    let comparison = of_summaries(summaries, &Options::default(), false).unwrap();
    assert_eq!(comparison.split, Split::Validation);
    assert!(comparison.notes[0].starts_with("No run was evaluated on test data"));
}

#[test]
fn a_seed_that_ran_twice_counts_once() {
    let made = [
        Made::new(sgd(0.1), 0, 0.5, 0.4),
        Made::new(sgd(0.1), 0, 0.5, 0.6),
        Made::new(sgd(0.1), 1, 0.5, 0.7),
    ];
    let comparison = compared(&made, &Options::default()).unwrap();
    let spread = comparison.points[0].spread().unwrap();
    assert!((spread.mean - 60.0).abs() < 1e-9 && spread.n == 2, "{spread:?}");
    assert!(comparison.notes[0].contains("more than once"), "{:?}", comparison.notes);
}
