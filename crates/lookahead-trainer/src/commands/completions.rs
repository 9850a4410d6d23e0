//! `lookahead completions`: scripts by which shells ask this program for completions.
//!
//! The script of a shell runs the program with the words of the command line, and with the shell's name in
//! [`VARIABLE`]. So the names of runs, configs and keys are those of the moment.

mod bash;
mod values;
mod zsh;

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::env::{Elvish, EnvCompleter, Fish, Powershell, Shells};
use lookahead_run::program_name;

use crate::cli::{self, Cli};
use crate::config::kinds::Kinds;
use crate::console::print_line;
use crate::hints::shell_word;

/// The environment variable that says which shell asks.
const VARIABLE: &str = "LOOKAHEAD_COMPLETE";

const SHELLS: Shells<'static> = Shells(&[&bash::BASH, &Elvish, &Fish, &Powershell, &zsh::ZSH]);

/// A shell with a script of its own, in which four names are filled in.
struct OwnScript {
    name: &'static str,
    script: &'static str,
    /// What answers the script.
    answers: &'static dyn EnvCompleter,
}

impl EnvCompleter for OwnScript {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is(&self, name: &str) -> bool {
        name == self.name
    }

    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        binary: &str,
        program: &str,
        script: &mut dyn Write,
    ) -> io::Result<()> {
        let identifier: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let text = self
            .script
            .replace("NAME", &identifier)
            .replace("VARIABLE", variable)
            .replace("PROGRAM", &shell_word(program))
            .replace("BINARY", &shell_word(binary));
        script.write_all(text.as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        answer: &mut dyn Write,
    ) -> io::Result<()> {
        self.answers.write_complete(command, words, folder, answer)
    }
}

/// Prints the script of a shell.
pub fn completions(arguments: &cli::Completions) -> anyhow::Result<()> {
    let shell = arguments.shell.to_string();
    let shell =
        SHELLS.completer(&shell).ok_or_else(|| anyhow::anyhow!("{shell} has no script."))?;
    let called = env::args_os().next().unwrap_or_default();
    // A name is looked up in PATH each time, a path is from here.
    let program = match Path::new(&called).components().count() {
        0 | 1 => program_name().to_owned(),
        _ => std::path::absolute(&called)?.display().to_string(),
    };
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, program_name(), program_name(), &program, &mut script)?;
    Ok(print_line(String::from_utf8(script)?.trim())?)
}

/// Answers the script of a shell, if one asks. Returns the exit status.
pub fn complete(kinds: &Kinds) -> Option<u8> {
    let shell = env::var(VARIABLE).ok()?;
    let shell = SHELLS.completer(&shell)?;
    let words: Vec<OsString> = env::args_os().skip_while(|word| word != "--").skip(1).collect();
    let answer = || -> io::Result<()> {
        let mut answer = Vec::new();
        let mut command = values::with_values(Cli::command(), kinds, &words);
        shell.write_complete(
            &mut command,
            words,
            env::current_dir().ok().as_deref(),
            &mut answer,
        )?;
        io::stdout().write_all(&answer)?;
        io::stdout().flush()
    };
    Some(u8::from(answer().is_err()))
}

#[cfg(test)]
mod tests;
