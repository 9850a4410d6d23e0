//! `lookahead ctl`: controls a running run.

use lookahead_run::command::{Command, Setting};
use lookahead_run::{RunFolder, control};
use serde_json::Value;

use super::find;
use super::status::status;
use crate::cli::{self, CtlCommand};
use crate::config::Override;
use crate::console::eprint_line;

/// Sends a command to a run and returns once the run has accepted it. The run executes it at its next step.
///
/// # Errors
/// If the run is not running, or refuses the command.
pub fn ctl(arguments: &cli::Ctl) -> anyhow::Result<()> {
    let folder = RunFolder::open(&find::running(arguments.run.as_deref())?)?;
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

/// A setting as JSON. JSON has no `nan` and `inf`, so they are sent as words, which the run refuses.
fn setting_of(set: &Override) -> anyhow::Result<Setting> {
    let value = match &set.value {
        toml::Value::Float(number) if !number.is_finite() => Value::String(number.to_string()),
        value => serde_json::to_value(value)?,
    };
    Ok(Setting { key: set.key.clone(), value })
}
