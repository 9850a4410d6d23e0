//! Bad input gets a full sentence and an exit status, and nothing is lost or left behind.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::common::{self, SMALL, Sandbox, failed, root, stderr, succeeded};
use clap::Parser;
use lookahead_run::event::{Event, Status};
use lookahead_trainer::cli::{Cli, Command};
use lookahead_trainer::commands;
use lookahead_trainer::failure::exit_code;
use lookahead_trainer::registry::Registry;

/// Trains with some `--set`s and expects exit status 2 with these words, and no run folder.
fn refused(config: &str, sets: &[&str], words: &[&str]) {
    let sandbox = Sandbox::new(config);
    let (config, out) = (sandbox.config(), sandbox.path().join("runs"));
    let fixed = ["lookahead", "train", config.to_str().unwrap(), "--out", out.to_str().unwrap()];
    // In this process: the program takes longer to start than to refuse.
    let cli = Cli::parse_from([&fixed[..], &common::sets(sets)].concat());
    let Command::Train(arguments) = cli.command else { unreachable!() };
    let error = commands::train(&Registry::builtin(), &arguments).unwrap_err();
    assert_eq!(exit_code(&error), 2, "{error:#}");
    for word in words {
        assert!(format!("{error:#}").contains(word), "no `{word}` in: {error:#}");
    }
    assert!(!out.exists(), "a run that can't begin leaves no folder");
}

/// The same by the program itself, in the folder of its config.
fn refused_by_the_program(config: &str, sets: &[&str], words: &[&str]) {
    let sandbox = Sandbox::new(config);
    let fixed = ["train", "test.toml", "--out", "runs"];
    failed(&sandbox.lookahead(&[&fixed[..], &common::sets(sets)].concat()), 2, words);
    assert!(!sandbox.path().join("runs").exists(), "a run that can't begin leaves no folder");
}

#[test]
fn unknown_keys_and_sections() {
    let words = ["test.toml, line 2", "nonsense", "`k`", "`alpha`", "`lookahead config`"];
    refused_by_the_program("[lookahead]\nnonsense = 1\n", &[], &words);
    refused("\n\n[lookahed]\nk = 5\n", &[], &["test.toml, line 3", "lookahed", "`[lookahead]`"]);
    refused(
        SMALL,
        &["lookahead.kk=5"],
        &["--set lookahead.kk=5", "`lookahead.kk`", "`k`", "`alpha`"],
    );
    refused(SMALL, &["lookahead=true"], &["is a section, not a key"]);
    refused("[data\n", &[], &["test.toml, line 1"]);
}

#[test]
fn wrong_types() {
    refused(
        "[lookahead]\n\nk = \"five\"\n",
        &[],
        &["test.toml, line 3", "\"five\"", "a whole number"],
    );
    refused(SMALL, &["lookahead.k=2.5"], &["--set lookahead.k=2.5", "2.5", "a whole number"]);
    refused("[lookahead]\nk = -1\n", &[], &["test.toml, line 2", "-1", "1 or more"]);
    refused("[optimizer]\nkind = \"sdg\"\n", &[], &["line 2", "sdg", "`sgd`", "`adamw`"]);
    refused(SMALL, &["train.device=gpu"], &["`train.device` is gpu", "`cuda`"]);
}

