//! The state of libtorch's random-number generators, out and in.
//!
//! Dropout and initialization draw from one generator a device, which is global to the process.

use tch::{Device, Tensor};

use crate::ffi::bridge;
use crate::{Error, Result};

/// The state of the default generator of `device`, as bytes in a one-dimensional `u8` tensor on
/// the CPU. Drawing goes on as after [`set_state`] with it.
///
/// # Errors
/// Where libtorch has no generator for the device.
///
/// ```
/// use tch::{Device, Kind, Tensor};
/// let state = lookahead_sys::generator::state(Device::Cpu).unwrap();
/// let drawn = Tensor::rand([4], (Kind::Float, Device::Cpu));
/// lookahead_sys::generator::set_state(Device::Cpu, &state).unwrap();
/// assert_eq!(drawn, Tensor::rand([4], (Kind::Float, Device::Cpu)));
/// ```
pub fn state(device: Device) -> Result<Tensor> {
    let (cuda, index) = address(device)?;
    let state = bridge::generator_state(cuda, index)?;
    // SAFETY: the shim allocated this at::Tensor with `new` for us alone; tch's Tensor frees it.
    Ok(unsafe { Tensor::from_ptr(state.cast()) })
}

/// Sets the default generator of `device` to a state that [`state`] gave for the same kind of
/// device.
///
/// # Errors
/// Where libtorch has no generator for the device, or the bytes are not a state of it.
pub fn set_state(device: Device, state: &Tensor) -> Result<()> {
    let (cuda, index) = address(device)?;
    // SAFETY: the pointer is a live at::Tensor for the length of the call.
    Ok(unsafe { bridge::set_generator_state(cuda, index, state.as_ptr().cast()) }?)
}

/// Seeds the default generators of all devices, as `tch::manual_seed` does. That one can't report an
/// error of libtorch's, such as a missing `/dev/urandom`: the C++ exception would end the process.
///
/// # Errors
/// Where libtorch can't set a generator up.
pub fn seed(seed: u64) -> Result<()> {
    bridge::seed_generators(seed).map_err(|cause| {
        Error(format!(
            "libtorch's random generators can't be set up: {}. It needs the system's /dev.",
            cause.what().trim_end_matches('.')
        ))
    })
}

fn address(device: Device) -> Result<(bool, i8)> {
    match device {
        Device::Cpu => Ok((false, -1)),
        Device::Cuda(index) => Ok((true, i8::try_from(index).unwrap_or(i8::MAX))),
        other => Err(Error(format!("The random generator of {other:?} can't be reached."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn a_seed_is_that_of_tch() {
        let draw = || Tensor::rand([4], (Kind::Float, Device::Cpu));
        tch::manual_seed(-7);
        let expected = draw();
        seed((-7i64).cast_unsigned()).unwrap();
        assert_eq!(draw(), expected);
    }

    #[test]
    fn dropout_repeats_from_a_restored_state() {
        tch::manual_seed(3);
        let ones = Tensor::ones([1000], (Kind::Float, Device::Cpu));
        let _ = ones.dropout(0.5, true);
        let saved = state(Device::Cpu).unwrap();
        let first = ones.dropout(0.5, true);
        let second = ones.dropout(0.5, true);
        assert_ne!(first, second);
        set_state(Device::Cpu, &saved).unwrap();
        assert_eq!(first, ones.dropout(0.5, true));
        assert_eq!(second, ones.dropout(0.5, true));
    }

    #[test]
    fn other_devices_are_refused() {
        assert!(state(Device::Mps).unwrap_err().to_string().contains("Mps"));
        let none = Device::Cuda(tch::Cuda::device_count().max(0) as usize);
        assert!(state(none).is_err());
    }

    #[test]
    fn a_state_of_the_wrong_size_is_refused_in_a_sentence() {
        let error = set_state(Device::Cpu, &Tensor::zeros([3], (Kind::Uint8, Device::Cpu)))
            .unwrap_err()
            .to_string();
        assert!(error.contains("mt19937") || error.contains("size"), "{error}");
        assert!(!error.contains("Exception raised from"), "{error}");
    }
}
