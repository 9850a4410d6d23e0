use super::*;

/// With libtorch's operations: a cast, a subtraction, a division.
fn by_operations(bytes: &[u8], shape: &[i64], mean: &[f64], std: &[f64]) -> Tensor {
    let of = |values: &[f64]| Tensor::from_slice(values).to_kind(Kind::Float).reshape([-1, 1, 1]);
    let floats = Tensor::from_slice(bytes).reshape(shape).to_kind(Kind::Float);
    (floats - of(mean)) / of(std)
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    let values = Vec::<f32>::try_from(tensor.reshape([-1])).unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

#[test]
fn bytes_convert_as_in_libtorch_to_the_bit() {
    // Images of 3 × 17 × 16: an odd number of pixels, and batches for one thread and for several.
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
fn only_the_allocation_calls_libtorch() {
    let normalization = Normalization::new(1, &[10.0], &[5.0]).unwrap();
    let bytes = [0, 10, 20, 30];
    let gather = || normalization.gather(&bytes, &[1, 0], [1, 2], Device::Cpu).unwrap();
    let (batch, ops) = crate::ops::record(gather);
    assert_eq!(ops.iter().map(|op| &op.name[..]).collect::<Vec<_>>(), ["aten::empty"]);
    assert_eq!(Vec::<f32>::try_from(batch.reshape([-1])).unwrap(), [2.0, 4.0, -2.0, 0.0]);
}

#[test]
fn bad_counts_and_indices_are_refused() {
    let error = Normalization::new(3, &[1.0, 2.0], &[1.0]).unwrap_err().to_string();
    assert!(error.contains("2 means for 3 channels"), "{error}");
    let error = Normalization::new(0, &[1.0], &[1.0]).unwrap_err().to_string();
    assert!(error.contains("no channels"), "{error}");
    let one = Normalization::new(1, &[1.0], &[1.0]).unwrap();
    let error = one.gather(&[1; 9], &[1, 2], [2, 2], Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("no image 2") && error.contains("9 bytes are 2 images of 4"), "{error}");
    assert!(one.gather(&[1; 9], &[0], [0, 2], Device::Cpu).is_err(), "an image without pixels");
    let none = one.gather(&[], &[], [2, 2], Device::Cpu).unwrap();
    assert_eq!(none.size(), [0, 1, 2, 2]);
}

#[test]
fn a_gpu_gives_the_same() {
    if !tch::Cuda::is_available() {
        let required = std::env::var_os("LOOKAHEAD_REQUIRE_CUDA").is_some_and(|value| value == "1");
        assert!(!required, "LOOKAHEAD_REQUIRE_CUDA is 1, but libtorch finds no GPU.");
        eprintln!("Skipped: there is no GPU.");
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
