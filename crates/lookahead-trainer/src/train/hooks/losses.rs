//! Losses that are still on the device.
//!
//! Reading a loss means waiting for the device that computes it. On a GPU the program would wait in each step
//! until all kernels are done, and the GPU would then idle until the next ones are launched. So several losses
//! are read at once: the steps' events, and whatever is recorded after them, wait until then, and the log is
//! the same as without waiting.

use std::time::{Duration, Instant};

use tch::{Device, Kind, Tensor};

/// Losses that are read at once on a GPU by default.
const ON_A_GPU: u64 = 10;

/// How long a loss may wait to be read: the screen shows it only then.
const LONGEST: Duration = Duration::from_millis(250);

/// Losses that are still on the device, step after step.
#[derive(Debug)]
pub(super) struct PendingLosses {
    /// How many are read at once.
    at_once: u64,
    /// The step that the first of them belongs to.
    first: u64,
    losses: Vec<Tensor>,
    /// When the first of them came.
    since: Instant,
}

impl PendingLosses {
    /// Reads `every` at once; 0 is the default of the device.
    pub(super) fn new(every: u64, device: Device, may_wait: bool) -> Self {
        let default = if device.is_cuda() && may_wait { ON_A_GPU } else { 1 };
        let at_once = if every == 0 { default } else { every };
        PendingLosses { at_once, first: 0, losses: Vec::new(), since: Instant::now() }
    }

    /// Whether each loss is read in its own step.
    pub(super) fn none_may_wait(&self) -> bool {
        self.at_once == 1
    }

    /// Keeps the loss of a step.
    pub(super) fn push(&mut self, step: u64, loss: &Tensor) -> anyhow::Result<()> {
        if self.losses.is_empty() {
            self.first = step;
            self.since = Instant::now();
        }
        self.losses.push(loss.f_detach()?);
        Ok(())
    }

    /// Whether it is time to read them.
    pub(super) fn are_due(&self) -> bool {
        self.losses.len() as u64 >= self.at_once || self.since.elapsed() > LONGEST
    }

    /// The step of the first, and all of them; none are left.
    pub(super) fn take(&mut self) -> (u64, Vec<Tensor>) {
        (self.first, std::mem::take(&mut self.losses))
    }
}

/// Their values, in one transfer.
pub(super) fn to_host(losses: &[Tensor]) -> anyhow::Result<Vec<f64>> {
    let stacked = Tensor::f_stack(losses, 0)?.f_to_device(Device::Cpu)?;
    Ok(Vec::try_from(stacked.f_to_kind(Kind::Double)?)?)
}
