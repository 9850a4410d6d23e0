//! Shapes to optimize: what costs depends on how many parameters there are, and on how many
//! tensors hold them.

use tch::{Device, Kind, Tensor, nn};

/// The trainable variables of a ResNet-18 for small images: 62 tensors, 11.2 M parameters.
pub(super) fn resnet18() -> Vec<Vec<i64>> {
    let mut shapes = Vec::new();
    let mut convolution = |from: i64, to: i64, size: i64| {
        // A convolution without a bias, and its batch normalization.
        shapes.extend([vec![to, from, size, size], vec![to], vec![to]]);
    };
    convolution(3, 64, 3);
    for (from, to) in [(64, 64), (64, 128), (128, 256), (256, 512)] {
        convolution(from, to, 3);
        convolution(to, to, 3);
        if from != to {
            convolution(from, to, 1);
        }
        convolution(to, to, 3);
        convolution(to, to, 3);
    }
    shapes.extend([vec![10, 512], vec![10]]);
    shapes
}

/// Parameters in tensors of the same size, or nearly.
pub(super) fn evenly(parameters: i64, tensors: i64) -> Vec<Vec<i64>> {
    (0..tensors).map(|i| vec![(i + 1) * parameters / tensors - i * parameters / tensors]).collect()
}

/// A variable of each shape, each with a gradient.
pub(super) fn variables(shapes: &[Vec<i64>]) -> nn::VarStore {
    let vs = nn::VarStore::new(Device::Cpu);
    for (i, shape) in shapes.iter().enumerate() {
        let variable = vs.root().randn(&format!("weight{i}"), shape, 0.0, 0.1);
        let gradient = Tensor::randn(shape, (Kind::Float, Device::Cpu)) * 0.01;
        (&variable * gradient).sum(Kind::Float).backward();
    }
    vs
}
