//! Images from bytes to normalized floats, gathered and computed in one pass.
//!
//! As operations of libtorch's it would be a copy of the bytes, a cast, a subtraction and a division, each
//! with a tensor of its own.

use tch::{Device, Kind, Tensor};

use crate::ffi::bridge;
use crate::{Error, Result};

/// How the bytes of each channel become numbers: (x − mean) / std, in single precision.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Normalization {
    /// With the mean and the standard deviation of each channel, in bytes' units; one value is used for all
    /// `channels`.
    ///
    /// # Errors
    /// Where there are neither one nor as many means and deviations as channels, or no channel.
    pub fn new(channels: usize, mean: &[f64], std: &[f64]) -> Result<Self> {
        let spread = |values: &[f64], what: &str| match values {
            &[one] => Ok(vec![one as f32; channels]),
            each if each.len() == channels => Ok(each.iter().map(|&value| value as f32).collect()),
            each => Err(Error(format!(
                "There are {} {what} for {channels} channels: give one for all, or one for each.",
                each.len()
            ))),
        };
        if channels == 0 {
            return Err(Error("Images have at least one channel, and these have none.".to_owned()));
        }
        let (mean, std) = (spread(mean, "means")?, spread(std, "standard deviations")?);
        Ok(Normalization { mean, std })
    }

    /// The images of these numbers out of `pixels`, which holds image after image, each in the order
    /// channels, height, width; as `f32` of shape (n, channels, height, width).
    ///
    /// On the CPU their bytes are read once and the floats written once. For a GPU the bytes are put
    /// together in page-locked memory, cross as they are, a quarter of the floats, without the program
    /// waiting for it, and become floats there.
    ///
    /// # Errors
    /// Where there is no image of such a number; what libtorch says.
    pub fn gather(
        &self,
        pixels: &[u8],
        indices: &[usize],
        [height, width]: [usize; 2],
        device: Device,
    ) -> Result<Tensor> {
        let channels = self.mean.len();
        let plane = height * width;
        let size = channels * plane;
        let there = pixels.len().checked_div(size).unwrap_or(0);
        if let Some(index) = indices.iter().find(|&&index| index >= there) {
            return Err(Error(format!(
                "There is no image {index}: {} bytes are {there} images of {size} bytes, counted from 0.",
                pixels.len()
            )));
        }
        let shape = [indices.len(), channels, height, width].map(|n| n as i64);
        if device.is_cuda() {
            return self.on_gpu(pixels, indices, size, shape, device);
        }
        let batch = Tensor::f_empty(shape, (Kind::Float, Device::Cpu))?;
        let count = indices.len() * size;
        let out: &mut [f32] = if count == 0 {
            &mut []
        } else {
            // SAFETY: libtorch has just allocated `count` floats there, contiguous and aligned for them;
            // no other code has the tensor yet.
            unsafe { std::slice::from_raw_parts_mut(batch.data_ptr().cast(), count) }
        };
        bridge::normalized_images(pixels, indices, &self.mean, &self.std, plane, out);
        Ok(batch)
    }

    fn on_gpu(
        &self,
        pixels: &[u8],
        indices: &[usize],
        size: usize,
        shape: [i64; 4],
        device: Device,
    ) -> Result<Tensor> {
        let mut bytes = Vec::with_capacity(indices.len() * size);
        for &index in indices {
            bytes.extend_from_slice(&pixels[index * size..][..size]);
        }
        let floats = to_device(Tensor::f_from_slice(&bytes)?, device)?
            .f_reshape(shape)?
            .f_to_kind(Kind::Float)?;
        let of_channels = |values: &[f32]| -> Result<Tensor> {
            Ok(to_device(Tensor::f_from_slice(values)?, device)?.f_reshape([-1, 1, 1])?)
        };
        Ok(floats.f_sub(&of_channels(&self.mean)?)?.f_div(&of_channels(&self.std)?)?)
    }
}

/// The tensor on a device. To a GPU it goes through page-locked memory, so that the program does not
/// wait for the copy; on the CPU it is the tensor itself.
///
/// # Errors
/// What libtorch says.
pub fn to_device(tensor: Tensor, device: Device) -> Result<Tensor> {
    if !device.is_cuda() {
        return Ok(tensor);
    }
    let kind = tensor.f_kind()?;
    // tch's own would name the device, for which libtorch warns.
    // SAFETY: the pointer is a live at::Tensor for the length of the call. The shim allocates the result
    // with `new` for us alone; tch's Tensor frees it.
    let pinned = unsafe { Tensor::from_ptr(bridge::pin_memory(tensor.as_ptr().cast())?.cast()) };
    Ok(pinned.f_to_device_(device, kind, true, false)?)
}

#[cfg(test)]
mod tests;
