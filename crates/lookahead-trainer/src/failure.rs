//! The exit status of an error.

use lookahead_study::sweep::SweepError;

use crate::config::ConfigError;
use crate::usage::UsageError;

/// 2 for errors in the command line or the config, 1 for all others.
pub fn exit_code(error: &anyhow::Error) -> u8 {
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
