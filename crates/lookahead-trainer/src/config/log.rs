//! What is written besides the event log: `[log]`.

use serde::{Deserialize, Serialize};

use super::key::Key;

/// `[log]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Whether to write an event file for TensorBoard into the run's folder.
    pub tensorboard: bool,
}

/// The keys of the section.
pub(super) const KEYS: &[Key] = &[Key::switch(
    "tensorboard",
    "write an event file for TensorBoard into the run's folder while it trains \
     ([TensorBoard](guide.md#tensorboard)). `lookahead export RUN --tensorboard DIR` writes one afterwards",
)
.example("true")];

impl LogConfig {
    /// Whether nothing is set, so that the section can be left out.
    pub(crate) fn is_default(&self) -> bool {
        *self == LogConfig::default()
    }
}
