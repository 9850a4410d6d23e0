//! Averages of the weights as the final model: `[averaging]`.

use std::collections::BTreeMap;

use crate::common::{SMALL, Sandbox, copy_folder, sets};
use crate::tasks::{eval, evaluation};
use lookahead_run::event::{Split, Weights};
use lookahead_trainer::tensor_file::read;

/// The trainable tensors of θ in a checkpoint.
fn theta(sandbox: &Sandbox, run: &str, step: u64) -> BTreeMap<String, Vec<f64>> {
    let path = sandbox.run_folder(run).join(format!("step-{step:08}/training.safetensors"));
    let all = read(&path).unwrap().into_iter().filter_map(|(name, tensor)| {
        let name = name.strip_prefix("fast/")?.to_owned();
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
