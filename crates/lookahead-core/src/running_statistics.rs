//! Batch normalization's statistics for φ.
//!
//! The running mean and variance of a batch normalization belong to the weights that made the activations: θ.
//! Those for φ must be computed by running the model at φ.

use std::collections::{BTreeMap, HashMap};

use lookahead_sys::arithmetic::{all_finite, assign, lerp};
use lookahead_sys::batch_statistics::watch;
use lookahead_sys::generator;
use lookahead_sys::sync::Path;
use lookahead_sys::tensor::{fingerprints, identity};
use tch::{Device, Kind, Tensor, nn};

use crate::{Error, Result};

/// Recomputes the running mean and variance of every batch normalization in `vs` for its present weights, and
/// returns the number of buffers: the mean over `batches` of each batch's statistics, in f64, weighted by its
/// rows, whatever the layers' momentum. `forward` runs the model on a batch in training mode, on the calling
/// thread.
///
/// A batch in which a layer has only one value per channel, for example a single row before a
/// [`batch_norm1d`](nn::batch_norm1d), has no variance, and the layer's output means nothing to later layers: it
/// is skipped.
///
/// Call it after [`finish`](crate::Lookahead::finish). For an evaluation during training use
/// [`SlowWeights::recalibrate`](crate::SlowWeights::recalibrate).
///
/// Buffers are recognized by tch's names for them, `running_mean` and `running_var`. All other variables that are not
/// trained, for example counts of batches, and the state of the random generator are restored.
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
/// [`NoBatches`](Error::NoBatches), [`OneValuePerChannel`](Error::OneValuePerChannel) if all batches are skipped,
/// [`NonFiniteStatistics`](Error::NonFiniteStatistics), [`CoarseStatistics`](Error::CoarseStatistics) for buffers
/// in half precision, [`UnseenStatistics`](Error::UnseenStatistics) for a layer that is not libtorch's. Buffers
/// are unchanged then.
pub fn recalibrate<B>(
    vs: &nn::VarStore,
    batches: impl IntoIterator<Item = B>,
    forward: impl FnMut(&B),
) -> Result<usize> {
    Buffers::of(vs)?.recalibrate(vs.device(), batches, forward)
}

/// The fewest values per channel of any batch normalization in `forward`, which need not be in training mode;
/// `None` if it calls none. One value has no variance: training on such a batch makes the running variance NaN,
/// which libtorch does not report.
///
/// ```
/// use tch::{Device, Kind, Tensor, nn, nn::ModuleT};
/// let vs = nn::VarStore::new(Device::Cpu);
/// let norm = nn::batch_norm1d(vs.root(), 2, Default::default());
/// let row = Tensor::ones([1, 2], (Kind::Float, Device::Cpu));
/// let fewest = lookahead_core::fewest_values_per_channel(|| drop(norm.forward_t(&row, false)))?;
/// assert_eq!(fewest, Some(1)); // don't train on it
/// # Ok::<(), lookahead_core::Error>(())
/// ```
pub fn fewest_values_per_channel(forward: impl FnOnce()) -> Result<Option<i64>> {
    let ((), calls) = watch(forward)?;
    Ok(calls.iter().map(|call| call.values).min())
}

/// A buffer and its original values.
#[derive(Debug)]
struct Buffer {
    name: String,
    tensor: Tensor,
    before: Tensor,
}

impl Buffer {
    fn restore(&self) -> Result<()> {
        Ok(assign(&mut self.tensor.shallow_clone(), &self.before)?)
    }
}

/// A store's buffers.
#[derive(Debug)]
pub(crate) struct Buffers {
    /// Those of running statistics.
    statistics: Vec<Buffer>,
    /// All others, which a forward pass in training mode may change too.
    others: Vec<Buffer>,
}

impl Buffers {
    pub(crate) fn of(vs: &nn::VarStore) -> Result<Self> {
        let named: BTreeMap<String, Tensor> = vs.variables().into_iter().collect();
        let _guard = tch::no_grad_guard();
        let (mut statistics, mut others) = (Vec::new(), Vec::new());
        for (name, tensor) in named.into_iter().filter(|(_, tensor)| !tensor.requires_grad()) {
            let is_statistic = is_statistic(&name);
            if is_statistic {
                refuse_coarse(&name, &tensor)?;
            }
            let mut before = tensor.f_empty_like()?;
            assign(&mut before, &tensor)?;
            let of_its_kind = if is_statistic { &mut statistics } else { &mut others };
            of_its_kind.push(Buffer { name, tensor, before });
        }
        Ok(Buffers { statistics, others })
    }

