//! A refusal that the user can mend in the command line or the config.

/// The command line or the config asks for what can't be: exit status 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(String);

impl UsageError {
    /// A refusal, in a full sentence.
    pub fn new(message: impl Into<String>) -> Self {
        UsageError(message.into())
    }
}
