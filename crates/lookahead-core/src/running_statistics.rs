//! Batch normalization's statistics for φ.
//!
//! The running mean and variance of a batch normalization belong to the weights that made the
//! activations, and those are θ. The statistics of φ must be computed by running it.

use std::collections::{BTreeMap, HashMap};

use lookahead_sys::arithmetic::{all_finite, assign, lerp};
use lookahead_sys::batch_statistics::watch;
use lookahead_sys::generator;
use lookahead_sys::sync::Path;
use lookahead_sys::tensor::{Fingerprint, fingerprints, identity};
use tch::{Device, Kind, Tensor, nn};

use crate::{Error, Result};

/// Computes the running mean and variance of every batch normalization of `vs` for the weights
/// that are in it now, and returns how many buffers that were: the mean over `batches` of each
/// batch's statistics, weighted by its rows, whatever the momentum of the layers. `forward` runs the
/// model on a batch in training mode, on the calling thread.
///
/// A batch in which a layer has only one value per channel, such as one of a single row before a
/// [`batch_norm1d`](nn::batch_norm1d), has no variance, and what the layer makes of it tells later layers
/// nothing: it is left out. The statistics are taken in f64.
///
/// What to call after [`finish`](crate::Lookahead::finish). For an evaluation on the way, which
/// must not change the training, there is [`SlowWeights::recalibrate`](crate::SlowWeights::recalibrate).
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
/// [`NoBatches`](Error::NoBatches), [`OneValuePerChannel`](Error::OneValuePerChannel) if all batches
/// are left out, [`NonFiniteStatistics`](Error::NonFiniteStatistics),
/// [`CoarseStatistics`](Error::CoarseStatistics) for buffers in half precision,
/// [`UnseenStatistics`](Error::UnseenStatistics) for a layer that is not libtorch's, or what libtorch
/// says; the buffers are as before then.
pub fn recalibrate<B>(
    vs: &nn::VarStore,
    batches: impl IntoIterator<Item = B>,
    forward: impl FnMut(&B),
) -> Result<usize> {
    Buffers::of(vs)?.recalibrate(vs.device(), batches, forward)
}

/// The fewest values per channel from which a batch normalization takes, or in training mode would take,
/// its statistics in `forward`; `None` if it calls none. One value has no variance: trained on such a
/// batch, the running variance becomes NaN, which libtorch doesn't report.
///
/// ```
/// use tch::{Device, Kind, Tensor, nn, nn::ModuleT};
/// let vs = nn::VarStore::new(Device::Cpu);
/// let norm = nn::batch_norm1d(vs.root(), 2, Default::default());
/// let row = Tensor::ones([1, 2], (Kind::Float, Device::Cpu));
/// let fewest = lookahead_core::fewest_values_per_channel(|| drop(norm.forward_t(&row, false)))?;
/// assert_eq!(fewest, Some(1)); // not to be trained on
/// # Ok::<(), lookahead_core::Error>(())
/// ```
///
/// # Errors
/// What libtorch says.
pub fn fewest_values_per_channel(forward: impl FnOnce()) -> Result<Option<i64>> {
    let ((), calls) = watch(forward)?;
    Ok(calls.iter().map(|call| call.values).min())
}

/// A buffer of running statistics, with its values when this was made.
#[derive(Debug)]
struct Buffer {
    name: String,
    tensor: Tensor,
    before: Tensor,
}

/// A store's buffers of running statistics.
#[derive(Debug)]
pub(crate) struct Buffers(Vec<Buffer>);

impl Buffers {
    pub(crate) fn of(vs: &nn::VarStore) -> Result<Self> {
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
            let mut before = tensor.f_empty_like()?;
            assign(&mut before, &tensor)?;
            Ok(Buffer { name, tensor, before })
        });
        Ok(Buffers(with_values.collect::<Result<_>>()?))
    }

    /// Sets the buffers to the values that they had.
    pub(crate) fn restore(&self) -> Result<()> {
        for Buffer { tensor, before, .. } in &self.0 {
            assign(&mut tensor.shallow_clone(), before)?;
        }
        Ok(())
    }

    fn versions(&self) -> Result<Vec<u32>> {
        let prints = fingerprints(self.0.iter().map(|buffer| &buffer.tensor))?;
        Ok(prints.iter().map(Fingerprint::version).collect())
    }

    pub(crate) fn recalibrate<B>(
        &self,
        device: Device,
        batches: impl IntoIterator<Item = B>,
        mut forward: impl FnMut(&B),
    ) -> Result<usize> {
        let _guard = tch::no_grad_guard();
        let generator = SavedGenerator::of(device)?;
        let mut undo = Undo { buffers: self, generator: &generator, done: false };
        let versions = self.versions()?;
        let mut means: HashMap<usize, WeightedMean> = HashMap::new();
        let (mut used, mut left_out) = (0, 0);
        for batch in batches {
            let ((), calls) = watch(|| forward(&batch))?;
            if calls.iter().any(|call| call.training && call.values < 2) {
                left_out += 1;
                continue;
            }
            used += 1;
            for call in calls {
                let Some((mean, variance)) = call.moments else { continue };
                for (buffer, found) in [(call.running_mean, mean), (call.running_var, variance)] {
                    means.entry(buffer).or_default().take(found, call.values)?;
                }
            }
        }
        match (used, left_out) {
            (0, 0) => return Err(Error::NoBatches),
            (0, batches) => return Err(Error::OneValuePerChannel { batches }),
            _ => {}
        }
        let mut chosen = Vec::with_capacity(self.0.len());
        for (buffer, (before, now)) in self.0.iter().zip(versions.iter().zip(self.versions()?)) {
            let name = || buffer.name.clone();
            chosen.push(match means.remove(&identity(&buffer.tensor)) {
                Some(WeightedMean { mean, .. }) => {
                    let value = mean.f_to_kind(buffer.tensor.kind())?;
                    if !all_finite([&value], Path::Auto)? {
                        return Err(Error::NonFiniteStatistics { name: name() });
                    }
                    value
                }
                // libtorch's kernels move the buffers of a layer uncounted; any other writer is counted.
                None if *before != now => return Err(Error::UnseenStatistics { name: name() }),
                // A layer that did not run, or not in training mode, keeps what it has.
                None => buffer.before.shallow_clone(),
            });
        }
        for (buffer, value) in self.0.iter().zip(&chosen) {
            assign(&mut buffer.tensor.shallow_clone(), value)?;
        }
        undo.done = true;
        Ok(self.0.len())
    }
}

/// A mean of statistics, each weighted by the values that it was taken from.
#[derive(Debug)]
struct WeightedMean {
    mean: Tensor,
    values: f64,
}

impl Default for WeightedMean {
    fn default() -> Self {
        WeightedMean { mean: Tensor::new(), values: 0.0 }
    }
}

impl WeightedMean {
    fn take(&mut self, found: Tensor, values: i64) -> Result<()> {
        self.values += values as f64;
        match self.mean.defined() {
            true => lerp(&mut self.mean, &found, values as f64 / self.values)?,
            false => self.mean = found,
        }
        Ok(())
    }
}

/// Takes the generator back when a recalibration ends, and the buffers where it failed or panicked.
struct Undo<'a> {
    buffers: &'a Buffers,
    generator: &'a SavedGenerator,
    done: bool,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        // No caller is left to report to, and copying back what was copied out does not fail.
        let _ = self.generator.put_back();
        if !self.done {
            let _ = self.buffers.restore();
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