#[test]
fn values_out_of_range() {
    let alpha = ["`lookahead.alpha`", "more than 0 and at most 1"];
    refused(
        "[lookahead]\nalpha = 0.0\n",
        &[],
        &[&alpha[..], &["test.toml, line 2", "is 0"]].concat(),
    );
    refused(
        SMALL,
        &["lookahead.alpha=1.5"],
        &[&alpha[..], &["--set lookahead.alpha=1.5", "is 1.5"]].concat(),
    );
    refused(SMALL, &["lookahead.alpha=nan"], &alpha);
    refused(
        "\n[lookahead]\nk = 0\n",
        &[],
        &["test.toml, line 3", "`lookahead.k` is 0", "at least 1"],
    );
    refused(SMALL, &["optimizer.lr=-1"], &["`optimizer.lr` is -1"]);
    refused(SMALL, &["optimizer.momentum=1"], &["`optimizer.momentum` is 1", "below 1"]);
    refused(SMALL, &["data.batch_size=0"], &["`data.batch_size` is 0"]);
    refused(SMALL, &["model.dropout=1"], &["`model.dropout` is 1"]);
    refused(SMALL, &["model.hidden=[0]"], &["`model.hidden` is [0]"]);
    refused(SMALL, &["model.hidden=[100000000000]"], &["[100000000000]", "each 1 to 1048576"]);
    refused(SMALL, &["train.epochs=0"], &["`train.epochs` is 0"]);
    refused(SMALL, &["train.threads=5000"], &["`train.threads` is 5000", "1024"]);
    refused(SMALL, &["probe.samples=342"], &["`probe.samples` is 342", "`data.validation`, 341"]);
    refused(SMALL, &["optimizer.lr=1e39"], &["`optimizer.lr` is 1e39", "3.4e38"]);
    refused(SMALL, &["optimizer.lr=-1e30"], &["`optimizer.lr` is -1e30"]);
    refused(SMALL, &["checkpoint.keep=0"], &["`checkpoint.keep` is 0"]);
    refused(SMALL, &["data.validation=0"], &["`data.validation` is 0", "`probe.every_syncs` to 0"]);
    refused(
        "[schedule]\nkind = \"cosine\"\nmin_lr = 3\n",
        &[],
        &["test.toml, line 3", "`schedule.min_lr` is 3"],
    );
}

#[test]
fn values_of_other_data_and_models_out_of_range() {
    for (set, words) in [
        ("model.width=0", "`model.width` is 0"),
        ("model.blocks=[]", "`model.blocks` is []"),
        ("model.blocks=[0]", "`model.blocks` is [0]"),
        ("model.blocks=[1,1,1,1]", "`model.blocks` has 4 stages"),
        ("model.layers=2", "`model.layers` belongs to lstm and transformer only"),
        ("model.dropout=0.5", "`model.dropout` belongs to"),
        ("model.hidden=[4]", "`model.hidden` belongs to cnn and mlp only"),
        ("data.length=8", "`data.length` belongs to text only"),
        ("data.label_noise=1.5", "`data.label_noise` is 1.5"),
        ("model.kind=lstm", "`model.kind` is lstm, which can't learn from the data digits"),
    ] {
        refused("[data]\nkind = \"digits\"\n[model]\nkind = \"resnet\"\n", &[set], &[words]);
    }
    let images = "[data]\nkind = \"images\"\ndir = \".\"\n[model]\nkind = \"cnn\"\n";
    for (set, words) in [
        ("data.size=[0,3]", "`data.size` is [0, 3]"),
        // Those of ImageNet, as fractions of 255.
        ("data.std=[0.229,0.224,0.225]", "not divided by 255"),
        ("data.label_noise=2", "`data.label_noise` is 2"),
        ("data.test_fraction=1", "`data.test_fraction` is 1."),
        ("data.test_fraction=-0.1", "`data.test_fraction` is -0.1."),
        ("data.test_fraction=nan", "`data.test_fraction` is NaN."),
    ] {
        refused(images, &[set], &[words]);
    }
    let text = "[data]\nkind = \"text\"\nfile = \"test.toml\"\n[model]\nkind = \"transformer\"\n";
    for (set, words) in [
        ("model.heads=3", "`model.heads` is 3"),
        ("model.layers=0", "`model.layers` is 0"),
        ("model.embedding=4", "`model.embedding` belongs to lstm only"),
        ("data.length=0", "`data.length` is 0"),
        ("data.dir=.", "`data.dir` belongs to"),
        ("model.kind=cnn", "Models that can: lstm, transformer and torchscript"),
        ("data.length=4", "The text makes"),
    ] {
        refused_by_the_program(text, &[set], &[words]);
    }
    refused(
        "[data]\nkind = \"text\"\n[model]\nkind = \"lstm\"\n",
        &[],
        &["`data.file` is missing"],
    );
}

#[test]
fn text_files_that_hold_no_text() {
    let sandbox = Sandbox::new(
        "[data]\nkind = \"text\"\nfile = \"book.txt\"\nlength = 4\n[model]\nkind = \"lstm\"\n",
    );
    let train = || sandbox.lookahead(&["train", "test.toml", "--out", "runs"]);
    failed(&train(), 1, &["book.txt", "can't be read", "`data.file`"]);
    for (contents, words) in [
        (&b"good \xff bad"[..], "byte 5"),
        (b"short", "5 characters, and at least 9"),
        (b"aaaaaaaaaaaaaaaaaaaaaaaa", "no character but 'a'"),
    ] {
        std::fs::write(sandbox.path().join("book.txt"), contents).unwrap();
        failed(&train(), 1, &["book.txt", words]);
    }
}

