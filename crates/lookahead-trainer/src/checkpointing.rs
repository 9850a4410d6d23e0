//! Saving and restoring a training: `[checkpoint]`.
//!
//! | module | what is in it |
//! |---|---|
//! | [`snapshot`] | all that a checkpoint holds, copied in memory while training waits |
//! | [`writer`] | a thread that gets a snapshot onto the disk while training goes on |
//! | [`moment`] | which moment of a run a file is of |
//! | [`ranks`] | a checkpoint of several processes, handed out by the one that has the files |
//! | [`machine`] | what of a machine decides the last bits |
//! | [`restore`] | a checkpoint read, checked, and only then taken on |
//!
//! A checkpoint holds two files. `model.safetensors` is the final model: φ and the buffers under
//! the model's own names. `training.safetensors` is all else that decides the future: θ and the
//! buffers under `fast/`, φ and the inner optimizer's state under `optimizer/`, the random
//! generators under `generator/`, the buffers that a roll-back would put back under `sound/`, a mean of
//! θ under `average/`; integers and numbers are in the manifest. Of a run of several processes these are
//! rank 0's, and each other one has a `training-rank-00001.safetensors` besides, without φ.

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
use lookahead_run::Retention;
use tch::{Cuda, Device, Tensor};

use crate::config::checkpoint::CheckpointConfig;
use crate::config::train::BestBy;

impl CheckpointConfig {
    /// Which checkpoints stay; `best` is the step of the best so far and what tells it, where that one
    /// is kept.
    pub fn retention(&self, best: Option<(Option<u64>, BestBy)>) -> Retention {
        Retention {
            newest: NonZeroUsize::new(self.keep).unwrap_or(NonZeroUsize::MIN),
            every: NonZeroU64::new(self.keep_every_steps),
            best: best.map(|(_, by)| by.into()),
            step: best.and_then(|(step, _)| step),
        }
    }
}

/// File of the final model.
pub const MODEL: &str = "model.safetensors";
/// File of all that goes on.
pub const TRAINING: &str = "training.safetensors";

/// File of what goes on in another process than rank 0's, less what all have alike.
pub fn training_of_rank(rank: usize) -> String {
    format!("training-rank-{rank:05}.safetensors")
}

const FAST: &str = "fast";
const OPTIMIZER: &str = "optimizer";
const GENERATOR: &str = "generator";
const SOUND: &str = "sound";
const AVERAGE: &str = "average";
const SLOW: &str = "slow";

/// How long after a checkpoint or a configuration that could not be saved it is tried again, unless it is due
/// before.
pub(crate) const AGAIN: Duration = Duration::from_secs(5);

/// What a process must not lose at its end, the last checkpoint and the last events, is tried with these
/// pauses between.
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

/// The generators that a training may draw from: name, device and state of each.
fn generator_states() -> anyhow::Result<Vec<(String, Device, Tensor)>> {
    let cuda =
        (0..Cuda::device_count().max(0) as usize).map(|i| (format!("cuda{i}"), Device::Cuda(i)));
    let all = std::iter::once(("cpu".to_owned(), Device::Cpu)).chain(cuda);
    all.map(|(name, device)| Ok((name, device, generator::state(device)?))).collect()
}