    /// These running statistics only.
    pub(crate) fn statistics<'a>(
        named: impl Iterator<Item = (String, &'a Tensor)>,
    ) -> Result<Self> {
        let _guard = tch::no_grad_guard();
        let mut statistics = Vec::new();
        for (name, tensor) in named {
            let mut before = tensor.f_empty_like()?;
            assign(&mut before, tensor)?;
            statistics.push(Buffer { name, tensor: tensor.shallow_clone(), before });
        }
        Ok(Buffers { statistics, others: Vec::new() })
    }

    /// Restores the original values.
    pub(crate) fn restore(&self) -> Result<()> {
        self.statistics.iter().chain(&self.others).try_for_each(Buffer::restore)
    }

    fn versions(&self) -> Result<Vec<u32>> {
        let prints = fingerprints(self.statistics.iter().map(|buffer| &buffer.tensor))?;
        Ok(prints.iter().map(|print| print.version).collect())
    }

    pub(crate) fn recalibrate<B>(
        &self,
        device: Device,
        batches: impl IntoIterator<Item = B>,
        mut forward: impl FnMut(&B),
    ) -> Result<usize> {
        let _guard = tch::no_grad_guard();
        let mut generators = vec![(Device::Cpu, generator::state(Device::Cpu)?)];
        if device != Device::Cpu {
            generators.push((device, generator::state(device)?));
        }
        let mut undo = Undo { buffers: self, generators, done: false };
        let versions = self.versions()?;
        // Of each buffer, weighted by the number of values, which is counted beside it.
        let mut means: HashMap<usize, (Tensor, f64)> = HashMap::new();
        let (mut used, mut skipped) = (0, 0);
        for batch in batches {
            let ((), calls) = watch(|| forward(&batch))?;
            if calls.iter().any(|call| call.training && call.values < 2) {
                skipped += 1;
                continue;
            }
            used += 1;
            for call in calls {
                let Some((mean, variance)) = call.moments else { continue };
                for (buffer, found) in [(call.running_mean, mean), (call.running_var, variance)] {
                    let zeros = (found.f_zeros_like()?, 0.0);
                    let (mean, values) = means.entry(buffer).or_insert(zeros);
                    *values += call.values as f64;
                    lerp(mean, &found, call.values as f64 / *values)?;
                }
            }
        }
        match (used, skipped) {
            (0, 0) => return Err(Error::NoBatches),
            (0, batches) => return Err(Error::OneValuePerChannel { batches }),
            _ => {}
        }
        let mut chosen = Vec::with_capacity(self.statistics.len());
        for (buffer, (before, now)) in
            self.statistics.iter().zip(versions.iter().zip(self.versions()?))
        {
            let name = || buffer.name.clone();
            chosen.push(match means.remove(&identity(&buffer.tensor)) {
                Some((mean, _)) => {
                    let value = mean.f_to_kind(buffer.tensor.kind())?;
                    if !all_finite([&value], Path::Auto)? {
                        return Err(Error::NonFiniteStatistics { name: name() });
                    }
                    value
                }
                // Only libtorch's kernels write to the buffers without moving their version.
                None if *before != now => return Err(Error::UnseenStatistics { name: name() }),
                // A layer that did not run in training mode keeps its statistics.
                None => buffer.before.shallow_clone(),
            });
        }
        for (buffer, value) in self.statistics.iter().zip(&chosen) {
            assign(&mut buffer.tensor.shallow_clone(), value)?;
        }
        self.others.iter().try_for_each(Buffer::restore)?;
        undo.done = true;
        Ok(self.statistics.len())
    }
}

/// Restores the generator when a recalibration ends, and the buffers if it failed or panicked.
struct Undo<'a> {
    buffers: &'a Buffers,
    /// The original states of the generators that a forward pass may use.
    generators: Vec<(Device, Tensor)>,
    done: bool,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        // Copying back what was copied out does not fail.
        for (device, state) in &self.generators {
            let _ = generator::set_state(*device, state);
        }
        if !self.done {
            let _ = self.buffers.restore();
        }
    }
}

/// Refuses to compute with statistics in half precision.
pub(crate) fn refuse_coarse(name: &str, tensor: &Tensor) -> Result<()> {
    match tensor.kind() {
        Kind::Float | Kind::Double => Ok(()),
        kind => Err(Error::CoarseStatistics { name: name.to_owned(), kind: format!("{kind:?}") }),
    }
}

/// Whether a buffer of this name is a running mean or variance.
pub(crate) fn is_statistic(name: &str) -> bool {
    let name = name.rsplit('.').next().unwrap_or(name);
    // tch gives a second variable of the same name a suffix: `running_mean__3`.
    let stem = name.split("__").next().unwrap_or(name);
    matches!(stem, "running_mean" | "running_var")
}
