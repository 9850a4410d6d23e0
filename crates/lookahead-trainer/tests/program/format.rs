//! Checkpoints of the first version of the format, which every later version must read.

use crate::common::{SMALL, Sandbox, copy_folder, failed, root, stderr, succeeded};
use lookahead_run::event::{Event, Record, Split, Weights};

const GOLDEN: &str = "crates/lookahead-trainer/tests/golden/format-1";

/// A run of nine steps, with its checkpoint after the fourth, in the second cycle of three.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(SMALL);
    copy_folder(&root().join(GOLDEN), &sandbox.run_folder("v1"));
    sandbox
}

/// Step, loss and its tolerance on another machine, of each step and each evaluation. That of θ on
/// test data was taken after the last sync by versions that saved these, where θ is φ, and is taken before
/// it now.
///
/// Steps agree but for the last bits. Evaluations don't: batch normalization takes the bias before it out
/// again, so its gradient is nothing but rounding, of which Adam makes steps of full length; they reach the
/// running mean, which only evaluations use. With other kernels on one and the same machine evaluations
/// differed by 0.00035 of the loss, and steps by 0.0000002.
fn losses(records: &[Record]) -> Vec<(u64, f64, f64)> {
    let losses = records.iter().filter_map(|record| match &record.event {
        Event::Step(step) => Some((record.step, step.loss, 1e-5)),
        Event::Evaluation(found)
            if (found.split, found.weights) == (Split::Test, Weights::Fast) =>
        {
            None
        }
        Event::Evaluation(found) => Some((record.step, found.loss, 1e-3)),
        _ => None,
    });
    losses.collect()
}

#[track_caller]
fn agree(before: &[(u64, f64, f64)], after: &[(u64, f64, f64)]) {
    assert_eq!(before.len(), after.len());
    for ((step, old, near), (step_now, new, _)) in before.iter().zip(after) {
        assert_eq!(step, step_now);
        assert!((old - new).abs() < near * old.abs(), "step {step}: {old} then and {new} now");
    }
}

/// It continues as on the machine that saved it, up to the last bits, which depend on the machine.
#[test]
fn the_first_format_is_resumed() {
    let sandbox = sandbox();
    let before = losses(&sandbox.records("v1"));
    let said = stderr(&sandbox.resume("v1", &["--from", "4"]));
    assert!(said.contains("Resuming from step-00000004"), "{said}");
    let after = losses(&sandbox.records("v1"));
    assert!(before.iter().filter(|(step, ..)| *step > 4).count() >= 7);
    agree(&before, &after);
}

#[test]
fn the_first_format_is_inspected_and_exported() {
    let sandbox = sandbox();
    let inspect = ["inspect", "runs/v1/step-00000004", "--json"];
    let output = succeeded(sandbox.lookahead(&inspect));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["manifest"]["format"], 1);
    assert_eq!(found["manifest"]["phase"], 1);
    assert_eq!(found["manifest"]["config"]["optimizer"]["kind"], "adam");
    assert!(found["manifest"]["metrics"]["validation/accuracy"].is_f64());
    succeeded(sandbox.lookahead(&["export", "runs/v1", "-o", "model.safetensors"]));

    // The loss of φ when it was saved.
    let records = sandbox.records("v1");
    let then = records.iter().find_map(|record| match &record.event {
        Event::Evaluation(e)
            if record.step == 4 && e.split == Split::Validation && e.weights == Weights::Slow =>
        {
            Some(e.loss)
        }
        _ => None,
    });
    assert!(then.unwrap().is_finite());
    let train = ["--init-from", "model.safetensors", "--set", "model.hidden=[4]"];
    let still = ["--set", "optimizer.lr=0", "--set", "train.max_steps=1"];
    sandbox.train("begun", &[&train[..], &still].concat());
}

/// Checkpoints before they had config, metrics, time and git revision.
#[test]
fn newer_fields_may_be_absent() {
    let sandbox = sandbox();
    let path = sandbox.run_folder("v1").join("step-00000004/manifest.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let fields = manifest.as_object_mut().unwrap();
    for key in ["config", "metrics", "wall_seconds", "git"] {
        fields.remove(key);
    }
    fields["integers"].as_object_mut().unwrap().retain(|key, _| !key.starts_with("train/"));
    fields["numbers"].as_object_mut().unwrap().retain(|key, _| !key.starts_with("train/"));
    // Sealed as the documentation of the manifest says.
    let zeros = "0".repeat(64);
    fields.insert("sha256".to_owned(), zeros.clone().into());
    let unsealed = serde_json::to_string_pretty(&manifest).unwrap() + "\n";
    let seal = lookahead_run::checkpoint::sha256_of(unsealed.as_bytes());
    std::fs::write(&path, unsealed.replace(&zeros, &seal)).unwrap();

    let before = losses(&sandbox.records("v1"));
    sandbox.resume("v1", &["--from", "4"]);
    agree(&before, &losses(&sandbox.records("v1")));
}

/// It does not describe the model's inputs, which export and predict report; a run resumed from it does.
#[test]
fn the_missing_signature_is_reported() {
    let sandbox = sandbox();
    let export = |file: &str| sandbox.lookahead(&["export", "runs/v1", "-o", file]);
    let said = stderr(&succeeded(export("old.safetensors")));
    assert!(said.contains("Note: an earlier version saved step-"), "{said}");
    std::fs::write(sandbox.path().join("a.csv"), ["3"; 64].join(",")).unwrap();
    let predict = || sandbox.lookahead(&["predict", "runs/v1", "a.csv"]);
    failed(&predict(), 2, &["An earlier version saved step-00000004", "Resume the run"]);
    sandbox.resume("v1", &["--from", "4"]);
    succeeded(predict());
    let said = stderr(&succeeded(export("new.safetensors")));
    assert!(!said.contains("Note:"), "{said}");
}
