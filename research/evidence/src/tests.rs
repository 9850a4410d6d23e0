//! Reports of runs whose numbers are known.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::fixture::Made;
use crate::write;

/// A config of the digits; `lookahead` is `None` for the inner optimizer alone.
fn config(rate: f64, momentum: f64, lookahead: Option<Value>, data: Value) -> Value {
    let mut config = json!({
        "data": { "kind": "digits", "batch_size": 32, "label_noise": 0.0 },
        "optimizer": { "kind": "sgd", "lr": rate, "momentum": momentum },
        "train": { "seed": 0 },
    });
    if let Some(lookahead) = lookahead {
        config["lookahead"] = lookahead;
    }
    for (key, value) in data.as_object().unwrap() {
        config["data"][key] = value.clone();
    }
    config
}

fn plain() -> Option<Value> {
    Some(json!({ "k": 5, "alpha": 0.5 }))
}

/// Three seeds of about `accuracy` on test data, each slightly better than the one before.
fn runs(folder: &Path, name: &str, config: &Value, accuracy: f64) {
    for seed in 0..3 {
        let test = accuracy + 0.001 * seed as f64;
        Made::new(config.clone(), seed, test, test).write(folder, &format!("{name}-s{seed}"));
    }
}

fn sweep(root: &Path, name: &str) -> std::path::PathBuf {
    let runs = root.join(name).join("runs");
    std::fs::create_dir_all(&runs).unwrap();
    runs
}

/// Writes a sweep file for the runs in each folder, with three seeds.
fn plan(root: &Path) {
    for sweep in std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(runs) = std::fs::read_dir(sweep.join("runs")) else { continue };
        let names: BTreeSet<String> = runs
            .map(|run| run.unwrap().file_name().into_string().unwrap())
            .map(|name| name.rsplit_once("-s").unwrap().0.to_owned())
            .collect();
        let mut text = "config = \"none.toml\"\nseeds = 3\n".to_owned();
        for (i, name) in names.iter().enumerate() {
            text += &format!("[[variants]]\nname = \"{name}\"\n\"train.epochs\" = {}\n", i + 1);
        }
        std::fs::write(sweep.join("sweep.toml"), text).unwrap();
    }
}

fn report(root: &Path) -> String {
    plan(root);
    let (path, _) = write(root, &root.join("docs"), true).unwrap();
    std::fs::read_to_string(path).unwrap()
}

#[track_caller]
fn has(report: &str, lines: &[&str]) {
    for line in lines {
        assert!(report.contains(line), "no `{line}` in\n{report}");
    }
}

/// At momentum 0.99 the inner optimizer alone diverges, and Lookahead gets 80 %: the mean over both
/// momenta is (90 + 10) / 2 alone, and (90 + 80) / 2 with it.
#[test]
fn momenta_are_compared_at_the_rate_that_is_best_for_the_usual_one() {
    let folder = tempfile::tempdir().unwrap();
    let into = sweep(folder.path(), "digits-momentum");
    for (around, name) in [(None, "alone"), (plain(), "lookahead")] {
        let at = |rate, momentum| config(rate, momentum, around.clone(), json!({}));
        runs(&into, &format!("{name}-a"), &at(0.1, 0.9), 0.9);
        // Better on test data, but not chosen, because validation data decide.
        for seed in 0..3 {
            Made::new(at(1.0, 0.9), seed, 0.5, 0.99).write(&into, &format!("{name}-b-s{seed}"));
        }
        match around {
            Some(_) => runs(&into, "lookahead-c", &at(0.1, 0.99), 0.8),
            None => (0..3).for_each(|seed| {
                Made::diverged(at(0.1, 0.99), seed).write(&into, &format!("alone-c-s{seed}"));
            }),
        }
        runs(&into, &format!("{name}-d"), &at(1.0, 0.99), 0.3);
    }
    let report = report(folder.path());
    has(
        &report,
        &[
            "| 0.9, lr of 0.9 | 90.10 ± 0.10 | 90.10 ± 0.10 |",
            "| 0.99, lr of 0.9 | 10.00 ± 0.00 | 80.10 ± 0.10 | +70.10",
            "| mean over momenta, lr of 0.9 | 50.05 ± 0.05 | 85.10 ± 0.10 | +35.05",
            "| It depends less on the momentum | **held** | 1 better, 0 worse, 1 undecided |",
            "| 24 | 3 |",
        ],
    );
    assert!(folder.path().join("docs/evidence/digits-momentum-momentum.svg").is_file());
}

/// Of four rates in equal ratios the inner optimizer alone is within two points of its best at one, and
/// Lookahead at two; what diverges counts as chance.
#[test]
fn learning_rates_are_compared_around_each_ones_best() {
    let folder = tempfile::tempdir().unwrap();
    let into = sweep(folder.path(), "digits-optimizers");
    for (around, name, best) in [(None, "alone", 0.01), (plain(), "lookahead", 0.1)] {
        for (i, factor) in [0.1, 1.0, 10.0, 100.0].into_iter().enumerate() {
            let config = config(best * factor, 0.9, around.clone(), json!({}));
            let name = format!("{name}-{i}");
            match (i, &around) {
                (2, None) => (0..3).for_each(|seed| {
                    Made::diverged(config.clone(), seed).write(&into, &format!("{name}-s{seed}"));
                }),
                _ => runs(&into, &name, &config, [0.7, 0.9, 0.89, 0.6][i]),
            }
        }
    }
    let report = report(folder.path());
    // (70.1 + 90.1 + 10) / 3 and (70.1 + 90.1 + 89.1) / 3; one decade lies between two rates.
    has(
        &report,
        &[
            "| SGD with momentum | alone | 0.01 | 90.10 ± 0.10 |",
            "| SGD with momentum | Lookahead | 0.1 | 90.10 ± 0.10 |",
            "| SGD with momentum | 56.73 ± 0.07 | 83.10 ± 0.10 | 1.00 ± 0.00 | 2.00 ± 0.00 | +1.00",
            "SGD with momentum: 0.00 [0.00, 0.00] points (undecided)",
        ],
    );
}