/// Values that are wrong only for this data or model.
#[test]
fn values_that_do_not_fit_the_data() {
    let endless = SMALL.replace("max_steps = 14", "epochs = 9223372036854775807");
    refused(&endless, &[], &["`train.epochs` is 9223372036854775807", "at most"]);
    // `max_steps` decides, so the epochs don't matter.
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "train.epochs=9223372036854775807"]);

    let words = ["`data.validation` is 1541", "only 1541 samples"];
    refused(SMALL, &["data.validation=1541"], &words);
    let channels = ["model.kind=cnn", "model.channels=[4,4,4,4]"];
    refused(SMALL, &channels, &["`model.channels` has 4 convolutions", "1×1"]);
    // 1,200 images are left to train on.
    let alone = ["`data.batch_size` is 11", "1200", "1 sample", "`model.batch_norm`"];
    refused(SMALL, &["data.batch_size=11"], &alone);
    refused(SMALL, &["data.batch_size=1"], &["`data.batch_size` is 1", "`model.batch_norm`"]);
    // The last stage of a residual net has four pixels left of each image.
    let residual = Sandbox::new(&SMALL.replace(
        "kind = \"mlp\"\nhidden = [16]\ndropout = 0.3\nbatch_norm = true",
        "kind = \"resnet\"\nwidth = 2\nblocks = [1, 1, 1]",
    ));
    residual.train("run", &["--set", "data.batch_size=11", "--set", "train.max_steps=110"]);
    for fine in ["model.batch_norm=false", "model.hidden=[]"] {
        let sets = ["data.batch_size=11", fine, "train.max_steps=110"];
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        sandbox.train(fine, &sets);
    }
}

/// The default of a key can depend on the data.
#[test]
fn the_digits_have_fewer_samples_to_validate_on() {
    let sandbox = Sandbox::new("[data]\nkind = \"digits\"\n[model]\nkind = \"mlp\"\n");
    sandbox.train("run", &["--set", "train.max_steps=1"]);
    let config = std::fs::read_to_string(sandbox.run_folder("run").join("config.toml")).unwrap();
    assert!(config.contains("validation = 241") && config.contains("samples = 128"), "{config}");
}

/// libtorch fails inside tch, which unwraps: the message is a full sentence anyway.
#[test]
fn a_model_too_large_for_memory() {
    let sandbox = Sandbox::new(SMALL);
    let huge = ["train", "test.toml", "--out", "runs", "--set", "model.hidden=[1048576,1048576]"];
    let output = sandbox.lookahead(&huge);
    failed(&output, 1, &["An operation of libtorch failed", "memory"]);
    assert!(!stderr(&output).contains("frame #"), "{}", stderr(&output));
    assert!(!sandbox.path().join("runs").exists());
}

/// The disk is full from the first byte on.
#[test]
fn a_run_that_can_not_start_leaves_no_folder() {
    let sandbox = Sandbox::new(SMALL);
    let output = sandbox.with_file_limit(0, &["train", "test.toml", "--out", "runs"]);
    failed(&output, 1, &["Could not write `runs/test/", "File too large"]);
    assert_eq!(std::fs::read_dir(sandbox.path().join("runs")).unwrap().count(), 0);
}

