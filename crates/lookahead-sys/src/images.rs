//! Images from bytes to normalized floats, in one pass.
//!
//! A byte has 256 values, so that what normalization makes of each is worked out once: a batch is then
//! one look into a table for each pixel, written straight to where the batch lies. As operations of
//! libtorch's it would be a copy of the bytes, a cast, a subtraction and a division, each with a
//! tensor of its own.

use tch::{Device, Kind, Tensor};

use crate::{Error, Result};

/// What normalization makes of the bytes of each channel: (x − mean) / std, in single precision.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    mean: Vec<f32>,
    std: Vec<f32>,
    /// For each channel what its bytes become.
    table: Vec<[f32; 256]>,
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
        let (mean, std): (Vec<f32>, Vec<f32>) =
            (spread(mean, "means")?, spread(std, "standard deviations")?);
        if channels == 0 {
            return Err(Error("Images have at least one channel, and these have none.".to_owned()));
        }
        let of_byte =
            |(&mean, &std): (&f32, &f32)| std::array::from_fn(|byte| (byte as f32 - mean) / std);
        let table = mean.iter().zip(&std).map(of_byte).collect();
        Ok(Normalization { mean, std, table })
    }

    /// Images of shape (n, channels, height, width) and `f32`, from their bytes in that order.
    ///
    /// On the CPU `images` yields the bytes of each image, and they are read once. For a GPU the bytes are
    /// put together in page-locked memory, cross as they are, a quarter of the floats, without the
    /// program waiting for it, and become floats there.
    ///
    /// # Errors
    /// Where an image has another number of bytes than the size says; what libtorch says.
    pub fn apply<'a>(
        &self,
        images: impl ExactSizeIterator<Item = &'a [u8]>,
        [height, width]: [usize; 2],
        device: Device,
    ) -> Result<Tensor> {
        let channels = self.table.len();
        let plane = height * width;
        let shape = [images.len(), channels, height, width].map(|n| n as i64);
        if device.is_cuda() {
            return self.on_gpu(images, plane, shape, device);
        }
        let batch = Tensor::f_empty(shape, (Kind::Float, Device::Cpu))?;
        let count = images.len() * channels * plane;
        // SAFETY: libtorch has just allocated `count` floats there, contiguous and aligned for them; nobody
        // else knows of the tensor yet. All are written below, or the tensor is dropped.
        let out: &mut [f32] = match count {
            0 => &mut [],
            _ => unsafe { std::slice::from_raw_parts_mut(batch.data_ptr().cast(), count) },
        };
        let mut out = out.chunks_exact_mut(plane.max(1));
        for image in images {
            check(image, channels * plane)?;
            for (table, bytes) in self.table.iter().zip(image.chunks_exact(plane.max(1))) {
                let out = out.next().unwrap_or_default();
                for (out, &byte) in out.iter_mut().zip(bytes) {
                    *out = table[usize::from(byte)];
                }
            }
        }
        Ok(batch)
    }

    fn on_gpu<'a>(
        &self,
        images: impl ExactSizeIterator<Item = &'a [u8]>,
        plane: usize,
        shape: [i64; 4],
        device: Device,
    ) -> Result<Tensor> {
        let size = self.table.len() * plane;
        let mut bytes = Vec::with_capacity(images.len() * size);
        for image in images {
            check(image, size)?;
            bytes.extend_from_slice(image);
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

fn check(image: &[u8], size: usize) -> Result<()> {
    if image.len() == size {
        return Ok(());
    }
    Err(Error(format!("An image has {} bytes, and its size asks for {size}.", image.len())))
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
    Ok(tensor.f_pin_memory(device)?.f_to_device_(device, kind, true, false)?)
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
        let bytes: Vec<u8> = (0..=255).cycle().take(3 * 3 * 256).collect();
        let (mean, std) = ([125.307, 0.0, 113.865], [62.9932, 1.0, 66.7048]);
        let found = Normalization::new(3, &mean, &std)
            .unwrap()
            .apply(bytes.chunks_exact(3 * 256), [16, 16], Device::Cpu)
            .unwrap();
        assert_eq!(found.size(), [3, 3, 16, 16]);
        assert_eq!(bits(&found), bits(&by_operations(&bytes, &[3, 3, 16, 16], &mean, &std)));

        // One mean for all channels.
        let found = Normalization::new(3, &[72.9], &[90.02])
            .unwrap()
            .apply(bytes.chunks_exact(3 * 256), [16, 16], Device::Cpu)
            .unwrap();
        let wanted = by_operations(&bytes, &[3, 3, 16, 16], &[72.9], &[90.02]);
        assert_eq!(bits(&found), bits(&wanted));
    }

    #[test]
    fn no_operation_but_the_allocation_is_asked_of_libtorch() {
        let normalization = Normalization::new(1, &[10.0], &[5.0]).unwrap();
        let bytes = [0, 10, 20, 30];
        let apply = || normalization.apply(bytes.chunks_exact(2), [1, 2], Device::Cpu).unwrap();
        let (batch, ops) = crate::ops::record(apply);
        assert_eq!(ops.iter().map(|op| &op.name[..]).collect::<Vec<_>>(), ["aten::empty"]);
        assert_eq!(Vec::<f32>::try_from(batch.reshape([-1])).unwrap(), [-2.0, 0.0, 2.0, 4.0]);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let said = Normalization::new(3, &[1.0, 2.0], &[1.0]).unwrap_err().to_string();
        assert!(said.contains("2 means for 3 channels"), "{said}");
        let said = Normalization::new(0, &[1.0], &[1.0]).unwrap_err().to_string();
        assert!(said.contains("these have none"), "{said}");
        let one = Normalization::new(1, &[1.0], &[1.0]).unwrap();
        let said = one.apply([&[1u8, 2, 3][..]].into_iter(), [2, 2], Device::Cpu).unwrap_err();
        assert!(said.to_string().contains("3 bytes") && said.to_string().contains('4'), "{said}");
        let none = one.apply([].into_iter(), [2, 2], Device::Cpu).unwrap();
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
        let on = |device| one.apply(bytes.chunks_exact(3 * 64), [8, 8], device).unwrap();
        let (cpu, gpu) = (on(Device::Cpu), on(Device::Cuda(0)));
        assert_eq!(gpu.device(), Device::Cuda(0));
        let off = (&cpu - gpu.to_device(Device::Cpu)).abs().max();
        assert!(f64::try_from(off).unwrap() < 1e-5);
    }
}
