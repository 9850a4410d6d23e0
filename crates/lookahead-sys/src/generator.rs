//! The state of libtorch's random-number generators, out and in.
//!
//! Dropout and initialization draw from one generator a device, which is global to the process.

use tch::{Device, Tensor};

use crate::ffi::bridge;
use crate::{Error, Result};

/// The state of the default generator of `device`, as bytes in a one-dimensional `u8` tensor on
/// the CPU. Drawing continues as after [`set_state`] with it.
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
mod tests;
