//! Averages of the weights as the final model: `[averaging]`.

use std::collections::BTreeMap;

use crate::common::{SMALL, Sandbox, copy_folder, sets};
use crate::tasks::{eval, evaluation};
use lookahead_run::event::{Split, Weights};
use lookahead_trainer::tensor_file::read;

/// The trainable tensors of θ in a checkpoint.
fn theta(sandbox: &Sandbox, run: &str, step: u64) -> BTreeMap<String, Vec<f64>> {
    weights(sandbox, run, &format!("step-{step:08}/training.safetensors"), "fast/")
}

/// The trainable tensors in a file whose names begin with `prefix`, without it.
fn weights(sandbox: &Sandbox, run: &str, file: &str, prefix: &str) -> BTreeMap<String, Vec<f64>> {
    let path = sandbox.run_folder(run).join(file);
    let all = read(&path).unwrap().into_iter().filter_map(|(name, tensor)| {
        let name = name.strip_prefix(prefix)?.to_owned();
        let numbers = tensor.to_kind(tch::Kind::Double).reshape([-1]);
        (!name.contains("running")).then(|| (name, Vec::try_from(numbers).unwrap()))
    });
    all.collect()
}

/// A mean of θ resumes bit for bit, is saved as the model, and is evaluated.
#[test]
fn means_of_theta() {
    let sandbox = Sandbox::new(SMALL);
    for (run, keys) in [
        ("polyak", &["averaging.kind=polyak", "averaging.start_step=4"][..]),
        ("ema", &["averaging.kind=ema", "averaging.decay=0.75"]),
    ] {
        sandbox.train(run, &sets(&[&["lookahead=false"][..], keys].concat()));
        let whole = sandbox.losses(run);
        for step in 1..=6 {
            let resumed = format!("{run}-from-{step}");
            copy_folder(&sandbox.run_folder(run), &sandbox.run_folder(&resumed));
            sandbox.resume(&resumed, &["--from", &step.to_string()]);
            assert_eq!(sandbox.losses(&resumed), whole, "{resumed}");
            assert!(sandbox.tensors(&resumed, 14) == sandbox.tensors(run, 14), "{resumed}");
            for split in [Split::Validation, Split::Test] {
                let of = |run: &str| evaluation(&sandbox, run, Weights::Average, split).loss;
                assert_eq!(of(&resumed), of(run), "{resumed}");
            }
        }

        let mut expected = theta(&sandbox, run, 14);
        for (name, mean) in &mut expected {
            let values = |step| theta(&sandbox, run, step).remove(name).unwrap();
            match run {
                "polyak" => {
                    mean.fill(0.0);
                    for step in 5..=14 {
                        mean.iter_mut().zip(values(step)).for_each(|(m, x)| *m += x / 10.0);
                    }
                }
                _ => {
                    *mean = values(1);
                    for step in 2..=14 {
                        mean.iter_mut().zip(values(step)).for_each(|(m, x)| *m += (x - *m) * 0.25);
                    }
                }
            }
        }
        let file = sandbox.run_folder(run).join("step-00000014/model.safetensors");
        let saved = read(&file).unwrap();
        for (name, mean) in expected {
            let numbers = saved[&name].to_kind(tch::Kind::Double).reshape([-1]);
            let numbers = Vec::<f64>::try_from(numbers).unwrap();
            let apart = numbers.iter().zip(&mean).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart < 1e-6, "{run}: {name} is {apart} from the mean");
        }
        let report = eval(&sandbox, run);
        let recorded = evaluation(&sandbox, run, Weights::Average, Split::Test);
        assert_eq!(
            (&report["weights"], &report["loss"]),
            (&"average".into(), &recorded.loss.into())
        );
        assert_ne!(recorded.loss, evaluation(&sandbox, run, Weights::Fast, Split::Test).loss);
    }
}

