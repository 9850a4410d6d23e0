//! Calls of tch that panic although they return a `Result`: see docs/development.md.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tch::{Device, Kind, Tensor};

/// The sources of the workspace's tch.
fn tch_sources() -> PathBuf {
    // Only this platform's packages have been downloaded.
    let version = output(Command::new("rustc").arg("-vV"));
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--offline", "--locked"]);
    cargo.args(["--filter-platform", host]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let metadata: serde_json::Value = serde_json::from_str(&output(&mut cargo)).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let tch = packages.iter().find(|package| package["name"] == "tch").unwrap();
    Path::new(tch["manifest_path"].as_str().unwrap()).with_file_name("src")
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The fallible functions of tch that take a number as a `Scalar`.
fn fallible_with_a_number() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in rust_files(&tch_sources().join("wrappers")) {
        let text = fs::read_to_string(&file).unwrap();
        for function in text.split("pub fn ").skip(1) {
            let signature = function.split('{').next().unwrap();
            let name = signature.split(['<', '(']).next().unwrap();
            if name.starts_with("f_") && signature.contains("Into<Scalar>") {
                names.insert(name.to_owned());
            }
        }
    }
    names
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The calls of these functions in a source, each with its line.
fn calls(text: &str, names: &BTreeSet<String>) -> Vec<String> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap();
        for word in code.split(|c| !is_part(c)).filter(|word| names.contains(*word)) {
            found.push(format!("{}: {word}", number + 1));
        }
    }
    found
}

/// The number's destructor unwraps the error that libtorch has just reported.
#[test]
fn a_fallible_call_with_a_number_panics_if_libtorch_refuses() {
    let whole = Tensor::from_slice(&[1i64, 2]);
    let panicked = std::panic::catch_unwind(|| whole.shallow_clone().f_mul_scalar_(0.5).is_err());
    assert!(panicked.is_err(), "tch has fixed it: remove this test and the workarounds");
    // Workarounds: the shim, and a tensor of one number.
    assert!(lookahead_core::tch_ext::arithmetic::scale(&mut whole.shallow_clone(), 0.5).is_err());
    assert!(whole.shallow_clone().f_mul_(&Tensor::from(0.5)).is_err());
    let empty = Tensor::zeros([0], (Kind::Float, Device::Cpu));
    assert!(empty.f_max().is_err(), "without a number it is an error");
}

#[test]
fn no_source_calls_one() {
    let names = fallible_with_a_number();
    for known in ["f_norm_scalaropt_dtype", "f_div_scalar", "f_lerp_", "f_gt", "f_fill_"] {
        assert!(names.contains(known), "{known} is not found in tch's sources");
    }
    assert_eq!(
        calls("let _ = x.f_fill_(0.5)?; // f_gt", &names),
        ["1: f_fill_"],
        "the search works"
    );

    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    let mut count = 0;
    for member in fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().path()) {
        for part in ["src", "examples"] {
            for file in rust_files(&member.join(part)) {
                count += 1;
                let text = fs::read_to_string(&file).unwrap();
                let place = file.strip_prefix(crates).unwrap().display().to_string();
                found.extend(calls(&text, &names).iter().map(|call| format!("{place}:{call}")));
            }
        }
    }
    assert!(count > 100, "only {count} sources were found");
    assert!(
        found.is_empty(),
        "These calls panic when libtorch refuses. Use `lookahead_core::tch_ext::arithmetic` or a tensor of one \
         number instead, as docs/development.md says:\n{}",
        found.join("\n")
    );
}
