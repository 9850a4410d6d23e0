//! `docs/adding-a-task.md`, done to the letter in a copy of this crate.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{copy_folder, root, stderr, succeeded};

/// A block of code in the document, and the file that the text before it names.
#[derive(Debug)]
struct Block {
    language: String,
    path: String,
    code: String,
}

fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut before = "";
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            if !line.is_empty() {
                before = line;
            }
            continue;
        };
        let code: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let quoted = before.split('`').skip(1).step_by(2);
        let path = quoted.filter(|word| word.contains('/')).last().unwrap_or_default();
        blocks.push(Block {
            language: language.to_owned(),
            path: path.to_owned(),
            code: code.join("\n") + "\n",
        });
    }
    blocks
}

/// Does what a block says.
fn apply(block: &Block, copy: &Path) {
    let path = match block.language.as_str() {
        "toml" => copy.join(&block.path),
        _ => copy.join("crates/lookahead-trainer").join(&block.path),
    };
    match block.language.as_str() {
        "rust" | "toml" => {
            assert!(!path.exists(), "{} is no new file", path.display());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &block.code).unwrap();
        }
        "diff" => {
            let lines = |wanted: &[char]| -> String {
                let lines = block.code.lines().filter(|line| line.starts_with(wanted));
                lines.map(|line| format!("{}\n", &line[1..])).collect()
            };
            let text = std::fs::read_to_string(&path).unwrap();
            let before = lines(&[' ']);
            let found = text.matches(&before).count();
            assert_eq!(found, 1, "the lines {before:?} are {found} times in {}", path.display());
            std::fs::write(&path, text.replace(&before, &lines(&[' ', '+']))).unwrap();
        }
        other => assert_eq!(other, "sh", "a kind of block that this test can't do"),
    }
}

/// A workspace of this crate alone, which shares everything else with the real one. It is always in
/// the same place, so that it is not built anew each time.
fn copy_of_the_crate(target: &Path) -> PathBuf {
    let (root, copy) = (root(), target.join("walk"));
    let _ = std::fs::remove_dir_all(&copy);
    let here = copy.join("crates/lookahead-trainer");
    for folder in ["src", "data", "benches"] {
        let from = root.join("crates/lookahead-trainer").join(folder);
        copy_folder(&from, &here.join(folder));
    }
    let put = |name: &str, change: &dyn Fn(String) -> String| {
        let text = std::fs::read_to_string(root.join(name)).unwrap();
        std::fs::write(copy.join(name), change(text)).unwrap();
    };
    put("Cargo.lock", &|text| text);
    put("Cargo.toml", &|text| {
        let crates = format!("path = \"{}/crates/", root.display());
        text.replace("\"crates/*\"", "\"crates/lookahead-trainer\"")
            .replace("path = \"crates/", &crates)
    });
    put("crates/lookahead-trainer/build.rs", &|text| text);
    // Where a target that may use them is built, the features that development asks of other crates
    // are on, as they are in the tests' own build: those crates are not built once more.
    std::fs::create_dir(here.join("examples")).unwrap();
    std::fs::write(here.join("examples/nothing.rs"), "//! Nothing.\nfn main() {}\n").unwrap();
    // Under another name: the real program is in use by other tests.
    put("crates/lookahead-trainer/Cargo.toml", &|text| {
        let text = text.replace("default-run = \"lookahead\"", "default-run = \"lookahead-walk\"");
        // With insta comes a feature of a crate that many others are built on; without it all of those
        // would be built once more.
        text.replace("name = \"lookahead\"", "name = \"lookahead-walk\"")
            .replace("[dev-dependencies]\n", "[dev-dependencies]\ninsta.workspace = true\n")
    });
    copy
}

#[test]
fn the_walk_leads_where_it_says() {
    let document = std::fs::read_to_string(root().join("docs/adding-a-task.md")).unwrap();
    let blocks = blocks(&document);
    let count = |language| blocks.iter().filter(|block| block.language == language).count();
    assert_eq!([count("rust"), count("diff"), count("toml"), count("sh")], [2, 4, 1, 1]);

    let program = Path::new(env!("CARGO_BIN_EXE_lookahead"));
    let profile = program.parent().unwrap();
    let target = profile.parent().unwrap();
    let copy = copy_of_the_crate(target);
    for block in &blocks {
        apply(block, &copy);
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--offline", "--package", "lookahead-trainer", "--bin", "lookahead-walk"]);
    cargo.args(["--example", "nothing"]);
    // What cargo tells a test of its package is news to the build scripts of others, which would be run
    // again, here and in the next build outside.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "NEXTEST"]
            .iter()
            .any(|of| name.starts_with(of))
        {
            cargo.env_remove(name);
        }
    }
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    // What is new is checked here, not measured.
    cargo.args(["--config", "profile.release.package.lookahead-trainer.opt-level=0"]);
    succeeded(cargo.current_dir(&copy).env("CARGO_TARGET_DIR", target).output().unwrap());

    let walk = profile.join("lookahead-walk");
    let lookahead = |arguments: &[&str]| {
        Command::new(&walk).args(arguments).current_dir(&copy).output().unwrap()
    };
    let train = ["train", "configs/spirals.toml", "--out", "runs", "--set", "train.threads=1"];
    succeeded(lookahead(&train));
    let eval = succeeded(lookahead(&["eval", "runs/spirals", "--json"]));
    let report: serde_json::Value = serde_json::from_slice(&eval.stdout).unwrap();
    assert!(report["accuracy"].as_f64().unwrap() > 0.95, "{report}");
    let resumed = ["resume", "runs/spirals", "--from", "800"];
    succeeded(lookahead(&resumed));
    let again = succeeded(lookahead(&["eval", "runs/spirals", "--json"]));
    assert_eq!(again.stdout, eval.stdout, "a resumed run is the one that was not interrupted");

    // A key that neither has is refused, with the new kinds' names.
    let refused = lookahead(&["train", "configs/spirals.toml", "--set", "model.dropout=0.5"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("`model.dropout` belongs to"), "{}", stderr(&refused));
}
