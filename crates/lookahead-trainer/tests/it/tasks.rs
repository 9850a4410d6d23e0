//! Every config of the project trains, resumes and evaluates; and what is special to each task.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::common::write_digits;
use crate::common::{SMALL, Sandbox, copy_folder, failed, root, sets, succeeded};
use lookahead_run::event::{Evaluation, Event, Split, Task, Weights};
use lookahead_trainer::registry::Registry;
use serde_json::Value;

/// A config, and settings that make it small enough for a test.
type Case = (&'static str, &'static [&'static str]);

const DIGITS: [Case; 1] = [("digits", &[])];

const IMAGES: [Case; 1] = [("digits-png", &[])];

const ARRAYS: [Case; 1] = [("digits-npz", &[])];

const FASHION: [Case; 3] = [
    ("fashion-mnist", &["probe.samples=8"]),
    ("fashion-mnist-mlp", &[]),
    ("fashion-mnist-resnet", &[]),
];

/// Two nets keep their full size; the others differ in settings that do not depend on it.
const CIFAR: [Case; 9] = [
    ("cifar10-resnet18", &["train.max_steps=2"]),
    ("cifar10-resnet18-sgd", &["model.width=4"]),
    ("cifar10-resnet18-adam", &["model.width=4"]),
    ("cifar10-resnet18-polyak", &["model.width=4", "averaging.start_step=1"]),
    ("cifar10-small", &[]),
    ("cifar100-resnet18", &["model.width=4"]),
    ("cifar100-resnet18-sgd", &["model.width=4"]),
    ("cifar100-resnet18-adam", &["model.width=4"]),
    ("cifar100-resnet18-polyak", &["model.width=4"]),
];

const TEXT: [Case; 2] = [("text-lstm", &["model.width=32"]), ("text-transformer", &[])];

const TABLES: [Case; 1] = [("wine", &[])];

const QUADRATIC: [Case; 2] = [("noisy-quadratic", &[]), ("quadratic", &[])];

#[test]
fn every_config_has_a_test() {
    let known =
        [&DIGITS[..], &IMAGES, &ARRAYS, &FASHION, &CIFAR, &TEXT, &TABLES, &QUADRATIC].concat();
    let known: BTreeSet<String> = known.iter().map(|(name, _)| format!("{name}.toml")).collect();
    let entries = std::fs::read_dir(root().join("configs")).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let there = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert_eq!(known, there, "put a new config into one of the lists above");
}

#[test]
fn the_digits_config() {
    run_all(&DIGITS, Task::Classification, &["data.batch_size=20"], |_| {});
}

#[test]
fn the_config_of_images() {
    let small = ["data.batch_size=20", "data.dir=data"];
    run_all(&IMAGES, Task::Classification, &small, write_digits);
}

#[test]
fn the_config_of_arrays() {
    let write = |folder: &Path| {
        std::fs::create_dir(folder).unwrap();
        let script = root().join("crates/lookahead-trainer/data/digits_npz.py");
        let status = Command::new("python3").arg(script).arg(folder.join("digits.npz")).status();
        assert!(status.expect("python3 writes the arrays").success());
    };
    let small = ["data.batch_size=20", "data.file=data/digits.npz"];
    run_all(&ARRAYS, Task::Classification, &small, write);
}

#[test]
fn the_configs_of_fashion_mnist() {
    let small = ["data.dir=data", "data.batch_size=4", "data.validation=8"];
    run_all(&FASHION, Task::Classification, &small, fashion_mnist);
}

#[test]
fn the_configs_of_cifar() {
    let small = ["data.dir=data", "data.batch_size=4", "data.validation=8"];
    run_all(&CIFAR, Task::Classification, &small, cifar);
}

#[test]
fn the_configs_of_text() {
    let file = format!("data.file={}", root().join("README.md").display());
    run_all(&TEXT, Task::Language, &["data.batch_size=4", &file], |_| {});
}

#[test]
fn the_config_of_a_table() {
    let file = format!("data.file={}", root().join("configs/data/wine.csv").display());
    run_all(&TABLES, Task::Classification, &[&file], |_| {});
}

#[test]
fn the_configs_of_quadratic_problems() {
    run_all(&QUADRATIC, Task::Quadratic, &["data.batch_size=4"], |_| {});
}

/// Trains each config three steps, resumes it from the first one, and evaluates it.
fn run_all(cases: &[Case], task: Task, small: &[&str], prepare: impl Fn(&Path)) {
    for (name, own) in cases {
        let text = std::fs::read_to_string(root().join(format!("configs/{name}.toml"))).unwrap();
        let sandbox = Sandbox::new(&text);
        prepare(&sandbox.path().join("data"));
        let mut all = vec!["train.max_steps=3", "train.threads=1"];
        all.extend(["checkpoint.every_steps=1", "checkpoint.keep=9"]);
        if text.contains("\n[lookahead]") {
            all.push("lookahead.k=2");
        }
        all.extend(small.iter().chain(*own));
        sandbox.train("whole", &sets(&all));
        let whole = sandbox.losses("whole");
        let last = whole.len() as u64;
        assert!(last >= 2, "{name}");

        copy_folder(&sandbox.run_folder("whole"), &sandbox.run_folder("resumed"));
        sandbox.resume("resumed", &["--from", "1"]);
        assert_eq!(sandbox.losses("resumed"), whole, "{name}");
        let same = sandbox.tensors("resumed", last) == sandbox.tensors("whole", last);
        assert!(same, "{name}: the resumed run has other weights or another state");

        let weights = match (text.contains("\n[lookahead]"), text.contains("\n[averaging]")) {
            (true, _) => Weights::Slow,
            (_, true) if *name != "fashion-mnist" => Weights::Average,
            _ => Weights::Fast,
        };
        let recorded = evaluation(&sandbox, "whole", weights, Split::Test);
        let report = eval(&sandbox, "resumed");
        assert_eq!(report["loss"], recorded.loss, "{name}");
        assert_eq!(report["step"], last, "{name}");
        match task {
            Task::Language => assert_eq!(report["perplexity"], recorded.loss.exp(), "{name}"),
            _ => assert!(report["perplexity"].is_null(), "{name}"),
        }
        assert_eq!(report["accuracy"].is_f64(), task != Task::Quadratic, "{name}: {report}");
    }
}

pub(crate) fn evaluation(
    sandbox: &Sandbox,
    run: &str,
    weights: Weights,
    split: Split,
) -> Evaluation {
    let records = sandbox.records(run);
    let found = records.iter().rev().find_map(|record| match &record.event {
        Event::Evaluation(e) if e.weights == weights && e.split == split => Some(e.clone()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{run} has no evaluation of {weights:?} on {split:?}"))
}

pub(crate) fn eval(sandbox: &Sandbox, run: &str) -> Value {
    let folder = sandbox.run_folder(run);
    let arguments = ["eval", folder.to_str().unwrap(), "--json"];
    serde_json::from_slice(&succeeded(sandbox.lookahead(&arguments)).stdout).unwrap()
}

/// Bytes that differ from place to place, the same ones every time.
fn noise(count: usize, seed: u32) -> impl Iterator<Item = u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(count)
}

/// Files in the format of Fashion-MNIST.
fn fashion_mnist(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let write = |name: &str, dimensions: &[u32], bytes: Vec<u8>| {
        let mut file = vec![0, 0, 8, dimensions.len() as u8];
        file.extend(dimensions.iter().flat_map(|n| n.to_be_bytes()));
        file.extend(bytes);
        let to = std::fs::File::create(folder.join(name)).unwrap();
        let mut to = flate2::write::GzEncoder::new(to, flate2::Compression::fast());
        to.write_all(&file).unwrap();
        to.finish().unwrap();
    };
    for (name, count) in [("train", 40), ("t10k", 12)] {
        let pixels = noise(count as usize * 784, count).collect();
        write(&format!("{name}-images-idx3-ubyte.gz"), &[count, 28, 28], pixels);
        let classes = (0..count).map(|i| (i % 10) as u8).collect();
        write(&format!("{name}-labels-idx1-ubyte.gz"), &[count], classes);
    }
}

/// Files in the formats of CIFAR-10 and, in a folder as it is unpacked, of CIFAR-100.
fn cifar(folder: &Path) {
    let fine = folder.join("cifar-100-binary");
    std::fs::create_dir_all(&fine).unwrap();
    let images = |count: u32, coarse: bool, classes: u32| -> Vec<u8> {
        let image = |i: u32| {
            let labels =
                if coarse { vec![3, (i * 7 % classes) as u8] } else { vec![(i % classes) as u8] };
            labels.into_iter().chain(noise(3072, i))
        };
        (0..count).flat_map(image).collect()
    };
    for i in 1..=5 {
        std::fs::write(folder.join(format!("data_batch_{i}.bin")), images(8, false, 10)).unwrap();
    }
    std::fs::write(folder.join("test_batch.bin"), images(6, false, 10)).unwrap();
    std::fs::write(fine.join("train.bin"), images(40, true, 100)).unwrap();
    std::fs::write(fine.join("test.bin"), images(6, true, 100)).unwrap();
}

/// 14 steps of a text model: three steps a cycle, dropout from libtorch's generator.
const SMALL_TEXT: &str = r#"
[data]
kind = "text"
file = "book.txt"
length = 16
batch_size = 20
validation = 10

[model]
kind = "lstm"
embedding = 8
width = 12
layers = 2
dropout = 0.3

[optimizer]
kind = "adam"
lr = 0.01

[lookahead]
k = 3
alpha = 0.5

[train]
max_steps = 14
threads = 1

[probe]
every_syncs = 1

[checkpoint]
every_steps = 1
keep = 100
"#;

/// A text that has some order in it.
fn book(sandbox: &Sandbox) {
    let words = ["the ", "slow ", "weights ", "follow ", "and ", "wait. "];
    let text: String = noise(400, 1).map(|byte| words[usize::from(byte) % 6]).collect();
    std::fs::write(sandbox.path().join("book.txt"), text).unwrap();
}

const TRANSFORMER: [&str; 4] =
    ["model.kind=transformer", "model.width=12", "model.heads=3", "model.layers=2"];

#[test]
fn text_models_resume_from_every_phase_bit_for_bit() {
    let sandbox = Sandbox::new(SMALL_TEXT);
    book(&sandbox);
    for (run, keys) in [("lstm", &[][..]), ("transformer", &TRANSFORMER)] {
        sandbox.train(run, &sets(keys));
        let whole = sandbox.losses(run);
        assert_eq!(whole.len(), 14);
        for step in 1..=6 {
            let resumed = format!("{run}-from-{step}");
            copy_folder(&sandbox.run_folder(run), &sandbox.run_folder(&resumed));
            sandbox.resume(&resumed, &["--from", &step.to_string()]);
            assert_eq!(sandbox.losses(&resumed), whole, "{resumed}");
            assert!(sandbox.tensors(&resumed, 14) == sandbox.tensors(run, 14), "{resumed}");
        }
    }
}

/// φ is evaluated by putting it in place of θ. A new model, loaded from the file of φ, must have the same loss.
#[test]
fn text_models_are_evaluated_at_phi() {
    use lookahead_trainer::{config::Config, train::evaluation::evaluate};

    let sandbox = Sandbox::new(SMALL_TEXT);
    book(&sandbox);
    for (run, keys) in [("lstm", &[][..]), ("transformer", &TRANSFORMER)] {
        sandbox.train(run, &sets(keys));
        let folder = sandbox.run_folder(run);
        let config = Config::load(Registry::builtin().kinds(), &folder.join("config.toml"), &[])
            .unwrap()
            .config;
        let data = Registry::builtin().load_data(&config.data).unwrap();
        tch::manual_seed(99);
        let mut model =
            Registry::builtin().build_model(&config.model, &data.spec, tch::Device::Cpu).unwrap();
        model.vs.load(folder.join("step-00000014/model.safetensors")).unwrap();
        let test = &*data.test;
        let objective =
            Registry::builtin().build_objective(&config, &data.spec, tch::Device::Cpu).unwrap();
        let loaded = evaluate(&objective, &model, test, Split::Test, Weights::Slow, || false);
        let loaded = loaded.unwrap().unwrap();
        let slow = evaluation(&sandbox, run, Weights::Slow, Split::Test);
        let fast = evaluation(&sandbox, run, Weights::Fast, Split::Test);
        assert!((loaded.loss - slow.loss).abs() < 1e-6, "{run}: {} {}", loaded.loss, slow.loss);
        assert!((slow.loss - fast.loss).abs() > 1e-4, "{run}: nothing to tell apart");
    }
}

#[test]
fn a_run_resumes_only_with_its_own_text() {
    let sandbox = Sandbox::new(SMALL_TEXT);
    book(&sandbox);
    sandbox.train("run", &sets(&["train.max_steps=4"]));
    let file = sandbox.path().join("book.txt");
    let text = std::fs::read_to_string(&file).unwrap();
    // As long, and of the same characters.
    std::fs::write(&file, text.replacen("the slow", "slow the", 1)).unwrap();
    let resume = ["resume", "runs/run", "--set", "train.max_steps=6"];
    failed(&sandbox.lookahead(&resume), 2, &["contents have changed", "`data.file`"]);
    std::fs::write(sandbox.path().join("moved.txt"), text).unwrap();
    sandbox.resume("run", &sets(&["train.max_steps=6", "data.file=moved.txt"]));
    assert_eq!(sandbox.losses("run").len(), 6);
}

/// Without noise, a few lines of f64 arithmetic give the same losses.
#[test]
fn a_quadratic_problem_follows_its_formula() {
    let sandbox = Sandbox::new(
        "[data]\nkind = \"quadratic\"\ndimensions = 5\ncondition = 100\nbatch_size = 2\n\
         [model]\nkind = \"quadratic\"\n[optimizer]\nlr = 0.4\nmomentum = 0.8\n\
         [lookahead]\nk = 4\nalpha = 0.6\n[train]\nmax_steps = 42\n",
    );
    sandbox.train("run", &[]);
    let curvatures: Vec<f64> = (0..5).map(|i| 100f64.powf(-f64::from(i) / 4.0)).collect();
    let loss = |x: &[f64]| x.iter().zip(&curvatures).map(|(x, a)| 0.5 * a * x * x).sum::<f64>();
    let (mut x, mut velocity, mut phi) = ([1.0; 5], [0.0; 5], [1.0; 5]);
    let mut losses = Vec::new();
    for step in 1..=42 {
        losses.push(loss(&x));
        for i in 0..5 {
            velocity[i] = 0.8 * velocity[i] + curvatures[i] * x[i];
            x[i] -= 0.4 * velocity[i];
            if step % 4 == 0 {
                phi[i] += 0.6 * (x[i] - phi[i]);
                x[i] = phi[i];
            }
        }
    }
    // The last sync, of two steps; the fast weights are evaluated before it.
    for i in 0..5 {
        phi[i] += 0.6 * (x[i] - phi[i]);
    }
    let near = |found: f64, expected: f64| (found - expected).abs() <= 1e-5 * expected + 1e-9;
    let found = sandbox.losses("run");
    assert_eq!(found.len(), losses.len());
    for ((step, bits), expected) in found.into_iter().zip(losses) {
        let found = f64::from_bits(bits);
        assert!(near(found, expected), "step {step}: {found}, and by hand {expected}");
    }
    for split in [Split::Validation, Split::Test] {
        let of = |weights| evaluation(&sandbox, "run", weights, split).loss;
        let (fast, slow) = (of(Weights::Fast), of(Weights::Slow));
        assert!(near(fast, loss(&x)), "{fast}, and by hand {}", loss(&x));
        assert!(near(slow, loss(&phi)), "{slow}, and by hand {}", loss(&phi));
    }
}

/// As the paper proves: φ varies less, so its loss is lower.
#[test]
fn phi_has_the_lower_floor_on_the_noisy_quadratic() {
    let text = std::fs::read_to_string(root().join("configs/noisy-quadratic.toml")).unwrap();
    let sandbox = Sandbox::new(&text);
    sandbox.train("run", &sets(&["train.threads=1"]));
    let mut sums = [0.0; 2];
    for record in sandbox.records("run") {
        if let Event::Evaluation(e) = record.event
            && e.split == Split::Validation
            && record.step > 2000
        {
            sums[usize::from(e.weights == Weights::Slow)] += e.loss / 30.0;
        }
    }
    let [fast, slow] = sums;
    assert!(slow < 0.7 * fast, "φ at {slow}, θ at {fast}");
}

#[test]
fn label_noise_is_only_in_the_training_set() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("clean", &[]);
    sandbox.train("noisy", &sets(&["data.label_noise=0.4"]));
    assert_ne!(sandbox.losses("noisy"), sandbox.losses("clean"));
    let at_first = |run: &str| {
        // Before the first step: the same images with other labels.
        f64::from_bits(sandbox.losses(run)[0].1)
    };
    assert_ne!(at_first("noisy"), at_first("clean"));
    let test = |run: &str| evaluation(&sandbox, run, Weights::Slow, Split::Test);
    assert!(test("noisy").loss > test("clean").loss);
    copy_folder(&sandbox.run_folder("noisy"), &sandbox.run_folder("again"));
    sandbox.resume("again", &["--from", "5"]);
    assert_eq!(sandbox.losses("again"), sandbox.losses("noisy"));
    let other = ["resume", "runs/noisy", "--set", "data.label_noise=0.2"];
    failed(&sandbox.lookahead(&other), 2, &["`data.label_noise` can't change on resume"]);
}

#[test]
fn learning_rates_by_steps_are_logged() {
    let sandbox = Sandbox::new(SMALL);
    // Four steps an epoch.
    let keys = ["schedule.kind=steps", "schedule.milestones=[1,3]", "schedule.factor=0.1"];
    let warm = ["schedule.warmup_steps=2", "optimizer.lr=0.5"];
    sandbox.train("run", &sets(&[&keys[..], &warm].concat()));
    let records = sandbox.records("run");
    let rates: Vec<f64> = records
        .iter()
        .filter_map(|record| match record.event {
            Event::Step(step) => Some(step.learning_rate),
            _ => None,
        })
        .collect();
    let expected = [&[0.25, 0.5, 0.5, 0.5][..], &[0.05; 8], &[0.005; 2]].concat();
    assert_eq!(rates.len(), expected.len());
    for (step, (found, expected)) in rates.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() < 1e-12, "step {}: {found}", step + 1);
    }
}
