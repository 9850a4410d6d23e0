//! Input of arbitrary bytes: the fuzzers' seeds and findings are replayed, as they are and changed at random.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use crate::hostile::TARGETS;
use lookahead_run::Manifest;
use lookahead_trainer::tensor_file::TensorFile;

/// The cases of a target: those that the fuzzers begin with, and those that once failed.
fn cases(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut cases = Vec::new();
    for folder in ["seeds", "found"] {
        let Ok(entries) = std::fs::read_dir(fuzz.join(folder).join(target)) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            cases.push((path, bytes));
        }
    }
    cases.sort();
    assert!(!cases.is_empty(), "there is no case of {target}");
    cases
}

#[test]
fn the_seeds_of_the_fuzzers() {
    for (name, target) in TARGETS {
        for (path, bytes) in cases(name) {
            println!("{}", path.display());
            target(&bytes);
        }
    }
}

/// Short; `just fuzz` searches longer.
#[test]
fn the_seeds_with_random_changes() {
    let mut state = 0u64;
    let mut random = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    for (name, target) in TARGETS {
        let cases = cases(name);
        for _ in 0..300 {
            let mut bytes = cases[random(cases.len())].1.clone();
            for _ in 0..=random(4) {
                let at = random(bytes.len());
                match random(5) {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at.min(bytes.len()), random(256) as u8),
                    2 if !bytes.is_empty() => bytes[at] = b"0{[\"\n,\xff\0"[random(8)],
                    3 if !bytes.is_empty() => bytes[at] ^= 1 << random(8),
                    _ => {
                        let other = &cases[random(cases.len())].1;
                        let from = random(other.len());
                        let piece = &other[from..(from + random(64)).min(other.len())];
                        bytes.splice(
                            at.min(bytes.len())..at.min(bytes.len()),
                            piece.iter().copied(),
                        );
                    }
                }
            }
            if std::panic::catch_unwind(|| target(&bytes)).is_err() {
                panic!("{name} failed on {:?}", String::from_utf8_lossy(&bytes));
            }
        }
    }
}

/// Otherwise the targets would hardly get beyond refusals.
#[test]
fn changed_manifests_and_headers_are_read_to_their_end() {
    let cases = cases("manifest");
    let (_, whole) = cases.iter().find(|(path, _)| path.ends_with("whole")).unwrap();
    let changed = std::str::from_utf8(whole).unwrap().replace("\"step\": 2,", "\"step\": 77,");
    let parse = |text: &str| Manifest::parse(Path::new("step-00000077"), text.as_bytes());
    parse(&changed).unwrap_err();
    assert_eq!(
        parse(&crate::hostile::sealed(changed.as_bytes()).unwrap()).unwrap().metadata.step,
        77
    );

    let header = br#"{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}"#;
    let file = crate::hostile::with_lengths(header).unwrap();
    assert_eq!(TensorFile::new(Cursor::new(file)).unwrap().tensors().unwrap().len(), 1);
}

/// Nothing is nested too deeply for the stack.
#[test]
fn deep_nesting_is_an_error() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("{\"files\":{\"a\":", "}}")] {
        for depth in [100, 100_000] {
            let text = format!("{}0{}", open.repeat(depth), close.repeat(depth));
            for (_, target) in TARGETS {
                target(text.as_bytes());
                target(format!("{text}\n{text}\n").as_bytes());
                target(format!("a = {text}\n").as_bytes());
            }
        }
    }
    let tables = format!("[{}a]\nb = 1\n", "a.".repeat(50_000));
    TARGETS.iter().for_each(|(_, target)| target(tables.as_bytes()));
}