/// The synthetic runs gain 0.05 at every sync, and their losses, if they have any, rise within a cycle.
#[test]
fn steadiness_is_reported_for_each_condition() {
    let folder = tempfile::tempdir().unwrap();
    let into = sweep(folder.path(), "mlp-stability");
    for (batch, noise) in [(32, 0.0), (1024, 0.2)] {
        let data = json!({ "batch_size": batch, "label_noise": noise });
        let of = |around| config(0.1, 0.9, around, data.clone());
        runs(&into, &format!("alone-{batch}"), &of(None), 0.8);
        runs(&into, &format!("lookahead-{batch}"), &of(plain()), 0.85);
    }
    let report = report(folder.path());
    has(
        &report,
        &[
            "| 32 | 0 % | SGD with momentum |",
            "| 1024 | 20 % | SGD with momentum |",
            "0.0500 ± 0.0000",
            "| It generalises better if the learning rate stays high to the end | **held** | 2 \
             better,",
            "| It helps with large batches | **held** | 1 better, 0 worse, 0 undecided |",
            "| It helps if gradients are noisy | **held** | 1 better, 0 worse, 0 undecided |",
            "gain, SGD with momentum, batch 32, right labels: +0.0500",
        ],
    );
    let variance = |name: &str, seed: u64| {
        let run = lookahead_study::Summary::read(&into.join(format!("{name}-32-s{seed}"))).unwrap();
        let losses: Vec<f64> = run.losses[20..].iter().map(|&loss| f64::from(loss)).collect();
        let mean = losses.iter().sum::<f64>() / 20.0;
        losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / 19.0
    };
    let ratios = (0..3).map(|seed| variance("lookahead", seed) / variance("alone", seed));
    let ratio = ratios.product::<f64>().cbrt();
    has(&report, &[&format!("SGD with momentum, batch 32, right labels: {ratio:.2} [")]);
}

#[test]
fn periods_and_policies_have_their_tables() {
    let folder = tempfile::tempdir().unwrap();
    let into = sweep(folder.path(), "digits-k-alpha");
    for (alpha, k, accuracy) in [(0.5, 5, 0.91), (0.5, 10, 0.85), (1.0, 5, 0.9), (1.0, 10, 0.9)] {
        let lookahead = Some(json!({ "k": k, "alpha": alpha }));
        runs(
            &into,
            &format!("a{}-k{k}", 10.0 * alpha),
            &config(0.1, 0.9, lookahead, json!({})),
            accuracy,
        );
    }
    let into = sweep(folder.path(), "digits-policies");
    for (policy, accuracy) in [("maintain", 0.9), ("reset", 0.8), ("pullback", 0.95)] {
        let lookahead = json!({ "k": 5, "alpha": 0.5, "momentum_policy": policy });
        runs(&into, policy, &config(0.1, 0.9, Some(lookahead), json!({})), accuracy);
    }
    let report = report(folder.path());
    has(
        &report,
        &[
            "| 0.5 | 5 | 0.1 | 91.10 ± 0.10 | +1.00",
            "| 0.5 | 10 | 0.1 | 85.10 ± 0.10 | −5.00",
            "| It is better than its inner optimizer at many k and α | **mixed** | 1 better, 1 worse, 0 undecided |",
            "| SGD with momentum | reset | 0.1 | 80.10 ± 0.10 | −10.00",
            "SGD with momentum, against pullback: −5.00",
        ],
    );
    assert!(folder.path().join("docs/evidence/digits-k-alpha.svg").is_file());
}

/// Part of a grid is not compared with a whole one.
#[test]
fn an_unfinished_sweep_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let into = sweep(folder.path(), "digits-policies");
    for policy in ["maintain", "reset"] {
        let lookahead = json!({ "k": 5, "alpha": 0.5, "momentum_policy": policy });
        runs(&into, policy, &config(0.1, 0.9, Some(lookahead), json!({})), 0.9);
    }
    let other = sweep(folder.path(), "digits-k-alpha");
    runs(&other, "a", &config(0.1, 0.9, plain(), json!({})), 0.9);
    plan(folder.path());
    std::fs::remove_dir_all(into.join("reset-s1")).unwrap();
    let docs = folder.path().join("docs");
    let message = write(folder.path(), &docs, false).unwrap_err().to_string();
    assert!(message.contains("digits-policies (5 of its 6 runs are finished)"), "{message}");
    assert!(message.contains("mlp-optimizers (its sweep was not run)"), "{message}");
    assert!(!docs.exists());
    let (path, notes) = write(folder.path(), &docs, true).unwrap();
    let report = std::fs::read_to_string(path).unwrap();
    has(&report, &["## digits-policies\n\nLeft out: 5 of its 6 runs are finished."]);
    assert!(!report.contains("| SGD with momentum | reset |"), "{report}");
    assert_eq!(notes.len(), 8);
}

#[test]
fn a_folder_without_sweeps_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let message = write(folder.path(), &folder.path().join("docs"), true).unwrap_err().to_string();
    assert!(message.contains("There is no sweep of the report"), "{message}");
    assert!(!folder.path().join("docs").exists());
}
