//! Batch normalization's statistics for φ.
//!
//! The running mean and variance of a batch normalization belong to the weights that made the
//! activations, and those are θ. The statistics of φ must be computed by running it.

use std::collections::BTreeMap;

use lookahead_sys::generator;
use tch::{Device, Kind, Tensor, nn};

use super::SlowWeights;
use crate::{Error, InnerOptimizer, Result};

/// Computes the running mean and variance of every batch normalization of `vs` anew for the weights
/// that are in it now, and returns how many buffers that were: the mean over `batches` of each
/// batch's statistics, whatever the momentum of the layers. `forward` runs the model on a batch in
/// training mode; the first batch is run twice. Batches should be equally large.
///
/// What to call after [`finish`](crate::Lookahead::finish). For an evaluation on the way, which
/// must not change the training, there is [`SlowWeights::recalibrate`].
///
/// Buffers are found by tch's names for them, `running_mean` and `running_var`. The random
/// generator is as before after it.
///
/// ```
/// use lookahead_core::{Lookahead, recalibrate};
/// use tch::{Device, Kind, Tensor, nn, nn::ModuleT};
///
/// let vs = nn::VarStore::new(Device::Cpu);
/// let norm = nn::batch_norm1d(vs.root(), 2, Default::default());
/// let batches = [0.0, 4.0].map(|mean| Tensor::randn([1000, 2], (Kind::Float, Device::Cpu)) + mean);
/// recalibrate(&vs, &batches, |batch| drop(norm.forward_t(batch, true)))?;
/// assert!((norm.running_mean.double_value(&[0]) - 2.0).abs() < 0.2);
/// # Ok::<(), lookahead_core::Error>(())
/// ```
///
/// # Errors
/// [`NoBatches`](Error::NoBatches), [`CoarseStatistics`](Error::CoarseStatistics) for buffers in
/// half precision, or what libtorch says; the buffers are as before then.
pub fn recalibrate<B>(
    vs: &nn::VarStore,
    batches: impl IntoIterator<Item = B>,
    forward: impl FnMut(&B),
) -> Result<usize> {
    Buffers::of(vs)?.recalibrate(vs.device(), batches, forward)
}

impl<O: InnerOptimizer> SlowWeights<'_, O> {
    /// Computes the running mean and variance of every batch normalization of `vs` for φ, as
    /// [`recalibrate`] does. θ's own return with θ, when the guard ends.
    ///
    /// ```
    /// # use lookahead_core::Lookahead;
    /// # use tch::{Device, Kind, Tensor, nn, nn::ModuleT};
    /// # let vs = nn::VarStore::new(Device::Cpu);
    /// # let net = nn::seq_t().add(nn::linear(vs.root(), 2, 2, Default::default()))
    /// #     .add(nn::batch_norm1d(vs.root(), 2, Default::default()));
    /// # let batches = [Tensor::ones([4, 2], (Kind::Float, Device::Cpu))];
    /// # let mut opt = Lookahead::builder(nn::Sgd::default()).build(&vs, 0.1)?;
    /// let mut at_phi = opt.slow_weights()?;
    /// at_phi.recalibrate(&vs, &batches, |batch| drop(net.forward_t(batch, true)))?;
    /// // … evaluate `net` here, in evaluation mode …
    /// at_phi.end()?;
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`recalibrate`].
    pub fn recalibrate<B>(
        &mut self,
        vs: &nn::VarStore,
        batches: impl IntoIterator<Item = B>,
        forward: impl FnMut(&B),
    ) -> Result<usize> {
        let buffers = Buffers::of(vs)?;
        let count = buffers.recalibrate(vs.device(), batches, forward)?;
        self.keep_for_later(buffers);
        Ok(count)
    }
}

/// A store's buffers, with their values when this was made.
#[derive(Debug)]
pub(super) struct Buffers(Vec<(Tensor, Tensor)>);

impl Buffers {
    fn of(vs: &nn::VarStore) -> Result<Self> {
        let named: BTreeMap<String, Tensor> = vs.variables().into_iter().collect();
        let statistics = named.into_iter().filter(|(name, tensor)| {
            let last = name.rsplit('.').next().unwrap_or(name);
            !tensor.requires_grad() && is_statistic(last)
        });
        let with_values = statistics.map(|(name, tensor)| {
            if !matches!(tensor.kind(), Kind::Float | Kind::Double) {
                let kind = format!("{:?}", tensor.kind());
                return Err(Error::CoarseStatistics { name, kind });
            }
            let _guard = tch::no_grad_guard();
            let mut values = tensor.f_empty_like()?;
            lookahead_sys::arithmetic::assign(&mut values, &tensor)?;
            Ok((tensor, values))
        });
        Ok(Buffers(with_values.collect::<Result<_>>()?))
    }

