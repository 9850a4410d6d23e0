//! `[[optimizer.group]]`: what it trains, what it resumes to, and what it refuses.

use lookahead_core::{Composite, State, TchOptimizer, Variables, fused};
use lookahead_run::RunFolder;

use crate::config::{Config, ConfigError, Override};
use crate::controls::Hangup;
use crate::observer::Show;
use crate::optimizers::Optimizer;
use crate::registry::Registry;
use crate::train::hooks::Hooks;
use crate::train::r#loop::train;
use crate::train::setup::Training;
use crate::usage::UsageError;

const CONFIG: &str = r#"
[data]
kind = "digits"
batch_size = 300
validation = 341
[model]
kind = "mlp"
hidden = [8]
[optimizer]
kind = "adamw"
lr = 0.01
weight_decay = 0.1
[lookahead]
k = 3
[schedule]
kind = "cosine"
[train]
max_steps = 9
threads = 1
[probe]
every_syncs = 0
[checkpoint]
every_steps = 4
"#;

const GROUPS: &str = r#"
[[optimizer.group]]
match = "fc1.*"
dims = 1
alpha = 0.8
kind = "sgd"
lr_scale = 10
momentum = 0.5
[[optimizer.group]]
dims = [0, 1]
weight_decay = 0
lr_scale = 0.5
"#;

fn parsed(text: &str, sets: &[&str]) -> Result<Config, ConfigError> {
    let sets: Vec<Override> = sets.iter().map(|set| set.parse().unwrap()).collect();
    Ok(Config::parse(Registry::builtin().kinds(), "test.toml", text, &sets)?.config)
}

fn begun(config: Config) -> anyhow::Result<Training> {
    Training::new(&Registry::builtin(), config, None)
}

/// The weights and the optimizer's state after the last step, and the run.
fn trained(mut training: Training) -> (Vec<u8>, State, (RunFolder, tempfile::TempDir)) {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), "run").unwrap();
    let show = Show { quiet: true, ..Show::default() };
    let mut hooks = Hooks::new(&run, &training, &show, Hangup::Ignore).unwrap();
    train(&mut training, &mut hooks).unwrap();
    drop(hooks);
    (training.weights_as_bytes(), training.optimizer.state().unwrap(), (run, folder))
}

#[test]
fn groups_train_as_the_library_does_and_resume_to_the_bit() {
    let config = parsed(&format!("{CONFIG}{GROUPS}"), &[]).unwrap();
    let (weights, state, (run, _folder)) = trained(begun(config.clone()).unwrap());

    let mut by_hand = begun(parsed(CONFIG, &[]).unwrap()).unwrap();
    let vs = &by_hand.model.vs;
    let all = Variables::new(vs).group_by(|p| match (p.name.as_str(), p.tensor.dim()) {
        ("fc1.bias", _) => 1,
        (_, 1) => 2,
        _ => 0,
    });
    let (first, rest) = all.clone().partition(|p| p.group == 1);
    let sgd = TchOptimizer::new(fused::sgd(0.5, 0.0, 0.0, false), first, 0.01).unwrap();
    let adamw = TchOptimizer::new(fused::AdamW::default().wd(0.1), rest, 0.01).unwrap();
    let builder = Composite::builder(all).part("group1", sgd).part("rest", adamw);
    let builder = builder.learning_rate_scale(1, 10.0).learning_rate_scale(2, 0.5);
    let inner =
        builder.weight_decay_of_group(1, 0.0).weight_decay_of_group(2, 0.0).build().unwrap();
    let (lookahead, workers) =
        (config.lookahead.as_ref(), crate::distributed::WorkerGroup::single());
    by_hand.optimizer = Optimizer::with_alphas(
        Box::new(inner),
        lookahead,
        &[(1, 0.8)],
        &by_hand.model.vs,
        &workers,
    )
    .unwrap();
    let expected = trained(by_hand);
    assert!(weights == expected.0);
    assert_eq!(state.tensors, expected.1.tensors);
    assert_eq!(state.numbers, expected.1.numbers);
    let number = |key: &str| state.numbers[key];
    assert_eq!((number("alpha"), number("alpha/1")), (0.5, 0.8));
    let rate = |key: &str| number(&format!("inner/{key}"));
    assert_eq!(rate("group1/sgd/learning_rate/1"), 10.0 * rate("rest/adamw/learning_rate/0"));
    assert_eq!(rate("rest/adamw/learning_rate/2"), 0.5 * rate("rest/adamw/learning_rate/0"));
    let decays = ["rest/adamw/weight_decay/0", "rest/adamw/weight_decay/2"].map(rate);
    assert_eq!(decays, [0.1, 0.0]);

    let (checkpoint, manifest) = run.checkpoints().at_step(4).unwrap();
    let resumed = |config: Config| {
        let mut training = begun(config).unwrap();
        training.restore(&checkpoint.path, &manifest.metadata).unwrap();
        trained(training)
    };
    let again = resumed(config);
    assert!(again.0 == weights);
    assert_eq!(again.1.tensors, state.tensors);
    assert_eq!(again.1.numbers, state.numbers);
    // Another weight decay and α hold for what has none of its own.
    let sets = ["optimizer.weight_decay=0.2", "lookahead.alpha=0.25"];
    let other = resumed(parsed(&format!("{CONFIG}{GROUPS}"), &sets).unwrap()).1.numbers;
    let decays = ["rest/adamw/weight_decay/0", "rest/adamw/weight_decay/2"];
    assert_eq!(decays.map(|key| other[&format!("inner/{key}")]), [0.2, 0.0]);
    assert_eq!((other["alpha"], other["alpha/1"]), (0.25, 0.8));
}

