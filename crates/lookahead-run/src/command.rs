//! Commands for a running run.

use serde::{Deserialize, Serialize};

/// A command to the training loop. It takes effect at the next step, not at the next epoch.
///
/// In JSON it is an object whose field `command` names the variant: `{"command":"pause"}`, or
/// `{"command":"set","key":"optimizer.lr","value":0.01}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Take no further step until [`Command::Continue`] or [`Command::Stop`].
    Pause,
    /// Continue after a pause.
    Continue,
    /// Save a checkpoint now, and continue.
    Checkpoint,
    /// Save a checkpoint and end the run.
    Stop,
    /// Set the fast weights back to the slow ones, and continue from there.
    RollBack,
    /// Change a setting.
    Set(Setting),
}

/// A setting and its new value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// A key of the configuration, for example `lookahead.alpha`.
    pub key: String,
    /// Its new value.
    pub value: serde_json::Value,
}
