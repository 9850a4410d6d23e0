//! What the log calls things.

use super::{Split, Weights};

impl Weights {
    /// The name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Weights::Slow => "slow",
            Weights::Fast => "fast",
            Weights::Average => "average",
        }
    }
}

impl Split {
    /// The name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }
}
