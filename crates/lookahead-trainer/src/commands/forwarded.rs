//! `lookahead forwarded`: a command line of another machine, which starts this through ssh.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use clap::Parser;
use lookahead_run::program_name;

use super::{ctl, list, remote};
use crate::cli::{self, Cli, Command, mistakes};
use crate::config::kinds::Kinds;
use crate::usage::UsageError;

/// Runs `ctl` or `list` with runs of this machine.
///
/// # Errors
/// Those of the command, or if it is another one.
pub fn forwarded(kinds: &Kinds, arguments: &cli::Forwarded) -> anyhow::Result<()> {
    let mut words = vec![OsString::from(program_name())];
    for word in &arguments.words {
        let bytes = remote::decode(word)
            .ok_or_else(|| UsageError::new(format!("`{word}` is not a word of a command line.")))?;
        words.push(OsString::from_vec(bytes));
    }
    let cli = Cli::try_parse_from(&words)
        .map_err(|error| UsageError::new(mistakes::describe(&error, &words, kinds)))?;
    match cli.command {
        Command::Ctl(arguments) => ctl::here(&arguments),
        Command::List(arguments) => list::here(&arguments),
        _ => Err(UsageError::new("Only `ctl` and `list` take runs of another machine.").into()),
    }
}
