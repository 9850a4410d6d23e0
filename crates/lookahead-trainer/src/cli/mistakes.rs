//! What is wrong with a command line, in the program's own words, and what was probably meant.

use std::ffi::OsString;
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};
use lookahead_run::program_name;

use super::Cli;
use crate::config::guess;
use crate::config::keys;
use crate::config::kinds::Kinds;
use crate::console::eprint_line;
use crate::nearest::similar;

/// Commands by other names.
const COMMANDS: &[(&str, &str)] = &[
    ("begin", "train"),
    ("dashboard", "watch"),
    ("diagnose", "doctor"),
    ("evaluate", "eval"),
    ("fit", "train"),
    ("infer", "predict"),
    ("ls", "list"),
    ("monitor", "watch"),
    ("run", "train"),
    ("runs", "list"),
    ("sample", "generate"),
    ("show", "watch"),
    ("start", "train"),
    ("test", "eval"),
    ("tui", "watch"),
    ("tune", "sweep"),
    ("validate", "eval"),
    ("view", "watch"),
];

/// Commands to a run by other names.
const CONTROLS: &[(&str, &str)] = &[
    ("abort", "stop"),
    ("cancel", "stop"),
    ("end", "stop"),
    ("info", "status"),
    ("kill", "stop"),
    ("quit", "stop"),
    ("save", "checkpoint"),
    ("snapshot", "checkpoint"),
    ("state", "status"),
    ("suspend", "pause"),
    ("unpause", "continue"),
];

/// Reads the command line of this process. Help goes to stdout, and a mistake to stderr.
///
/// # Errors
/// The exit status if there is nothing to do: 0 after help, 2 after a mistake.
pub(crate) fn parse(kinds: &Kinds) -> Result<Cli, u8> {
    let words: Vec<OsString> = std::env::args_os().collect();
    Cli::try_parse_from(&words).map_err(|error| {
        if !error.use_stderr()
            || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        {
            let _ = error.print();
            return error.exit_code() as u8;
        }
        eprint_line(format_args!("error: {}", describe(&error, &words, kinds)));
        2
    })
}

/// A mistake in the words of a command line, as sentences.
pub(crate) fn describe(error: &clap::Error, words: &[OsString], kinds: &Kinds) -> String {
    let line = Line::new(words);
    let found = text(error, ContextKind::InvalidArg);
    match error.kind() {
        ErrorKind::UnknownArgument if found.starts_with('-') && found.len() > 1 => {
            line.unknown_option(&found, text(error, ContextKind::SuggestedArg), kinds)
        }
        ErrorKind::UnknownArgument => line.unknown_word(&found),
        ErrorKind::InvalidSubcommand => {
            let suggested = list(error, ContextKind::SuggestedSubcommand);
            line.unknown_command(&text(error, ContextKind::InvalidSubcommand), suggested.first())
        }
        ErrorKind::MissingRequiredArgument => line.missing(&list(error, ContextKind::InvalidArg)),
        ErrorKind::MissingSubcommand => {
            format!("`{}` needs a command: {}.", line.called(), line.commands().join(", "))
        }
        ErrorKind::InvalidValue => line.invalid_value(
            &found,
            &text(error, ContextKind::InvalidValue),
            &list(error, ContextKind::ValidValue),
        ),
        ErrorKind::ValueValidation => {
            let reason = std::error::Error::source(error).map(ToString::to_string);
            let reason = reason.unwrap_or_default();
            match option_name(&found) {
                Some(option) => format!("{option}: {reason}"),
                None => reason,
            }
        }
        ErrorKind::ArgumentConflict => line.conflict(&found, &list(error, ContextKind::PriorArg)),
        ErrorKind::TooManyValues => {
            let value = text(error, ContextKind::InvalidValue);
            let option = option_name(&found).unwrap_or(&found);
            format!("`{option}` takes no value, and `{value}` was given. Use `{option}` alone.")
        }
        ErrorKind::InvalidUtf8 => {
            "The command line has a word that is not UTF-8. Write it in UTF-8.".to_owned()
        }
        _ => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            let first = first.trim_start_matches("error: ").trim_end_matches('.');
            format!("{first}. See `{} --help`.", line.called())
        }
    }
}

