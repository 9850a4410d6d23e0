use clap::Command;
use clap_complete::engine;

use super::*;
use crate::registry::Registry;

/// The answers for the last of the words.
fn answers(words: &[&str]) -> Vec<String> {
    let mut command = values::with_values(Cli::command(), Registry::builtin().kinds());
    let words: Vec<OsString> = ["lookahead"].iter().chain(words).map(OsString::from).collect();
    let last = words.len() - 1;
    let found = engine::complete(&mut command, words, last, None).unwrap();
    found.iter().map(|found| found.get_value().to_string_lossy().into_owned()).collect()
}

#[test]
fn the_command_line_with_values_is_consistent() {
    let command: Command = values::with_values(Cli::command(), Registry::builtin().kinds());
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
}

#[test]
fn names_of_kinds_and_topics_go_on() {
    assert_eq!(answers(&["init", "noi"]), ["noisy-quadratic"]);
    assert_eq!(answers(&["config", "optimizer.rm"]), ["optimizer.rmsprop"]);
    assert_eq!(answers(&["config", "lookahead.sn"]), ["lookahead.snoo"]);
    assert_eq!(answers(&["config", "schedule.o"]), ["schedule.one_cycle"]);
    for words in [&["config", "lookahead.outer_n"][..], &["compare", "--by", "lookahead.outer_n"]] {
        assert_eq!(answers(words), ["lookahead.outer_nesterov"]);
    }
    assert_eq!(answers(&["compare", "--metric", "macro"]), ["macro_f1"]);
    assert_eq!(answers(&["eval", "--from", "b"]), ["best"]);
}
