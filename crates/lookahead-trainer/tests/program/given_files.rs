//! Files as users have them: from other programs, under other names, from pipes, and a server's error pages.

use std::io::Write;
use std::path::Path;
use std::process::Output;

use crate::common::{SMALL, Sandbox, failed, sets, stderr, succeeded};
use lookahead_run::event::Event;

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
const PAGE: &str = "<!DOCTYPE html>\n<html><body>404: Not Found</body></html>\n";

const TINY: &str = "[data]\ndir = \"images\"\nbatch_size = 10\nvalidation = 10\n\
                    [model]\nkind = \"mlp\"\nhidden = [8]\n[train]\nmax_steps = 3\nthreads = 1\n";

fn train(sandbox: &Sandbox, more: &[&str]) -> Output {
    sandbox.lookahead(&[&["train", "test.toml", "--out", "runs"], more].concat())
}

/// The model after three steps, which is equal for equal data.
fn model(sandbox: &Sandbox, run: &str) -> Vec<u8> {
    std::fs::read(sandbox.run_folder(run).join("step-00000003/model.safetensors")).unwrap()
}

// ---- Configs

#[test]
fn a_config_may_have_a_byte_order_mark_or_be_utf_16() {
    let sandbox = Sandbox::new(SMALL);
    let marked = format!("\u{feff}{SMALL}");
    let units = |unit: fn(u16) -> [u8; 2], text: &str| -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    };
    let written =
        |name: &str| std::fs::read_to_string(sandbox.run_folder(name).join("config.toml")).unwrap();
    sandbox.train("plain", &["--set", "train.max_steps=1"]);
    for (name, bytes) in [
        ("marked", marked.clone().into_bytes()),
        ("little", units(u16::to_le_bytes, &marked)),
        ("big", units(u16::to_be_bytes, &marked)),
    ] {
        std::fs::write(sandbox.config(), bytes).unwrap();
        sandbox.train(name, &["--set", "train.max_steps=1"]);
        assert_eq!(written(name), written("plain"));
    }
    std::fs::write(sandbox.config(), units(u16::to_le_bytes, SMALL)).unwrap();
    failed(&train(&sandbox, &[]), 2, &["test.toml", "iconv -f UTF-16LE -t UTF-8"]);
    for (text, words) in [(POINTER, "git lfs pull"), (PAGE, "a web page")] {
        std::fs::write(sandbox.config(), text).unwrap();
        failed(&train(&sandbox, &[]), 2, &["test.toml", words]);
    }
}

#[test]
fn a_config_may_come_from_a_pipe() {
    let sandbox = Sandbox::new(SMALL);
    let program = env!("CARGO_BIN_EXE_lookahead");
    let shell = |script: &str| {
        let mut command = std::process::Command::new("bash");
        command.args(["-c", script, program]).current_dir(sandbox.path());
        command.output().unwrap()
    };
    let more = "--out runs --set train.max_steps=3";
    succeeded(shell(&format!("\"$0\" train <(cat test.toml) {more}")));
    succeeded(shell(&format!("cat test.toml | \"$0\" train /dev/stdin {more}")));
    succeeded(shell(&format!("\"$0\" train /dev/stdin {more} <test.toml")));
    sandbox.train("named", &["--set", "train.max_steps=3"]);
    for run in ["run", "run-2", "run-3"] {
        assert!(model(&sandbox, run) == model(&sandbox, "named"), "{run}");
    }
    // All keys have defaults, so an empty file would be a config.
    let nothing = shell(&format!("true | \"$0\" train /dev/stdin {more}"));
    failed(&nothing, 2, &["/dev/stdin", "nothing comes out of it"]);
    let endless = shell(&format!("\"$0\" train /dev/zero {more}"));
    failed(&endless, 2, &["/dev/zero", "more than 1048576 bytes"]);
}

#[test]
fn names_that_look_like_numbers_and_numbers_like_names() {
    let text = "[data]\nkind = \"text\"\nfile = \"none\"\nlength = 4\nvalidation = 2\n[model]\n\
                kind = \"lstm\"\n[train]\nmax_steps = 1\n";
    let sandbox = Sandbox::new(text);
    for name in ["2024", "true", "007", "1e5", "2024-01-01", ".5"] {
        std::fs::write(sandbox.path().join(name), "some text\n".repeat(9)).unwrap();
        let file = format!("data.file={name}");
        let run = format!("run-{}", name.trim_start_matches('.'));
        sandbox.train(&run, &["--set", &file, "--set", "optimizer.lr=.5"]);
        let config = sandbox.run_folder(&run).join("config.toml");
        let config = std::fs::read_to_string(config).unwrap();
        assert!(config.contains(&format!("/{name}\"")) && config.contains("lr = 0.5"), "{config}");
    }
    for (set, words) in [
        ("optimizer.lr=true", "--set optimizer.lr=true: `optimizer.lr` is true. Use a number"),
        ("optimizer.lr=a.5", "`optimizer.lr` is \"a.5\". Use a number"),
        ("train.max_steps=.5", "`train.max_steps` is 0.5. Use a whole number"),
        ("data.kind=2024", "--set data.kind=2024: "),
    ] {
        failed(&train(&sandbox, &["--set", set]), 2, &[words]);
    }
}

// ---- Data

