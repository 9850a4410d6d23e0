//! The outer step by config: presets, schedules of α and k, extrapolation.

use crate::common::{SMALL, Sandbox, copy_folder, failed, sets, signal, stderr, succeeded, train};
use lookahead_run::event::{Event, Record};

/// Without the keys that a preset sets.
fn without_keys() -> Sandbox {
    let lines =
        SMALL.lines().filter(|line| !line.starts_with("k =") && !line.starts_with("alpha ="));
    Sandbox::new(&lines.collect::<Vec<_>>().join("\n"))
}

fn config(sandbox: &Sandbox, run: &str) -> String {
    std::fs::read_to_string(sandbox.run_folder(run).join("config.toml")).unwrap()
}

/// The step and the α of each sync.
fn syncs(sandbox: &Sandbox, run: &str) -> Vec<(u64, f64)> {
    let records = sandbox.records(run);
    let syncs = records.iter().filter_map(|record| match &record.event {
        Event::Sync(sync) => Some((record.step, sync.alpha)),
        _ => None,
    });
    syncs.collect()
}

fn notes(sandbox: &Sandbox, run: &str) -> Vec<String> {
    let records = sandbox.records(run);
    let notes = records.iter().filter_map(|record| match &record.event {
        Event::Note(note) => Some(note.message.clone()),
        _ => None,
    });
    notes.collect()
}

#[test]
fn a_preset_is_its_settings_and_every_key_overrides_it() {
    let sandbox = without_keys();
    sandbox.train("preset", &sets(&["lookahead.preset=muloco", "lookahead.k=4"]));
    let keys = [
        "lookahead.k=4",
        "lookahead.alpha=0.7",
        "lookahead.outer_momentum=0.6",
        "lookahead.outer_nesterov=true",
        "lookahead.alpha_placement=inside",
    ];
    sandbox.train("keys", &sets(&keys));
    assert_eq!(sandbox.losses("preset"), sandbox.losses("keys"));
    assert_eq!(config(&sandbox, "preset"), config(&sandbox, "keys"));
    assert!(sandbox.tensors("preset", 14) == sandbox.tensors("keys", 14));
    for step in [3, 4, 5] {
        let resumed = format!("from-{step}");
        copy_folder(&sandbox.run_folder("preset"), &sandbox.run_folder(&resumed));
        sandbox.resume(&resumed, &["--from", &step.to_string()]);
        assert!(sandbox.tensors(&resumed, 14) == sandbox.tensors("keys", 14), "{resumed}");
    }
    for (preset, wanted) in [
        ("lookahead", ["k = 5\n", "alpha = 0.5\n", "outer_momentum = 0.0\n"]),
        ("snoo", ["k = 100\n", "alpha = 0.8\n", "outer_momentum = 0.75\n"]),
        ("diloco", ["k = 500\n", "alpha = 0.7\n", "outer_momentum = 0.9\n"]),
        ("muloco", ["k = 30\n", "alpha = 0.7\n", "alpha_placement = \"inside\"\n"]),
    ] {
        let set = format!("lookahead.preset={preset}");
        sandbox.train(preset, &sets(&[&set]));
        let config = config(&sandbox, preset);
        assert!(wanted.iter().all(|line| config.contains(line)), "{config}");
    }
    // Those of the command line win in any order, and those of the config do not, which a note says.
    let sandbox = Sandbox::new(SMALL);
    let shown = stderr(&sandbox.train("run", &sets(&["lookahead.k=4", "lookahead.preset=snoo"])));
    assert!(shown.contains("overrides the config's `lookahead.k` = 3"), "{shown}");
    let written = config(&sandbox, "run");
    assert!(["k = 4\n", "alpha = 0.8\n"].iter().all(|line| written.contains(line)), "{written}");
    let resume = ["resume", "runs/run", "--set", "lookahead.preset=diloco"];
    let refused = sandbox.lookahead(&resume);
    failed(&refused, 2, &["`lookahead.preset` can't change on resume"]);
}

