//! The same run in several processes: `[distributed]`.

use lookahead_core::{LookaheadConfig, NonFinite, TransferDtype};
use serde::{Deserialize, Serialize};

use super::check::{ConfigIssue, require};

/// `[distributed]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DistributedConfig {
    /// What the processes have in common.
    pub mode: DistributedMode,
    /// local: in which type θ goes from one to the others.
    pub wire: TransferDtype,
    /// How long a process waits for the others, in seconds.
    pub timeout_seconds: u64,
}

/// What processes have in common.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DistributedMode {
    /// There is one process.
    #[default]
    None,
    /// The slow weights: θ is averaged at each sync, and nowhere else.
    Local,
    /// The gradients, which are averaged in each step.
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
    pub(crate) fn check(&self, lookahead: Option<&LookaheadConfig>) -> Result<(), ConfigIssue> {
        let (key, allowed) = ("distributed.timeout_seconds", "from 1 to 86400, a day");
        let timeout = self.timeout_seconds;
        require((1..=86400).contains(&timeout), key, timeout, allowed)?;
        if self.mode == DistributedMode::Local && lookahead.is_none() {
            return Err(ConfigIssue::new(
                "distributed.mode",
                "`distributed.mode` is local, which averages at the syncs of Lookahead, and there is no \
                 section `[lookahead]`: put it in, or set the mode to data_parallel.",
            ));
        }
        if self.wire != TransferDtype::Full && self.mode != DistributedMode::Local {
            return Err(ConfigIssue::new(
                "distributed.wire",
                "`distributed.wire` belongs to `distributed.mode` local only: take it out, or set that \
                 mode.",
            ));
        }
        let policy = lookahead.map_or(NonFinite::Error, |own| own.non_finite);
        if self.mode != DistributedMode::None && policy != NonFinite::Error {
            return Err(ConfigIssue::new(
                "lookahead.non_finite",
                "`lookahead.non_finite` is not error, and with several processes it must be: one that \
                 drops a step by its own loss would leave the others behind. Set it to error, or \
                 `distributed.mode` to none.",
            ));
        }
        Ok(())
    }
}
