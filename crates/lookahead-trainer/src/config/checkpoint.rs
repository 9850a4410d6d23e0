//! When to save: `[checkpoint]`.

use serde::{Deserialize, Serialize};

use super::key::Key;

/// `[checkpoint]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Steps between checkpoints; 0 saves only at the end and on request.
    pub every_steps: u64,
    /// The number of newest checkpoints to keep.
    pub keep: usize,
    /// Checkpoints at multiples of this step are never removed; 0 is off.
    pub keep_every_steps: u64,
    /// Whether to save a checkpoint after each evaluation on validation data that is the best so far by
    /// `train.best_by`, and keep the best one. `train.patience` turns it on too.
    pub keep_best: bool,
    /// Seconds in which the program must save and end after a signal to stop; 0 is no limit.
    pub deadline_seconds: u64,
}

/// The keys of the section.
pub(super) const KEYS: &[Key] = &[

    Key::whole(
        "every_steps",
        "save a checkpoint every N steps; 0 is only at the end and on request. It is written while training \
         continues; the next one waits for it",
    )
    .at_least(0.0),
    Key::whole("keep", "how many of the newest checkpoints to keep").at_least(1.0),
    Key::whole("keep_every_steps", "also keep the checkpoints of every Nth step; 0 is off")
        .at_least(0.0)
        .example("10000"),
    Key::switch(
        "keep_best",
        "save a checkpoint after the best evaluation so far, and keep it. Always on with `train.patience`",
    )
    .example("true"),
    Key::whole(
        "deadline_seconds",
        "the longest time from a stop signal to the end of the program, for preemptible machines; 0 is no limit",
    )
    .at_least(0.0)
    .at_most(86400.0)
    .allowed("0 to 86400, a day")
    .example("60"),
];

impl Default for CheckpointConfig {
    fn default() -> Self {
        CheckpointConfig {
            every_steps: 500,
            keep: 3,
            keep_every_steps: 0,
            keep_best: false,
            deadline_seconds: 0,
        }
    }
}
