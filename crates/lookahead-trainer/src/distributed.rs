//! The same run in several processes, on one machine or many: `[distributed]`.
//!
//! All processes do the same at the same steps, each on its own samples. They wait for each other at a sync, or
//! in each step if gradients are averaged; at evaluations, which they share; and at checkpoints, which rank 0
//! writes. A request to one of them is carried out by all, at the start of a cycle.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use lookahead_core::distributed::{Buckets, Error, ProcessGroup, Rendezvous};
use lookahead_core::{GradientAverage, TransferDtype};
use lookahead_run::words::sentences;
use serde_json::{Map, Value};
use tch::{Device, Tensor, nn};

use crate::config::Config;
use crate::config::distributed::{DistributedConfig, DistributedMode};
use crate::config::mutable_keys::flattened;
use crate::config::paths::is_path;
use crate::console::eprint_line;
use crate::data::Dataset;
use crate::data::batches::share;
use crate::models::Model;
use crate::usage::UsageError;

/// What is requested of all processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ControlFlags {
    pub(crate) stop: bool,
    pub(crate) checkpoint: bool,
    pub(crate) pause: bool,
    /// Rank 0 has settings for all.
    pub(crate) settings: bool,
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
    /// Time spent on averaging since the last report.
    wait: Cell<Duration>,
}

/// Keys in which processes may differ besides paths, since they are about the machine.
const LOCAL_KEYS: [&str; 2] = ["train.device", "train.threads"];

impl WorkerGroup {
    /// One process.
    pub fn single() -> Self {
        WorkerGroup::new(Arc::new(ProcessGroup::single()), &DistributedConfig::default(), 0)
    }

    fn new(group: Arc<ProcessGroup>, config: &DistributedConfig, local_rank: usize) -> Self {
        let gradients = GradientAverage::new(group.clone());
        let (mode, wire) = (config.mode, config.wire);
        let (buffers, wait) = (Buckets::default(), Cell::default());
        WorkerGroup { group, mode, wire, gradients, buffers, local_rank, wait }
    }

    /// Joins the other processes, if the environment names any, and checks that all have the same configuration
    /// and version: a usage error if not.
    pub(crate) fn join(config: &Config) -> anyhow::Result<Self> {
        let own = &config.distributed;
        let Some(place) = rendezvous()? else { return Ok(WorkerGroup::single()) };
        refuse_no_mode(own, place.size)?;
        let group = join_others(&place, Duration::from_secs(own.timeout_seconds))?;
        let workers = WorkerGroup::new(Arc::new(group), own, place.local_rank);
        workers.refuse_other_config(config)?;
        Ok(workers)
    }

    /// Joins the other processes before any of them knows the configuration, which follows by
    /// [`configured`](Self::configured).
    pub(crate) fn join_to_resume(timeout_seconds: Option<u64>) -> anyhow::Result<Self> {
        let Some(place) = rendezvous()? else { return Ok(WorkerGroup::single()) };
        let defaults = DistributedConfig::default();
        let timeout = Duration::from_secs(timeout_seconds.unwrap_or(defaults.timeout_seconds));
        let group = Arc::new(join_others(&place, timeout)?);
        Ok(WorkerGroup::new(group, &defaults, place.local_rank))
    }

    /// The same processes with a configuration; a usage error if that is for one process, and there are more.
    pub(crate) fn configured(self, config: &DistributedConfig) -> anyhow::Result<Self> {
        if !self.is_single() {
            refuse_no_mode(config, self.size())?;
        }
        self.group.set_timeout(Duration::from_secs(config.timeout_seconds))?;
        Ok(WorkerGroup::new(self.group, config, self.local_rank))
    }

