//! The exit status of an error.

use lookahead_study::sweep::SweepError;

use crate::config::ConfigError;
use crate::usage::UsageError;

/// A command failed on another machine with this exit status, and has printed why.
#[derive(Debug, thiserror::Error)]
#[error("the command ended with status {0} there")]
pub struct FailedThere(pub u8);

/// 2 for errors in the command line or the config, that of another machine for [`FailedThere`], 1 for all others.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(FailedThere(status)) = error.downcast_ref() {
        return *status;
    }
    use lookahead_run::Error::{NoSuchStep, NotARun, OtherRun, RunExists, RunMissing, RunName};
    let usage = error.chain().any(|cause| {
        cause.is::<UsageError>()
            || cause.is::<ConfigError>()
            || cause.downcast_ref().is_some_and(SweepError::is_usage)
            || matches!(
                cause.downcast_ref(),
                Some(
                    RunExists { .. }
                        | RunName { .. }
                        | RunMissing { .. }
                        | NotARun { .. }
                        | NoSuchStep { .. }
                        | OtherRun { .. }
                )
            )
    });
    if usage { 2 } else { 1 }
}
