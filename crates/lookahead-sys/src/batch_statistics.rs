//! What batch normalizations draw from their inputs.
//!
//! The running buffers of a layer don't tell: they are narrow, and scaled by a momentum that tch keeps to
//! itself. So the calls of `batch_norm` are watched, and the statistics taken from their inputs in f64.

use tch::Tensor;

use crate::Result;
use crate::ffi::bridge;

/// One call of a batch normalization.
#[derive(Debug)]
pub struct BatchStatistic {
    /// The [`identity`](crate::tensor::identity) of the layer's running mean; 0 if it keeps none.
    pub running_mean: usize,
    /// That of its running variance.
    pub running_var: usize,
    /// Whether it normalized by its input's own statistics, and not by the running ones.
    pub training: bool,
    /// How many values each channel had.
    pub values: i64,
    /// The mean and the unbiased variance of each channel, in f64. `None` if it was not training, and for
    /// fewer than 2 values, which have no variance.
    pub moments: Option<(Tensor, Tensor)>,
}

/// Runs `f` and returns, beside its value, the batch normalizations that it called in this thread, in their
/// order.
///
/// # Errors
/// If this thread watches already, or what libtorch says.
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
    /// Stops watching also if `f` panics.
    struct Watching;
    impl Drop for Watching {
        fn drop(&mut self) {
            drop(stop());
        }
    }
    bridge::start_batch_statistics()?;
    let watching = Watching;
    let value = f();
    let seen = stop();
    std::mem::forget(watching);
    Ok((value, seen?))
}

fn stop() -> Result<Vec<BatchStatistic>> {
    let owned = |pointer: *mut bridge::Tensor| {
        // SAFETY: a pointer that is not null is an at::Tensor that the shim allocated with `new` for us
        // alone; tch's Tensor frees it.
        (!pointer.is_null()).then(|| unsafe { Tensor::from_ptr(pointer.cast()) })
    };
    let calls = bridge::stop_batch_statistics()?.into_iter().map(|call| BatchStatistic {
        running_mean: call.running_mean,
        running_var: call.running_var,
        training: call.training,
        values: call.values,
        moments: owned(call.mean).zip(owned(call.variance)),
    });
    Ok(calls.collect())
}
