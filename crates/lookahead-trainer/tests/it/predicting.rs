//! `lookahead predict`: rows of predictions for samples in files.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Output, Stdio};

use crate::common::{SMALL, Sandbox, failed, root, sets, stderr, succeeded};
use lookahead_trainer::data::{csv, gzip};
use serde_json::Value;

/// The raw pixels and the class of each image in the test set of the digits.
pub(crate) fn digits() -> (Vec<Vec<u8>>, Vec<u8>) {
    let file = std::fs::read(root().join("crates/lookahead-trainer/data/digits.csv.gz")).unwrap();
    let rows = csv::parse(&gzip::decompress(&file, 1 << 20).unwrap(), 64, 10).unwrap();
    let images = rows.pixels.chunks(64).map(<[u8]>::to_vec);
    images.zip(rows.labels).skip(6).step_by(7).unzip()
}

/// A run on the digits, and its test images as `digits.csv`.
fn trained() -> Sandbox {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &[]);
    let (images, _) = digits();
    let row = |image: &Vec<u8>| {
        let numbers: Vec<String> = image.iter().map(u8::to_string).collect();
        numbers.join(",") + "\n"
    };
    let rows: String = images.iter().map(row).collect();
    std::fs::write(sandbox.path().join("digits.csv"), rows).unwrap();
    sandbox
}

pub(crate) fn predict(sandbox: &Sandbox, more: &[&str]) -> Output {
    sandbox.lookahead(&[&["predict", "runs/run"], more].concat())
}

