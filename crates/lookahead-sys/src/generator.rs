//! The state of libtorch's random generators.
//!
//! Each device has one generator, global to the process. Dropout and initialization draw from it.

use tch::{Device, Tensor};

use crate::ffi::bridge;
use crate::handle::{cpp, owned};
use crate::{Error, Result};

/// The state of the default generator of `device`, as bytes in a one-dimensional `u8` tensor on the CPU.
/// Refused for devices without a generator.
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
    Ok(owned(bridge::generator_state(cuda, index)?))
}

/// Restores a [`state`] of the same kind of device.
pub fn set_state(device: Device, state: &Tensor) -> Result<()> {
    let (cuda, index) = address(device)?;
    Ok(bridge::set_generator_state(cuda, index, cpp(state))?)
}

/// Seeds the default generators of all devices. `tch::manual_seed` does the same, but a C++ exception in
/// it (a missing `/dev/urandom`) ends the process.
pub fn seed(seed: u64) -> Result<()> {
    bridge::seed_generators(seed).map_err(|cause| {
        Error(format!(
            "libtorch's random generators can't be set up: {}. Make the system's /dev available.",
            cause.what().trim_end_matches('.')
        ))
    })
}

fn address(device: Device) -> Result<(bool, i8)> {
    match device {
        Device::Cpu => Ok((false, -1)),
        Device::Cuda(index) => Ok((true, i8::try_from(index).unwrap_or(i8::MAX))),
        other => Err(Error(format!("The random generator of {other:?} can't be accessed."))),
    }
}

#[cfg(test)]
mod tests;
