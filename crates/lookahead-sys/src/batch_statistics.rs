//! The statistics that batch normalizations compute from their inputs.
//!
//! A layer's running buffers can't tell: they are in single precision and scaled by a momentum that tch
//! keeps private. So calls of `batch_norm` are observed, and the statistics computed in f64 from their
//! inputs.

use tch::Tensor;

use crate::Result;
use crate::ffi::bridge;
use crate::handle::owned;

/// One call of a batch normalization.
#[derive(Debug)]
pub struct BatchStatistic {
    /// The [`identity`](crate::tensor::identity) of the layer's running mean; 0 if it has none.
    pub running_mean: usize,
    /// The identity of its running variance.
    pub running_var: usize,
    /// Whether it normalized with its input's own statistics instead of the running ones.
    pub training: bool,
    /// Values per channel.
    pub values: i64,
    /// Mean and unbiased variance of each channel, in f64. `None` outside training, and below 2 values,
    /// which have no variance.
    pub moments: Option<(Tensor, Tensor)>,
}

/// Runs `f`, and returns its value with the batch normalizations that it called in this thread, in order.
/// Refused if this thread is already watching.
///
/// ```
/// use lookahead_sys::batch_statistics::watch;
/// use tch::{Device, nn, nn::ModuleT};
/// let vs = nn::VarStore::new(Device::Cpu);
/// let norm = nn::batch_norm1d(vs.root(), 1, Default::default());
/// let x = tch::Tensor::from_slice(&[1f32, 2., 6.]).view([3, 1]);
/// let (_, seen) = watch(|| norm.forward_t(&x, true))?;
/// let (mean, variance) = seen[0].moments.as_ref().unwrap();
/// assert_eq!((mean.double_value(&[0]), variance.double_value(&[0])), (3.0, 7.0));
/// # Ok::<(), lookahead_sys::Error>(())
/// ```
pub fn watch<T>(f: impl FnOnce() -> T) -> Result<(T, Vec<BatchStatistic>)> {
    /// Stops watching even if `f` panics.
    struct Watching;
    impl Drop for Watching {
        fn drop(&mut self) {
            drop(bridge::stop_batch_statistics());
        }
    }
    bridge::start_batch_statistics()?;
    let watching = Watching;
    let value = f();
    std::mem::forget(watching);
    let calls = bridge::stop_batch_statistics()?.into_iter().map(|call| BatchStatistic {
        running_mean: call.running_mean,
        running_var: call.running_var,
        training: call.training,
        values: call.values,
        moments: (!call.mean.is_null()).then(|| (owned(call.mean), owned(call.variance))),
    });
    Ok((value, calls.collect()))
}