/// The words of a command line, and the command that they begin with.
struct Line {
    program: &'static str,
    /// After the program's name.
    words: Vec<String>,
    /// The names of the commands in it, outermost first: none, one, or two for `ctl`.
    path: Vec<String>,
    command: clap::Command,
}

impl Line {
    fn new(words: &[OsString]) -> Self {
        let words = words.iter().skip(1).map(|word| word.to_string_lossy().into_owned());
        let words: Vec<String> = words.collect();
        let mut command = Cli::command();
        // Only then an argument can be shown.
        command.build();
        let mut path = Vec::new();
        for word in &words {
            if let Some(inner) = command.find_subcommand(word) {
                path.push(word.clone());
                command = inner.clone();
            }
        }
        Line { program: program_name(), words, path, command }
    }

    /// The program with its commands, for example `lookahead ctl RUN set`.
    fn called(&self) -> String {
        let mut called = self.program.to_owned();
        for (depth, name) in self.path.iter().enumerate() {
            called += if depth == 1 { " RUN " } else { " " };
            called += name;
        }
        called
    }

    fn is(&self, command: &str) -> bool {
        self.path.first().is_some_and(|first| first == command)
    }

    fn commands(&self) -> Vec<&str> {
        let all = self.command.get_subcommands().filter(|command| !command.is_hide_set());
        all.map(clap::Command::get_name).filter(|name| *name != "help").collect()
    }

    fn has(&self, option: &str) -> bool {
        self.command.get_arguments().any(|known| known.get_long() == Some(option))
    }

    /// The value of an option that the program does not have: `--lr 0.1` or `--lr=0.1`.
    fn value_of(&self, option: &str) -> Option<&str> {
        let at = self.words.iter().position(|word| word.split('=').next() == Some(option))?;
        let next = || self.words.get(at + 1).map(String::as_str);
        let is_option = |word: &&str| word.starts_with('-') && word.parse::<f64>().is_err();
        let (_, value) = self.words[at].split_once('=').unzip();
        value.or_else(|| next().filter(|word| !is_option(word)))
    }

    /// Where an option belongs that comes before the command, if the command or another has it.
    fn place_of(&self, option: &str) -> Option<String> {
        let is_option = |word: &String| word.split('=').next() == Some(option);
        let at = self.words.iter().position(is_option)?;
        let has = |command: &clap::Command| {
            let name = option.trim_start_matches('-');
            let is_short = |known: &clap::Arg| {
                known.get_short().is_some_and(|short| option == format!("-{short}"))
            };
            let is_long =
                |known: &clap::Arg| option.starts_with("--") && known.get_long() == Some(name);
            command.get_arguments().any(|known| is_short(known) || is_long(known))
        };
        let program = self.program;
        let command = self.path.first();
        let comes_first =
            |command: &String| self.words.iter().position(|word| word == command) > Some(at);
        match command {
            Some(command) if comes_first(command) && has(&self.command) => Some(format!(
                "is an option of `{called}`, so it comes after that: `{called} {option} …`.",
                called = self.called()
            )),
            Some(_) => None,
            None => {
                let all = self.command.get_subcommands().filter(|command| has(command));
                let all: Vec<String> =
                    all.map(|command| format!("`{program} {}`", command.get_name())).collect();
                (!all.is_empty()).then(|| {
                    format!("is an option of {}. Write it after the command.", any_of(&all))
                })
            }
        }
    }