pub(crate) fn rows(output: Output) -> Vec<String> {
    let text = String::from_utf8(succeeded(output).stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn write_npy(path: &Path, images: &[Vec<u8>]) {
    let shape = format!("({}, 1, 8, 8)", images.len());
    let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
    header += &" ".repeat(117 - header.len());
    let parts = [&b"\x93NUMPY\x01\x00\x76\x00"[..], header.as_bytes(), b"\n", &images.concat()];
    std::fs::write(path, parts.concat()).unwrap();
}

#[test]
fn the_digits_have_the_accuracy_of_eval_in_every_format() {
    let sandbox = trained();
    let (images, labels) = digits();
    for set in ["slow", "fast"] {
        let found = rows(predict(&sandbox, &["digits.csv", "--weights", set]));
        assert_eq!(found[0], "class,p_0,p_1,p_2,p_3,p_4,p_5,p_6,p_7,p_8,p_9");
        assert_eq!(found.len(), 1 + labels.len());
        let mut correct = 0;
        for (row, label) in found[1..].iter().zip(&labels) {
            let (class, probabilities) = row.split_once(',').unwrap();
            let probabilities: Vec<f64> =
                probabilities.split(',').map(|text| text.parse().unwrap()).collect();
            assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{row}");
            let class: usize = class.parse().unwrap();
            assert!(probabilities.iter().all(|&other| other <= probabilities[class]), "{row}");
            correct += usize::from(class == usize::from(*label));
        }
        let eval = sandbox.lookahead(&["eval", "runs/run", "--weights", set, "--json"]);
        let eval: Value = serde_json::from_slice(&succeeded(eval).stdout).unwrap();
        assert_eq!(correct as f64 / labels.len() as f64, eval["accuracy"].as_f64().unwrap());
    }

    let expected = rows(predict(&sandbox, &["digits.csv"]));
    write_npy(&sandbox.path().join("digits.npy"), &images);
    assert_eq!(rows(predict(&sandbox, &["digits.npy"])), expected);
    let from_stdin = sandbox
        .command(&["predict", "runs/run", "-"])
        .stdin(std::fs::File::open(sandbox.path().join("digits.csv")).unwrap())
        .output();
    assert_eq!(rows(from_stdin.unwrap()), expected);

    // As PNGs, from black to white.
    std::fs::create_dir_all(sandbox.path().join("images/more")).unwrap();
    for (i, image) in images.iter().enumerate() {
        let folder = if i < 200 { "images" } else { "images/more" };
        let pixels = image.iter().map(|&p| (f64::from(p) * 255.0 / 16.0).round() as u8).collect();
        let picture = image::GrayImage::from_raw(8, 8, pixels).unwrap();
        picture.save(sandbox.path().join(format!("{folder}/{i:03}.png"))).unwrap();
    }
    let found = rows(predict(&sandbox, &["images"]));
    assert_eq!(found[0], format!("file,{}", expected[0]));
    for (i, (found, expected)) in found[1..].iter().zip(&expected[1..]).enumerate() {
        let folder = if i < 200 { "images" } else { "images/more" };
        let found: Vec<&str> = found.split(',').collect();
        assert_eq!(found[0], format!("{folder}/{i:03}.png"));
        // Pixels from 0 to 255 are not exactly those from 0 to 16.
        for (found, expected) in found[2..].iter().zip(expected.split(',').skip(1)) {
            let [found, expected] = [found, expected].map(|text| text.parse::<f64>().unwrap());
            assert!((found - expected).abs() < 0.01, "{i}: {found}, {expected}");
        }
    }

    let lines = rows(predict(&sandbox, &["images/007.png", "images/003.png", "--format", "jsonl"]));
    for (line, i) in lines.iter().zip([7, 3]) {
        let found: Value = serde_json::from_str(line).unwrap();
        assert_eq!(found["file"], format!("images/00{i}.png"));
        let mut cells = expected[1 + i].split(',');
        cells.next();
        for (class, cell) in cells.enumerate() {
            let probability = found[format!("p_{class}")].as_f64().unwrap();
            assert!((probability - cell.parse::<f64>().unwrap()).abs() < 0.01, "{line}");
        }
    }
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let sandbox = trained();
    let path = sandbox.path().join("out.csv");
    let expected = succeeded(predict(&sandbox, &["digits.csv"])).stdout;
    std::fs::write(sandbox.path().join("bad.csv"), "x\n").unwrap();
    let bad = predict(&sandbox, &["digits.csv", "bad.csv", "--output", "out.csv"]);
    failed(&bad, 2, &["bad.csv has no samples"]);
    assert!(!path.exists());
    let written = succeeded(predict(&sandbox, &["digits.csv", "--output", "out.csv"]));
    assert!(written.stdout.is_empty());
    let said = stderr(&written);
    assert!(said.contains("256 predictions by the slow weights of run at step 14"), "{said}");
    assert_eq!(std::fs::read(&path).unwrap(), expected);
    let again = ["digits.csv", "--output", "out.csv", "--from", "4"];
    failed(&predict(&sandbox, &again), 2, &["out.csv exists", "`--force`"]);
    succeeded(predict(&sandbox, &[&again[..], &["--force"]].concat()));
    assert_ne!(std::fs::read(&path).unwrap(), expected, "of an earlier checkpoint");
    let mut left: Vec<_> = std::fs::read_dir(sandbox.path()).unwrap().map(Result::unwrap).collect();
    left.retain(|entry| entry.file_name().to_string_lossy().starts_with('.'));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn inputs_that_do_not_fit_are_named() {
    let sandbox = trained();
    let write = |name: &str, text: &str| std::fs::write(sandbox.path().join(name), text).unwrap();
    let row = ["3"; 64].join(",");
    write("more.csv", &format!("{row},5\n"));
    write("word.csv", &format!("{row}\n{}\n", row.replacen("3,3", "3,x", 1)));
    write("empty.csv", "");
    write("cut.png", "\u{89}PNG");
    let picture = image::GrayImage::new(9, 8);
    picture.save(sandbox.path().join("wide.png")).unwrap();
    for (inputs, words) in [
        (
            &["more.csv"][..],
            &["more.csv can't be used. Line 1 has 65 values", "has 64, of shape [1, 8, 8]"][..],
        ),
        (
            &["word.csv"],
            &["word.csv can't be used. Line 2, column 2: \"x\" is not a finite number"],
        ),
        (&["empty.csv"], &["empty.csv has no samples"]),
        (&["none.csv"], &["none.csv does not exist"]),
        (&["wide.png"], &["wide.png", "8 × 9 pixels (height × width) instead of 8 × 8"]),
        (&["cut.png"], &["cut.png isn't an image"]),
        (&["wide.png", "word.csv"], &["Images can't be predicted together with other files"]),
        (&["word.csv", "--weights", "average"], &["no averaged weights"]),
        (&["word.csv", "--from", "99"], &["99"]),
    ] {
        failed(&predict(&sandbox, &[inputs, &["--output", "out"]].concat()), 2, words);
        assert!(!sandbox.path().join("out").exists());
    }
    failed(&sandbox.lookahead(&["predict", "runs", "more.csv"]), 2, &["runs"]);
}

/// `head` takes what it wants.
#[test]
fn a_reader_may_close_stdout() {
    let sandbox = trained();
    let rows = std::fs::read_to_string(sandbox.path().join("digits.csv")).unwrap();
    std::fs::write(sandbox.path().join("many.csv"), rows.repeat(40)).unwrap();
    let mut command = sandbox.command(&["predict", "runs/run", "many.csv"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("class,"), "{line}");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

#[test]
fn memory_does_not_grow_with_the_rows() {
    let sandbox = trained();
    let mut command = sandbox.command(&["predict", "runs/run", "-", "--output", "out.csv"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let peak = || -> u64 {
        let status = std::fs::read_to_string(&status).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let rows = std::fs::read(sandbox.path().join("digits.csv")).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut write = |times| (0..times).for_each(|_| stdin.write_all(&rows).unwrap());
    write(100);
    let early = peak();
    write(1100);
    let late = peak();
    drop(stdin);
    succeeded(child.wait_with_output().unwrap());
    let out = std::fs::read(sandbox.path().join("out.csv")).unwrap();
    assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 1 + 1200 * 256);
    assert!(late < early + 4096, "{early} kB after 25,600 rows, {late} kB after 307,200");
}

#[test]
fn a_model_of_something_else_is_refused() {
    let sandbox = Sandbox::new("[data]\nkind = \"quadratic\"\n[model]\nkind = \"quadratic\"\n");
    sandbox.train("run", &sets(&["train.max_steps=2"]));
    std::fs::write(sandbox.path().join("a.csv"), "1\n").unwrap();
    failed(&predict(&sandbox, &["a.csv"]), 2, &["has no inputs", "`lookahead eval`"]);
}
