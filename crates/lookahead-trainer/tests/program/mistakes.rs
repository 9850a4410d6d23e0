//! Mistakes as people type them, and the answers of the whole program.

use crate::common::session::{DIGITS, Session};

/// Words of libraries and of the system that no answer may have, and marks of sentences that were joined badly.
const FOREIGN: [&str; 9] = [
    "os error",
    "nvalid digit",
    "nvalid type",
    "nknown variant",
    "nknown field",
    "expected ",
    "found in string",
    ".:",
    "..",
];

/// A session whose answers are in the program's own words.
fn check(session: Session, name: &str) {
    session.assert_snapshot(name);
    for line in session.transcript().lines().filter(|line| !line.starts_with("$ ")) {
        for words in FOREIGN {
            assert!(!line.contains(words), "`{words}` in {line}");
        }
    }
}

#[test]
fn files_that_are_missing_or_something_else() {
    let mut session = Session::new();
    session.write("digits.toml", DIGITS);
    session.write("text.toml", "[data]\nkind = \"text\"\nfile = \".\"\n[model]\nkind = \"lstm\"\n");
    session.write(
        "csv.toml",
        "[data]\nkind = \"csv\"\nfile = \"no.csv\"\ntarget = \"y\"\n[model]\nkind = \"mlp\"\n",
    );
    session.write("images.toml", "[data]\nkind = \"images\"\ndir = \"nowhere\"\n");
    session.write("sweep.toml", "config = digits.toml\n");
    session.write("latin.toml", "");
    std::fs::write(session.path().join("latin.toml"), b"# caf\xe9\n").unwrap();
    std::fs::create_dir(session.path().join("folder")).unwrap();
    for line in [
        "train nothing.toml",
        "train folder",
        "train latin.toml",
        "train text.toml",
        "train csv.toml",
        "train images.toml",
        "train digits.toml --out digits.toml",
        "train digits.toml --name a/b",
        "train digits.toml --init-from nothing.safetensors",
        "train digits.toml --init-from digits.toml",
        "train digits.toml --set data.kind=mnist",
        "sweep nothing.toml",
        "sweep sweep.toml",
        "inspect digits.toml",
        "compare digits.toml",
    ] {
        session.run(&format!("lookahead {line}"));
    }
    check(session, "missing files");
}

#[test]
fn results_that_exist_are_replaced_only_by_force() {
    let mut session = Session::new();
    session.write("digits.toml", DIGITS);
    session.run("lookahead train digits.toml --quiet");
    let kept = |file: &str| format!("cp {file} {file}.kept");
    for (command, file) in [
        ("plot checkpoints/digits --charts loss --output", "loss.svg"),
        ("export checkpoints/digits --output", "model.safetensors"),
        ("export checkpoints/digits --output", "model.pt"),
        ("compare checkpoints/digits > table.txt --csv", "runs.csv"),
    ] {
        session.quietly(&format!("echo mine > {file} && {}", kept(file)));
        session.run(&format!("lookahead {command} {file}"));
        session.run(&format!("cmp {file} {file}.kept && lookahead {command} {file} --force"));
        session.run(&format!("cmp -s {file} {file}.kept"));
        session.run(&format!("lookahead {command} nowhere/{file}"));
    }
    session.run("lookahead compare checkpoints/digits --figures loss.svg");
    session.run("lookahead plot checkpoints/digits picture.svg");
    session.run("ls -A | grep '^\\.'");
    session.run("lookahead eval checkpoints/digits --from 99");
    session.run("lookahead eval checkpoints/digits --step 14");
    session.run("lookahead ctl checkpoints/digits set lookahead.alpha");
    session.run("lookahead train digits.toml --epochs 3");
    session.run("lookahead start digits.toml");
    check(session, "existing files");
}
