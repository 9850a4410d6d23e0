//! `lookahead relay`: shows a run to the `watch` of another machine, which starts this through ssh.

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use lookahead_run::words::sentences;
use lookahead_run::{RunFolder, program_name};

use super::{find, remote};
use crate::cli;
use crate::usage::UsageError;

/// Relays a run between the standard streams and the other machine, until that closes stdin.
///
/// # Errors
/// If the streams or the log can't be read or written. That there is no such run is reported to the other machine.
pub fn relay(arguments: &cli::Relay) -> anyhow::Result<()> {
    match open(&arguments.run) {
        Ok(run) => Ok(lookahead_dashboard::relay(&run, arguments.after)?),
        Err(error) => Ok(lookahead_dashboard::refuse(&sentences(error.as_ref()))?),
    }
}

fn open(word: &str) -> anyhow::Result<RunFolder> {
    let Some(bytes) = remote::decode(word) else {
        return Err(UsageError::new(format!("`{word}` is not the name of a run.")).into());
    };
    if bytes.is_empty() {
        return Ok(RunFolder::open(&find::running(None)?)?);
    }
    let typed = PathBuf::from(OsString::from_vec(bytes));
    let found = find::run(Some(&typed));
    let path = found.map_err(|error| match env::current_dir() {
        Ok(here) if typed.is_relative() && !typed.exists() => {
            UsageError::new(format!("{error} Paths are from {} there.", here.display()))
        }
        _ => error,
    })?;
    if find::holds_runs(&path) {
        return Err(UsageError::new(format!(
            "`{path}` is a folder of runs, and a table of runs needs a folder on the machine of the screen. Name one \
             of its runs, or log in there and use `{} watch {path}`.",
            program_name(),
            path = path.display()
        ))
        .into());
    }
    Ok(RunFolder::open(&path)?)
}
