//! Autocast: matrix products and convolutions in a narrower type than their operands have.

use std::marker::PhantomData;

use tch::{Device, Kind};

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
    /// Open one for each forward pass with its loss, and close it before the backward pass. A weight's
    /// cast is kept until the outermost region ends, so that inside one region weights must not change,
    /// and a pass without gradients must not come before one with them: that would use casts through
    /// which no gradient flows. Regions end in the opposite order to that in which they began.
    pub fn begin(self) -> Region {
        let before = bridge::begin_autocast(self.cuda, self.kind == Kind::Half);
        Region { before, thread: PhantomData }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        bridge::end_autocast(self.before);
    }
}

/// Whether this thread is in a region for devices of this type.
pub fn is_enabled(device: Device) -> bool {
    match device {
        Device::Cpu => bridge::autocast_state(false).enabled,
        Device::Cuda(_) => bridge::autocast_state(true).enabled,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Tensor;

    fn bf16() -> Autocast {
        Autocast::new(Device::Cpu, Kind::BFloat16).unwrap()
    }

    fn variable() -> Tensor {
        Tensor::ones([4, 4], (Kind::Float, Device::Cpu)).set_requires_grad(true)
    }

    fn product_kind() -> Kind {
        variable().matmul(&variable()).kind()
    }

    /// All that a region changes.
    fn state() -> [bridge::AutocastState; 2] {
        [bridge::autocast_state(false), bridge::autocast_state(true)]
    }

    #[test]
    fn it_lasts_as_long_as_the_region() {
        let before = state();
        assert_eq!(product_kind(), Kind::Float);
        {
            let _region = bf16().begin();
            assert!(is_enabled(Device::Cpu) && !is_enabled(Device::Cuda(0)));
            assert_eq!(product_kind(), Kind::BFloat16);
            {
                let _inner = Autocast::new(Device::Cpu, Kind::Half).unwrap().begin();
                assert_eq!(product_kind(), Kind::Half);
            }
            assert_eq!(product_kind(), Kind::BFloat16, "the outer region is as it was");
        }
        assert_eq!(product_kind(), Kind::Float);
        assert_eq!(state(), before);
        let region = Autocast::new(Device::Cuda(0), Kind::Half).unwrap().begin();
        assert!(is_enabled(Device::Cuda(0)) && !is_enabled(Device::Cpu));
        assert_eq!(product_kind(), Kind::Float);
        drop(region);
        assert_eq!(state(), before);
    }

    #[test]
    fn a_panic_ends_it() {
        let before = state();
        let outcome = std::panic::catch_unwind(|| {
            let _region = bf16().begin();
            let _inner = Autocast::new(Device::Cpu, Kind::Half).unwrap().begin();
            panic!("on purpose");
        });
        assert!(outcome.is_err());
        assert_eq!((state(), product_kind()), (before, Kind::Float));
        gradients_after_a_pass_without();
    }

    #[test]
    fn other_threads_are_not_in_it() {
        let _region = bf16().begin();
        assert_eq!(std::thread::spawn(product_kind).join().unwrap(), Kind::Float);
    }

    /// Inside one region the weight's cast of the first pass would be used in the second, and no
    /// gradient flow.
    #[test]
    fn gradients_after_a_pass_without() {
        let weight = variable();
        let pass = || {
            let _region = bf16().begin();
            variable().matmul(&weight).sum(Kind::Float)
        };
        {
            let _none = tch::no_grad_guard();
            let _ = pass();
        }
        {
            let _guard = crate::inference::guard();
            let _ = pass();
        }
        pass().backward();
        let gradient = weight.grad();
        assert_eq!((gradient.kind(), gradient.double_value(&[0, 0])), (Kind::Float, 4.0));
    }

    /// The casts of a region are of the weights as they are in it.
    #[test]
    fn weights_that_change_between_two_regions_are_seen() {
        let mut weight = variable();
        let x = Tensor::ones([1, 4], (Kind::Float, Device::Cpu));
        let first = || {
            let _region = bf16().begin();
            x.matmul(&weight).double_value(&[0, 0])
        };
        assert_eq!(first(), 4.0);
        weight.set_data(&(weight.detach() * 2.0));
        let _region = bf16().begin();
        assert_eq!(x.matmul(&weight).double_value(&[0, 0]), 8.0);
    }

    #[test]
    fn other_devices_and_types_are_refused() {
        let error = Autocast::new(Device::Mps, Kind::BFloat16).unwrap_err().to_string();
        assert!(error.contains("Mps") && error.contains("CUDA"), "{error}");
        let error = Autocast::new(Device::Cpu, Kind::Float).unwrap_err().to_string();
        assert!(error.contains("Float") && error.contains("BFloat16"), "{error}");
    }
}