/// It sets the inner optimizer too, which a run's config and that of `init` name.
#[test]
fn the_preset_ranger_is_radam_in_lookahead() {
    let lines = SMALL.lines().filter(|line| {
        !["k =", "alpha =", "kind = \"sgd\"", "lr ="].iter().any(|key| line.starts_with(key))
    });
    let sandbox = Sandbox::new(&lines.collect::<Vec<_>>().join("\n"));
    sandbox.train("preset", &sets(&["lookahead.preset=ranger"]));
    let keys = [
        "lookahead.k=6",
        "lookahead.alpha=0.5",
        "optimizer.kind=radam",
        "optimizer.lr=0.001",
        "optimizer.beta1=0.95",
        "optimizer.eps=1e-5",
    ];
    sandbox.train("keys", &sets(&keys));
    assert_eq!(sandbox.losses("preset"), sandbox.losses("keys"));
    assert_eq!(config(&sandbox, "preset"), config(&sandbox, "keys"));
    assert!(sandbox.tensors("preset", 14) == sandbox.tensors("keys", 14));
    sandbox
        .train("own", &sets(&["lookahead.preset=ranger", "optimizer.beta1=0.9", "lookahead.k=4"]));
    let own = config(&sandbox, "own");
    assert!(
        ["beta1 = 0.9\n", "eps = 0.00001\n", "k = 4\n"].iter().all(|line| own.contains(line)),
        "{own}"
    );

    // It takes the place of a config's optimizer.
    let other = Sandbox::new(SMALL);
    let shown = stderr(&other.train("preset", &sets(&["lookahead.preset=ranger"])));
    assert!(shown.contains("`optimizer.kind` = \"sgd\""), "{shown}");
    assert_eq!(config(&other, "preset"), config(&sandbox, "keys"));

    let both = ["train", "test.toml", "--set", "lookahead=false", "--set", "lookahead.preset=snoo"];
    failed(
        &sandbox.lookahead(&both),
        2,
        &["There is no Lookahead for `--set lookahead.preset=snoo`"],
    );

    let init = ["init", "digits", "-o", "-", "--set", "lookahead.preset=ranger"];
    let written = String::from_utf8(sandbox.lookahead(&init).stdout).unwrap();
    for line in
        ["kind = \"radam\"", "lr = 0.001", "beta1 = 0.95", "eps = 1e-5", "k = 6", "alpha = 0.5"]
    {
        assert!(written.contains(&format!("\n{line} ")), "{line}: {written}");
    }
    assert!(!written.contains("\npreset ="), "{written}");
    let init = ["init", "digits", "-o", "-", "--set", "lookahead.preset=snoo"];
    let written = String::from_utf8(sandbox.lookahead(&init).stdout).unwrap();
    for line in ["k = 100", "alpha = 0.8", "outer_momentum = 0.75", "outer_nesterov = true"] {
        assert!(written.contains(&format!("\n{line} ")), "{line}: {written}");
    }

    let set = sets(&["lookahead.preset=ranger", "optimizer.kind=adam"]);
    let set = train("adam", &set);
    failed(&sandbox.lookahead(&set), 2, &["`optimizer.kind` is adam", "set it to radam"]);
}