    fn unknown_option(&self, option: &str, suggested: String, kinds: &Kinds) -> String {
        let (name, value) = (option.trim_start_matches('-'), self.value_of(option));
        let program = self.program;
        if let Some(place) = self.place_of(option) {
            return format!("`{option}` {place}");
        }
        let remedy = match name {
            "config" | "c" | "f" if self.is("train") => Some(format!(
                "Name the config without it: `{program} train {}`.",
                value.unwrap_or("CONFIG")
            )),
            "resume" | "continue" if self.is("train") => {
                Some(format!("Use `{program} resume RUN`, or with a `--name` `--auto-resume`."))
            }
            "step" | "checkpoint" | "ckpt" | "at" if self.has("from") => {
                Some(format!("Use `--from {}`.", value.unwrap_or("STEP")))
            }
            "set" if self.is("ctl") => Some(format!(
                "Write the setting without it: `{program} ctl RUN set {}`.",
                value.unwrap_or("KEY=VALUE")
            )),
            "output" | "o" if self.has("out") => {
                Some(format!("Use `--out {}`.", value.unwrap_or("DIR")))
            }
            "s" | "override" if self.has("set") => {
                Some(format!("Use `--set {}`.", value.unwrap_or("KEY=VALUE")))
            }
            name if self.has("set") => {
                setting(name, value, kinds).map(|set| format!("Use `--set {set}`."))
            }
            _ => None,
        };
        let suggested = option_name(&suggested).map(|like| format!("Did you mean `{like}`?"));
        let remedy = remedy
            .or(suggested)
            .unwrap_or_else(|| format!("See `{} --help` for those that it has.", self.called()));
        format!("`{}` has no option `{option}`. {remedy}", self.called())
    }

    /// A word where none is expected.
    fn unknown_word(&self, found: &str) -> String {
        let at = self.words.iter().position(|word| word == found).unwrap_or_default();
        let before = at.checked_sub(1).map_or("", |before| &self.words[before]);
        let after = self.words.get(at + 1).map_or("", String::as_str);
        let is_setting = at > 1 && ["--set", "set"].contains(&&*self.words[at - 2]);
        if is_setting && before.contains(['[', '\'', '"']) {
            let rest = self.words[at..].iter().take_while(|word| !word.starts_with("--"));
            let rest: Vec<&str> = rest.map(String::as_str).collect();
            return format!(
                "The setting `{before} {rest}` has spaces. Quote it: `'{before} {rest}'`.",
                rest = rest.join(" ")
            );
        }
        if is_setting {
            let value = if found == "=" { after } else { found.trim_start_matches('=') };
            let setting = format!("{}={value}", before.trim_end_matches('='));
            return format!(
                "The setting `{before} {found}` has a space. Write it as one word: `{setting}`."
            );
        }
        if self.is("ctl") {
            return match self.path.get(1) {
                Some(command) if self.words.iter().position(|word| word == command) < Some(at) => {
                    let run = self.words.iter().position(|word| word == command) == Some(1);
                    if run {
                        let program = self.program;
                        format!(
                            "The run comes before the command: `{program} ctl {found} {command}`."
                        )
                    } else {
                        format!("`{}` takes no `{found}`. Leave it out.", self.called())
                    }
                }
                _ => self.unknown_control(found),
            };
        }
        if found.contains('=') && (self.is("train") || self.is("resume")) {
            return format!("`{found}` is a setting. Use `--set {found}`.");
        }
        let most = match self.path.first().map(String::as_str) {
            Some("train") => ", which takes one config",
            Some("resume" | "eval" | "generate" | "inspect") => ", which takes one run",
            Some("sweep") => ", which takes one file",
            _ => "",
        };
        format!(
            "`{found}` is one word too many for `{}`{most}. Leave it out, or see `{} --help`.",
            self.called(),
            self.called()
        )
    }

    /// A command that `ctl` does not have.
    fn unknown_control(&self, found: &str) -> String {
        let program = self.program;
        let remedy = match found {
            "resume" | "start" | "restart" => format!(
                "Use `continue` after a pause, and `{program} resume RUN` for a run that has ended."
            ),
            found => match alias(CONTROLS, found).or_else(|| similar(self.commands(), found)) {
                Some(command) => format!("Use `{command}`."),
                None => format!("The commands are {}.", self.commands().join(", ")),
            },
        };
        format!("`{found}` is not a command of `{program} ctl`. {remedy}")
    }

