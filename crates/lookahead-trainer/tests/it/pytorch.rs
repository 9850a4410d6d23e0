//! Trainings that move between this project and PyTorch, by the script of docs/pytorch.md. PyTorch trains with timm's
//! and pytorch_optimizer's Lookahead.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use lookahead_core::{InnerOptimizer, Lookahead, State};
use lookahead_run::event::Event;
use lookahead_trainer::config::Config;
use lookahead_trainer::registry::Registry;
use lookahead_trainer::tensor_file::{entries, read, write_new};
use serde_json::json;
use tch::nn::{self, Module};
use tch::{Device, Tensor};

use crate::common::{SMALL, Sandbox, failed, peers, root, sets, stderr, succeeded, train};
use crate::tensors::write_batches;

const K: u64 = 5;
const ALPHA: f64 = 0.6;

/// A kind of inner optimizer: its keys in `[optimizer]`, and how PyTorch builds it.
struct Kind {
    name: &'static str,
    keys: &'static str,
    python: &'static str,
    /// pytorch_optimizer's `pullback_momentum`, and `lookahead.momentum_policy`.
    momentum: [&'static str; 2],
    peers: &'static [&'static str],
}

const BOTH: &[&str] = &["timm", "pytorch_optimizer"];
const KEPT: [&str; 2] = ["none", "maintain"];

const fn kind(name: &'static str, keys: &'static str, python: &'static str) -> Kind {
    Kind { name, keys, python, momentum: KEPT, peers: BOTH }
}

const KINDS: &[Kind] = &[
    kind("plain", "kind = 'sgd'\nmomentum = 0.0", "lambda p: torch.optim.SGD(p, 0.1)"),
    kind(
        "sgd",
        "kind = 'sgd'\nmomentum = 0.9\nnesterov = true\nweight_decay = 0.01",
        "lambda p: torch.optim.SGD(p, 0.1, 0.9, weight_decay=0.01, nesterov=True)",
    ),
    kind("adam", "kind = 'adam'\nlr = 0.01", "lambda p: torch.optim.Adam(p, 0.01)"),
    kind(
        "amsgrad",
        "kind = 'adamw'\nlr = 0.01\nbeta1 = 0.8\namsgrad = true\nweight_decay = 0.1",
        "lambda p: torch.optim.AdamW(p, 0.01, (0.8, 0.999), weight_decay=0.1, amsgrad=True)",
    ),
    kind(
        "adamw",
        "kind = 'adamw'\nlr = 0.01\nbeta2 = 0.99\nweight_decay = 0.1",
        "lambda p: torch.optim.Adam(p, 0.01, (0.9, 0.99), weight_decay=0.1, decoupled_weight_decay=True)",
    ),
    kind("rmsprop", "kind = 'rmsprop'\nlr = 0.01", "lambda p: torch.optim.RMSprop(p, 0.01)"),
    kind(
        "centered",
        "kind = 'rmsprop'\nlr = 0.01\nmomentum = 0.8\ncentered = true",
        "lambda p: torch.optim.RMSprop(p, 0.01, momentum=0.8, centered=True)",
    ),
    kind("nadam", "kind = 'nadam'\nlr = 0.01", "lambda p: torch.optim.NAdam(p, 0.01)"),
    kind("radam", "kind = 'radam'\nlr = 0.01", "lambda p: torch.optim.RAdam(p, 0.01)"),
    kind("adagrad", "kind = 'adagrad'\nlr = 0.1", "lambda p: torch.optim.Adagrad(p, 0.1)"),
    kind(
        "lion",
        "kind = 'lion'\nlr = 0.001\nweight_decay = 0.1",
        "lambda p: __import__('timm.optim').optim.Lion(p, 0.001, weight_decay=0.1)",
    ),
    kind(
        "other lion",
        "kind = 'lion'\nlr = 0.001",
        "lambda p: __import__('pytorch_optimizer').Lion(p, 0.001)",
    ),
    kind(
        "adan",
        "kind = 'adan'\nlr = 0.01\nweight_decay = 0.1",
        "lambda p: __import__('timm.optim').optim.Adan(p, 0.01, weight_decay=0.1)",
    ),
    Kind {
        momentum: ["pullback", "pullback"],
        peers: &["pytorch_optimizer"],
        ..kind("pulled", "kind = 'sgd'\nmomentum = 0.9", "lambda p: torch.optim.SGD(p, 0.1, 0.9)")
    },
    Kind {
        momentum: ["reset", "reset"],
        peers: &["pytorch_optimizer"],
        ..kind("reset", "kind = 'sgd'\nmomentum = 0.9", "lambda p: torch.optim.SGD(p, 0.1, 0.9)")
    },
];

