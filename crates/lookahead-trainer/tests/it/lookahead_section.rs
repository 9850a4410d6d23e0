//! What `[lookahead]` and `optimizer.fused` choose, in the whole program.

use crate::common::{SMALL, Sandbox, copy_folder, failed, sets, stderr, succeeded, train};
use lookahead_run::event::{Event, Split, Weights};
use lookahead_trainer::tensor_file;

fn loss_values(sandbox: &Sandbox, run: &str) -> Vec<f64> {
    sandbox.losses(run).into_iter().map(|(_, bits)| f64::from_bits(bits)).collect()
}

fn warnings(sandbox: &Sandbox, run: &str) -> Vec<String> {
    let records = sandbox.records(run);
    let told = records.iter().filter_map(|record| match &record.event {
        Event::Warning(warning) => Some(warning.message.clone()),
        _ => None,
    });
    told.collect()
}

#[test]
fn fused_or_not_the_training_is_the_same_up_to_rounding() {
    let sandbox = Sandbox::new(SMALL);
    for kind in ["sgd", "adam", "adamw", "rmsprop"] {
        let set = format!("optimizer.kind={kind}");
        let lr = if kind == "sgd" { "optimizer.lr=0.05" } else { "optimizer.lr=0.003" };
        let options = ["--set", &set, "--set", lr];
        sandbox.train(kind, &options);
        let plain = format!("{kind}-plain");
        sandbox.train(&plain, &[&options[..], &["--set", "optimizer.fused=false"]].concat());
        let (fused, plain) = (loss_values(&sandbox, kind), loss_values(&sandbox, &plain));
        assert_eq!(fused[0], plain[0], "{kind}: nothing has been stepped yet");
        assert!(fused[13] < fused[0], "{kind}: it trains");
        for (a, b) in fused.iter().zip(&plain) {
            assert!((a - b).abs() < 1e-3 * b.abs(), "{kind}: {a} and {b}");
        }
    }
}

/// Optimizers of the library's own, whose states `laws` tests at every phase.
#[test]
fn inner_optimizers_without_libtorch_train_and_resume() {
    let sandbox = Sandbox::new(SMALL);
    for (optimizer, option) in [
        ("nadam", "optimizer.decoupled_weight_decay=true"),
        ("radam", "optimizer.beta1=0.95"),
        ("adan", "optimizer.proximal=false"),
        ("adagrad", "optimizer.lr_decay=0.1"),
        ("lion", "optimizer.beta2=0.95"),
        ("muon", "optimizer.scale_learning_rate=original"),
        ("cautious-adam", "optimizer.cautious=true"),
        ("cautious-adamw", "optimizer.cautious=true"),
        ("cautious-lion", "optimizer.cautious=true"),
    ] {
        let kind = format!("optimizer.kind={}", optimizer.trim_start_matches("cautious-"));
        let sets = [&kind, "optimizer.lr=0.003", "optimizer.weight_decay=0.1", option];
        let options: Vec<&str> = sets.into_iter().flat_map(|set| ["--set", set]).collect();
        sandbox.train(optimizer, &options);
        let values = loss_values(&sandbox, optimizer);
        assert!(values[13] < values[0], "{optimizer}: it trains");
        let resumed = format!("{optimizer}-from-4");
        copy_folder(&sandbox.run_folder(optimizer), &sandbox.run_folder(&resumed));
        sandbox.resume(&resumed, &["--from", "4"]);
        assert_eq!(sandbox.losses(&resumed), sandbox.losses(optimizer), "{resumed}");
        assert!(sandbox.tensors(&resumed, 14) == sandbox.tensors(optimizer, 14), "{resumed}");
    }
}

/// Each choice changes the training, and resumes bit for bit from every phase.
#[test]
fn every_choice_acts_and_resumes_bit_for_bit() {
    let sandbox = Sandbox::new(SMALL);
    let adam = ["--set", "optimizer.kind=adam", "--set", "optimizer.lr=0.003"];
    sandbox.train("plain", &adam);
    for (name, sets) in [
        ("reset", &["lookahead.momentum_policy=reset"][..]),
        ("pullback", &["lookahead.momentum_policy=pullback"]),
        ("outer", &["lookahead.outer_momentum=0.9", "lookahead.outer_nesterov=true"]),
        ("adaptive", &["lookahead.adaptive_alpha=0.1"]),
        ("recalibrated", &["lookahead.recalibrate=2"]),
        ("interpolated", &["lookahead.interpolate_statistics=true"]),
    ] {
        let mut options = adam.to_vec();
        options.extend(sets.iter().flat_map(|set| ["--set", set]));
        sandbox.train(name, &options);
        let whole = sandbox.losses(name);
        let other = whole != sandbox.losses("plain");
        // Running statistics have no part in the training's losses.
        let moves = !["recalibrated", "interpolated"].contains(&name);
        assert_eq!(other, moves, "{name}: another training, or only looked at");
        for step in [2, 3, 4] {
            let resumed = format!("{name}-from-{step}");
            copy_folder(&sandbox.run_folder(name), &sandbox.run_folder(&resumed));
            sandbox.resume(&resumed, &["--from", &step.to_string()]);
            assert_eq!(sandbox.losses(&resumed), whole, "{resumed}");
            assert!(sandbox.tensors(&resumed, 14) == sandbox.tensors(name, 14), "{resumed}");
        }
    }
    // The α that was used is in the log.
    let alphas = |run: &str| -> Vec<f64> {
        let records = sandbox.records(run);
        let syncs = records.iter().filter_map(|record| match record.event {
            Event::Sync(sync) => Some(sync.alpha),
            _ => None,
        });
        syncs.collect()
    };
    assert_eq!(alphas("plain"), [0.5; 5]);
    assert!(alphas("adaptive").iter().all(|alpha| (0.1..=1.0).contains(alpha)));
}