fn bytes_of(name: &str, count: u32) -> Vec<u8> {
    let dimensions: &[u32] = if name.contains("images") { &[count, 28, 28] } else { &[count] };
    let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
    bytes.extend(dimensions.iter().flat_map(|n| n.to_be_bytes()));
    bytes.extend((0..dimensions.iter().product()).map(|i: u32| (i % 10) as u8));
    bytes
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Four files in the format of Fashion-MNIST, under these names.
fn images(folder: &Path, names: [&str; 4]) {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).unwrap();
    for (name, count) in names.into_iter().zip([50, 50, 20, 20]) {
        let bytes = bytes_of(name, count);
        let bytes = if name.ends_with(".gz") { compressed(&bytes) } else { bytes };
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

#[test]
fn images_may_be_decompressed_and_have_other_names() {
    let sandbox = Sandbox::new(TINY);
    let folder = sandbox.path().join("images");
    let original = [
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ];
    images(&folder, original);
    sandbox.train("original", &[]);
    let gunzipped = original.map(|name| name.trim_end_matches(".gz"));
    let dotted = [
        "train-images.idx3-ubyte",
        "train-labels.idx1-ubyte",
        "t10k-images.idx3-ubyte",
        "t10k-labels.idx1-ubyte",
    ];
    let named = [
        "emnist-train-images-idx3-ubyte.gz",
        "emnist-train-labels-idx1-ubyte.gz",
        "emnist-test-images-idx3-ubyte.gz",
        "emnist-test-labels-idx1-ubyte.gz",
    ];
    let plain = ["train_images", "train_labels", "test_images", "test_labels"];
    for (run, names) in
        [("gunzipped", gunzipped), ("dotted", dotted), ("named", named), ("plain", plain)]
    {
        images(&folder, names);
        sandbox.train(run, &[]);
        assert!(model(&sandbox, run) == model(&sandbox, "original"), "{run}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
    images(&folder.join("FashionMNIST/raw"), original);
    sandbox.train("torchvision", &[]);
    // The content says whether it is compressed.
    images(&folder, original);
    std::fs::write(folder.join(original[1]), bytes_of("labels", 50)).unwrap();
    sandbox.train("misnamed", &[]);
    // If two could be meant, neither is used.
    images(&folder, named);
    std::fs::write(folder.join("other-train-images"), "").unwrap();
    failed(&train(&sandbox, &[]), 1, &["images/train-images-idx3-ubyte.gz", "can't be read"]);

    for (text, words) in [(POINTER, "git lfs pull"), (PAGE, "a web page")] {
        images(&folder, original);
        std::fs::write(folder.join(original[2]), text).unwrap();
        failed(&train(&sandbox, &[]), 1, &["t10k-images-idx3-ubyte.gz", words]);
    }
}

#[test]
fn cifar_in_another_format_is_refused_with_the_remedy() {
    for (kind, python, archive) in [
        ("cifar10", "cifar-10-batches-py/data_batch_1", "cifar-10-binary.tar.gz"),
        ("cifar100", "cifar-100-python/train", "cifar-100-binary.tar.gz"),
    ] {
        let config = format!("[data]\nkind = \"{kind}\"\ndir = \"set\"\n");
        let sandbox = Sandbox::new(&config);
        let folder = sandbox.path().join("set");
        let file = folder.join(python);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, b"\x80\x02}").unwrap();
        let words = ["version for Python", archive, "`data.dir`"];
        failed(&train(&sandbox, &[]), 2, &words);
        let inner = file.parent().unwrap().to_str().unwrap();
        failed(&train(&sandbox, &sets(&[&format!("data.dir={inner}")])), 2, &words);
        std::fs::write(folder.join(archive), "").unwrap();
        failed(&train(&sandbox, &[]), 2, &[&format!("tar -xzf {archive}")]);
    }
}

#[test]
fn a_text_may_have_a_byte_order_mark_or_be_utf_16() {
    let config = "[data]\nkind = \"text\"\nfile = \"t\"\nlength = 4\nvalidation = 2\n[model]\n\
                  kind = \"lstm\"\n[train]\nmax_steps = 3\n";
    let sandbox = Sandbox::new(config);
    let file = sandbox.path().join("t");
    let text = "häßlich häß\n".repeat(9);
    std::fs::write(&file, &text).unwrap();
    sandbox.train("plain", &[]);
    std::fs::write(&file, format!("\u{feff}{text}")).unwrap();
    sandbox.train("marked", &[]);
    let units = |unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("\u{feff}{text}").encode_utf16().flat_map(unit).collect()
    };
    std::fs::write(&file, units(u16::to_le_bytes)).unwrap();
    sandbox.train("wide", &[]);
    for run in ["marked", "wide"] {
        assert!(model(&sandbox, run) == model(&sandbox, "plain"), "{run}");
    }
    std::fs::write(&file, POINTER.repeat(9)).unwrap();
    failed(&train(&sandbox, &[]), 1, &["git lfs pull"]);
    // Someone may want to learn from pages.
    std::fs::write(&file, PAGE.repeat(9)).unwrap();
    sandbox.train("page", &[]);
}

// ---- Sizes

/// Before the first step, and in the log.
#[test]
fn a_batch_larger_than_the_data_is_noted() {
    let sandbox = Sandbox::new(SMALL);
    let large = ["--set", "data.batch_size=99999", "--set", "train.max_steps=2"];
    let said = stderr(&sandbox.train("large", &large));
    let words = "`data.batch_size` is 99999, and there are 1200 training samples: each step takes all of \
                 them, so an epoch is one step.";
    assert!(said.contains(words), "{said}");
    let records = sandbox.records("large");
    let place = |wanted: &dyn Fn(&Event) -> bool| {
        records.iter().position(|record| wanted(&record.event)).expect("it is in the log")
    };
    let noted = place(&|event| matches!(event, Event::Note(note) if note.message == words));
    assert!(noted < place(&|event| matches!(event, Event::Step(_))));
    let said = stderr(&sandbox.train("whole", &["--set", "data.batch_size=1200"]));
    assert!(!said.contains("each step takes all"), "{said}");
    let most = ["--set", "data.batch_size=9223372036854775807", "--set", "train.max_steps=1"];
    sandbox.train("most", &most);
}
