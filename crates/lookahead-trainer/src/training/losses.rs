//! Losses that are still on the device.
//!
//! To read a loss is to wait for the device that computes it. On a GPU the program would stand still in
//! each step until all kernels are done, and the GPU would then have nothing to do until the next ones
//! are launched. So several losses are read together: the steps' events, and whatever is recorded after
//! them, wait until then, and the log becomes what it would have been.

use std::time::{Duration, Instant};

use lookahead_run::event::{self, Event};
use tch::{Device, Kind, Tensor};

use super::divergence::{BATCH_LOSS, refuse_loss};
use super::{Outside, Training};

/// Losses that are read together on a GPU, where it is not said.
const ON_A_GPU: u64 = 10;

/// How long a loss may wait to be read, for whoever watches.
const LONGEST: Duration = Duration::from_millis(250);

/// Losses that are still on the device, step after step.
#[derive(Debug)]
pub(super) struct Unread {
    /// So many are read together.
    together: u64,
    /// The step after which the first of them was computed.
    first: u64,
    losses: Vec<Tensor>,
    /// When the first of them came.
    since: Instant,
}

impl Unread {
    /// None yet; `asked` are to be read together, or as many as is usual for the device where it is 0.
    pub(super) fn new(asked: u64, device: Device, may_wait: bool) -> Self {
        let usual = if device.is_cuda() && may_wait { ON_A_GPU } else { 1 };
        let together = if asked == 0 { usual } else { asked };
        Unread { together, first: 0, losses: Vec::new(), since: Instant::now() }
    }

    /// Whether each loss is read in its own step.
    pub(super) fn none_may_wait(&self) -> bool {
        self.together == 1
    }
}

/// Keeps the loss of the step that has just been taken, and its event, and reads all that wait where it
/// is time for that.
///
/// # Errors
/// As [`read`].
pub(super) fn put(
    t: &mut Training,
    outside: &mut Outside,
    loss: &Tensor,
    step: event::Step,
) -> anyhow::Result<()> {
    let unread = &mut t.unread;
    if unread.losses.is_empty() {
        unread.first = t.step;
        unread.since = Instant::now();
    }
    unread.losses.push(loss.f_detach()?);
    outside.observer.hold(t.step, Event::Step(step));
    let unread = &t.unread;
    let enough = unread.losses.len() as u64 >= unread.together;
    if enough || unread.since.elapsed() > LONGEST {
        read(t, outside)?;
    }
    Ok(())
}

/// Reads the losses that wait, in one transfer, and has their events recorded, with all that was
/// recorded since.
///
/// # Errors
/// Where one is no finite number: what comes after it is forgotten, since it came of weights that hold
/// nothing any more.
pub(super) fn read(t: &mut Training, outside: &mut Outside) -> anyhow::Result<()> {
    if t.unread.losses.is_empty() {
        return Ok(());
    }
    let losses = std::mem::take(&mut t.unread.losses);
    let values = to_host(&losses);
    let found = values.as_deref().unwrap_or_default();
    let sound = found.iter().position(|loss| !loss.is_finite()).unwrap_or(found.len());
    found[..sound].iter().for_each(|loss| t.learning.take(*loss));
    if let Some(last) = outside.observer.release(&found[..sound]) {
        outside.status.took(&last);
    }
    let found = values?;
    match found.get(sound) {
        Some(&loss) => {
            let step = t.unread.first + sound as u64;
            // What came of it is forgotten: the line of time ends before.
            t.step = step - 1;
            Ok(refuse_loss(BATCH_LOSS, loss, step, t.config.optimizer.lr)?)
        }
        None => Ok(()),
    }
}

fn to_host(losses: &[Tensor]) -> anyhow::Result<Vec<f64>> {
    let together = Tensor::f_stack(losses, 0)?.f_to_device(Device::Cpu)?;
    Ok(Vec::try_from(together.f_to_kind(Kind::Double)?)?)
}
