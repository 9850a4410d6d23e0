use clap::{Command, CommandFactory, Parser};

use super::Cli;

/// The words of a line as a shell splits them, up to a redirection.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (index, part) in line.split('"').enumerate() {
        // Every second part is quoted.
        if index % 2 == 1 {
            words.last_mut().unwrap().push_str(part);
            continue;
        }
        for (index, piece) in part.split(' ').enumerate() {
            if index > 0 {
                words.push(String::new());
            }
            words.last_mut().unwrap().push_str(piece);
        }
    }
    words.into_iter().take_while(|word| word != ">").collect()
}

fn check(command: &Command, path: &str) {
    for inner in command.get_subcommands().filter(|own| !own.is_hide_set()) {
        let path = format!("{path} {}", inner.get_name());
        let help = inner.get_after_help().unwrap_or_else(|| panic!("{path} has no examples"));
        let help = help.to_string();
        let examples =
            help.strip_prefix("Examples:\n  ").unwrap_or_else(|| panic!("{path}: {help}"));
        for line in examples.split("\n  ") {
            // A command of a run may have the run before it.
            let name = inner.get_name();
            assert!(line.starts_with("lookahead ") && line.contains(name), "{path}: {line}");
            Cli::try_parse_from(words(line)).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        check(inner, &path);
    }
}

#[test]
fn every_command_has_examples_that_work() {
    check(&Cli::command(), "lookahead");
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}
