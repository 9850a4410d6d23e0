//! An error that the user can fix in the command line or the config.

/// The command line or the config is wrong: exit status 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(String);

impl UsageError {
    /// An error with a full sentence.
    pub fn new(message: impl Into<String>) -> Self {
        UsageError(message.into())
    }
}