    /// Sets the buffers to the values that they had.
    pub(super) fn put_back(&self) -> Result<()> {
        for (buffer, values) in &self.0 {
            lookahead_sys::arithmetic::assign(&mut buffer.shallow_clone(), values)?;
        }
        Ok(())
    }

    fn recalibrate<B>(
        &self,
        device: Device,
        batches: impl IntoIterator<Item = B>,
        mut forward: impl FnMut(&B),
    ) -> Result<usize> {
        let _guard = tch::no_grad_guard();
        let generator = SavedGenerator::of(device)?;
        let mut undo = Undo { buffers: self, generator: &generator, done: false };
        // A layer moves a buffer r to (1 − m) r + m s, where s is the batch's statistic and m its
        // momentum, which tch keeps to itself. From r = 0 that gives m s, from r = R as much and
        // (1 − m) R more: two runs of one batch tell m. R is large, so that no statistic is.
        let mut sums: Vec<Tensor> = Vec::new();
        let mut momenta: Vec<Tensor> = Vec::new();
        let mut count = 0;
        for batch in batches {
            if count == 0 {
                self.fill(FAR)?;
                forward(&batch);
                let from_far = self.values()?;
                generator.put_back()?;
                self.fill(0.0)?;
                forward(&batch);
                sums = self.values()?;
                for (far, zero) in from_far.iter().zip(&sums) {
                    momenta.push(far.f_sub(zero)?.f_div_scalar(-FAR)?.f_add_scalar(1.0)?);
                }
            } else {
                self.fill(0.0)?;
                forward(&batch);
                for (sum, value) in sums.iter_mut().zip(self.values()?) {
                    let _ = sum.f_add_(&value)?;
                }
            }
            count += 1;
        }
        if count == 0 {
            return Err(Error::NoBatches);
        }
        for (((buffer, before), sum), momentum) in self.0.iter().zip(&sums).zip(&momenta) {
            // A layer that did not run, or does not move its buffers, has no statistic to give.
            let moved = momentum.f_gt(1e-6)?;
            let mean = sum.f_div(momentum)?.f_div_scalar(f64::from(count))?;
            let before = before.f_to_kind(Kind::Double)?;
            let chosen = mean.f_where_self(&moved, &before)?;
            lookahead_sys::arithmetic::assign(&mut buffer.shallow_clone(), &chosen)?;
        }
        undo.done = true;
        Ok(self.0.len())
    }

    fn fill(&self, value: f64) -> Result<()> {
        for (buffer, _) in &self.0 {
            let _ = buffer.shallow_clone().f_fill_(value)?;
        }
        Ok(())
    }

    /// Copies in double precision, in which the sums are taken.
    fn values(&self) -> Result<Vec<Tensor>> {
        let copy = |(buffer, _): &(Tensor, Tensor)| {
            let mut values = buffer.f_to_kind(Kind::Double)?;
            if buffer.kind() == Kind::Double {
                values = values.f_add_scalar(0.0)?;
            }
            Ok(values)
        };
        self.0.iter().map(copy).collect()
    }
}

/// A value far from every statistic, and exact in single precision.
const FAR: f64 = 1048576.0;

/// Takes the generator back when a recalibration ends, and the buffers where it failed or panicked.
struct Undo<'a> {
    buffers: &'a Buffers,
    generator: &'a SavedGenerator,
    done: bool,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        // There is nobody left to tell, and copying back what was copied out does not fail.
        let _ = self.generator.put_back();
        if !self.done {
            let _ = self.buffers.put_back();
        }
    }
}

fn is_statistic(name: &str) -> bool {
    // A second variable of one name gets a suffix from tch: `running_mean__3`.
    let stem = name.split("__").next().unwrap_or(name);
    matches!(stem, "running_mean" | "running_var")
}

/// The random generators that a forward pass may draw from, as they were.
struct SavedGenerator(Vec<(Device, Tensor)>);

impl SavedGenerator {
    fn of(device: Device) -> Result<Self> {
        let mut devices = vec![Device::Cpu];
        if device != Device::Cpu {
            devices.push(device);
        }
        let states = devices.into_iter().map(|device| Ok((device, generator::state(device)?)));
        Ok(SavedGenerator(states.collect::<Result<_>>()?))
    }

    fn put_back(&self) -> Result<()> {
        for (device, state) in &self.0 {
            generator::set_state(*device, state)?;
        }
        Ok(())
    }
}