#[test]
fn a_group_of_the_same_kind_changes_no_bit() {
    let plain = trained(begun(parsed(CONFIG, &[]).unwrap()).unwrap()).0;
    for group in [
        "[{match=\"*.bias\", kind=\"adamw\", weight_decay=0.1}]",
        "[{dims=1, lr_scale=1.0}, {match=\"*\", kind=\"adamw\", weight_decay=0.1}]",
    ] {
        let set = format!("optimizer.group={group}");
        let config = parsed(CONFIG, &[&set]).unwrap();
        // As a run's folder keeps it.
        let again = parsed(&config.to_toml(), &[]).unwrap();
        assert_eq!(config, again);
        assert!(trained(begun(config).unwrap()).0 == plain, "{group}");
    }
    assert!(
        parsed(&format!("{CONFIG}{GROUPS}"), &["optimizer.group=[]"])
            .unwrap()
            .optimizer
            .group
            .is_empty()
    );
}

#[test]
fn muon_is_muon_for_the_matrices_and_adamw_for_the_rest() {
    let muon = ["optimizer.kind=muon", "optimizer.momentum=0.9", "optimizer.precision=full"];
    let (weights, state, _) = trained(begun(parsed(CONFIG, &muon).unwrap()).unwrap());
    let keys =
        ["inner/matrices/muon/momentum_buffer/fc1.weight", "inner/rest/adamw/exp_avg/fc1.bias"];
    assert!(keys.iter().all(|key| state.tensors.contains_key(*key)), "{:?}", state.tensors.keys());
    let original = [&muon[..], &["optimizer.scale_learning_rate=original"]].concat();
    let original = trained(begun(parsed(CONFIG, &original).unwrap()).unwrap()).0;
    assert!(original != weights);
    // The group's Muon has no rest of its own, and a group of vectors has no matrices.
    let of_muon = "kind=\"muon\", momentum=0.9, precision=\"full\"";
    for (sets, group) in [
        (&[][..], format!("{{dims=2, {of_muon}, weight_decay=0.1}}")),
        (&muon[..], "{dims=1, kind=\"adamw\", weight_decay=0.1}".to_owned()),
        (&muon[..], format!("{{dims=1, {of_muon}}}")),
    ] {
        let group = format!("optimizer.group=[{group}]");
        let sets = [sets, &[group.as_str()]].concat();
        let config = parsed(CONFIG, &sets).unwrap();
        assert!(trained(begun(config).unwrap()).0 == weights, "{sets:?}");
    }
}

#[test]
fn no_decay_on_biases_is_one_line() {
    let line = "[optimizer]\ngroup = [{ dims = 1, weight_decay = 0 }]";
    let config = parsed(&CONFIG.replace("[optimizer]", line), &[]).unwrap();
    let state = trained(begun(config).unwrap()).1;
    let decay = |group: usize| state.numbers[&format!("inner/rest/adamw/weight_decay/{group}")];
    assert_eq!((decay(0), decay(1)), (0.1, 0.0));
}

