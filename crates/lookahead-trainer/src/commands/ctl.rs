//! `lookahead ctl`: controls a running run.

mod outcome;

use lookahead_run::command::{Command, Setting};
use lookahead_run::{Error, RunFolder, control};
use serde_json::Value;

use super::find;
use super::status::{not_running, status};
use crate::cli::{self, CtlCommand};
use crate::config::Override;
use crate::console::eprint_line;
use outcome::Follower;

/// Sends a command to a run of this machine or another one.
///
/// # Errors
/// If the run is not running, refuses the command, or can't carry it out, or if the other machine can't be reached.
pub fn ctl(arguments: &cli::Ctl) -> anyhow::Result<()> {
    let Some(address) = arguments.run.as_deref().and_then(find::remote) else {
        return here(arguments);
    };
    let run = Some(&*address.run).filter(|run| !run.is_empty());
    let setting;
    let command: &[&str] = match &arguments.command {
        CtlCommand::Pause => &["pause"],
        CtlCommand::Continue => &["continue"],
        CtlCommand::Checkpoint => &["checkpoint"],
        CtlCommand::Stop => &["stop"],
        CtlCommand::RollBack => &["roll-back"],
        CtlCommand::Status { json: false } => &["status"],
        CtlCommand::Status { json: true } => &["status", "--json"],
        CtlCommand::Set { setting: set } => {
            setting = set.typed();
            &["set", &setting]
        }
    };
    let words: Vec<&str> = ["ctl"].into_iter().chain(run).chain(command.iter().copied()).collect();
    address.run(arguments.remote.program(), &words)
}

/// Sends a command to a run of this machine, waits some seconds until the run has carried it out, and prints what came of it.
///
/// # Errors
/// If the run is not running, refuses the command, or can't carry it out.
pub(super) fn here(arguments: &cli::Ctl) -> anyhow::Result<()> {
    let folder = RunFolder::open(&find::running(arguments.run.as_deref())?)?;
    let command = match &arguments.command {
        CtlCommand::Pause => Command::Pause,
        CtlCommand::Continue => Command::Continue,
        CtlCommand::Checkpoint => Command::Checkpoint,
        CtlCommand::Stop => Command::Stop,
        CtlCommand::RollBack => Command::RollBack,
        CtlCommand::Set { setting } => Command::Set(setting_of(setting)?),
        CtlCommand::Status { json } => return status(&folder, *json),
    };
    let follower = Follower::new(&folder)?;
    let note = match control::send(&folder, command.clone()) {
        Err(error @ Error::NotRunning { .. }) => return Err(not_running(&folder, error)),
        sent => sent?,
    };
    note.into_iter().for_each(eprint_line);
    eprint_line(follower.outcome(&folder, &command)?);
    Ok(())
}

/// A setting as JSON. JSON has no `nan` and `inf`, so they are sent as words, which the run refuses.
fn setting_of(set: &Override) -> anyhow::Result<Setting> {
    let value = match &set.value {
        toml::Value::Float(number) if !number.is_finite() => Value::String(number.to_string()),
        value => serde_json::to_value(value)?,
    };
    Ok(Setting { key: set.key.clone(), value })
}
