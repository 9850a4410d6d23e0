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
    /// With the mean and the standard deviation of each channel, in bytes' units; one value stands for all
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
            // nobody else knows of the tensor yet.
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
mod tests {
    use super::*;

    /// By libtorch's operations: a cast, a subtraction, a division.
    fn by_operations(bytes: &[u8], shape: &[i64], mean: &[f64], std: &[f64]) -> Tensor {
        let of =
            |values: &[f64]| Tensor::from_slice(values).to_kind(Kind::Float).reshape([-1, 1, 1]);
        let floats = Tensor::from_slice(bytes).reshape(shape).to_kind(Kind::Float);
        (floats - of(mean)) / of(std)
    }

    fn bits(tensor: &Tensor) -> Vec<u32> {
        let values = Vec::<f32>::try_from(tensor.reshape([-1])).unwrap();
        values.into_iter().map(f32::to_bits).collect()
    }

    #[test]
    fn every_byte_becomes_what_libtorch_makes_of_it_to_the_bit() {
        // Images of 3 × 17 × 16: an odd number of pixels, and batches that take one thread and several.
        let size = 3 * 17 * 16;
        let pixels: Vec<u8> = (0..200 * size).map(|i| (i * 31 + i / 256) as u8).collect();
        let means: [&[f64]; 2] = [&[125.307, 0.0, 113.865], &[72.9]];
        let deviations: [&[f64]; 2] = [&[62.9932, 1.0, 66.7048], &[90.02]];
        for (mean, std) in means.into_iter().zip(deviations) {
            let normalization = Normalization::new(3, mean, std).unwrap();
            for count in [1, 7, 200] {
                let indices: Vec<usize> = (0..count).map(|i| (i * 67 + 5) % 200).collect();
                let found = normalization.gather(&pixels, &indices, [17, 16], Device::Cpu).unwrap();
                let bytes: Vec<u8> =
                    indices.iter().flat_map(|i| &pixels[i * size..][..size]).copied().collect();
                let shape = [count as i64, 3, 17, 16];
                assert_eq!(found.size(), shape);
                assert_eq!(bits(&found), bits(&by_operations(&bytes, &shape, mean, std)));
            }
        }
    }

    #[test]
    fn no_operation_but_the_allocation_is_asked_of_libtorch() {
        let normalization = Normalization::new(1, &[10.0], &[5.0]).unwrap();
        let bytes = [0, 10, 20, 30];
        let gather = || normalization.gather(&bytes, &[1, 0], [1, 2], Device::Cpu).unwrap();
        let (batch, ops) = crate::ops::record(gather);
        assert_eq!(ops.iter().map(|op| &op.name[..]).collect::<Vec<_>>(), ["aten::empty"]);
        assert_eq!(Vec::<f32>::try_from(batch.reshape([-1])).unwrap(), [2.0, 4.0, -2.0, 0.0]);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let said = Normalization::new(3, &[1.0, 2.0], &[1.0]).unwrap_err().to_string();
        assert!(said.contains("2 means for 3 channels"), "{said}");
        let said = Normalization::new(0, &[1.0], &[1.0]).unwrap_err().to_string();
        assert!(said.contains("these have none"), "{said}");
        let one = Normalization::new(1, &[1.0], &[1.0]).unwrap();
        let said = one.gather(&[1; 9], &[1, 2], [2, 2], Device::Cpu).unwrap_err().to_string();
        assert!(
            said.contains("no image 2") && said.contains("9 bytes are 2 images of 4"),
            "{said}"
        );
        assert!(
            one.gather(&[1; 9], &[0], [0, 2], Device::Cpu).is_err(),
            "there is none without pixels"
        );
        let none = one.gather(&[], &[], [2, 2], Device::Cpu).unwrap();
        assert_eq!(none.size(), [0, 1, 2, 2]);
    }

    #[test]
    fn a_gpu_makes_the_same_of_it() {
        if !tch::Cuda::is_available() {
            let required =
                std::env::var_os("LOOKAHEAD_REQUIRE_CUDA").is_some_and(|value| value == "1");
            assert!(!required, "LOOKAHEAD_REQUIRE_CUDA is 1, and libtorch reaches no GPU.");
            eprintln!("Passed over: there is no GPU.");
            return;
        }
        let bytes: Vec<u8> = (0..=255).cycle().take(4 * 3 * 64).collect();
        let one = Normalization::new(3, &[1.0, 2.5, 99.0], &[7.0, 3.0, 50.0]).unwrap();
        let on = |device| one.gather(&bytes, &[3, 1, 1, 0], [8, 8], device).unwrap();
        let (cpu, gpu) = (on(Device::Cpu), on(Device::Cuda(0)));
        assert_eq!(gpu.device(), Device::Cuda(0));
        let off = (&cpu - gpu.to_device(Device::Cpu)).abs().max();
        assert!(f64::try_from(off).unwrap() < 1e-5);
    }
}
