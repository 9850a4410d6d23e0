//! `lookahead export --csv` and `--tensorboard`: which runs, which files, and what is refused.

use std::collections::BTreeMap;

use lookahead_run::event::Event;

use crate::common::{SMALL, Sandbox, failed, stderr, succeeded};

/// The rows of a table by their columns.
fn rows(sandbox: &Sandbox, table: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(sandbox.path().join(table)).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

#[test]
fn tables_have_the_numbers_of_the_log() {
    let sandbox = Sandbox::new(SMALL);
    let metrics = "task.metrics=[\"accuracy\", \"macro_f1\"]";
    sandbox.train("run", &["--set", metrics, "--set", "probe.layers=true"]);
    sandbox.train("alone", &["--set", "lookahead=false", "--set", "train.max_steps=4"]);
    let export = ["export", "runs/run", "runs/alone", "--csv", "new/tables"];
    let said = stderr(&succeeded(sandbox.lookahead(&export)));
    assert!(said.contains("new/tables/steps.csv, 18 rows"), "{said}");
    let records = sandbox.records("run");
    let steps = rows(&sandbox, "new/tables/steps.csv");
    assert_eq!(steps.len(), 18);
    assert_eq!((&*steps[13]["run"], &*steps[14]["run"]), ("run", "alone"));
    let taken = records.iter().filter_map(|record| match &record.event {
        Event::Step(step) => Some((record, step)),
        _ => None,
    });
    for (row, (record, step)) in steps.iter().zip(taken) {
        assert_eq!(row["step"], record.step.to_string());
        assert_eq!(row["loss"].parse::<f64>().unwrap().to_bits(), step.loss.to_bits());
        assert_eq!(row["time"].parse::<f64>().unwrap(), record.time);
        assert_eq!((&*row["learning_rate"], row["phase"].parse().unwrap()), ("0.05", step.phase));
    }
    let probes = rows(&sandbox, "new/tables/probes.csv");
    let probed = records.iter().find_map(|record| match &record.event {
        Event::Probe(probe) => Some(probe.slow_loss),
        _ => None,
    });
    assert_eq!(probes[0]["slow_loss"].parse::<f64>().ok(), probed);
    assert_eq!(rows(&sandbox, "new/tables/syncs.csv").len(), probes.len());
    // Each layer has a row.
    let layers = rows(&sandbox, "new/tables/layers.csv");
    let found = |row: &BTreeMap<String, String>| -> (u64, String, f64, f64) {
        let number = |column: &str| row[column].parse().unwrap();
        let step = row["step"].parse().unwrap();
        (step, row["layer"].clone(), number("distance"), number("gradient_norm"))
    };
    let measured = records.iter().filter_map(|record| match &record.event {
        Event::Layers(layers) => Some((record.step, layers)),
        _ => None,
    });
    let expected = measured.flat_map(|(step, layers)| {
        let norms = layers.distance.iter().zip(&layers.gradient_norm);
        let all = layers.names.iter().zip(norms);
        all.map(move |(name, (distance, gradient))| (step, name.clone(), *distance, *gradient))
    });
    assert_eq!(layers.iter().map(found).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    assert!(layers.len() >= 2 * probes.len() - 2, "{} rows", layers.len());
    // Each metric has a column, which is empty if a run did not measure it.
    let evaluations = rows(&sandbox, "new/tables/evaluations.csv");
    let of = |run: &str| evaluations.iter().find(|row| row["run"] == run).unwrap();
    assert!(of("run")["macro_f1"].parse::<f64>().is_ok() && of("alone")["macro_f1"].is_empty());
    assert!(of("alone")["accuracy"].parse::<f64>().is_ok());
    assert!(evaluations.iter().any(|row| row["split"] == "test" && row["weights"] == "slow"));
    let count = |is_one: fn(&Event) -> bool| {
        let records = ["run", "alone"].into_iter().flat_map(|run| sandbox.records(run));
        records.filter(|record| is_one(&record.event)).count()
    };
    assert_eq!(probes.len(), count(|event| matches!(event, Event::Probe(_))));
    assert_eq!(evaluations.len(), count(|event| matches!(event, Event::Evaluation(_))));
    let leftovers = std::fs::read_dir(sandbox.path().join("new/tables")).unwrap().count();
    assert_eq!(leftovers, 6);
}

#[test]
fn sweeps_are_exported_run_by_run() {
    let sandbox = Sandbox::new(SMALL);
    let sweep = "config = \"test.toml\"\nseeds = 2\n[set]\n\"train.max_steps\" = 3\n";
    std::fs::write(sandbox.path().join("two.toml"), sweep).unwrap();
    succeeded(sandbox.lookahead(&["sweep", "two.toml", "--out", "runs", "--jobs", "1"]));
    sandbox.train("one", &["--set", "train.max_steps=3"]);
    let both = ["export", "runs/two", "runs/one"];
    succeeded(sandbox.lookahead(&[&both[..], &["--csv", "tables"]].concat()));
    let steps = rows(&sandbox, "tables/steps.csv");
    let names: std::collections::BTreeSet<&str> = steps.iter().map(|row| &*row["run"]).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.iter().filter(|name| name.starts_with("two/")).count() == 2, "{names:?}");
    succeeded(sandbox.lookahead(&[&both[..], &["--tensorboard", "board"]].concat()));
    for name in names {
        let files = lookahead_run::tensorboard::files(&sandbox.path().join("board").join(name));
        assert_eq!(files.unwrap().len(), 1, "{name}");
    }
}

#[test]
fn mistakes_of_an_export_are_explained() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "train.max_steps=3"]);
    sandbox.train("other", &["--set", "train.max_steps=3"]);
    let export = |more: &[&str]| sandbox.lookahead(&[&["export", "runs/run"], more].concat());
    let needs = "needs `--output FILE`, `--csv DIR` or `--tensorboard DIR`";
    failed(&export(&[]), 2, &[needs]);
    let exclude = ["`--csv`", "`--tensorboard`", "exclude each other. Leave one out."];
    failed(&export(&["--csv", "t", "--tensorboard", "b"]), 2, &exclude);
    let exclude = ["`--from`", "`--csv`", "exclude each other"];
    failed(&export(&["--csv", "t", "--from", "best"]), 2, &exclude);
    let several = ["`--output` takes the model of one run", "runs/other", "`--csv`"];
    failed(&export(&["runs/other", "-o", "m.pt"]), 2, &several);
    failed(&export(&["runs/run", "--csv", "t"]), 2, &["Two of the runs are named run"]);
    std::fs::write(sandbox.path().join("file"), "").unwrap();
    failed(&export(&["--csv", "file"]), 2, &["`--csv` is file, a file", "steps.csv"]);
    failed(&export(&["--tensorboard", "file"]), 2, &["a file. Use the name of a folder"]);
    failed(&export(&["--tensorboard", "runs"]), 2, &["runs/run is the folder of a run"]);
    failed(&export(&["--csv", "runs/run"]), 2, &["runs/run is the folder of a run"]);
    for (option, words) in [("--csv", "steps.csv exists"), ("--tensorboard", "has an event file")] {
        succeeded(export(&[option, "out"]));
        failed(&export(&[option, "out"]), 2, &[words, "`--force` to replace it"]);
        succeeded(export(&[option, "out", "--force"]));
    }
}