#[test]
fn alpha_and_k_follow_their_schedules_and_resume_to_the_bit() {
    let sandbox = Sandbox::new(SMALL);
    let power = "lookahead.alpha_schedule={ kind = \"power\", to = 0.226, power = 3 }";
    sandbox.train("alpha", &sets(&["lookahead.alpha=1", power]));
    // Over the whole run, which has 14 steps. The last sync ends a shorter cycle.
    let expected = [3, 6, 9, 12, 14].map(|step| (step, 1.0 - 0.774 * (step as f64 / 14.0).powi(3)));
    for ((at, alpha), (step, wanted)) in syncs(&sandbox, "alpha").into_iter().zip(expected) {
        assert!(at == step && (alpha - wanted).abs() < 1e-12, "{at}: {alpha}");
    }
    assert_eq!(syncs(&sandbox, "alpha").len(), 5);

    let linear = "lookahead.k_schedule={ kind = \"linear\", to = 5, steps = 6 }";
    sandbox.train("k", &sets(&["lookahead.k=2", linear]));
    // k is 2 at step 0, 3 at 2, 4.5 → 5 at 5, 5 at 10.
    let steps: Vec<u64> = syncs(&sandbox, "k").into_iter().map(|(step, _)| step).collect();
    assert_eq!(steps, [2, 5, 10, 14]);
    let changed = |record: &Record| matches!(record.event, Event::Changed(_));
    assert!(!sandbox.records("k").iter().any(changed), "nothing was set");

    for run in ["alpha", "k"] {
        for step in [1u64, 4, 6, 11] {
            let resumed = format!("{run}-from-{step}");
            copy_folder(&sandbox.run_folder(run), &sandbox.run_folder(&resumed));
            sandbox.resume(&resumed, &["--from", &step.to_string()]);
            assert_eq!(sandbox.losses(&resumed), sandbox.losses(run), "{resumed}");
            assert!(sandbox.tensors(&resumed, 14) == sandbox.tensors(run, 14), "{resumed}");
        }
    }
    // A longer run has a longer curve, which a warning says; without it α is the one that was set.
    let shown = stderr(&sandbox.resume("alpha", &sets(&["train.max_steps=20"])));
    assert!(shown.contains("the new curve"), "{shown}");
    let ended = ["train.max_steps=26", "lookahead.alpha=0.3", "lookahead.alpha_schedule=false"];
    sandbox.resume("alpha", &sets(&ended));
    assert_eq!(syncs(&sandbox, "alpha").last().unwrap().1, 0.3);
}

#[test]
fn a_value_that_is_set_ends_its_schedule() {
    let sandbox = Sandbox::new(SMALL);
    let options = sets(&[
        "lookahead.alpha_schedule={ kind = \"linear\", to = 1.0 }",
        "optimizer.group=[{ dims = 1, alpha = 0.3 }]",
        "train.max_steps=10000000",
        "checkpoint.every_steps=0",
    ]);
    let mut child = sandbox.start("run", &[&["--quiet"][..], &options].concat());
    sandbox.wait_for("run", &mut child, |record| record.step > 3);
    succeeded(sandbox.lookahead(&["ctl", "runs/run", "set", "lookahead.alpha=0.9"]));
    let words = "has ended: the value that was set stays. Groups with an `alpha` of their own have that one again.";
    let has_ended = |record: &Record| matches!(&record.event, Event::Note(note) if note.message.contains(words));
    sandbox.wait_for("run", &mut child, has_ended);
    let at = sandbox.records("run").pop().unwrap().step;
    sandbox.wait_for("run", &mut child, |record| record.step > at + 10);
    signal(&child, "TERM");
    succeeded(child.wait_with_output().unwrap());
    let config = config(&sandbox, "run");
    assert!(config.contains("alpha = 0.9\n") && !config.contains("alpha_schedule"), "{config}");
    assert_eq!(syncs(&sandbox, "run").last().unwrap().1, 0.9);
    let step = sandbox.records("run").pop().unwrap().step;
    sandbox.resume("run", &sets(&[&format!("train.max_steps={}", step + 9)]));
    assert_eq!(syncs(&sandbox, "run").last().unwrap().1, 0.9);
}

#[test]
fn extrapolation_is_asked_for_and_noted_once() {
    let sandbox = Sandbox::new(SMALL);
    let train =
        |run: &str, more: &[&str]| sandbox.lookahead(&crate::common::train(run, &sets(more)));
    let refused = train("no", &["lookahead.alpha=1.5"]);
    failed(&refused, 2, &["`lookahead.alpha` is 1.5", "`extrapolate`"]);
    succeeded(train("yes", &["lookahead.alpha=1.5", "lookahead.extrapolate=true"]));
    let said: Vec<String> = notes(&sandbox, "yes");
    assert_eq!(said.iter().filter(|note| note.contains("extrapolates")).count(), 1, "{said:?}");
    assert!(syncs(&sandbox, "yes").iter().all(|(_, alpha)| *alpha == 1.5));
    // An outer learning rate is none.
    succeeded(train("outer", &["lookahead.alpha=1.5", "lookahead.outer_momentum=0.5"]));
    let said = notes(&sandbox, "outer");
    assert!(!said.iter().any(|note| note.contains("extrapolates")), "{said:?}");
}