#[test]
fn faults_of_a_group_are_refused_with_their_lines() {
    let first = CONFIG.lines().count() + 1;
    for (group, line, words) in [
        ("lr_scale = 2", 0, "A group of `[[optimizer.group]]` has neither `match` nor `dims`"),
        (
            "match = []",
            1,
            "`optimizer.group.match` is []. Use a pattern of names, or a list of them.",
        ),
        (
            "dims = -1",
            1,
            "`optimizer.group.dims` is -1. Use a number of dimensions, or a list of them.",
        ),
        (
            "dims = 1\nlr_scale = -0.5",
            2,
            "`optimizer.group.lr_scale` is -0.5. Use a number from 0 to 3.4e38.",
        ),
        (
            "dims = 1\nlr_scal = 2",
            2,
            "There is no key `optimizer.group.lr_scal`. Did you mean `optimizer.group.lr_scale`?",
        ),
        (
            "dims = 1\nmomentum = 0.5",
            2,
            "`optimizer.group.momentum` is in a group without `kind`. It belongs to a group",
        ),
        ("dims = 1\nkind = \"adamx\"", 2, "`optimizer.group.kind` is adamx. Did you mean `adam`?"),
        (
            "dims = 1\nkind = \"adam\"\nbeta1 = 1.5",
            3,
            "`optimizer.group.beta1` is 1.5. Use 0 to below 1.",
        ),
        (
            "dims = 1\nkind = \"adam\"\nmomentum = 0.5",
            3,
            "`optimizer.group.momentum` belongs to sgd",
        ),
        ("dims = 1\nalpha = 0", 2, "`optimizer.group.alpha` is 0, and it must be more than 0"),
    ] {
        let text = format!("{CONFIG}[[optimizer.group]]\n{group}\n");
        let refused = parsed(&text, &[]).unwrap_err().to_string();
        assert!(refused.contains(words), "{group}: {refused}");
        let expected = format!("line {}:", first + line);
        assert!(refused.contains(&expected), "{group}: {refused}, not {expected}");
    }
    let text = format!("{CONFIG}[[optimizer.group]]\ndims = 1\nalpha = 0.5\n");
    let refused = parsed(&text, &["lookahead=false"]).unwrap_err().to_string();
    assert!(
        refused.contains("there are no slow weights without the section `[lookahead]`"),
        "{refused}"
    );
    let refused =
        parsed(&format!("{CONFIG}[optimizer.group]\ndims = 1\n"), &[]).unwrap_err().to_string();
    assert!(
        refused.contains("`optimizer.group` is a table of keys. Use a list of tables"),
        "{refused}"
    );
    let refused = parsed(CONFIG, &["optimizer.group=[{dims=1, lr=2}]"]).unwrap_err().to_string();
    assert!(refused.starts_with("--set optimizer.group="), "{refused}");
    // Its α is checked with those of `[lookahead]`.
    let refused =
        parsed(CONFIG, &["optimizer.group=[{dims=1, alpha=1.5}]"]).unwrap_err().to_string();
    assert!(refused.starts_with("--set optimizer.group="), "{refused}");
    let refused =
        parsed(CONFIG, &["optimizer.group=[{matches=\"*.bias\"}]"]).unwrap_err().to_string();
    assert!(refused.contains("Did you mean `optimizer.group.match`?"), "{refused}");
}

/// The moments that are reset may be those of a group.
#[test]
fn a_group_with_moments_has_a_momentum_policy() {
    let sets = ["optimizer.kind=sgd", "optimizer.momentum=0", "lookahead.momentum_policy=reset"];
    let refused = parsed(CONFIG, &sets).unwrap_err().to_string();
    assert!(refused.contains("`lookahead.momentum_policy` has no effect"), "{refused}");
    let group = "optimizer.group=[{dims=1, kind=\"adam\"}]";
    parsed(CONFIG, &[&sets[..], &[group]].concat()).unwrap();
}

#[test]
fn a_group_without_parameters_is_a_usage_error() {
    for (groups, words) in [
        (
            "{match=\"fc9.*\"}",
            "pattern `fc9.*`, which matches no trained parameter of the model. The nearest names",
        ),
        (
            "{match=\"*.bias\"}, {match=\"fc1.bias\"}",
            "Group 2 of `[[optimizer.group]]` is empty: all parameters that it",
        ),
        (
            "{match=\"*.bias\", dims=2}",
            "Group 1 of `[[optimizer.group]]` is empty: no parameter that it matches has [2]",
        ),
    ] {
        let config = parsed(CONFIG, &[&format!("optimizer.group=[{groups}]")]).unwrap();
        let refused = begun(config).unwrap_err();
        assert!(refused.is::<UsageError>() && refused.to_string().contains(words), "{refused}");
    }
}
