//! The device to train on, `train.device`, and the number of threads, `train.threads`.

use anyhow::Context;
use lookahead_run::program_name;
use tch::{Cuda, Device};

use crate::config::train::TrainConfig;
use crate::usage::UsageError;

impl TrainConfig {
    /// Sets libtorch's number of threads, unless that is 0: its own choice.
    pub(crate) fn use_threads(&self) {
        if self.threads > 0 {
            tch::set_num_threads(self.threads as i32);
        }
    }

    /// The device of process `local_rank` on its machine, whether or not it is there.
    fn parse_device(&self, local_rank: usize) -> Option<Device> {
        match self.device.as_str() {
            "cpu" => Some(Device::Cpu),
            "auto" if !Cuda::is_available() => Some(Device::Cpu),
            // If each process sees only one GPU, its number is 0 in all of them.
            "auto" | "cuda" if Cuda::device_count() == 1 => Some(Device::Cuda(0)),
            "auto" | "cuda" => Some(Device::Cuda(local_rank)),
            other => Some(Device::Cuda(other.strip_prefix("cuda:")?.parse().ok()?)),
        }
    }

    /// The device to train on.
    ///
    /// # Errors
    /// A usage error if it is not there.
    pub fn device(&self) -> anyhow::Result<Device> {
        self.device_of(0)
    }

    /// The device of process `local_rank` on its machine: each has its own GPU, unless the config names one.
    pub(crate) fn device_of(&self, local_rank: usize) -> anyhow::Result<Device> {
        let device = self.parse_device(local_rank).context("The config was checked.")?;
        if let Device::Cuda(index) = device {
            let count = Cuda::device_count().max(0) as usize;
            if index >= count {
                let why = if Cuda::is_available() {
                    format!("there are {count} GPUs, counted from 0")
                } else {
                    "libtorch reaches no CUDA device here".to_owned()
                };
                if local_rank > 0 && count > 0 && !self.device.starts_with("cuda:") {
                    return Err(UsageError::new(format!(
                        "This is process {local_rank} on this machine (LOCAL_RANK), each trains on its own GPU, and \
                         {why}. Start as many processes as there are GPUs, or use `--set train.device=cpu`."
                    ))
                    .into());
                }
                return Err(UsageError::new(format!(
                    "`train.device` is {}, and {why}. Use `--set train.device=cpu`, or see `{} doctor`.",
                    self.device,
                    program_name()
                ))
                .into());
            }
        }
        Ok(device)
    }
}
