use clap::Command;
use clap_complete::engine;
use lookahead_run::RunFolder;

use super::*;
use crate::registry::Registry;

/// The answers for the last of the words.
fn answers(words: &[&str]) -> Vec<String> {
    let words: Vec<OsString> = ["lookahead"].iter().chain(words).map(OsString::from).collect();
    let mut command = values::with_values(Cli::command(), Registry::builtin().kinds(), &words);
    let last = words.len() - 1;
    let found = engine::complete(&mut command, words, last, None).unwrap();
    found.iter().map(|found| found.get_value().to_string_lossy().into_owned()).collect()
}

#[test]
fn the_command_line_with_values_is_consistent() {
    let command: Command = values::with_values(Cli::command(), Registry::builtin().kinds(), &[]);
    command.debug_assert();
}

#[test]
fn keys_and_their_values_go_on() {
    assert_eq!(answers(&["train", "--set", "lookahead.outer_n"]), ["lookahead.outer_nesterov="]);
    let switch = ["lookahead.outer_nesterov=true", "lookahead.outer_nesterov=false"];
    assert_eq!(answers(&["train", "--set", "lookahead.outer_nesterov="]), switch);
    let mut kinds = answers(&["train", "--set", "optimizer.kind=ada"]);
    kinds.sort();
    assert_eq!(
        kinds,
        ["adagrad", "adam", "adamw", "adan"].map(|kind| format!("optimizer.kind={kind}"))
    );
    assert_eq!(answers(&["ctl", "set", "optimizer."]), ["optimizer.lr="]);
    assert!(answers(&["resume", "--set", "none."]).is_empty());
    // What a new run may have, a resumed one may not change.
    assert_eq!(answers(&["train", "--set", "model.hid"]), ["model.hidden="]);
    assert!(answers(&["resume", "--set", "model.hid"]).is_empty());
}

#[test]
fn names_of_kinds_and_topics_go_on() {
    assert_eq!(answers(&["init", "noi"]), ["noisy-quadratic"]);
    assert_eq!(answers(&["config", "optimizer.rm"]), ["optimizer.rmsprop"]);
    assert_eq!(answers(&["config", "lookahead.sn"]), ["lookahead.snoo"]);
    assert_eq!(answers(&["config", "sn"]), ["snoo"]);
    assert_eq!(answers(&["config", "em"]), ["ema", "ema_nesterov"]);
    // `quadratic` is data and a model.
    assert!(answers(&["config", "quad"]).is_empty());
    assert_eq!(answers(&["config", "schedule.o"]), ["schedule.one_cycle"]);
    for words in [&["config", "lookahead.outer_n"][..], &["compare", "--by", "lookahead.outer_n"]] {
        assert_eq!(answers(words), ["lookahead.outer_nesterov"]);
    }
    assert_eq!(answers(&["compare", "--metric", "macro"]), ["macro_f1"]);
    assert_eq!(answers(&["eval", "--from", "b"]), ["best"]);
}

#[test]
fn the_steps_of_the_named_run_go_on() {
    let temp = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(temp.path(), "run").unwrap();
    folder.write_config("").unwrap();
    for step in ["step-00000500", "step-00001000", "step-00001500"] {
        std::fs::create_dir(folder.path().join(step)).unwrap();
    }
    let run = folder.path().to_str().unwrap();
    assert_eq!(answers(&["resume", run, "--from", "1"]), ["1500", "1000"]);
    assert_eq!(answers(&["eval", run, "--from", ""]), ["1500", "1000", "500", "best"]);
}
