//! `lookahead ctl`: asks a run that lives.

use lookahead_run::command::{Command, Setting};
use lookahead_run::{RunFolder, control};
use serde_json::Value;

use super::status::status;
use crate::cli::{self, CtlCommand};
use crate::config::Override;
use crate::console::eprint_line;

/// Asks a run for something, and returns once it has accepted it; it does it at its next step.
///
/// # Errors
/// Where the run does not live, or does not accept it.
pub fn ctl(arguments: &cli::Ctl) -> anyhow::Result<()> {
    let folder = RunFolder::open(&arguments.run)?;
    let command = match &arguments.command {
        CtlCommand::Pause => Command::Pause,
        CtlCommand::Continue => Command::Continue,
        CtlCommand::Checkpoint => Command::Checkpoint,
        CtlCommand::Stop => Command::Stop,
        CtlCommand::Set { setting } => Command::Set(setting_of(setting)?),
        CtlCommand::Status { json } => return status(&folder, *json),
    };
    control::send(&folder, command)?.into_iter().for_each(eprint_line);
    Ok(())
}

/// A setting as it goes through the socket. JSON has no `nan` and no `inf`: they go as words, and
/// whoever checks them says what they should have been.
fn setting_of(set: &Override) -> anyhow::Result<Setting> {
    let value = match &set.value {
        toml::Value::Float(number) if !number.is_finite() => Value::String(number.to_string()),
        value => serde_json::to_value(value)?,
    };
    Ok(Setting { key: set.key.clone(), value })
}