    fn unknown_command(&self, found: &str, suggested: Option<&String>) -> String {
        if self.is("ctl") {
            return self.unknown_control(found);
        }
        let program = self.program;
        let all = Cli::command();
        let has = |name: &&str| all.find_subcommand(name).is_some();
        let ctl = all.find_subcommand("ctl");
        let is_control = |name: &str| ctl.is_some_and(|ctl| ctl.find_subcommand(name).is_some());
        let control = Some(found).filter(|name| is_control(name)).or(alias(CONTROLS, found));
        let rest = self.words.get(1).map_or("RUN", String::as_str);
        let is_config = || Path::new("configs").join(format!("{found}.toml")).is_file();
        let remedy = if found.ends_with(".toml") || is_config() {
            format!("Use `{program} train {found}`.")
        } else if let Some(command) = alias(COMMANDS, found).filter(has) {
            format!("Use `{program} {command}`.")
        } else if let Some(command) = control.filter(|_| self.path.is_empty()) {
            format!("Use `{program} ctl {rest} {command}`.")
        } else {
            let names: Vec<&str> = all.get_subcommands().map(clap::Command::get_name).collect();
            let suggested = suggested.map(String::as_str);
            match suggested.or_else(|| similar(names.iter().copied(), found)) {
                Some(command) => format!("Did you mean `{program} {command}`?"),
                None => format!("The commands are {}.", names.join(", ")),
            }
        };
        format!("`{found}` is not a command of `{program}`. {remedy}")
    }

    /// Arguments that are needed and missing.
    fn missing(&self, names: &[String]) -> String {
        let is_picture = |word: &&String| word.ends_with(".svg") || word.ends_with(".png");
        let picture = self.words.iter().rev().find(is_picture);
        let needs_output = names.iter().any(|name| name.starts_with("--output"));
        if let Some(picture) = picture.filter(|_| needs_output) {
            return format!("`{}` needs `--output {picture}`, the file to write.", self.called());
        }
        let help = |name: &String| {
            let mut all = self.command.get_arguments();
            let argument = all.find(|argument| argument.to_string() == *name)?;
            Some(format!(" {}.", argument.get_help()?))
        };
        let needed = names.iter().map(|name| {
            let name = name.replace(['<', '>'], "");
            // One of several.
            any_of(&name.split('|').map(|name| format!("`{name}`")).collect::<Vec<_>>())
        });
        let needed: Vec<String> = needed.collect();
        let help: String = names.iter().filter_map(help).collect();
        format!("`{}` needs {}.{help}", self.called(), needed.join(" and "))
    }

    fn invalid_value(&self, argument: &str, value: &str, valid: &[String]) -> String {
        let option = option_name(argument).unwrap_or(argument);
        if value.is_empty() {
            let argument = argument.replace(['<', '>'], "");
            return format!(
                "`{option}` needs a value: `{argument}`. See `{} --help`.",
                self.called()
            );
        }
        let names = valid.iter().map(String::as_str);
        let meant = similar(names.collect::<Vec<_>>(), value)
            .map(|name| format!(" Did you mean `{name}`?"))
            .unwrap_or_default();
        format!("`{option}` is {value}.{meant} Use {}.", any_of(valid))
    }

    fn conflict(&self, option: &str, prior: &[String]) -> String {
        let name = |argument: &str| option_name(argument).unwrap_or(argument).to_owned();
        let option = name(option);
        match prior.first().map(|prior| name(prior)) {
            Some(prior) if prior != option => {
                format!("`{option}` and `{prior}` exclude each other. Leave one out.")
            }
            _ => format!("`{option}` is there twice. Leave one out."),
        }
    }
}

/// The setting that an option of another program means.
fn setting(option: &str, value: Option<&str>, kinds: &Kinds) -> Option<String> {
    let device = match option {
        "gpu" | "gpus" | "cuda" => Some("cuda"),
        "cpu" | "no-cuda" => Some("cpu"),
        _ => None,
    };
    if let Some(device) = device {
        return Some(format!("train.device={device}"));
    }
    let keys = keys::names(&keys::sections(kinds));
    let key = guess::key(&keys, None, option)?;
    Some(format!("{key}={}", value.unwrap_or("VALUE")))
}

fn alias(all: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    all.iter().find(|(other, _)| *other == name).map(|(_, command)| *command)
}

/// `--from` of `--from <STEP|best>`. An argument without an option's name has none.
fn option_name(argument: &str) -> Option<&str> {
    argument.split([' ', '=']).next().filter(|name| name.starts_with('-'))
}

fn any_of(names: &[String]) -> String {
    match names {
        [] => "another value".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

fn text(error: &clap::Error, kind: ContextKind) -> String {
    list(error, kind).into_iter().next().unwrap_or_default()
}

fn list(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
