//! Saving and restoring a training: `[checkpoint]`.
//!
//! | module | what is in it |
//! |---|---|
//! | [`snapshot`] | the contents of a checkpoint, copied in memory while training waits |
//! | [`writer`] | a thread that writes a snapshot to the disk while training continues |
//! | [`moment`] | the moment of a run that a file belongs to |
//! | [`ranks`] | a checkpoint of several processes, distributed by the one that has the files |
//! | [`machine`] | what determines the last bits of results |
//! | [`restore`] | a checkpoint that is read, checked, and only then loaded |
//!
//! A checkpoint holds two files. `model.safetensors` is the final model: φ and the buffers under the model's own names.
//! `training.safetensors` is all else that decides the future: θ and the buffers under `fast/`, φ and the inner
//! optimizer's state under `optimizer/`, the random generators under `generator/`, the buffers that a roll-back would
//! restore under `sound/`, a mean of θ or φ under `average/`. Integers and numbers are in the manifest. In a run of several
//! processes these are rank 0's, and each other process has a `training-rank-00001.safetensors`, without φ.

pub mod machine;
pub mod moment;
pub mod ranks;
pub mod restore;
pub mod snapshot;
pub mod writer;

use std::collections::BTreeMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use lookahead_core::tch_ext::generator;
use lookahead_run::{Retention, retention};
use tch::{Cuda, Device, Tensor};

use crate::config::checkpoint::CheckpointConfig;

impl CheckpointConfig {
    /// Which checkpoints are kept: with `best`, the best one by a metric, and the one of the step that is the best so
    /// far.
    pub(crate) fn retention(&self, best: Option<(retention::Best, Option<u64>)>) -> Retention {
        Retention {
            newest: NonZeroUsize::new(self.keep).unwrap_or(NonZeroUsize::MIN),
            every: NonZeroU64::new(self.keep_every_steps),
            step: best.as_ref().and_then(|(_, step)| *step),
            best: best.map(|(by, _)| by),
        }
    }
}

/// File of the final model.
pub const MODEL: &str = "model.safetensors";
/// File of the training state.
pub const TRAINING: &str = "training.safetensors";

/// File of the training state of another process than rank 0, without what is the same in all.
pub(crate) fn training_of_rank(rank: usize) -> String {
    format!("training-rank-{rank:05}.safetensors")
}

const FAST: &str = "fast";
const OPTIMIZER: &str = "optimizer";
const GENERATOR: &str = "generator";
const SOUND: &str = "sound";
const AVERAGE: &str = "average";
const SLOW: &str = "slow";

/// How soon a checkpoint or a configuration that could not be saved is retried.
pub(crate) const RETRY: Duration = Duration::from_secs(5);

/// Pauses after the attempts to save what a process must not lose at its end: the last checkpoint and the last
/// events.
pub(crate) const LAST_ATTEMPTS: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_secs(2), Duration::ZERO];

/// In checkpoints of earlier versions the names of the trainer's integers and numbers begin with one of these.
const OWN: [&str; 2] = ["data/", "train/"];

/// The integers or numbers of the optimizer.
fn optimizer_entries<T: Copy>(entries: &BTreeMap<String, T>) -> BTreeMap<String, T> {
    let is_own = |key: &str| OWN.iter().any(|own| key.starts_with(own));
    let others = entries.iter().filter(|(key, _)| !is_own(key));
    others.map(|(key, value)| (key.clone(), *value)).collect()
}

/// The random generators of a training: name, device and state of each.
fn generator_states() -> anyhow::Result<Vec<(String, Device, Tensor)>> {
    let cuda =
        (0..Cuda::device_count().max(0) as usize).map(|i| (format!("cuda{i}"), Device::Cuda(i)));
    let all = std::iter::once(("cpu".to_owned(), Device::Cpu)).chain(cuda);
    all.map(|(name, device)| Ok((name, device, generator::state(device)?))).collect()
}
