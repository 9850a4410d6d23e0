//! Images from bytes to normalized floats, gathered and computed in one pass.
//!
//! libtorch's operations would copy the bytes, cast, subtract and divide, each into a new tensor.

use tch::{Device, Kind, Tensor};

use crate::ffi::images::bridge;
use crate::handle::{cpp, owned};
use crate::{Error, Result};

/// How the bytes of each channel become numbers: (x − mean) / std, in single precision.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Normalization {
    /// Takes the mean and standard deviation of each channel, in units of the bytes, or one of each for all
    /// `channels`. Refuses other numbers of them, and images without channels.
    pub fn new(channels: usize, mean: &[f64], std: &[f64]) -> Result<Self> {
        let spread = |values: &[f64], what: &str| match values {
            &[one] => Ok(vec![one as f32; channels]),
            each if each.len() == channels => Ok(each.iter().map(|&value| value as f32).collect()),
            each => Err(Error(format!(
                "There are {} {what} for {channels} channels. Give one for all, or one for each.",
                each.len()
            ))),
        };
        if channels == 0 {
            return Err(Error("These images have no channels. Use 1 or more.".to_owned()));
        }
        let (mean, std) = (spread(mean, "means")?, spread(std, "standard deviations")?);
        Ok(Normalization { mean, std })
    }

    /// The images with these indices in `pixels`, which holds image after image, each in the order
    /// channels, height, width; as `f32` of shape (n, channels, height, width). Refuses an index without an
    /// image.
    ///
    /// On the CPU it reads each byte and writes each float once. For a GPU it gathers the bytes in
    /// page-locked memory and converts them there: a quarter of the transfer, and the program does not wait.
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
        let count = pixels.len().checked_div(size).unwrap_or(0);
        if let Some(index) = indices.iter().find(|&&index| index >= count) {
            return Err(Error(format!(
                "There is no image {index}: {} bytes are {count} images of {size} bytes, counted from 0.",
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
            // SAFETY: libtorch has just allocated `count` contiguous floats there, and no other code has the
            // tensor yet.
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

/// The tensor on a device. It reaches a GPU through page-locked memory, so that the program does not wait
/// for the copy; for the CPU it is returned as it is.
pub fn to_device(tensor: Tensor, device: Device) -> Result<Tensor> {
    if !device.is_cuda() {
        return Ok(tensor);
    }
    let kind = tensor.f_kind()?;
    // tch's own method names the device, and libtorch warns about that.
    let pinned = owned(bridge::pin_memory(cpp(&tensor))?);
    Ok(pinned.f_to_device_(device, kind, true, false)?)
}

#[cfg(test)]
mod tests;
