//! Autocast: matrix products and convolutions in a narrower type than their operands have.

use std::marker::PhantomData;
use std::sync::OnceLock;

use tch::{Device, Kind, Tensor};

use crate::ffi::bridge;
use crate::{Error, Result};

/// What is to be cast where. [`begin`](Self::begin) opens a region of it.
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

/// The region of an [`Autocast`], while this lives.
#[derive(Debug)]
#[must_use = "the region ends when this is dropped"]
pub struct Region {
    before: bridge::AutocastState,
    /// The mode is one thread's: the region must end where it began.
    thread: PhantomData<*const ()>,
}

impl Autocast {
    /// Operations on `device`, and all other devices of its type, in `kind`.
    ///
    /// # Errors
    /// Where the device is neither a CPU nor a CUDA device, or the kind neither `BFloat16` nor `Half`.
    pub fn new(device: Device, kind: Kind) -> Result<Self> {
        let cuda = match device {
            Device::Cpu => false,
            Device::Cuda(_) => true,
            other => {
                return Err(Error(format!(
                    "Autocast is not to be had on {other:?}: choose a CPU or a CUDA device."
                )));
            }
        };
        match kind {
            Kind::BFloat16 | Kind::Half => Ok(Autocast { cuda, kind }),
            other => {
                Err(Error(format!("Autocast can't be to {other:?}: choose BFloat16 or Half.")))
            }
        }
    }

    /// Opens a region in this thread, which lasts until the guard is dropped, also by a panic; then
    /// all is as before. Inside, operations that gain by it, such as matrix products and convolutions,
    /// cast their operands and give results of the narrow type; those that would lose too much, such
    /// as losses, compute in `f32`. Variables stay as they are.
    ///
    /// Not every CPU can compute all of them: see [`computes_lstm`](Self::computes_lstm).
    ///
    /// Open one for each forward pass with its loss, and close it before the backward pass. A weight's
    /// cast is kept until the outermost region ends, so that inside one region weights must not change,
    /// and a pass without gradients must not come before one with them: that would use casts through
    /// which no gradient flows. Regions end in the opposite order to that in which they began.
    pub fn begin(self) -> Region {
        let before = bridge::begin_autocast(self.cuda, self.kind == Kind::Half);
        Region { before, thread: PhantomData }
    }

    /// Opens a region in which devices of this type compute as they do without autocast, inside one
    /// where they don't.
    pub fn suspend(self) -> Region {
        Region { before: bridge::suspend_autocast(self.cuda), thread: PhantomData }
    }

    /// Whether an LSTM can be trained inside such a region on this machine. libtorch's LSTM for CPUs is
    /// oneDNN's, which has narrow types only where the processor has instructions for them: elsewhere,
    /// as with AVX2 only, its first forward pass fails with "could not create a primitive
    /// descriptor". [`suspend`](Self::suspend) autocast around it there. Linear layers, convolutions and attention
    /// are computed on every processor.
    ///
    /// The first call tries it, on one number.
    pub fn computes_lstm(self) -> bool {
        static FOUND: [OnceLock<bool>; 2] = [const { OnceLock::new() }; 2];
        let found = &FOUND[usize::from(self.kind == Kind::Half)];
        // In a thread of its own, none of the caller's modes are on, such as that without gradients.
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

/// Whether this thread is in a region for devices of this type.
pub fn is_enabled(device: Device) -> bool {
    current(device).is_some()
}

/// What is cast to what for devices of this type, where this thread is.
pub fn current(device: Device) -> Option<Autocast> {
    let cuda = match device {
        Device::Cpu => false,
        Device::Cuda(_) => true,
        _ => return None,
    };
    let state = bridge::autocast_state(cuda);
    // libtorch's numbers of them.
    let kind = match state.dtype {
        5 => Kind::Half,
        15 => Kind::BFloat16,
        _ => return None,
    };
    state.enabled.then_some(Autocast { cuda, kind })
}

#[cfg(test)]
mod tests;
