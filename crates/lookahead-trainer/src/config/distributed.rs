//! One run in several processes: `[distributed]`.

use lookahead_core::{LookaheadConfig, TransferDtype};
use serde::{Deserialize, Serialize};

use super::issue::ConfigIssue;
use super::key::Key;

/// `[distributed]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DistributedConfig {
    /// What the processes average.
    pub mode: DistributedMode,
    /// local: the type in which weights are sent.
    pub wire: TransferDtype,
    /// Seconds that a process waits for the others.
    pub timeout_seconds: u64,
}

/// The keys of the section.
pub(super) const KEYS: &[Key] = &[

    Key::choice(
        "mode",
        &["none", "local", "data_parallel"],
        "`local` averages θ over the processes at each sync and nowhere else; `data_parallel` averages gradients \
         in each step",
    )
    .example("\"local\""),
    Key::choice(
        "wire",
        &["full", "bf16"],
        "of the mode `local`: send θ in its own type, or its difference from φ in bfloat16 (half the bytes)",
    )
    .example("\"bf16\""),
    Key::whole("timeout_seconds", "how long a process waits for the others")
        .at_least(1.0)
        .at_most(86400.0)
        .allowed("1 to 86400, a day"),
];

/// What processes average.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DistributedMode {
    /// Nothing: there is one process.
    #[default]
    None,
    /// The weights, at each sync only.
    Local,
    /// The gradients, in each step.
    DataParallel,
}

impl Default for DistributedConfig {
    fn default() -> Self {
        DistributedConfig {
            mode: DistributedMode::None,
            wire: TransferDtype::Full,
            timeout_seconds: 600,
        }
    }
}

impl DistributedConfig {
    /// Checks ranges, and that mode and Lookahead fit each other.
    pub(crate) fn check(&self, lookahead: Option<&LookaheadConfig>) -> Result<(), ConfigIssue> {
        if self.mode == DistributedMode::Local && lookahead.is_none() {
            return Err(ConfigIssue::new(
                "distributed.mode",
                "`distributed.mode` is local, which averages at the syncs of Lookahead, but the config has no \
                 `[lookahead]`. Add that section, or set `distributed.mode` to data_parallel.",
            ));
        }
        if self.wire != TransferDtype::Full && self.mode != DistributedMode::Local {
            return Err(ConfigIssue::new(
                "distributed.wire",
                "`distributed.wire` belongs to `distributed.mode` local only. Remove it, or set that mode.",
            ));
        }
        Ok(())
    }
}
