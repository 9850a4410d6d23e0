//! The same run in several processes, on one machine or many: `[distributed]`.
//!
//! All processes do the same at the same steps, each on samples of its own. They meet in a few
//! places: at a sync, or in each step where gradients are averaged; at evaluations, of which each does a
//! share; at checkpoints, which rank 0 writes. What is asked of one of them from outside is done by
//! all, where a cycle begins.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use lookahead_core::distributed::{Buckets, Error, ProcessGroup, Rendezvous};
use lookahead_core::{GradientAverage, TransferDtype};
use serde_json::{Map, Value};
use tch::{Device, Tensor, nn};

use crate::config::Config;
use crate::config::distributed::{DistributedConfig, DistributedMode};
use crate::config::mutable_keys::flattened;
use crate::console::eprint_line;
use crate::data::Dataset;
use crate::data::batches::share;
use crate::models::Model;
use crate::usage::UsageError;

impl DistributedConfig {
    fn refuse_none(&self, size: usize) -> Result<(), UsageError> {
        match self.mode {
            DistributedMode::None => Err(UsageError::new(format!(
                "The environment says that this is one of {size} processes (WORLD_SIZE), and \
                 `distributed.mode` is none: set it to local or data_parallel, or unset WORLD_SIZE, \
                 RANK, MASTER_ADDR and MASTER_PORT."
            ))),
            _ => Ok(()),
        }
    }
}

/// What somebody wants of all processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ControlFlags {
    /// The run is to stop.
    pub stop: bool,
    /// A checkpoint is to be saved.
    pub checkpoint: bool,
    /// The run is to wait.
    pub pause: bool,
}

/// The processes of a run, and which of them this one is.
#[derive(Debug)]
pub struct WorkerGroup {
    group: Arc<ProcessGroup>,
    mode: DistributedMode,
    wire: TransferDtype,
    gradients: GradientAverage,
    buffers: Buckets,
    local_rank: usize,
    /// Time spent on averaging since somebody asked.
    waited: Duration,
}

/// Keys in which processes may differ: what is where on their machines.
const OWN_KEYS: [&str; 4] = ["data.dir", "data.file", "train.device", "train.threads"];

impl WorkerGroup {
    /// One process.
    pub fn single() -> Self {
        WorkerGroup::of(Arc::new(ProcessGroup::alone()), &DistributedConfig::default(), 0)
    }

    fn of(group: Arc<ProcessGroup>, config: &DistributedConfig, local_rank: usize) -> Self {
        let gradients = GradientAverage::new(group.clone());
        let (mode, wire) = (config.mode, config.wire);
        let (buffers, waited) = (Buckets::default(), Duration::ZERO);
        WorkerGroup { group, mode, wire, gradients, buffers, local_rank, waited }
    }

    /// Meets the others, where the environment names any, and makes sure that all have the same
    /// configuration and version.
    ///
    /// # Errors
    /// A usage error where environment and config don't fit each other, or another process has another
    /// config; where the others can't be reached.
    pub fn join(config: &Config) -> anyhow::Result<Self> {
        let place = Rendezvous::from_env().map_err(|error| UsageError::new(error.to_string()))?;
        let Some(place) = place.filter(|place| place.size > 1) else {
            return Ok(WorkerGroup::single());
        };
        let own = &config.distributed;
        own.refuse_none(place.size)?;
        let group = join_others(&place, Duration::from_secs(own.timeout_seconds))?;
        let workers = WorkerGroup::of(Arc::new(group), own, place.local_rank);
        workers.refuse_others(config)?;
        Ok(workers)
    }

    /// Meets the others before any of them knows the configuration: what they have in common is told by
    /// [`configured`](Self::configured). Until then each waits for the default time, unless another was
    /// asked for.
    ///
    /// # Errors
    /// Where the others can't be reached.
    pub fn join_to_resume(timeout_seconds: Option<u64>) -> anyhow::Result<Self> {
        let place = Rendezvous::from_env().map_err(|error| UsageError::new(error.to_string()))?;
        let Some(place) = place.filter(|place| place.size > 1) else {
            return Ok(WorkerGroup::single());
        };
        let defaults = DistributedConfig::default();
        let timeout = Duration::from_secs(timeout_seconds.unwrap_or(defaults.timeout_seconds));
        Ok(WorkerGroup::of(Arc::new(join_others(&place, timeout)?), &defaults, place.local_rank))
    }

    /// The same processes, with what this configuration says of them.
    ///
    /// # Errors
    /// A usage error where it says that there is one process, and there are more.
    pub fn configured(self, config: &DistributedConfig) -> anyhow::Result<Self> {
        if !self.is_single() {
            config.refuse_none(self.size())?;
        }
        self.group.set_timeout(Duration::from_secs(config.timeout_seconds))?;
        Ok(WorkerGroup::of(self.group, config, self.local_rank))
    }

