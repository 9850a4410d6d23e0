//! Autocast: matrix products and convolutions in a narrower type than that of their operands.

use std::marker::PhantomData;
use std::sync::OnceLock;

use tch::{Device, Kind, Tensor};

use crate::ffi::bridge;
use crate::{Error, Result};

/// Casting on one type of device. [`begin`](Self::begin) opens a region of it.
///
/// ```
/// use lookahead_sys::autocast::Autocast;
/// use tch::{Device, Kind, Tensor};
///
/// let autocast = Autocast::new(Device::Cpu, Kind::BFloat16).unwrap();
/// let x = Tensor::ones([2, 2], (Kind::Float, Device::Cpu));
/// let product = {
///     let _region = autocast.begin();
///     x.matmul(&x)
/// };
/// assert_eq!(product.kind(), Kind::BFloat16);
/// assert_eq!(x.matmul(&x).kind(), Kind::Float);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Autocast {
    cuda: bool,
    kind: Kind,
}

/// An open region of an [`Autocast`].
#[derive(Debug)]
#[must_use = "the region ends when this is dropped"]
pub struct Region {
    before: bridge::AutocastState,
    /// The mode belongs to one thread, so the region must end where it began.
    thread: PhantomData<*const ()>,
}

impl Autocast {
    /// Computes on devices of this type in `kind`. Refuses devices other than CPU and CUDA, and kinds other
    /// than `BFloat16` and `Half`.
    pub fn new(device: Device, kind: Kind) -> Result<Self> {
        let cuda = match device {
            Device::Cpu => false,
            Device::Cuda(_) => true,
            other => {
                return Err(Error(format!(
                    "Autocast does not support {other:?}. Use a CPU or a CUDA device."
                )));
            }
        };
        if !matches!(kind, Kind::BFloat16 | Kind::Half) {
            return Err(Error(format!("Autocast can't use {kind:?}. Use BFloat16 or Half.")));
        }
        Ok(Autocast { cuda, kind })
    }

    /// Opens a region in this thread, which lasts until the guard is dropped, also by a panic; then the mode
    /// is as before. Inside, operations that gain from it (matrix products, convolutions) cast their operands
    /// and return the narrow type, and those that would lose too much (losses) compute in `f32`. Variables
    /// keep their type. Not every CPU supports all operations: see [`computes_lstm`](Self::computes_lstm).
    ///
    /// Open one for each forward pass with its loss, and close it before the backward pass. A weight's cast
    /// is cached until the outermost region ends. So inside one region weights must not change, and a pass
    /// without gradients must not precede one with them, which would use casts without gradients. Regions
    /// end in the opposite order to that in which they began.
    pub fn begin(self) -> Region {
        let before = bridge::begin_autocast(self.cuda, self.kind == Kind::Half);
        Region { before, thread: PhantomData }
    }

    /// Opens a region without autocast for this type of device, inside one with it.
    pub fn suspend(self) -> Region {
        Region { before: bridge::suspend_autocast(self.cuda), thread: PhantomData }
    }

    /// Whether an LSTM can be trained in such a region on this machine. On the CPU libtorch uses oneDNN's
    /// LSTM, which has narrow types only on processors with instructions for them. On others, for example
    /// with AVX2 only, its first forward pass fails with "could not create a primitive descriptor":
    /// [`suspend`](Self::suspend) autocast around it. Linear layers, convolutions and attention work on
    /// every processor.
    ///
    /// The first call tries it, on one number.
    pub fn computes_lstm(self) -> bool {
        static FOUND: [OnceLock<bool>; 2] = [const { OnceLock::new() }; 2];
        let found = &FOUND[usize::from(self.kind == Kind::Half)];
        // A new thread has none of the caller's modes, for example no-grad.
        let try_it = || std::thread::spawn(move || self.trains_an_lstm().is_ok()).join();
        self.cuda || *found.get_or_init(|| try_it().unwrap_or(false))
    }

    fn trains_an_lstm(self) -> std::result::Result<(), tch::TchError> {
        let zeros = |shape: &[i64]| Tensor::f_zeros(shape, (Kind::Float, Device::Cpu));
        let variable = |shape| zeros(shape)?.f_set_requires_grad(true);
        let weights = [variable(&[4, 1])?, variable(&[4, 1])?, variable(&[4])?, variable(&[4])?];
        let (x, state) = (variable(&[1, 1, 1])?, zeros(&[1, 1, 1])?);
        let (output, _, _) = {
            let _region = self.begin();
            x.f_lstm(&[&state, &state], &weights.each_ref(), true, 1, 0.0, true, false, true)?
        };
        output.f_sum(Kind::Float)?.f_backward()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        bridge::end_autocast(self.before);
    }
}

/// Whether this thread is in a region for this type of device.
pub fn is_enabled(device: Device) -> bool {
    current(device).is_some()
}

/// The autocast that is on in this thread for this type of device.
pub fn current(device: Device) -> Option<Autocast> {
    let cuda = match device {
        Device::Cpu => false,
        Device::Cuda(_) => true,
        _ => return None,
    };
    let state = bridge::autocast_state(cuda);
    // libtorch's numbers of these types.
    let kind = match state.dtype {
        5 => Kind::Half,
        15 => Kind::BFloat16,
        _ => return None,
    };
    state.enabled.then_some(Autocast { cuda, kind })
}

#[cfg(test)]
mod tests;