/// φ is evaluated and saved with its own statistics; the training is unaffected.
#[test]
fn recalibrated_statistics_are_those_of_phi_and_leave_the_training_alone() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("theirs", &[]);
    sandbox.train("own", &["--set", "lookahead.recalibrate=3"]);
    assert_eq!(sandbox.losses("own"), sandbox.losses("theirs"));
    let [model, training] = sandbox.tensors("own", 14);
    let [other_model, other_training] = sandbox.tensors("theirs", 14);
    assert!(training == other_training, "θ, its buffers and all state");
    assert!(model != other_model);
    let read = |run: &str| {
        tensor_file::read(&sandbox.run_folder(run).join("step-00000014/model.safetensors")).unwrap()
    };
    let (own, theirs) = (read("own"), read("theirs"));
    for (name, tensor) in &own {
        assert_eq!(*tensor != theirs[name], name.contains("running_"), "{name}");
    }
    // `eval` finds what the run found at its end.
    let folder = sandbox.run_folder("own");
    let found = succeeded(sandbox.lookahead(&["eval", folder.to_str().unwrap(), "--json"]));
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    let records = sandbox.records("own");
    let recorded = records.iter().find_map(|record| match &record.event {
        Event::Evaluation(e) if e.split == Split::Test && e.weights == Weights::Slow => {
            Some(e.loss)
        }
        _ => None,
    });
    assert!((found["loss"].as_f64().unwrap() - recorded.unwrap()).abs() < 1e-6);
}

/// The model at φ has the interpolated ones: in evaluations and in the file.
#[test]
fn interpolated_statistics_are_saved_with_phi() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("theirs", &[]);
    sandbox.train("own", &["--set", "lookahead.interpolate_statistics=true"]);
    let read = |run: &str, step: u64, file: &str| {
        let folder = sandbox.run_folder(run).join(format!("step-{step:08}"));
        tensor_file::read(&folder.join(file)).unwrap()
    };
    // Step 7 is inside a cycle, whose sync was in step 6.
    let (own, theirs) =
        (read("own", 7, "model.safetensors"), read("theirs", 7, "model.safetensors"));
    for (name, tensor) in &own {
        assert_eq!(*tensor != theirs[name], name.contains("running_"), "{name}");
    }
    let at_sync = read("own", 6, "model.safetensors");
    assert!(own.iter().all(|(name, tensor)| *tensor == at_sync[name]));
    let evaluated = |run: &str| -> Vec<f64> {
        let records = sandbox.records(run);
        let slow = records.iter().filter_map(|record| match &record.event {
            Event::Evaluation(found) if found.weights == Weights::Slow => Some(found.loss),
            _ => None,
        });
        slow.collect()
    };
    assert!(evaluated("own") != evaluated("theirs"));
}

/// A learning rate so large that the weights overflow: by default the run ends, with a policy
/// it continues from φ, or skips steps, and ends if nothing helps.
#[test]
fn nan_follows_the_policy() {
    let config = SMALL.replace("batch_norm = true", "batch_norm = false");
    let sandbox = Sandbox::new(&config);
    let path = sandbox.config();
    let train = |name: &str, policy: &str, lr: &str| {
        let policy = format!("lookahead.non_finite={policy}");
        let lr = format!("optimizer.lr={lr}");
        let fixed = ["train", path.to_str().unwrap(), "--out", "runs", "--name", name];
        let sets = ["--set", &policy, "--set", &lr, "--set", "train.max_steps=400"];
        sandbox.lookahead(&[&fixed[..], &sets].concat())
    };
    let words =
        ["the training diverged", "smaller `optimizer.lr`", "lookahead.non_finite=roll_back"];
    failed(&train("error", "error", "1e30"), 1, &words);

    let output = train("back", "roll_back", "1e30");
    failed(&output, 1, &["100 times without a sync", "the training diverged"]);
    assert!(!stderr(&output).contains("non_finite=roll_back"), "it has that: {}", stderr(&output));
    let told = warnings(&sandbox, "back");
    assert!(told.len() >= 100 && told[0].contains("went back to the slow ones"), "{told:?}");

    let output = train("skip", "skip_step", "1e30");
    assert!(!output.status.success());
    assert!(stderr(&output).contains("diverged"), "{}", stderr(&output));
}