/// Without weight decay on biases, the usual set-up. In the program it is a composite, whose keys differ.
const GROUPS: Kind = kind(
    "groups",
    "kind = 'adamw'\nlr = 0.01\nweight_decay = 0.1\n[[optimizer.group]]\ndims = 1\nweight_decay = 0.0",
    "lambda p: (lambda p: torch.optim.AdamW([{'params': [x for x in p if x.ndim > 1]}, {'params': [x for x in p if x.ndim \
     == 1], 'weight_decay': 0.0}], 0.01, weight_decay=0.1))(list(p))",
);

impl Kind {
    /// The cases with each peer, on batches before and after the move.
    fn cases(
        &self,
        before: Range<usize>,
        after: Range<usize>,
        from: &[&str],
        precision: &str,
    ) -> Vec<serde_json::Value> {
        let case = |peer: &&str| {
            json!({
                "name": format!("{}-{peer}", self.name), "peer": peer, "python": self.python, "k": K, "alpha": ALPHA,
                "momentum": self.momentum[0], "before": before.clone().collect::<Vec<_>>(),
                "after": after.clone().collect::<Vec<_>>(), "from": from,
                "precision": precision,
            })
        };
        self.peers.iter().map(case).collect()
    }

    fn config(&self) -> String {
        let (before, rest) =
            plain().split_once("[optimizer]").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        let (_, rest) = rest.split_once("[lookahead]").unwrap();
        let rest = rest.replace("k = 3\nalpha = 0.5", &format!("k = {K}\nalpha = {ALPHA}"));
        let policy = format!("momentum_policy = '{}'", self.momentum[1]);
        let lr = if self.keys.contains("lr =") { "" } else { "lr = 0.1\n" };
        format!("{before}[optimizer]\n{lr}{}\n[lookahead]\n{policy}{rest}", self.keys)
    }
}

/// PyTorch would draw other random numbers for dropout.
fn plain() -> String {
    SMALL
        .replace("dropout = 0.3", "dropout = 0.0")
        .replace("batch_norm = true", "batch_norm = false")
}

/// Runs `peers.py` on the cases, which get folders.
fn run_python(python: &Path, what: &str, folder: &Path, cases: &[serde_json::Value]) {
    for case in cases {
        std::fs::create_dir_all(folder.join(case["name"].as_str().unwrap())).unwrap();
    }
    std::fs::write(folder.join("cases.json"), serde_json::to_string(cases).unwrap()).unwrap();
    let script = root().join("crates/lookahead-trainer/tests/python/peers.py");
    succeeded(Command::new(python).arg(script).args([what.as_ref(), folder]).output().unwrap());
}

/// A model and its Lookahead, built with the library.
struct Ours {
    vs: nn::VarStore,
    fc1: nn::Linear,
    out: nn::Linear,
    optimizer: Lookahead<Box<dyn InnerOptimizer>>,
}

impl Ours {
    /// With first weights like PyTorch's, and other k and α than the state's if `replaced`.
    fn new(kind: &Kind, precision: tch::Kind, replaced: bool) -> Self {
        let registry = Registry::builtin();
        let config =
            Config::parse(registry.kinds(), "test.toml", &kind.config(), &[]).unwrap().config;
        let mut vs = nn::VarStore::new(Device::Cpu);
        let fc1 = nn::linear(vs.root() / "fc1", 64, 16, Default::default());
        let out = nn::linear(vs.root() / "out", 16, 10, Default::default());
        vs.set_kind(precision);
        let inner = registry.build_optimizer(&config.optimizer, &vs).unwrap();
        let mut lookahead = config.lookahead.unwrap();
        if replaced {
            (lookahead.k, lookahead.alpha) = (7, 0.1);
        }
        let optimizer = Lookahead::around(inner).config(lookahead).build().unwrap();
        Ours { vs, fc1, out, optimizer }
    }