#[test]
fn keys_of_another_kind() {
    let adam = "[optimizer]\nkind = \"adam\"\nmomentum = 0.9\n";
    refused(
        adam,
        &[],
        &["test.toml, line 3", "`optimizer.momentum` belongs to sgd, rmsprop and muon only"],
    );
    refused(
        SMALL,
        &["optimizer.kind=adam", "optimizer.nesterov=true"],
        &["`optimizer.nesterov` belongs to sgd and muon only"],
    );
    refused(
        SMALL,
        &["optimizer.nesterov=true", "optimizer.momentum=0"],
        &["needs a momentum above 0"],
    );

    // Changing the kind on the command line drops the old kind's keys, with a note.
    let sandbox = Sandbox::new(&SMALL.replace("lr = 0.05", "lr = 0.05\nmomentum = 0.9"));
    let output =
        sandbox.train("run", &["--set", "optimizer.kind=adam", "--set", "train.max_steps=1"]);
    assert!(
        stderr(&output).contains("`optimizer.momentum` does not belong to adam"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn missing_configs_and_runs() {
    let sandbox = Sandbox::new(SMALL);
    failed(
        &sandbox.lookahead(&["train", "no.toml"]),
        2,
        &["There is no config `no.toml`", "`configs/no.toml`", "`lookahead init`"],
    );
    failed(&sandbox.lookahead(&["resume", "runs/none"]), 2, &["runs/none"]);
    std::fs::create_dir_all(sandbox.path().join("empty")).unwrap();
    failed(&sandbox.lookahead(&["eval", "empty"]), 2, &["empty", "config.toml"]);
    failed(&sandbox.lookahead(&["train", "test.toml", "--set", "novalue"]), 2, &["novalue=VALUE"]);
    failed(&sandbox.lookahead(&["train", "test.toml", "--name", "a/b"]), 2, &["a/b"]);
    failed(&sandbox.lookahead(&["tarin"]), 2, &["tarin"]);
}

#[test]
fn a_run_that_exists_is_never_overwritten() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("taken", &["--set", "train.max_steps=2"]);
    let losses = sandbox.losses("taken");
    let again = ["train", "test.toml", "--out", "runs", "--name", "taken"];
    failed(&sandbox.lookahead(&again), 2, &["taken", "never overwritten", "resume"]);
    assert_eq!(sandbox.losses("taken"), losses);

    // Without a name the next free one is taken.
    for name in ["test", "test-2", "test-3"] {
        let unnamed = ["train", "test.toml", "--out", "runs", "--set", "train.max_steps=1"];
        succeeded(sandbox.lookahead(&unnamed));
        assert!(sandbox.run_folder(name).join("config.toml").exists(), "{name}");
    }
}

/// Four small files in the format of Fashion-MNIST.
fn images(folder: &Path, count: u32) {
    images_of(folder, [count, 28, 28], [20, 28, 28]);
}

fn images_of(folder: &Path, train: [u32; 3], test: [u32; 3]) {
    std::fs::create_dir_all(folder).unwrap();
    let write = |name: &str, dimensions: &[u32]| {
        let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
        bytes.extend(dimensions.iter().flat_map(|n| n.to_be_bytes()));
        let size: u32 = dimensions.iter().product();
        bytes.extend((0..size).map(|i| (i % 10) as u8));
        let file = std::fs::File::create(folder.join(name)).unwrap();
        let mut file = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        file.write_all(&bytes).unwrap();
        file.finish().unwrap();
    };
    write("train-images-idx3-ubyte.gz", &train);
    write("train-labels-idx1-ubyte.gz", &train[..1]);
    write("t10k-images-idx3-ubyte.gz", &test);
    write("t10k-labels-idx1-ubyte.gz", &test[..1]);
}

const TINY: &str = "[data]\ndir = \"images\"\nbatch_size = 10\nvalidation = 10\n\
                    [model]\nkind = \"mlp\"\nhidden = [8]\n[train]\nmax_steps = 3\nthreads = 1\n";

#[test]
fn data_files_missing_cut_off_or_wrong() {
    let sandbox = Sandbox::new(TINY);
    let folder = sandbox.path().join("images");
    let train = || sandbox.lookahead(&["train", "test.toml", "--out", "runs"]);
    failed(&train(), 1, &["images/train-images-idx3-ubyte.gz", "can't be read", "`data.dir`"]);

    images(&folder, 50);
    succeeded(train());

    let labels = folder.join("train-labels-idx1-ubyte.gz");
    let whole = std::fs::read(&labels).unwrap();
    std::fs::write(&labels, &whole[..whole.len() / 2]).unwrap();
    failed(&train(), 1, &["train-labels-idx1-ubyte.gz", "damaged or cut off"]);
    std::fs::write(&labels, "not compressed").unwrap();
    failed(&train(), 1, &["train-labels-idx1-ubyte.gz", "damaged or cut off"]);

    images(&folder, 40);
    std::fs::write(&labels, &whole).unwrap();
    failed(&train(), 1, &["don't belong together", "40 images", "[50] labels"]);
    images(&folder, 10);
    failed(&train(), 2, &["`data.validation` is 10", "only 10 samples"]);
    images_of(&folder, [50, 28, 28], [20, 14, 28]);
    failed(&train(), 1, &["images are 28×28", "test images 14×28"]);
    images_of(&folder, [50, 0, 0], [20, 0, 0]);
    failed(&train(), 1, &["train-images-idx3-ubyte.gz", "50 images of 0×0"]);
    images_of(&folder, [50, 28, 28], [0, 28, 28]);
    failed(&train(), 1, &["t10k-images-idx3-ubyte.gz", "0 images of 28×28"]);
}

/// The data must be what the run began with, wherever the program is called from.
#[test]
fn a_run_resumes_only_with_its_own_data() {
    let sandbox = Sandbox::new(TINY);
    images(&sandbox.path().join("images"), 50);
    images(&sandbox.path().join("fewer"), 20);
    sandbox.train("run", &[]);
    let config = sandbox.run_folder("run").join("config.toml");
    let before = std::fs::read_to_string(&config).unwrap();
    let log = || std::fs::read(sandbox.run_folder("run").join("events.jsonl")).unwrap();
    let (absolute, logged) = (sandbox.path().join("images"), log());
    assert!(before.contains(absolute.to_str().unwrap()), "{before}");

    let resume = |folder: &str, more: &[&str]| {
        let fixed = ["resume", folder, "--set", "train.max_steps=6"];
        sandbox.lookahead(&[&fixed, more].concat())
    };
    let fewer = resume("runs/run", &["--set", "data.dir=fewer"]);
    failed(&fewer, 2, &["10 samples", "taken with 40", "`data.dir`"]);
    assert_eq!(std::fs::read_to_string(&config).unwrap(), before, "nothing is changed");
    assert_eq!(log(), logged);

    let mut elsewhere = sandbox.command(&["resume", ".", "--set", "train.max_steps=6"]);
    succeeded(elsewhere.current_dir(sandbox.run_folder("run")).output().unwrap());
}

#[test]
fn data_that_can_not_be_downloaded() {
    let sandbox = Sandbox::new("[train]\nmax_steps = 1\n");
    let cache = sandbox.path().join("cache");
    if Path::new("/usr/share/datasets/fashion-mnist").exists() {
        eprintln!("skipped: this system has Fashion-MNIST");
        return;
    }
    let mut command = sandbox.command(&["train", "test.toml", "--out", "runs"]);
    // No one listens on port 9 of this machine.
    command.env("XDG_CACHE_HOME", &cache).env("LOOKAHEAD_FASHION_MNIST_URL", "http://127.0.0.1:9");
    let place = cache.join("lookahead/data/fashion-mnist");
    let words = ["could not be fetched", "train-images-idx3-ubyte.gz", place.to_str().unwrap()];
    failed(&command.output().unwrap(), 1, &words);

    // Files of the right names with other contents are refused.
    images(&place, 50);
    failed(&command.output().unwrap(), 1, &["is not Fashion-MNIST's", "SHA-256", "Remove"]);
}

#[test]
fn cifar_that_can_not_be_downloaded() {
    for (kind, title, variable) in [
        ("cifar10", "CIFAR-10", "LOOKAHEAD_CIFAR10_URL"),
        ("cifar100", "CIFAR-100", "LOOKAHEAD_CIFAR100_URL"),
    ] {
        let sandbox = Sandbox::new(&format!("[data]\nkind = \"{kind}\"\n"));
        let cache = sandbox.path().join("cache");
        let mut command = sandbox.command(&["train", "test.toml", "--out", "runs"]);
        // No one listens on port 9 of this machine.
        command.env("XDG_CACHE_HOME", &cache).env(variable, "http://127.0.0.1:9");
        let place = cache.join("lookahead/data").join(kind);
        let words = [title, "could not be fetched", ".bin", "`--set data.dir=FOLDER`", variable];
        failed(&command.output().unwrap(), 1, &words);
        failed(&command.output().unwrap(), 1, &[place.to_str().unwrap()]);
        assert!(!place.exists());
        // `doctor` reports the same.
        let mut doctor = sandbox.command(&["doctor"]);
        let said = succeeded(doctor.env("XDG_CACHE_HOME", &cache).output().unwrap()).stdout;
        let said = String::from_utf8(said).unwrap();
        let line = said.lines().find(|line| line.starts_with(&format!("{title} "))).unwrap();
        assert!(line.contains("not here") && line.contains(place.to_str().unwrap()), "{line}");
    }
}

#[test]
fn a_missing_gpu() {
    let sandbox = Sandbox::new(SMALL);
    let gpus = tch::Cuda::device_count().max(0);
    let device = format!("train.device=cuda:{gpus}");
    let output = sandbox.lookahead(&["train", "test.toml", "--out", "runs", "--set", &device]);
    failed(&output, 2, &[&format!("`train.device` is cuda:{gpus}"), "train.device=cpu", "doctor"]);
    if gpus == 0 {
        let output = sandbox.lookahead(&["train", "test.toml", "--set", "train.device=cuda"]);
        failed(&output, 2, &["`train.device` is cuda", "reaches no CUDA device"]);
    }
}

#[test]
fn divergence() {
    let sandbox = Sandbox::new(SMALL);
    let arguments = ["train", "test.toml", "--out", "runs", "--set", "optimizer.lr=1e30"];
    failed(&sandbox.lookahead(&arguments), 1, &["diverged", "`optimizer.lr`"]);
    let log = std::fs::read_to_string(sandbox.run_folder("test").join("events.jsonl")).unwrap();
    let last = log.lines().last().unwrap();
    assert!(last.contains("\"run_ended\"") && last.contains("\"failed\""), "{last}");
}

/// After a single step no loss shows it yet, but the weights do.
#[test]
fn nan_weights_are_never_saved() {
    let sandbox = Sandbox::new(SMALL);
    let last_event = |run: &str| sandbox.records(run).pop().unwrap().event;
    for (run, decay) in [("infinite", "1e30"), ("huge", "0")] {
        let decay = format!("optimizer.weight_decay={decay}");
        let mut arguments = vec!["train", "test.toml", "--out", "runs", "--name", run];
        arguments.extend(["--set", "train.max_steps=1", "--set", "optimizer.lr=1e30"]);
        arguments.extend(["--set", &decay, "--set", "model.batch_norm=false"]);
        failed(&sandbox.lookahead(&arguments), 1, &["diverged", "`optimizer.lr`"]);
        let failed = matches!(last_event(run), Event::RunEnded(e) if e.status == Status::Failed);
        assert!(failed, "{run}");
    }
    let saved = sandbox.run_folder("infinite").join("step-00000001").exists();
    assert!(!saved, "a checkpoint of NaN would replace a good one");

    // The other's weights are finite, but their outputs are not.
    let output =
        succeeded(sandbox.lookahead(&["eval", "runs/huge", "--json", "--weights", "fast"]));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(["NaN", "Infinity"].contains(&report["loss"].as_str().unwrap()), "{report}");
}

/// The files in `configs/` are what users learn the keys from.
#[test]
fn every_key_is_documented_and_the_configs_are_valid() {
    let text = std::fs::read_to_string(root().join("configs/fashion-mnist.toml")).unwrap();
    let keys = |section: &str, text: &str| -> Vec<String> {
        let body = text.split(&format!("[{section}]")).nth(1).unwrap();
        let body = body.split("\n[").next().unwrap();
        body.lines()
            .filter_map(|line| line.trim_start_matches("# ").split_once(" = "))
            .map(|(key, _)| key.to_owned())
            .collect()
    };
    // serde lists all keys of a section when it meets one that it does not know.
    for section in [
        "data",
        "model",
        "optimizer",
        "lookahead",
        "averaging",
        "schedule",
        "train",
        "probe",
        "checkpoint",
    ] {
        let sandbox = Sandbox::new(&format!("[{section}]\nwhat = 1\n"));
        let said = stderr(&sandbox.lookahead(&["train", "test.toml"]));
        let known: Vec<&str> =
            said.split('`').skip(5).step_by(2).filter(|w| !w.contains(' ')).collect();
        assert!(known.len() >= 2, "{said}");
        let documented = keys(section, &text);
        for key in known {
            assert!(documented.iter().any(|d| d == key), "`{section}.{key}` is not documented");
        }
    }
    let files = |folder: &str| -> Vec<PathBuf> {
        let all = std::fs::read_dir(root().join(folder)).unwrap();
        all.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
    };
    for config in files("configs") {
        lookahead_trainer::config::Config::load(Registry::builtin().kinds(), &config, &[]).unwrap();
    }
    // The configs of all their points.
    let sandbox = Sandbox::new("");
    for sweep in files("configs/sweeps") {
        succeeded(sandbox.lookahead(&["sweep", sweep.to_str().unwrap(), "--dry-run"]));
    }
}