    /// Checks that all processes have as much data, and the same contents if these are known, since the steps at
    /// which they wait for each other depend on it.
    pub(crate) fn refuse_other_data(&self, data: &Dataset) -> anyhow::Result<()> {
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
            Err(_) => "a description that this version can't read".to_owned(),
        };
        Err(UsageError::new(format!(
            "Rank {rank} has other data than rank 0: {}, and rank 0 {}, or the same numbers of samples with \
             other contents. Point `data.dir` or `data.file` to the same data in all processes.",
            words(&all[rank]),
            words(&all[0])
        ))
        .into())
    }

    /// This configuration with the paths, device and threads of this process's machine, as `own` has them.
    #[must_use]
    pub(crate) fn localized(mut config: Config, own: &Config) -> Config {
        config.take_paths(own);
        config.train.device.clone_from(&own.train.device);
        config.train.threads = own.train.threads;
        config
    }

    /// This process's number among those on its machine.
    pub(crate) fn local_rank(&self) -> usize {
        self.local_rank
    }

    /// Whether there is only this process.
    pub fn is_single(&self) -> bool {
        self.group.is_single()
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

    /// The group and the type in which values are sent, if θ is averaged at syncs.
    pub(crate) fn averages_weights(&self) -> Option<(Arc<ProcessGroup>, TransferDtype)> {
        (self.mode == DistributedMode::Local).then(|| (self.group.clone(), self.wire))
    }

    /// Every process finds the same difference.
    fn refuse_other_config(&self, config: &Config) -> anyhow::Result<()> {
        let mut keys = flattened(&config.to_json());
        keys.retain(|key, _| !is_local(key));
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
                // No process leaves, and takes the store with it, before all have read.
                self.group.barrier()?;
                return Err(UsageError::new(format!(
                    "Rank {rank} was started with `{key}` = {}, and rank 0 with {}. Use the same config and \
                     the same `--set` for all.",
                    value(&other, key),
                    value(&first, key)
                ))
                .into());
            }
        }
        Ok(())
    }

    /// Gives all processes rank 0's weights and buffers.
    pub(crate) fn broadcast_weights(&mut self, vs: &nn::VarStore) -> anyhow::Result<()> {
        let mut all: Vec<(String, Tensor)> = vs.variables().into_iter().collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        let all: Vec<&Tensor> = all.iter().map(|(_, tensor)| tensor).collect();
        Ok(Buckets::default().broadcast(&self.group, &all, 0)?)
    }

    /// This process's share of `count` things.
    pub(crate) fn share(&self, count: usize) -> Range<usize> {
        share(0..count, self.rank(), self.size())
    }

    /// The flags that any process has set.
    pub(crate) fn all_reduce_flags(&self, own: ControlFlags) -> anyhow::Result<ControlFlags> {
        Ok(self.sync_flags(own, &[])?.0)
    }

    /// Whether `flag` is set in any process.
    pub(crate) fn any(&self, flag: bool) -> anyhow::Result<bool> {
        if self.is_single() {
            return Ok(flag);
        }
        let flags = ControlFlags { stop: flag, ..ControlFlags::default() };
        Ok(self.all_reduce_flags(flags)?.stop)
    }

    /// The flags that any process has set, and the report of each.
    pub(crate) fn sync_flags(
        &self,
        own: ControlFlags,
        report: &[f64],
    ) -> anyhow::Result<(ControlFlags, Vec<Vec<f64>>)> {
        let ControlFlags { stop, checkpoint, pause, settings } = own;
        let flags = [stop, checkpoint, pause, settings].map(|flag| f64::from(u8::from(flag)));
        let mut all = self.group.all_gather(&[&flags, report].concat())?;
        let any = |i: usize| all.iter().any(|flags| flags[i] != 0.0);
        let (stop, checkpoint, pause, settings) = (any(0), any(1), any(2), any(3));
        all.iter_mut().for_each(|values| drop(values.drain(..flags.len())));
        let flags = ControlFlags { stop, checkpoint, pause, settings };
        Ok((flags, all))
    }

    /// Does this process's work. If it fails, the other processes get the error and end too.
    pub(crate) fn abort_peers_on_error<T>(
        self,
        work: impl FnOnce(WorkerGroup) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let group = self.group.clone();
        work(self).inspect_err(|error| group.abort(&sentences(error.as_ref())))
    }

    /// Whether rank 0 is gone, and this process is the first of those that are left: the error is of an operation with
    /// the others.
    pub(crate) fn stands_in_for_rank_zero(&self, error: &anyhow::Error) -> bool {
        let mut operations = error.chain().filter_map(|cause| match cause.downcast_ref() {
            Some(lookahead_core::Error::Workers(error)) => Some(error),
            _ => cause.downcast_ref(),
        });
        !self.is_rank_zero()
            && operations.any(|error| match error {
                Error::Operation { unreachable, .. } => {
                    (0..self.rank()).all(|rank| unreachable.contains(&rank))
                }
                _ => false,
            })
    }

    /// Decides, in the same way in all processes, how tensors on GPUs are transferred.
    pub(crate) fn agree_on_gpus(&self, device: Device) -> anyhow::Result<()> {
        Ok(self.group.agree_on_gpus(device)?)
    }

    /// Counts time that was spent on averaging.
    pub(crate) fn add_wait(&mut self, time: Duration) {
        *self.wait.get_mut() += time;
    }

    /// The time spent on averaging since the last call.
    pub(crate) fn take_wait(&mut self) -> Duration {
        self.wait.take()
    }

    /// The means of numbers over the processes, which must give equally many. Waiting counts as that of an average.
    pub(crate) fn means(&self, own: &[f64]) -> anyhow::Result<Vec<f64>> {
        let started = Instant::now();
        let all = self.group.all_gather(own)?;
        self.wait.set(self.wait.get() + started.elapsed());
        let mean = |i: usize| all.iter().map(|of| of[i]).sum::<f64>() / all.len() as f64;
        Ok((0..own.len()).map(mean).collect())
    }

    /// Numbers of each process, in the order of ranks.
    pub(crate) fn gather(&self, own: &[f64]) -> anyhow::Result<Vec<Vec<f64>>> {
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

    /// Averages the gradients in data-parallel mode; `weight` is this process's weight.
    pub(crate) fn average_gradients(
        &mut self,
        parameters: &[&Tensor],
        weight: f64,
    ) -> anyhow::Result<()> {
        if self.mode == DistributedMode::DataParallel {
            let started = Instant::now();
            self.gradients.average(parameters, weight)?;
            *self.wait.get_mut() += started.elapsed();
        }
        Ok(())
    }

    /// Averages the model's buffers, for example the statistics of batch normalization: they belong to θ, which
    /// has just become the same in all processes.
    pub(crate) fn average_buffers(&mut self, model: &Model) -> anyhow::Result<()> {
        if self.is_single() {
            return Ok(());
        }
        let buffers = model.buffers();
        let floats: Vec<&Tensor> = buffers.values().filter(|b| b.is_floating_point()).collect();
        if !floats.is_empty() {
            self.buffers.mean(&self.group, &floats, 1.0)?;
            self.buffers.copy_to(&floats)?;
        }
        Ok(())
    }

    /// Calls `f` with rank 0's buffers in the model, and restores this process's own: they differ within a cycle,
    /// and the model that is saved has rank 0's.
    pub(crate) fn with_rank_zero_buffers<R>(
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
    pub(crate) fn is_data_parallel(&self) -> bool {
        self.mode == DistributedMode::DataParallel && !self.is_single()
    }

    /// The seed of this process's own random numbers.
    pub(crate) fn seed(&self, seed: u64) -> u64 {
        if self.is_single() {
            return seed;
        }
        // Far apart for seeds 0, 1, 2 too.
        seed ^ (self.rank() as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// Leaves the group once all have come to this point.
    pub(crate) fn leave(&self) -> anyhow::Result<()> {
        Ok(self.group.leave()?)
    }
}

/// Where the processes meet, if the environment names more than one.
fn rendezvous() -> Result<Option<Rendezvous>, UsageError> {
    let place = Rendezvous::from_env().map_err(|error| UsageError::new(error.to_string()))?;
    Ok(place.filter(|place| place.size > 1))
}

fn refuse_no_mode(config: &DistributedConfig, size: usize) -> Result<(), UsageError> {
    if config.mode != DistributedMode::None {
        return Ok(());
    }
    Err(UsageError::new(format!(
        "The environment says that this is one of {size} processes (WORLD_SIZE), and `distributed.mode` is none. \
         Set it to local or data_parallel, or unset WORLD_SIZE, RANK, MASTER_ADDR and MASTER_PORT."
    )))
}

/// Joins the other processes, and warns about those that it has to wait for.
fn join_others(place: &Rendezvous, timeout: Duration) -> anyhow::Result<ProcessGroup> {
    let mut warn = |what: &str| eprint_line(format_args!("Warning: {what}"));
    ProcessGroup::join(place, timeout, &mut warn).map_err(|error| match error {
        Error::Interface { .. } | Error::Sizes { .. } | Error::SameRank { .. } => {
            UsageError::new(error.to_string()).into()
        }
        error => error.into(),
    })
}

/// Whether processes may differ in a key.
pub(crate) fn is_local(key: &str) -> bool {
    LOCAL_KEYS.contains(&key) || is_path(key)
}