    fn train(&mut self, batches: &BTreeMap<String, Tensor>, indices: Range<usize>) {
        for i in indices {
            let images = batches[&format!("images/{i}")].flatten(1, -1).to_kind(self.vs.kind());
            let hidden = self.fc1.forward(&images).relu();
            let labels = &batches[&format!("labels/{i}")];
            self.optimizer
                .backward_step(&self.out.forward(&hidden).cross_entropy_for_logits(labels))
                .unwrap();
        }
    }

    /// θ and φ.
    fn weights(&mut self) -> BTreeMap<String, Tensor> {
        let slow = self.optimizer.state().unwrap().tensors;
        let slow = slow.into_iter().filter(|(name, _)| name.starts_with("slow/"));
        let fast =
            self.vs.variables().into_iter().map(|(name, fast)| (format!("fast/{name}"), fast));
        slow.chain(fast).collect()
    }
}

fn assert_near(ours: &BTreeMap<String, Tensor>, theirs: &BTreeMap<String, Tensor>, name: &str) {
    assert_eq!(ours.len(), theirs.len());
    for (key, theirs) in theirs {
        let difference =
            (&ours[key] - theirs).norm().double_value(&[]) / theirs.norm().double_value(&[]);
        assert!(difference <= 1e-6, "{name}, {key}: {difference:e}");
    }
}