    /// Makes sure that all have as much data, and the same where that can be told: where they meet depends
    /// on it.
    ///
    /// # Errors
    /// A usage error that names the process with other data.
    pub fn refuse_other_data(&self, data: &Dataset) -> anyhow::Result<()> {
        let lengths = [data.train.len(), data.validation.len(), data.test.len()];
        let own = serde_json::to_vec(&(lengths, data.train.fingerprint()))?;
        let all = self.group.exchange("data", &own)?;
        let Some(rank) = all.iter().position(|other| *other != all[0]) else { return Ok(()) };
        self.group.barrier()?;
        let words = |bytes: &[u8]| match serde_json::from_slice::<([usize; 3], Value)>(bytes) {
            Ok((lengths, _)) => {
                let [train, validation, test]: [usize; 3] = lengths;
                format!("{train} training, {validation} validation and {test} test samples")
            }
            Err(_) => "what this version can't read".to_owned(),
        };
        Err(UsageError::new(format!(
            "Rank {rank} has other data than rank 0: {}, and rank 0 {}, or the same numbers of other \
             contents. Let `data.dir` or `data.file` lead to the same data for all.",
            words(&all[rank]),
            words(&all[0])
        ))
        .into())
    }

    /// This configuration with what is where on this process's machine, as `own` has it.
    #[must_use]
    pub fn localized(mut config: Config, own: &Config) -> Config {
        config.data.take_paths(&own.data);
        config.train.device.clone_from(&own.train.device);
        config.train.threads = own.train.threads;
        config
    }

    /// This process's number among those on its machine.
    pub fn local_rank(&self) -> usize {
        self.local_rank
    }

    /// Whether there are no others.
    pub fn is_single(&self) -> bool {
        self.group.is_alone()
    }

    /// Whether this is the process that keeps the run's record.
    pub fn is_rank_zero(&self) -> bool {
        self.group.rank() == 0
    }

    /// This process's number.
    pub fn rank(&self) -> usize {
        self.group.rank()
    }

    /// How many processes there are.
    pub fn size(&self) -> usize {
        self.group.size()
    }

    /// The group and the type of what is sent, where θ is averaged at syncs.
    pub(crate) fn averages_weights(&self) -> Option<(Arc<ProcessGroup>, TransferDtype)> {
        (self.mode == DistributedMode::Local).then(|| (self.group.clone(), self.wire))
    }

    /// Each process says what it is; all find the same difference.
    fn refuse_others(&self, config: &Config) -> anyhow::Result<()> {
        let mut keys = flattened(&config.to_json());
        keys.retain(|key, _| !is_own(key));
        keys.insert("the version".to_owned(), env!("CARGO_PKG_VERSION").into());
        let all = self.group.exchange("config", &serde_json::to_vec(&keys)?)?;
        let read = |bytes: &Vec<u8>| serde_json::from_slice::<Map<String, Value>>(bytes);
        let first = read(&all[0]).context("Rank 0 has another version of the program.")?;
        for (rank, other) in all.iter().enumerate() {
            let other = read(other)
                .with_context(|| format!("Rank {rank} has another version of the program."))?;
            let value = |of: &Map<String, Value>, key: &str| {
                of.get(key).map_or("no such key".to_owned(), Value::to_string)
            };
            let mut names = first.keys().chain(other.keys());
            if let Some(key) = names.find(|key| first.get(*key) != other.get(*key)) {
                // Nobody leaves, and takes the store along, before all have read.
                self.group.barrier()?;
                return Err(UsageError::new(format!(
                    "Rank {rank} was started with `{key}` = {}, and rank 0 with {}: give all the same \
                     config and the same `--set`.",
                    value(&other, key),
                    value(&first, key)
                ))
                .into());
            }
        }
        Ok(())
    }

    /// All begin with rank 0's weights and buffers.
    pub(crate) fn broadcast_weights(&mut self, vs: &nn::VarStore) -> anyhow::Result<()> {
        let mut all: Vec<(String, Tensor)> = vs.variables().into_iter().collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        let all: Vec<&Tensor> = all.iter().map(|(_, tensor)| tensor).collect();
        Ok(Buckets::default().broadcast(&self.group, &all, 0)?)
    }

    /// Which of so many are this process's share.
    pub fn share(&self, count: usize) -> Range<usize> {
        share(0..count, self.rank(), self.size())
    }

    /// What anybody wants.
    pub(crate) fn all_reduce_flags(&self, own: ControlFlags) -> anyhow::Result<ControlFlags> {
        Ok(self.sync_flags(own, &[])?.0)
    }

    /// What anybody wants, and what each has to report.
    pub(crate) fn sync_flags(
        &self,
        own: ControlFlags,
        report: &[f64],
    ) -> anyhow::Result<(ControlFlags, Vec<Vec<f64>>)> {
        let number = |wish: bool| f64::from(u8::from(wish));
        let ControlFlags { stop, checkpoint, pause } = own;
        let wishes = [number(stop), number(checkpoint), number(pause)];
        let mut all = self.group.all_gather(&[&wishes, report].concat())?;
        let any = |i: usize| all.iter().any(|wishes| wishes[i] != 0.0);
        let wishes = ControlFlags { stop: any(0), checkpoint: any(1), pause: any(2) };
        all.iter_mut().for_each(|values| drop(values.drain(..3)));
        Ok((wishes, all))
    }

