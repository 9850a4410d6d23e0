use std::ffi::OsString;

use clap::Parser;

use super::describe;
use crate::cli::Cli;
use crate::registry::Registry;

/// The answer to a line that is refused; words are separated by single spaces.
fn answer(line: &str) -> String {
    let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    let error = Cli::try_parse_from(&words).unwrap_err();
    assert!(error.use_stderr(), "{line}");
    describe(&error, &words, Registry::builtin().kinds())
}

/// Every line and its answer, in one snapshot.
#[test]
fn answers() {
    let lines = [
        "train c.toml --epochs 3",
        "train c.toml --lr 0.1",
        "train c.toml --lr=-0.1",
        "train c.toml --batch-size 32",
        "train c.toml --batch_size 32",
        "train c.toml --train.epochs=3",
        "train c.toml --optimizer adam",
        "train c.toml --seed 1",
        "train c.toml --max-steps",
        "train c.toml -e 3",
        "train c.toml -s train.epochs=3",
        "train c.toml --gpu",
        "train c.toml --device cuda",
        "train c.toml --resume",
        "train c.toml --output runs",
        "train c.toml --notui",
        "train c.toml --no-tui=yes",
        "train c.toml --num-workers 2",
        "train c.toml --quiet --quiet",
        "train c.toml --quiet --progress-every 3",
        "train c.toml --progress-every fast",
        "train c.toml --theme blue",
        "train c.toml --set",
        "train c.toml --set optimizer.lr",
        "train c.toml --set optimizer.lr 0.1",
        "train c.toml --set optimizer.lr = 0.1",
        "train c.toml --set optimizer.lr =0.1",
        "train c.toml --set =0.1",
        "train c.toml --set optimizer..lr=3",
        "train c.toml --set model.hidden=[64, 64]",
        "train c.toml d.toml",
        "train --config c.toml",
        "--no-tui train c.toml",
        "--set optimizer.lr=0.1 resume runs/a",
        "-o c.toml init digits",
        "--json ctl runs/a status",
        "--no-tui",
        "--epochs 3 train c.toml",
        "train",
        "start c.toml",
        "tarin c.toml",
        "c.toml",
        "evaluate runs/a",
        "stop runs/a",
        "resume runs/a --epochs 3",
        "resume runs/a --step 5",
        "eval runs/a --step 5",
        "eval runs/a --from last",
        "eval runs/a --weights phi",
        "eval runs/a --weights Slow",
        "eval runs/a --lr 3",
        "ctl runs/a resume",
        "ctl runs/a kill",
        "ctl runs/a stauts",
        "ctl runs/a frobnicate",
        "ctl runs/a status foo",
        "ctl runs/a",
        "ctl pause runs/a",
        "ctl runs/a set lookahead.alpha",
        "ctl runs/a set lookahead.alpha 0.8",
        "ctl runs/a set --set lookahead.alpha=0.8",
        "plot runs/a",
        "plot runs/a x.svg",
        "plot runs/a -o x.svg --x steps",
        "sweep s.toml --jobs 0",
        "sweep s.toml --jobs many",
        "generate runs/a",
        "generate runs/a --prompt x --length long",
        "help tarin",
    ];
    let answers = lines.map(|line| format!("$ {line}\n{}\n", answer(&format!("lookahead {line}"))));
    insta::assert_snapshot!(answers.join("\n"));
}