#[test]
fn a_training_of_pytorch_continues_in_the_library_and_back() {
    let Some(python) = peers() else {
        eprintln!(
            "Skipped: no Python with torch, timm and pytorch_optimizer; `just python` makes one."
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write_batches(&plain(), 0, 32, &path.join("batches.safetensors"));
    let batches = read(&path.join("batches.safetensors")).unwrap();
    let (before, after) = (0..12, 12..32);
    // Rules that divide by the root of a small moment, or take a sign, magnify single precision's rounding, which depends on
    // the processor.
    let cases = |from: &[&str]| -> Vec<_> {
        let of = |kind: &Kind| kind.cases(before.clone(), after.clone(), from, "float64");
        KINDS.iter().flat_map(of).collect()
    };

    run_python(&python, "begin", path, &cases(&[]));
    for kind in KINDS {
        for peer in kind.peers {
            let name = format!("{}-{peer}", kind.name);
            let own = path.join(&name);
            let mut ours = Ours::new(kind, tch::Kind::Double, true);
            ours.vs.load(own.join("weights.safetensors")).unwrap();
            let state = State::load(own.join("state.safetensors")).unwrap();
            let replaced = ours.optimizer.load_state(&state).unwrap();
            assert_eq!(replaced[0].to_string(), "The state's k 5 replaces 7.");
            assert_eq!(ours.optimizer.phase(), 2);
            ours.train(&batches, after.clone());
            assert_near(&ours.weights(), &read(&own.join("theirs.safetensors")).unwrap(), &name);
        }
    }

    let mut expected = BTreeMap::new();
    for kind in KINDS {
        let mut ours = Ours::new(kind, tch::Kind::Double, false);
        ours.train(&batches, before.clone());
        for peer in kind.peers {
            let own = path.join(format!("{}-{peer}", kind.name));
            ours.vs.save(own.join("weights.safetensors")).unwrap();
            ours.optimizer.state().unwrap().save(own.join("state.safetensors")).unwrap();
        }
        ours.train(&batches, after.clone());
        expected.insert(kind.name, ours.weights());
    }
    run_python(&python, "continue", path, &cases(&["state.safetensors", "weights.safetensors"]));
    for kind in KINDS {
        for peer in kind.peers {
            let name = format!("{}-{peer}", kind.name);
            let theirs = read(&path.join(&name).join("theirs.safetensors")).unwrap();
            assert_near(&expected[kind.name], &theirs, &format!("back, {name}"));
        }
    }
}

/// A run's checkpoint after `step` steps as θ and φ.
fn checkpoint(sandbox: &Sandbox, run: &str, step: u64) -> BTreeMap<String, Tensor> {
    let file = sandbox.run_folder(run).join(format!("step-{step:08}/training.safetensors"));
    let all = read(&file).unwrap().into_iter();
    let own = |name: String| match name.strip_prefix("optimizer/slow/") {
        Some(name) => Some(format!("slow/{name}")),
        None => name.starts_with("fast/").then_some(name),
    };
    all.filter_map(|(name, tensor)| Some((own(name)?, tensor))).collect()
}

#[test]
fn a_training_of_pytorch_continues_in_the_program_and_back() {
    let Some(python) = peers() else {
        eprintln!(
            "Skipped: no Python with torch, timm and pytorch_optimizer; `just python` makes one."
        );
        return;
    };
    let sandbox = Sandbox::new(&plain());
    let path = sandbox.path();
    write_batches(&plain(), 0, 32, &path.join("batches.safetensors"));
    let some = ["sgd", "amsgrad", "pulled"];
    let kinds = || KINDS.iter().filter(|kind| some.contains(&kind.name)).chain([&GROUPS]);
    // The run continues on its own first batches.
    let cases: Vec<_> =
        kinds().flat_map(|kind| kind.cases(20..32, 0..20, &[], "float32")).collect();
    run_python(&python, "begin", path, &cases);
    for kind in kinds() {
        std::fs::write(path.join("kind.toml"), kind.config()).unwrap();
        for peer in kind.peers {
            let name = format!("{}-{peer}", kind.name);
            let [weights, state] =
                ["weights", "state"].map(|file| format!("{name}/{file}.safetensors"));
            let init = [
                "--init-from",
                &weights,
                "--init-optimizer",
                &state,
                "--set",
                "train.max_steps=20",
            ];
            let start = ["train", "kind.toml", "--out", "runs", "--name", &name, "--no-tui"];
            let said = stderr(&succeeded(sandbox.lookahead(&[&start[..], &init].concat())));
            assert!(
                said.contains("SHA-256") && said.contains(": 2 of 5 inner steps after a sync."),
                "{said}"
            );
            let theirs = read(&path.join(&name).join("theirs.safetensors")).unwrap();
            assert_near(&checkpoint(&sandbox, &name, 20), &theirs, &name);
        }
    }

    let mut cases = Vec::new();
    for kind in kinds() {
        std::fs::write(path.join("kind.toml"), kind.config()).unwrap();
        let start = ["train", "kind.toml", "--out", "runs", "--name", kind.name, "--no-tui"];
        succeeded(sandbox.lookahead(&[&start[..], &["--set", "train.max_steps=32"]].concat()));
        let from = sandbox.run_folder(kind.name).join("step-00000012");
        cases.extend(kind.cases(0..0, 12..32, &[from.to_str().unwrap()], "float32"));
    }
    run_python(&python, "continue", path, &cases);
    for kind in kinds() {
        for peer in kind.peers {
            let name = format!("{}-{peer}", kind.name);
            let theirs = read(&path.join(&name).join("theirs.safetensors")).unwrap();
            assert_near(&checkpoint(&sandbox, kind.name, 32), &theirs, &format!("back, {name}"));
        }
    }
}

/// No Python is needed: a state of the library.
#[test]
fn a_state_that_does_not_fit_the_run_is_refused_with_the_remedy() {
    let kind = &KINDS[1];
    let sandbox = Sandbox::new(&kind.config());
    let path = sandbox.path();
    let mut ours = Ours::new(kind, tch::Kind::Float, false);
    ours.vs.save(path.join("weights.safetensors")).unwrap();
    let mut save = |change: &dyn Fn(&mut State)| {
        let mut state = ours.optimizer.state().unwrap();
        change(&mut state);
        state.save(path.join("state.safetensors")).unwrap();
    };
    save(&|_| ());
    let init = ["--init-from", "weights.safetensors", "--init-optimizer", "state.safetensors"];
    let attempt = |more: &[&str]| sandbox.lookahead(&train("refused", &[&init[..], more].concat()));
    for (set, words) in [
        ("lookahead.k=7", &["`lookahead.k` was 5, and is 7. Use `--set lookahead.k=5`."][..]),
        ("lookahead.alpha=0.5", &["`lookahead.alpha` was 0.6, and is 0.5"]),
        (
            "optimizer.momentum=0.8",
            &["`optimizer.momentum` was 0.9", "--set optimizer.momentum=0.9"],
        ),
        ("optimizer.weight_decay=0.1", &["`optimizer.weight_decay` was 0.01"]),
        ("lookahead=false", &["is Lookahead's", "Give the config a section `[lookahead]`"]),
        (
            "lookahead.outer_momentum=0.5",
            &["does not fit the run's", "`velocity/", "Set `lookahead.outer_momentum` to 0."],
        ),
    ] {
        failed(&attempt(&sets(&[set])), 2, words);
    }
    std::fs::write(path.join("adam.toml"), KINDS[2].config()).unwrap();
    let adam = sandbox.lookahead(&[&["train", "adam.toml", "--out", "runs"][..], &init].concat());
    failed(&adam, 2, &["is of sgd, and the run's optimizer is adam", "--set optimizer.kind=sgd"]);

    save(&|state| drop(state.tensors.remove("slow/out.bias")));
    failed(&attempt(&[]), 2, &["state.safetensors does not fit", "slow/out.bias"]);
    save(&|state| {
        let bias = state.tensors["slow/out.bias"].narrow(0, 0, 5).copy();
        state.tensors.insert("slow/out.bias".to_owned(), bias);
    });
    failed(&attempt(&[]), 2, &["does not fit", "slow/out.bias", "[5]", "[10]"]);
    save(&|state| {
        let inner = state.part("inner");
        *state = inner;
    });
    failed(&attempt(&[]), 2, &["has no slow weights", "--set lookahead=false"]);
    failed(&sandbox.lookahead(&train("refused", &init[2..])), 2, &["--init-from"]);
    failed(&attempt(&["--init-partial"]), 2, &["--init-partial"]);
    let weights = ["--init-from", "weights.safetensors", "--init-optimizer", "weights.safetensors"];
    failed(&sandbox.lookahead(&train("refused", &weights)), 2, &["without an optimizer's state"]);
    let swapped = ["--init-from", "state.safetensors", "--init-optimizer", "weights.safetensors"];
    let remedy = "Use `--init-from weights.safetensors --init-optimizer state.safetensors`.";
    failed(&sandbox.lookahead(&train("refused", &swapped)), 2, &["files are swapped", remedy]);
    let alone = sandbox.lookahead(&train("refused", &swapped[..2]));
    failed(&alone, 2, &["state.safetensors is an optimizer's state", "`--init-optimizer`"]);
    assert!(!sandbox.run_folder("refused").exists());
}

#[test]
fn a_state_with_other_groups_is_refused_with_the_remedy() {
    let sandbox = Sandbox::new(&GROUPS.config());
    let path = sandbox.path();
    let mut ours = Ours::new(&GROUPS, tch::Kind::Float, false);
    ours.vs.save(path.join("weights.safetensors")).unwrap();
    ours.optimizer.state().unwrap().save(path.join("state.safetensors")).unwrap();
    let init = ["--init-from", "weights.safetensors", "--init-optimizer", "state.safetensors"];
    for (set, words) in [
        (
            "optimizer.group=[]",
            &[
                "has 2 parameter groups, and the run has 1 parameter group",
                "each other group needs one",
            ][..],
        ),
        (
            "optimizer.group=[{dims = 1, weight_decay = 0.2}]",
            &["`weight_decay` of group 1 was 0, and is 0.2", "`[[optimizer.group]]`"],
        ),
        (
            "optimizer.group=[{dims = 1, weight_decay = 0.0, alpha = 0.8}]",
            &["`alpha` of group 1 was 0.6, and is 0.8"],
        ),
        (
            "optimizer.group=[{dims = 1, kind = 'adamw', weight_decay = 0.0}]",
            &["is of inner/rest/adamw, and the run has inner/group1/adamw and inner/rest/adamw"],
        ),
    ] {
        let more = [&init[..], &sets(&[set])].concat();
        failed(&sandbox.lookahead(&train("refused", &more)), 2, words);
    }
    assert!(!sandbox.run_folder("refused").exists());
}

/// A schedule without `steps` takes those of the run, which are known only after the optimizer is built.
#[test]
fn a_schedule_of_k_begins_with_the_k_of_the_state() {
    let kind = &KINDS[1];
    let sandbox = Sandbox::new(&kind.config());
    let path = sandbox.path();
    let mut ours = Ours::new(kind, tch::Kind::Float, false);
    ours.vs.save(path.join("weights.safetensors")).unwrap();
    ours.optimizer.state().unwrap().save(path.join("state.safetensors")).unwrap();
    let init = ["--init-from", "weights.safetensors", "--init-optimizer", "state.safetensors"];
    fn with<'a>(init: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
        [init, &sets(more)].concat()
    }
    let other = ["lookahead.k=8", "lookahead.k_schedule={kind = \"linear\", to = 5}"];
    let refused = sandbox.lookahead(&train("refused", &with(&init, &other)));
    failed(&refused, 2, &["`lookahead.k` was 5, and is 8. Use `--set lookahead.k=5`."]);

    let growing = "lookahead.k_schedule={kind = \"linear\", to = 10}";
    sandbox.train("growing", &with(&init, &[growing, "train.max_steps=20"]));
    let syncs = sandbox.records("growing").into_iter().filter_map(|record| match record.event {
        Event::Sync(_) => Some(record.step),
        _ => None,
    });
    // 5 + 5 · 5/20 = 6.25, and 5 + 5 · 11/20 = 7.75.
    assert_eq!(syncs.take(3).collect::<Vec<_>>(), [5, 11, 19]);
}

#[test]
fn a_folder_or_a_checkpoints_file_is_refused_with_the_file_to_use() {
    let sandbox = Sandbox::new(&KINDS[1].config());
    sandbox.train("run", &sets(&["train.max_steps=4"]));
    let checkpoint = "runs/run/step-00000004";
    let from = |arguments: &[&str]| sandbox.lookahead(&train("refused", arguments));
    let remedy = format!("Use `--init-from {checkpoint}/model.safetensors`");
    let resume = "resume runs/run` to continue the run";
    failed(&from(&["--init-from", "runs/run"]), 2, &["a run's folder", &remedy, resume]);
    failed(&from(&["--init-from", checkpoint]), 2, &["a checkpoint's folder", &remedy]);
    failed(&from(&["--init-from", "runs"]), 2, &["runs is a folder without a checkpoint"]);
    let weights = format!("{checkpoint}/model.safetensors");
    for (state, words) in [
        (format!("{checkpoint}/training.safetensors"), "belongs to a checkpoint. "),
        (checkpoint.to_owned(), "step-00000004 is a folder. "),
    ] {
        let both = ["--init-from", &weights, "--init-optimizer", &state];
        failed(&from(&both), 2, &[words, "docs/lookahead_state.py", "resume` to continue a run"]);
    }
    let swapped = ["--init-from", &weights, "--init-optimizer", &weights];
    failed(&from(&swapped), 2, &["without an optimizer's state. Give weights to `--init-from`"]);
}

#[test]
fn wrong_arguments_of_the_script_are_refused_in_sentences() {
    let Some(python) = peers() else {
        eprintln!(
            "Skipped: no Python with torch, timm and pytorch_optimizer; `just python` makes one."
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut ours = Ours::new(&KINDS[1], tch::Kind::Float, false);
    ours.vs.save(folder.path().join("weights.safetensors")).unwrap();
    ours.optimizer.state().unwrap().save(folder.path().join("state.safetensors")).unwrap();
    let script = root().join("crates/lookahead-trainer/tests/python/peers.py");
    let run = Command::new(python).arg(script).arg("refuse").arg(folder.path()).output().unwrap();
    insta::assert_snapshot!(
        "wrong arguments of the script",
        String::from_utf8(succeeded(run).stdout).unwrap()
    );
}

/// Options that decide which tensors a state has.
#[test]
fn a_state_with_other_tensors_names_the_key_that_decides() {
    let sandbox = Sandbox::new(&KINDS[1].config());
    let path = sandbox.path();
    let batches = path.join("batches.safetensors");
    write_batches(&plain(), 0, 4, &batches);
    let batches = read(&batches).unwrap();
    let of = |name: &str| KINDS.iter().find(|kind| kind.name == name).unwrap();
    for (name, set, words) in [
        ("amsgrad", "optimizer.amsgrad=false", "Set `optimizer.amsgrad` to `true`."),
        (
            "sgd",
            "lookahead.momentum_policy=pullback",
            "Set `lookahead.momentum_policy` to `maintain`.",
        ),
        ("adam", "optimizer.amsgrad=true", "Set `optimizer.amsgrad` to `false`."),
        (
            "pulled",
            "lookahead.momentum_policy=maintain",
            "Set `lookahead.momentum_policy` to `pullback`.",
        ),
    ] {
        let mut ours = Ours::new(of(name), tch::Kind::Float, false);
        ours.train(&batches, 0..4);
        ours.vs.save(path.join("weights.safetensors")).unwrap();
        ours.optimizer.state().unwrap().save(path.join("state.safetensors")).unwrap();
        std::fs::write(path.join("test.toml"), of(name).config()).unwrap();
        let init = ["--init-from", "weights.safetensors", "--init-optimizer", "state.safetensors"];
        let refused = sandbox.lookahead(&train("refused", &[&init[..], &sets(&[set])].concat()));
        failed(&refused, 2, &["does not fit the run's", words]);
    }
}

/// Names in the weights' file are those of the state, so that `--init-rename` and a wrapper's prefix apply to both. The
/// learning rate is the run's.
#[test]
fn names_of_a_state_follow_those_of_the_weights() {
    let kind = &KINDS[1];
    let sandbox = Sandbox::new(&kind.config());
    let batches = sandbox.path().join("batches.safetensors");
    write_batches(&plain(), 0, 4, &batches);
    let mut ours = Ours::new(kind, tch::Kind::Float, false);
    ours.train(&read(&batches).unwrap(), 0..4);
    let renamed = |name: &str| format!("module.{}", name.replace("fc1", "first"));
    let weights = ours.vs.variables().into_iter().map(|(name, tensor)| (renamed(&name), tensor));
    write_new(&sandbox.path().join("weights.safetensors"), None, entries(weights.collect()))
        .unwrap();
    let mut state = ours.optimizer.state().unwrap();
    let rename = |(key, tensor): (String, Tensor)| {
        let (head, name) = key.rsplit_once('/').unwrap();
        (format!("{head}/{}", renamed(name)), tensor)
    };
    state.tensors = state.tensors.into_iter().map(rename).collect();
    state.save(sandbox.path().join("state.safetensors")).unwrap();
    let init = ["--init-from", "weights.safetensors", "--init-optimizer", "state.safetensors"];
    let more = ["--init-rename", "module.first=fc1", "--init-rename", "module.out=out"];
    let still = [
        "--set",
        "optimizer.lr=0",
        "--set",
        "optimizer.weight_decay=0.01",
        "--set",
        "train.max_steps=1",
    ];
    let said = stderr(&sandbox.train("renamed", &[&init[..], &more, &still].concat()));
    assert!(said.contains(": 4 of 5 inner steps after a sync. Its learning rate was 0.1, and the run begins with 0."), "{said}");
    // At a rate of 0 the fifth step leaves θ, and the sync moves φ.
    let found = checkpoint(&sandbox, "renamed", 1);
    let expected = ours.weights();
    let slow = expected["slow/fc1.weight"].lerp(&expected["fast/fc1.weight"], ALPHA);
    assert_eq!(found["slow/fc1.weight"], found["fast/fc1.weight"]);
    let difference = (&found["slow/fc1.weight"] - &slow).abs().max().double_value(&[]);
    assert!(difference < 1e-6, "{difference}");
}
