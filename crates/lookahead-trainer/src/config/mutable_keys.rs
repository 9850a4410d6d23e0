//! Which keys of the configuration may change: on resume, and while the run is running.

use serde_json::{Map, Value};

use super::paths;

/// The keys that can be set while a run is running.
pub const LIVE: [&str; 4] = [LEARNING_RATE, PERIOD, SLOW_STEP_SIZE, PROBE_INTERVAL];
/// The learning rate before the schedule.
pub const LEARNING_RATE: &str = "optimizer.lr";
/// The weight decay.
pub const WEIGHT_DECAY: &str = "optimizer.weight_decay";
/// The synchronization period.
pub const PERIOD: &str = "lookahead.k";
/// Whether a run ends with a final sync.
pub const FINAL_SYNC: &str = "lookahead.final_sync";
/// The slow step size.
pub const SLOW_STEP_SIZE: &str = "lookahead.alpha";
/// How the slow step size changes.
pub const ALPHA_SCHEDULE: &str = "lookahead.alpha_schedule";
/// How the synchronization period changes.
pub const PERIOD_SCHEDULE: &str = "lookahead.k_schedule";
/// Settings by name, which a run's config has as keys of their own.
pub const PRESET: &str = "lookahead.preset";
/// The largest norm of the gradients.
const CLIP_NORM: &str = "train.clip_grad_norm";
/// The largest element of a gradient.
const CLIP_VALUE: &str = "train.clip_grad_value";
/// Syncs from one probe to the next.
pub const PROBE_INTERVAL: &str = "probe.every_syncs";

/// Keys, or sections with a dot, that may change without invalidating a checkpoint.
const MAY_CHANGE: [&str; 34] = [
    "data.in_memory",
    "task.metrics",
    "train.evaluate_every_epochs",
    "train.patience",
    "train.epochs",
    "train.max_steps",
    CLIP_NORM,
    CLIP_VALUE,
    "train.device",
    "train.threads",
    "train.read_loss_every",
    "train.channels_last",
    "train.autocast",
    "probe.",
    "checkpoint.",
    "log.",
    "watchdog.",
    "alert.",
    "schedule.",
    "optimizer.lr",
    WEIGHT_DECAY,
    "optimizer.eps",
    "optimizer.fused",
    "lookahead.alpha",
    "lookahead.extrapolate",
    "lookahead.restart_every",
    "lookahead.k",
    ALPHA_SCHEDULE,
    PERIOD_SCHEDULE,
    "lookahead.adaptive_alpha",
    FINAL_SYNC,
    "lookahead.non_finite",
    "lookahead.recalibrate",
    "distributed.",
];

/// All keys that may change on resume, for a sentence.
pub fn may_change_list() -> String {
    let named =
        MAY_CHANGE.map(|key| if key.ends_with('.') { format!("{key}*") } else { key.to_owned() });
    let paths = paths::keys();
    [&named[..], &paths].concat().join(", ")
}

/// Whether a key may change when a run is resumed.
pub fn may_change(key: &str) -> bool {
    paths::is_path(key)
        || MAY_CHANGE
            .iter()
            .any(|&allowed| key == allowed || (allowed.ends_with('.') && key.starts_with(allowed)))
}

/// The value of a dotted key in a configuration.
pub fn value_at<'a>(config: &'a Value, key: &str) -> Option<&'a Value> {
    let (section, key) = key.split_once('.')?;
    config.get(section)?.get(key)
}

/// The dotted keys of a configuration and their values.
pub fn flattened(config: &Value) -> Map<String, Value> {
    let sections = config.as_object().into_iter().flatten();
    sections
        .flat_map(|(section, keys)| {
            keys.as_object()
                .into_iter()
                .flatten()
                .map(move |(key, value)| (format!("{section}.{key}"), value.clone()))
        })
        .collect()
}

#[cfg(test)]
mod tests;