/// An average that takes part in the training resumes bit for bit, is saved as the model, and is evaluated, which
/// changes no loss.
#[test]
fn averages_in_the_training() {
    let sandbox = Sandbox::new(SMALL);
    for (run, part, keys) in [
        ("primal", "average", &["averaging.kind=primal", "averaging.mu_x=0.9"][..]),
        ("schedule_free", "average", &["averaging.kind=schedule_free"]),
        ("ema_nesterov", "iterate", &["averaging.kind=ema_nesterov", "averaging.start_step=3"]),
    ] {
        sandbox.train(run, &sets(&[&["lookahead=false"][..], keys].concat()));
        let whole = sandbox.losses(run);
        for step in [1, 4, 6] {
            let resumed = format!("{run}-from-{step}");
            copy_folder(&sandbox.run_folder(run), &sandbox.run_folder(&resumed));
            sandbox.resume(&resumed, &["--from", &step.to_string()]);
            assert_eq!(sandbox.losses(&resumed), whole, "{resumed}");
            assert!(sandbox.tensors(&resumed, 14) == sandbox.tensors(run, 14), "{resumed}");
        }
        let folder = sandbox.run_folder(run).join("step-00000014");
        let model = read(&folder.join("model.safetensors")).unwrap();
        let training = read(&folder.join("training.safetensors")).unwrap();
        let results: Vec<_> = training
            .iter()
            .filter_map(|(key, tensor)| {
                Some((key.strip_prefix(&format!("optimizer/{part}/"))?, tensor))
            })
            .collect();
        assert!(!results.is_empty());
        for (name, result) in results {
            assert!(model[name] == *result, "{run}: `{name}` of the model is not the result");
        }
        let report = eval(&sandbox, run);
        let recorded = evaluation(&sandbox, run, Weights::Average, Split::Test);
        let expected = (&"average".into(), &recorded.loss.into());
        assert_eq!((&report["weights"], &report["loss"]), expected, "{run}");
        assert_ne!(recorded.loss, evaluation(&sandbox, run, Weights::Fast, Split::Test).loss);

        let quiet = format!("{run}-quiet");
        let never = [&["lookahead=false", "train.evaluate_every_epochs=0"][..], keys].concat();
        sandbox.train(&quiet, &sets(&never));
        assert_eq!(sandbox.losses(&quiet), whole, "{run} without evaluations");
    }
}

/// Beside Lookahead an average changes no loss, resumes bit for bit in mid-cycle and at a sync, and is the final model.
#[test]
fn means_beside_lookahead() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("plain", &[]);
    for (run, keys) in [
        ("fast", &["averaging.kind=ema", "averaging.of=fast", "averaging.decay=0.75"][..]),
        ("slow", &["averaging.kind=polyak", "averaging.start_step=4"]),
    ] {
        sandbox.train(run, &sets(keys));
        assert_eq!(sandbox.losses(run), sandbox.losses("plain"), "{run}");
        for step in [2, 3] {
            let resumed = format!("{run}-from-{step}");
            copy_folder(&sandbox.run_folder(run), &sandbox.run_folder(&resumed));
            sandbox.resume(&resumed, &["--from", &step.to_string()]);
            assert_eq!(sandbox.losses(&resumed), sandbox.losses(run), "{resumed}");
            for file in ["step-00000014/training.safetensors", "step-00000014/model.safetensors"] {
                let tensors = |run: &str| read(&sandbox.run_folder(run).join(file)).unwrap();
                assert!(tensors(&resumed) == tensors(run), "{resumed}: {file}");
            }
        }
        let recorded = evaluation(&sandbox, run, Weights::Average, Split::Test);
        let report = eval(&sandbox, run);
        let expected = (&"average".into(), &recorded.loss.into());
        assert_eq!((&report["weights"], &report["loss"]), expected, "{run}");
        let phi = evaluation(&sandbox, "plain", Weights::Slow, Split::Test).loss;
        assert_ne!(recorded.loss, phi, "{run}");
        let refused = sandbox.lookahead(&["eval", &format!("runs/{run}"), "--weights", "slow"]);
        assert_eq!(refused.status.code(), Some(2), "{run}");
    }

    // φ after the syncs of steps 6, 9 and 12, and after the last one.
    let model = "step-00000014/model.safetensors";
    let last = weights(&sandbox, "plain", model, "");
    let syncs = [6, 9, 12].map(|step| {
        let file = format!("step-{step:08}/training.safetensors");
        weights(&sandbox, "slow", &file, "optimizer/slow/")
    });
    let saved = weights(&sandbox, "slow", model, "");
    for (name, last) in &last {
        let of_syncs = syncs.iter().map(|phi| &phi[name]).chain([last]);
        assert_close(&saved[name], &mean_of(of_syncs, |i| 1.0 / (i + 1) as f64), name);
    }

    // In one long cycle each checkpoint has θ after its step.
    let keys =
        ["averaging.kind=ema", "averaging.of=fast", "averaging.decay=0.75", "lookahead.k=20"];
    sandbox.train("cycle", &sets(&keys));
    let steps: Vec<_> = (1..=14).map(|step| theta(&sandbox, "cycle", step)).collect();
    for (name, saved) in weights(&sandbox, "cycle", model, "") {
        let weight = |i| if i == 0 { 1.0 } else { 0.25 };
        assert_close(&saved, &mean_of(steps.iter().map(|theta| &theta[&name]), weight), &name);
    }
}

/// The mean of the values, each moving it by its weight.
fn mean_of<'a>(
    values: impl Iterator<Item = &'a Vec<f64>>,
    weight: impl Fn(usize) -> f64,
) -> Vec<f64> {
    let mut mean = Vec::new();
    for (i, values) in values.enumerate() {
        mean.resize(values.len(), 0.0);
        mean.iter_mut().zip(values).for_each(|(m, x)| *m += (x - *m) * weight(i));
    }
    mean
}

fn assert_close(found: &[f64], expected: &[f64], name: &str) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(apart < 1e-6, "{name} is {apart} from the mean");
}