/// An error recommends only what can help.
#[test]
fn advice_fits_the_run() {
    let config = SMALL.replace("batch_norm = true", "batch_norm = false");
    let sandbox = Sandbox::new(&config);
    let diverged = |name: &str, keys: &[&str]| {
        let output = sandbox.lookahead(&train(name, &sets(keys)));
        failed(&output, 1, &["the training diverged"]);
        stderr(&output)
    };
    let plain = diverged("plain", &["lookahead=false", "optimizer.lr=1e30"]);
    assert!(plain.contains("smaller `optimizer.lr` than 1e30"), "{plain}");
    // A run without Lookahead has no slow weights.
    assert!(!plain.contains("roll_back") && !plain.contains("slow"), "{plain}");
    assert!(plain.contains("resume from an earlier checkpoint"), "{plain}");
    let none = diverged("none", &["optimizer.lr=1e30", "checkpoint.every_steps=0"]);
    assert!(none.contains("roll_back") && !none.contains("checkpoint"), "{none}");

    // A unit that is 0 for all samples of the first batch gives its weights gradients of 0.
    let wide = ["model.hidden=[64]", "model.dropout=0", "data.batch_size=32"];
    let adam = [&["optimizer.kind=adam", "optimizer.lr=0.001"][..], &wide].concat();
    let eps = diverged("eps", &[&adam[..], &["optimizer.eps=0"]].concat());
    assert!(eps.contains("`optimizer.eps` is 0, so the optimizer divides 0 by 0"), "{eps}");
    assert!(!eps.contains("`optimizer.lr`"), "{eps}");
    // The advice helps.
    sandbox.train("default-eps", &sets(&[&adam[..], &["optimizer.eps=1e-8"]].concat()));
}

/// A few steps at a diverging learning rate, then a good one: the run finishes at φ. The
/// stretch begins inside a cycle, and between two. (Just before a sync it would not be survived: the
/// weights are huge then and still finite, and the sync takes them.)
#[test]
fn a_bad_stretch_is_survived() {
    let sandbox = Sandbox::new(SMALL);
    let policy = ["--set", "lookahead.non_finite=roll_back"];
    sandbox.train("first", &[&policy[..], &["--set", "train.max_steps=6"]].concat());
    for from in [4, 6] {
        let run = format!("from-{from}");
        copy_folder(&sandbox.run_folder("first"), &sandbox.run_folder(&run));
        let from = from.to_string();
        let bad = ["--from", &from, "--set", "optimizer.lr=1e38", "--set", "train.max_steps=10"];
        sandbox.resume(&run, &bad);
        let told = warnings(&sandbox, &run);
        assert!(told.iter().any(|t| t.contains("went back to the slow ones")), "{told:?}");
        sandbox.resume(&run, &["--set", "optimizer.lr=0.05", "--set", "train.max_steps=40"]);
        let losses = loss_values(&sandbox, &run);
        assert!(losses[39] < losses[0], "{run}: {losses:?}");
        let path = sandbox.run_folder(&run).join("step-00000040/model.safetensors");
        for (name, tensor) in tensor_file::read(&path).unwrap() {
            assert!(bool::try_from(tensor.isfinite().all()).unwrap(), "{run}: {name}");
        }
    }
}

#[test]
fn contradicting_choices_are_refused() {
    let sandbox = Sandbox::new(SMALL);
    let path = sandbox.config();
    for (sets, words) in [
        (&["lookahead.momentum_policy=forget"][..], &["maintain", "reset", "pullback"][..]),
        (&["lookahead.non_finite=pray"], &["error", "skip_step", "roll_back"]),
        (&["lookahead.non_finite=unchecked"], &["error", "skip_step", "roll_back"]),
        (&["lookahead.adaptive_alpha=1.5"], &["`lookahead.adaptive_alpha` is 1.5"]),
        (&["lookahead.adaptive_alpha=0.1"], &["second moments", "optimizer.kind"]),
        (&["lookahead.outer_momentum=1"], &["`lookahead.outer_momentum` is 1", "below 1"]),
        (
            &["optimizer.momentum=0", "lookahead.momentum_policy=reset"],
            &["has no effect", "maintain"],
        ),
        (
            &[
                "optimizer.kind=adam",
                "lookahead.adaptive_alpha=0.1",
                "lookahead.outer_momentum=0.5",
            ],
            &["Set one of them to 0"],
        ),
        (&["optimizer.fused=1"], &["`optimizer.fused` is 1. Use true or false"]),
    ] {
        let mut arguments = vec!["train", path.to_str().unwrap(), "--out", "runs"];
        arguments.extend(sets.iter().flat_map(|set| ["--set", set]));
        failed(&sandbox.lookahead(&arguments), 2, words);
    }
    sandbox.train("run", &[]);
    let folder = sandbox.run_folder("run");
    let resume = ["resume", folder.to_str().unwrap(), "--set", "lookahead.momentum_policy=reset"];
    failed(&sandbox.lookahead(&resume), 2, &["can't change on resume"]);
}