    /// Does this process's work. If it fails, the other processes get the error and end too.
    ///
    /// # Errors
    /// Those of the work.
    pub fn abort_peers_on_error<T>(
        self,
        work: impl FnOnce(WorkerGroup) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let group = self.group.clone();
        work(self).inspect_err(|error| group.leave_for(&format!("{error:#}")))
    }

    /// Decides, for all processes alike, how tensors on GPUs go from one to the others.
    pub(crate) fn agree_on_gpus(&self, device: Device) -> anyhow::Result<()> {
        Ok(self.group.agree_on_gpus(device)?)
    }

    /// Counts time that was spent on averaging.
    pub fn add_wait(&mut self, time: Duration) {
        self.waited += time;
    }

    /// The time spent on averaging since this was asked last.
    pub fn take_wait(&mut self) -> Duration {
        std::mem::take(&mut self.waited)
    }

    /// Numbers of each process, in the order of ranks.
    ///
    /// # Errors
    /// Where a process does not answer.
    pub fn gather(&self, own: &[f64]) -> anyhow::Result<Vec<Vec<f64>>> {
        Ok(self.group.all_gather(own)?)
    }

    /// The bytes of all processes, on rank 0.
    pub(crate) fn gather_bytes(&self, own: &[u8]) -> anyhow::Result<Option<Vec<Vec<u8>>>> {
        Ok(self.group.gather_bytes(own)?)
    }

    /// The bytes of rank 0, on all.
    pub(crate) fn broadcast_bytes(&self, own: &[u8]) -> anyhow::Result<Vec<u8>> {
        Ok(self.group.broadcast_bytes(own)?)
    }

    /// Averages the gradients, where that is the mode; `weight` is what this process's count.
    pub(crate) fn average_gradients(
        &mut self,
        parameters: &[&Tensor],
        weight: f64,
    ) -> anyhow::Result<()> {
        match self.mode {
            DistributedMode::DataParallel => {
                let started = Instant::now();
                self.gradients.average(parameters, weight)?;
                self.waited += started.elapsed();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Averages the model's buffers, such as the statistics of batch normalization: they belong to θ,
    /// and θ has just become the same everywhere.
    pub(crate) fn average_buffers(&mut self, model: &Model) -> anyhow::Result<()> {
        if self.is_single() {
            return Ok(());
        }
        let buffers = model.buffers();
        let floats: Vec<&Tensor> = buffers.values().filter(|b| b.is_floating_point()).collect();
        if !floats.is_empty() {
            self.buffers.mean(&self.group, &floats, 1.0)?;
            self.buffers.put_into(&floats)?;
        }
        Ok(())
    }

    /// Does something with rank 0's buffers in the model of each process, and puts its own back: within a
    /// cycle they differ, and the model that is saved has rank 0's.
    ///
    /// # Errors
    /// Where a process does not answer, or `f` fails.
    pub fn with_rank_zero_buffers<R>(
        &self,
        model: &Model,
        f: impl FnOnce() -> anyhow::Result<R>,
    ) -> anyhow::Result<R> {
        let _guard = tch::no_grad_guard();
        let buffers = model.buffers();
        if buffers.is_empty() {
            return f();
        }
        let own: Vec<Tensor> = buffers.values().map(Tensor::copy).collect();
        let all: Vec<&Tensor> = buffers.values().collect();
        Buckets::default().broadcast(&self.group, &all, 0)?;
        let done = f();
        for (buffer, own) in buffers.values().zip(&own) {
            buffer.shallow_clone().f_copy_(own)?;
        }
        done
    }

    /// Whether gradients are averaged.
    pub fn is_data_parallel(&self) -> bool {
        self.mode == DistributedMode::DataParallel && !self.is_single()
    }

    /// The seed of this process's random numbers, apart from those that all must draw alike.
    pub fn seed(&self, seed: u64) -> u64 {
        match self.is_single() {
            true => seed,
            // Far apart also where seeds are 0, 1, 2.
            false => seed ^ (self.rank() as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        }
    }

    /// Leaves the others in order.
    ///
    /// # Errors
    /// Where they don't come to that.
    pub fn leave(&self) -> anyhow::Result<()> {
        Ok(self.group.leave()?)
    }
}

/// Meets the others, and says what it has to wait for.
fn join_others(place: &Rendezvous, timeout: Duration) -> anyhow::Result<ProcessGroup> {
    let mut tell = |what: &str| eprint_line(format_args!("Warning: {what}"));
    ProcessGroup::join_with(place, timeout, &mut tell).map_err(|error| match error {
        Error::Interface { .. } | Error::Sizes { .. } | Error::SameRank { .. } => {
            UsageError::new(error.to_string()).into()
        }
        error => error.into(),
    })
}

/// Whether processes may differ in a key.
pub fn is_own(key: &str) -> bool {
    OWN_KEYS.contains(&key)
}
